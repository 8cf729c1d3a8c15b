"""Layers that are one matrix: Linear and Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..device import Device
from ..device import device as open_device
from ..errors import DTypeError, ShapeError
from .init import Rng, draw, sizes
from .module import Module
from .parameter import parameter


class Linear(Module):
    """activation(x·Wᵀ + b) on the last axis: [..., in_features] to [..., out_features].

    weight [out, in] is drawn by `init` ("he", "xavier", or one of these with _normal or _uniform), bias is zero.
    activation: relu, gelu, gelu_tanh, silu, sigmoid or tanh, applied as the product is stored; None for none.
    rng: a seed or a NumPy generator; the same numbers on every device.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, init: str = "he", activation: str | None = None,
        rng: Rng = None, device: Device | None = None,
    ) -> None:  # fmt: skip
        sizes("Linear", in_features=in_features, out_features=out_features)
        device = device or open_device()
        self.in_features, self.out_features, self.activation = in_features, out_features, activation
        self.weight = parameter(draw("Linear", init, (out_features, in_features), rng), device, "weight")
        self.bias = parameter(np.zeros(out_features, np.float32), device, "bias") if bias else None

    def options(self) -> str:
        """in, out and what differs from the default."""
        more = (", bias=False" if self.bias is None else "") + (f", activation={self.activation!r}" if self.activation else "")
        return f"{self.in_features}, {self.out_features}{more}"

    def forward(self, x: Any) -> Any:
        """[..., in] to [..., out]."""
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ShapeError(f"{self!r}: got {x.shape}; wants {self.in_features} features along the last axis")
        return ops.linear(x, self.weight, self.bias, activation=self.activation)


class Embedding(Module):
    """The rows of a matrix for integer ids: [...] to [..., features].

    weight [count, features] is normal with standard deviation `std`.
    """

    def __init__(self, count: int, features: int, *, std: float = 1.0, rng: Rng = None, device: Device | None = None) -> None:
        sizes("Embedding", count=count, features=features)
        self.count, self.features = count, features
        values = np.random.default_rng(rng).standard_normal((count, features), np.float32) * np.float32(std)
        self.weight = parameter(values, device or open_device(), "weight")

    def options(self) -> str:
        """count and features."""
        return f"{self.count}, {self.features}"

    def forward(self, ids: Any) -> Any:
        """int32 ids [...] to [..., features]."""
        if ids.dtype.name != "int32":
            raise DTypeError(f"{self!r}: got {ids.dtype} {ids.shape}; wants int32 ids")
        return ops.embedding(self.weight, ids)
