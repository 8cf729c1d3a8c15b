"""Convolution and pooling layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..device import Device
from ..device import device as open_device
from ..errors import ConfigError, ShapeError
from .init import Rng, draw, sizes
from .module import Module
from .parameter import parameter

Pair = int | tuple[int, int]


class _Conv(Module):
    """What Conv1d and Conv2d share: weight [out, in, *kernel], bias [out], the options, the check of the input."""

    axes = 0

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        bias: bool = True, init: str = "he", activation: str | None = None, rng: Rng = None, device: Device | None = None,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        if activation not in (None, "relu"):
            raise ConfigError(f"{who}: activation {activation!r} is unknown; wants None or 'relu'")
        kernel = tuple(kernel_size) if isinstance(kernel_size, tuple | list) else (kernel_size,) * self.axes
        if len(kernel) != self.axes:
            raise ShapeError(f"{who}: kernel_size is {kernel_size!r}; wants a number, or one for each of {self.axes} axes")
        sizes(who, in_channels=in_channels, out_channels=out_channels, **{f"kernel_size[{i}]": k for i, k in enumerate(kernel)})
        device = device or open_device()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.activation = stride, padding, dilation, activation
        self.weight = parameter(draw(who, init, (out_channels, in_channels, *kernel), rng), device, "weight")
        self.bias = parameter(np.zeros(out_channels, np.float32), device, "bias") if bias else None

    def options(self) -> str:
        """Channels, kernel and what differs from the default."""
        defaults = (("stride", 1), ("padding", 0), ("dilation", 1), ("activation", None))
        more = "".join(f", {k}={getattr(self, k)!r}" for k, usual in defaults if getattr(self, k) != usual)
        return f"{self.in_channels}, {self.out_channels}, {self.kernel_size}{more}" + (", bias=False" if self.bias is None else "")

    def _check(self, x: Any) -> None:
        if x.ndim != self.axes + 2 or x.shape[1] != self.in_channels:
            wants = ", ".join(["batch", f"{self.in_channels} channels", *(["length"] if self.axes == 1 else ["height", "width"])])
            raise ShapeError(f"{self!r}: got {x.shape}; wants [{wants}]")


class Conv1d(_Conv):
    """Cross-correlation over the last axis: [batch, in_channels, length] to [batch, out_channels, length'].

    length' = (length + 2·padding - dilation·(kernel_size - 1) - 1) // stride + 1. Weight and bias as in Linear.
    activation: relu, applied as the sums are stored, or None.
    """

    axes = 1

    def forward(self, x: Any) -> Any:
        """[batch, in, length] to [batch, out, length']."""
        self._check(x)
        options: dict[str, Any] = dict(stride=self.stride, padding=self.padding, dilation=self.dilation, activation=self.activation)
        return ops.conv1d(x, self.weight, self.bias, **options)


class Conv2d(_Conv):
    """Cross-correlation over the last two axes: [batch, in_channels, height, width] to [batch, out_channels, h', w'].

    h' = (height + 2·padding - dilation·(kernel_size - 1) - 1) // stride + 1, w' alike; each option is a number or a
    pair (height, width). Weight and bias as in Linear. activation: relu, applied as the sums are stored, or None.
    """

    axes = 2

    def forward(self, x: Any) -> Any:
        """[batch, in, height, width] to [batch, out, h', w']."""
        self._check(x)
        options: dict[str, Any] = dict(stride=self.stride, padding=self.padding, dilation=self.dilation, activation=self.activation)
        return ops.conv2d(x, self.weight, self.bias, **options)


class _Pool2d(Module):
    def __init__(self, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def options(self) -> str:
        """The kernel and what differs from the default."""
        return (
            f"{self.kernel_size}"
            + (f", stride={self.stride}" if self.stride is not None else "")
            + (f", padding={self.padding}" if self.padding else "")
        )

    def _check(self, x: Any) -> None:
        if x.ndim != 4:
            raise ShapeError(f"{self!r}: got {x.shape}; wants [batch, channels, height, width]")


class MaxPool2d(_Pool2d):
    """The maximum of each window, after a ReLU where activation is "relu"; stride None means the kernel's size."""

    def __init__(self, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0, activation: str | None = None) -> None:
        super().__init__(kernel_size, stride=stride, padding=padding)
        if activation not in (None, "relu"):
            raise ConfigError(f"MaxPool2d: activation {activation!r} is unknown; wants None or 'relu'")
        self.activation = activation

    def options(self) -> str:
        """The kernel and what differs from the default."""
        return super().options() + (f", activation={self.activation!r}" if self.activation else "")

    def forward(self, x: Any) -> Any:
        """[batch, channels, height, width] to [batch, channels, h', w']."""
        self._check(x)
        return ops.max_pool2d(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding, activation=self.activation)


class AvgPool2d(_Pool2d):
    """The mean of each window, padding counted as zeros; stride None means the kernel's size."""

    def forward(self, x: Any) -> Any:
        """[batch, channels, height, width] to [batch, channels, h', w']."""
        self._check(x)
        return ops.avg_pool2d(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)


class GlobalAvgPool2d(Module):
    """The mean of each channel's image: [batch, channels, height, width] to [batch, channels]."""

    def forward(self, x: Any) -> Any:
        """[batch, channels, height, width] to [batch, channels]."""
        if x.ndim != 4:
            raise ShapeError(f"{self!r}: got {x.shape}; wants [batch, channels, height, width]")
        return ops.reshape(ops.global_avg_pool2d(x), x.shape[:2])
