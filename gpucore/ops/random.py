"""Counter-based random numbers: the operations."""

__all__: list[str] = []
