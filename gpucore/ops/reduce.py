"""Reductions along any axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..errors import DTypeError, ShapeError
from . import elementwise, shape
from .reduce_axes import Axis, arguments, axes_of, kept_shape, reduce, result_shape, running_sums, squared_deviation

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["argmax", "argmin", "cumulative_sum", "logsumexp", "max", "mean", "min", "sum", "sum_to", "var"]


def _expand(g: Any, x: Array, axes: Sequence[int]) -> Any:
    """A reduction's result, or its gradient, repeated along the reduced axes."""
    return shape.broadcast_to(shape.reshape(g, kept_shape(x, axes)), x.shape)


def _check_float(who: str, x: Array) -> None:
    if not x.dtype.is_float:
        raise DTypeError(f"{who}: x is {x.dtype}; wants float32, cast it with astype")


@differentiable
def sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """Σ x over the axes (all by default); 0 over an empty one. Integers and booleans give int32, modulo 2³².

    Summed by a tree, so the error grows with the logarithm of the number of elements.
    """
    axes = axes_of("sum", x, axis)
    y = reduce(x, axes, "sum").view(result_shape(x, axes, keepdims))
    return y, lambda g: (lambda: _expand(g, x, axes),)


@differentiable
def mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """Σ x / n over the axes (all by default); NaN over an empty one."""
    axes = axes_of("mean", x, axis)
    _check_float("mean", x)
    count = prod(x.shape[a] for a in axes)
    y = reduce(x, axes, "sum", divisor=float(count)).view(result_shape(x, axes, keepdims))
    return y, lambda g: (lambda: _expand(_scale(g, 1 / count) if count else g, x, axes),)


def _scale(x: Any, factor: float) -> Any:
    return elementwise.multiply(x, elementwise.as_tensor(factor, x))


def sum_to(x: Array, shape: Sequence[int]) -> Tensor:
    """Σ x down to a shape that broadcasts to x's: undoes broadcasting. ShapeError where it does not broadcast."""
    wanted = tuple(shape)
    if x.shape == wanted:
        return x  # type: ignore[return-value]
    added = x.ndim - len(wanted)
    if added < 0 or any(n not in (1, m) for n, m in zip(wanted, x.shape[added:], strict=True)):
        raise ShapeError(f"sum_to: {wanted} does not broadcast to {x.shape}")
    return _sum_to(x, shape=wanted)  # type: ignore[no-any-return]


@differentiable
def _sum_to(x: Any, *, shape: tuple[int, ...]) -> tuple[Any, Backward]:
    added = x.ndim - len(shape)
    axes = tuple(i for i, m in enumerate(x.shape) if i < added or (shape[i - added] == 1 and m != 1))
    y = reduce(x, axes, "sum").view(shape)
    return y, lambda g: (lambda: _expand(g, x, axes),)


def _check_nonempty(who: str, x: Array, axes: Sequence[int]) -> None:
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"{who}: x of shape {x.shape} is empty along axis {', '.join(str(a) for a in axes)}; wants one element or more")


def _extreme(op: str, x: Any, axis: Axis, keepdims: bool) -> tuple[Any, Backward]:
    axes = axes_of(op, x, axis)
    _check_nonempty(op, x, axes)
    y = reduce(x, axes, op).view(result_shape(x, axes, keepdims))

    def backward(g: Any) -> Any:
        with_x = elementwise.astype(elementwise.equal(x, _expand(y, x, axes)), x.dtype)
        shared = elementwise.divide(g, shape.reshape(sum(with_x, axis=axes), g.shape))
        return elementwise.multiply(with_x, _expand(shared, x, axes))

    return y, lambda g: (lambda: backward(g),)


@differentiable
def max(x: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """The maximum over the axes (all by default), NaN where there is one; an empty axis is refused.

    The gradient is shared equally between equal maxima.
    """
    return _extreme("max", x, axis, keepdims)


@differentiable
def min(x: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """The minimum over the axes (all by default), NaN where there is one; an empty axis is refused.

    The gradient is shared equally between equal minima.
    """
    return _extreme("min", x, axis, keepdims)


@differentiable
def var(x: Any, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> tuple[Any, Backward]:
    """Σ (x - mean)² / (n - correction) over the axes (all by default).

    Taken around the mean, so that one far from zero costs no digits. NaN over an empty axis and where
    n ≤ correction leaves 0 / 0, as NumPy has it.
    """
    axes = axes_of("var", x, axis)
    _check_float("var", x)
    count = prod(x.shape[a] for a in axes)
    freedom = count - correction if count > correction else 0
    y = squared_deviation(x, axes, float(freedom)).view(result_shape(x, axes, keepdims))

    def backward(g: Any) -> Any:
        deviation = elementwise.subtract(x, mean(x, axis=axes, keepdims=True))
        return elementwise.multiply(deviation, _expand(_scale(g, 2 / freedom if freedom else float("nan")), x, axes))

    return y, lambda g: (lambda: backward(g),)


@differentiable
def logsumexp(x: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """log Σ eˣ over the axes (all by default), never overflowing; -inf over an empty axis or one of -inf."""
    axes = axes_of("logsumexp", x, axis)
    _check_float("logsumexp", x)
    y = reduce(x, axes, "logsumexp").view(result_shape(x, axes, keepdims))

    def backward(g: Any) -> Any:
        finite = elementwise.clip(y, min=-3.0e38)  # x - y is NaN where both are -inf; their share is 0
        share = elementwise.exp(elementwise.subtract(x, _expand(finite, x, axes)))
        return elementwise.multiply(share, _expand(g, x, axes))

    return y, lambda g: (lambda: backward(g),)


def _argument(op: str, x: Any, axis: int | None, keepdims: bool) -> tuple[Any, Backward]:
    axes = axes_of(op, x, axis)
    _check_float(op, x)
    _check_nonempty(op, x, axes)
    flat = x.view((x.size,)) if axis is None else x
    return arguments(flat, 0 if axis is None else axes[0], op).view(result_shape(x, axes, keepdims)), None


@differentiable
def argmax(x: Any, *, axis: int | None = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """The index, int32, of the first maximum along an axis (of the flattened x by default); a NaN counts as the maximum."""
    return _argument("argmax", x, axis, keepdims)


@differentiable
def argmin(x: Any, *, axis: int | None = None, keepdims: bool = False) -> tuple[Any, Backward]:
    """The index, int32, of the first minimum along an axis (of the flattened x by default); a NaN counts as the minimum."""
    return _argument("argmin", x, axis, keepdims)


@differentiable
def cumulative_sum(x: Any, *, axis: int = -1, reverse: bool = False) -> tuple[Any, Backward]:
    """out[i] = Σ x[k] over k ≤ i along an axis; with reverse, over k ≥ i."""
    if x.ndim == 0:
        raise ShapeError("cumulative_sum: x has no axes; wants one or more")
    (along,) = axes_of("cumulative_sum", x, axis)
    _check_float("cumulative_sum", x)
    y = running_sums(x, along, reverse=reverse)
    return y, lambda g: (lambda: cumulative_sum(g, axis=axis, reverse=not reverse),)
