"""Every kernel, declared once; importing the package imports the families."""

from . import attention, conv, elementwise, linalg, loss, norm, optim, random, reduce, scatter, shape, spline

__all__ = ["attention", "conv", "elementwise", "linalg", "loss", "norm", "optim", "random", "reduce", "scatter", "shape", "spline"]
