"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..device import Device
from ..device import device as open_device
from ..errors import ConfigError, ShapeError
from .init import Rng, sizes
from .linear import Linear
from .module import Module


class MultiHeadAttention(Module):
    """softmax(Q·Kᵀ / √d)·V in `heads` heads of d = features / heads, then a linear layer. Source: Vaswani et al., 2017.

    kv_heads: fewer heads for keys and values, each shared by heads / kv_heads queries (Ainslie et al., 2023).
    causal:   a position sees itself and those before it.
    """

    def __init__(
        self, features: int, heads: int, *, kv_heads: int | None = None, causal: bool = False, bias: bool = True,
        rng: Rng = None, device: Device | None = None,
    ) -> None:  # fmt: skip
        kv_heads = heads if kv_heads is None else kv_heads
        sizes("MultiHeadAttention", features=features, heads=heads, kv_heads=kv_heads)
        if features % heads or heads % kv_heads:
            raise ConfigError(
                f"MultiHeadAttention: {features} features, {heads} heads and {kv_heads} kv_heads; wants each to divide the one before"
            )
        self.features, self.heads, self.kv_heads, self.causal = features, heads, kv_heads, causal
        self.head_size = features // heads
        shared: dict[str, Any] = dict(bias=bias, init="xavier", rng=np.random.default_rng(rng), device=device or open_device())
        self.query = Linear(features, features, **shared)
        self.key = Linear(features, kv_heads * self.head_size, **shared)
        self.value = Linear(features, kv_heads * self.head_size, **shared)
        self.output = Linear(features, features, **shared)

    def options(self) -> str:
        """Features, heads and what differs from the default."""
        more = f", kv_heads={self.kv_heads}" if self.kv_heads != self.heads else ""
        return f"{self.features}, {self.heads}{more}" + (", causal=True" if self.causal else "")

    def forward(self, x: Any, context: Any = None, mask: Any = None) -> Any:
        """x [batch, time, features] attends to context [batch, source, features], to itself without one.

        mask: broadcast to [batch, heads, time, source], as `ops.scaled_dot_product_attention` takes it.
        """
        context = x if context is None else context
        for name, t in (("x", x), ("context", context)):
            if t.ndim != 3 or t.shape[-1] != self.features:
                raise ShapeError(f"MultiHeadAttention({self.options()}): {name} is {t.shape}; wants [batch, time, {self.features}]")
        if context.shape[0] != x.shape[0]:
            raise ShapeError(
                f"MultiHeadAttention({self.options()}): x has {x.shape[0]} sequences and context {context.shape[0]}; wants as many"
            )
        q, k, v = (
            self._split(self.query(x), self.heads),
            self._split(self.key(context), self.kv_heads),
            self._split(self.value(context), self.kv_heads),
        )
        mixed = ops.scaled_dot_product_attention(q, k, v, mask, causal=self.causal)
        return self.output(ops.reshape(ops.permute_dims(mixed, (0, 2, 1, 3)), x.shape))

    def _split(self, t: Any, heads: int) -> Any:
        """[batch, time, heads·d] to [batch, heads, time, d]."""
        return ops.permute_dims(ops.reshape(t, (*t.shape[:2], heads, self.head_size)), (0, 2, 1, 3))
