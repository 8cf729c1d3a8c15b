"""Normalisation layers and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..device import Device
from ..device import device as open_device
from ..errors import ConfigError, ShapeError
from ..random import Generator
from .init import Rng, sizes
from .module import Module
from .parameter import parameter


class _Norm(Module):
    """What the normalisations share: features, eps, weight of ones and, where there is one, bias of zeros."""

    def __init__(self, features: int, eps: float, device: Device | None, bias: bool) -> None:
        sizes(type(self).__name__, features=features)
        if not eps > 0:
            raise ConfigError(f"{type(self).__name__}: eps is {eps}; wants more than 0")
        self.features, self.eps = features, eps
        device = device or open_device()
        self.weight = parameter(np.ones(features, np.float32), device, "weight")
        self.bias = parameter(np.zeros(features, np.float32), device, "bias") if bias else None

    def options(self) -> str:
        """The number of features."""
        return f"{self.features}"

    def _check_last(self, x: Any) -> None:
        if x.ndim == 0 or x.shape[-1] != self.features:
            raise ShapeError(f"{self!r}: got {x.shape}; wants {self.features} features along the last axis")


class LayerNorm(_Norm):
    """(x - mean) / √(variance + eps) · weight + bias over the last axis. Source: Ba et al., 2016."""

    def __init__(self, features: int, *, eps: float = 1e-5, bias: bool = True, device: Device | None = None) -> None:
        super().__init__(features, eps, device, bias)

    def forward(self, x: Any) -> Any:
        """[..., features], the same shape."""
        self._check_last(x)
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)


class RMSNorm(_Norm):
    """x / √(mean(x²) + eps) · weight over the last axis. Source: Zhang and Sennrich, 2019."""

    def __init__(self, features: int, *, eps: float = 1e-6, device: Device | None = None) -> None:
        super().__init__(features, eps, device, bias=False)

    def forward(self, x: Any) -> Any:
        """[..., features], the same shape."""
        self._check_last(x)
        return ops.rms_norm(x, self.weight, eps=self.eps)


class BatchNorm1d(_Norm):
    """(x - mean) / √(variance + eps) · weight + bias per feature over the batch. Source: Ioffe and Szegedy, 2015.

    In training the batch's own statistics are used, and running_mean and running_var move by `momentum` towards them;
    in evaluation the running ones are used.
    """

    def __init__(self, features: int, *, momentum: float = 0.1, eps: float = 1e-5, device: Device | None = None) -> None:
        super().__init__(features, eps, device, bias=True)
        if not 0 < momentum <= 1:
            raise ConfigError(f"BatchNorm1d: momentum is {momentum}; wants more than 0, at most 1")
        self.momentum = momentum
        self.running_mean = self.weight.device.zeros(features, name="running_mean")
        self.running_var = self.weight.device.ones(features, name="running_var")

    def forward(self, x: Any) -> Any:
        """[batch, features] or [batch, features, length], the same shape."""
        if x.ndim not in (2, 3) or x.shape[1] != self.features:
            raise ShapeError(f"{self!r}: got {x.shape}; wants [batch, {self.features}] or [batch, {self.features}, length]")
        return ops.batch_norm1d(
            x, self.weight, self.bias, self.running_mean, self.running_var,
            training=self.training, momentum=self.momentum, eps=self.eps,
        )  # fmt: skip


class Dropout(Module):
    """In training each element is zero with probability p and divided by 1 - p otherwise; nothing in evaluation.

    The generator's counter lives on the device and is part of a checkpoint. Source: Srivastava et al., 2014.
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None, device: Device | None = None) -> None:
        if not 0 <= p < 1:
            raise ConfigError(f"Dropout: p is {p}; wants 0 or more, less than 1")
        self.p = p
        seed = int(np.random.default_rng(rng).integers(2**63))
        self.generator = Generator(device or open_device(), seed)

    def options(self) -> str:
        """The probability."""
        return f"{self.p}"

    def forward(self, x: Any) -> Any:
        """Any shape, the same shape."""
        return self.generator.dropout(x, self.p) if self.training and self.p else x
