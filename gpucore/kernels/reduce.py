"""Reductions along axes: the kernels."""
