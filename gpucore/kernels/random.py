"""Counter-based random numbers: the kernels."""
