"""Convolution and pooling: the kernels."""
