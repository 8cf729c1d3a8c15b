"""Moving elements: permute, slice, concat, gather, scatter: the kernels."""
