"""Every kernel, declared once; importing the package imports the families."""

from . import attention, conv, conv_tiled, elementwise, linalg, loss, norm, optim, random, reduce, scatter, shape, spline, spline_table

__all__ = [
    "attention", "conv", "conv_tiled", "elementwise", "linalg", "loss", "norm", "optim", "random", "reduce", "scatter", "shape", "spline",
    "spline_table",
]  # fmt: skip
