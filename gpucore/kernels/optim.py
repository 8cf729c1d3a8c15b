"""Optimizer updates and gradient clipping: the kernels."""
