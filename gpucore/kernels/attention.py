"""Rotary embedding and attention: the kernels."""
