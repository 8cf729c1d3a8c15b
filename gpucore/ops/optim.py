"""Optimizer updates and gradient clipping: the operations."""

__all__: list[str] = []
