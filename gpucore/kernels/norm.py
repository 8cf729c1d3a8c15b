"""Softmax and normalisations: the kernels."""
