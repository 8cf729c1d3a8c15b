"""Softmax and normalisations: the operations."""

__all__: list[str] = []
