"""Losses: the kernels."""
