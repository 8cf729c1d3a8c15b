"""Moving elements: permute, slice, concat, gather, scatter: the operations."""

__all__: list[str] = []
