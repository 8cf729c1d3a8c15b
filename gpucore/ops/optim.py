"""Optimizers have no operations of their own: `gpucore.optim` launches their kernels, which nothing differentiates."""

__all__: list[str] = []
