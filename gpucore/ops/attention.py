"""Rotary embedding and attention: the operations."""

__all__: list[str] = []
