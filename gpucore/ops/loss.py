"""Losses: the operations."""

__all__: list[str] = []
