"""Matrix products: the kernels."""
