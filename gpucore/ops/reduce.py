"""Reductions along axes: the operations."""

__all__: list[str] = []
