"""Activation layers and Flatten: no parameters."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import ConfigError, ShapeError
from .module import Module


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.relu(x)


class LeakyReLU(Module):
    """x where it is positive, else negative_slope · x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def options(self) -> str:
        """The slope."""
        return f"{self.negative_slope}"

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.leaky_relu(x, negative_slope=self.negative_slope)


class GELU(Module):
    """x · Φ(x), with Φ exact ("none") or by tanh ("tanh"). Source: Hendrycks and Gimpel, 2016."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ConfigError(f"GELU: approximate is {approximate!r}; wants 'none' or 'tanh'")
        self.approximate = approximate

    def options(self) -> str:
        """The approximation, when there is one."""
        return "" if self.approximate == "none" else repr(self.approximate)

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.gelu(x, approximate=self.approximate)


class SiLU(Module):
    """x · sigmoid(x)."""

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.silu(x)


class Tanh(Module):
    """tanh(x)."""

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.sigmoid(x)


class Softplus(Module):
    """log(1 + e^x)."""

    def forward(self, x: Any) -> Any:
        """Any shape."""
        return ops.softplus(x)


class Flatten(Module):
    """Joins all axes but the first: [batch, ...] to [batch, features]."""

    def forward(self, x: Any) -> Any:
        """[batch, ...] to [batch, features]."""
        if x.ndim < 2:
            raise ShapeError(f"{self!r}: got {x.shape}; wants [batch, ...]")
        return ops.flatten(x, start_axis=1)
