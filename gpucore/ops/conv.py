"""Convolution and pooling: the operations."""

__all__: list[str] = []
