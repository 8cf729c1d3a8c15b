"""Pooling over windows of images [batch, channels, height, width]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..autograd import Backward, differentiable
from ..errors import ConfigError, ShapeError
from ..kernels import pool as K
from ..kernels.window import Pair
from . import reduce, shape
from .unary import unary_backward

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["avg_pool2d", "global_avg_pool2d", "max_pool2d"]


def pair(who: str, value: int | Sequence[int]) -> Pair:
    """A number twice, or the two numbers given, as Python integers; ConfigError for anything else."""
    numbers = [value, value] if isinstance(value, int) else list(value) if isinstance(value, Sequence) else []
    if len(numbers) != 2 or not all(isinstance(n, int) for n in numbers):
        raise ConfigError(f"{who}: {value!r} is neither a whole number nor a pair of them")
    return int(numbers[0]), int(numbers[1])


def _options(who: str, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair) -> dict[str, Pair]:
    size = pair(who, kernel_size)
    return dict(kernel_size=size, stride=size if stride is None else pair(who, stride), padding=pair(who, padding))


def max_pool2d(
    x: Any, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0, return_indices: bool = False,
    activation: str | None = None,
) -> Any:  # fmt: skip
    """The maximum of each window; the padding takes no part (counts as −inf), and a NaN in the window is the maximum.

    x [n, c, h, w] → [n, c, h', w'] with h' = (h + 2·padding − kernel) // stride + 1. stride: the kernel size unless given.
    return_indices: also gives the flat place (row · w + column) of each maximum, int32, the first on ties. Gradients flow
    to those places. activation: None or "relu", applied to the maxima: the ReLU of a maximum is the maximum of the
    ReLUs, and there are fewer of them. ConfigError for a padding above half the kernel.
    """
    if activation not in (None, "none", "relu"):
        raise ConfigError(f"max_pool2d: activation {activation!r} is unknown; wants None or 'relu'")
    values, indices = _max_pool2d(x, activation=activation or "none", **_options("max_pool2d", kernel_size, stride, padding))
    return (values, indices) if return_indices else values


@differentiable
def _max_pool2d(x: Any, *, activation: str, **options: Pair) -> tuple[Any, Backward]:
    values, indices = K.max_pool2d(x, activation=activation, **options)
    size, rectified = (x.shape[2], x.shape[3]), values if activation == "relu" else None
    return (values, indices), lambda g: (lambda: _max_pool2d_gradient(g[0], indices, rectified, size=size, **options),)


@differentiable
def _max_pool2d_gradient(g: Any, indices: Any, values: Any, **options: Pair) -> tuple[Any, Backward]:
    """values: the maxima after a ReLU, which lets through what is above 0; None without one."""

    def backward(h: Any) -> Sequence[Any]:
        taken = _take_in_plane(h, indices, **options)
        return (taken if values is None else unary_backward(taken, values, op="relu")), None, None

    return K.max_pool2d_gradient(g, indices, values, **options), backward


@differentiable
def _take_in_plane(x: Any, indices: Any, **options: Pair) -> tuple[Any, Backward]:
    return K.take_in_plane(x, indices), lambda g: (lambda: _max_pool2d_gradient(g, indices, None, **options), None)


def avg_pool2d(x: Any, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> Tensor:
    """The mean of each window; the padding counts as zeros and in the divisor, which is always kh · kw.

    Shapes and errors as max_pool2d.
    """
    return _avg_pool2d(x, **_options("avg_pool2d", kernel_size, stride, padding))  # type: ignore[no-any-return]


@differentiable
def _avg_pool2d(x: Any, **options: Pair) -> tuple[Any, Backward]:
    size = (x.shape[2], x.shape[3])
    return K.avg_pool2d(x, **options), lambda g: (lambda: _avg_pool2d_gradient(g, size=size, **options),)


@differentiable
def _avg_pool2d_gradient(g: Any, *, size: Pair, **options: Pair) -> tuple[Any, Backward]:
    return K.avg_pool2d_gradient(g, size=size, **options), lambda h: (lambda: _avg_pool2d(h, **options),)


def global_avg_pool2d(x: Any) -> Tensor:
    """The mean of each plane: x [n, c, h, w] → [n, c]."""
    if x.ndim != 4:
        raise ShapeError(f"global_avg_pool2d: x has shape {x.shape}; wants four axes")
    planes = shape.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3]))
    return reduce.mean(planes, axis=-1)  # type: ignore[no-any-return]
