"""B-spline basis and the KAN layer: the operations."""

__all__: list[str] = []
