"""Matrix products: the operations."""

__all__: list[str] = []
