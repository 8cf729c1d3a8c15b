"""B-spline basis and the KAN layer: the kernels."""
