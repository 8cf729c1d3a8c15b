"""Softmax and normalisations: the operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..errors import ConfigError, ShapeError
from ..kernels import batch_norm as B
from ..kernels import columns as C
from ..kernels import norm as K
from . import elementwise, reduce, shape
from .reduce_axes import lines, moments, part_of, part_of_channels
from .reduce_axes import reduce as reduce_axes

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["add_layer_norm", "add_rms_norm", "batch_norm1d", "layer_norm", "log_softmax", "masked_softmax", "rms_norm", "softmax"]


def softmax(x: Array, *, axis: int = -1) -> Tensor:
    """eˣ / Σ eˣ along an axis, never overflowing; rows that hold +inf, NaN or nothing but -inf give NaN."""
    return _softmax_along("softmax", x, axis)  # type: ignore[no-any-return]


def log_softmax(x: Array, *, axis: int = -1) -> Tensor:
    """x - log Σ eˣ along an axis: the logarithm of softmax, exact where softmax underflows."""
    return _softmax_along("log_softmax", x, axis, log=True)  # type: ignore[no-any-return]


def masked_softmax(x: Array, mask: Array, *, axis: int = -1) -> Tensor:
    """softmax along an axis over the elements where mask is True; 0 elsewhere, and in all of a row without any.

    The boolean mask broadcasts to x.
    """
    if mask.ndim > x.ndim:
        raise ShapeError(f"masked_softmax: mask {mask.shape} has more axes than x {x.shape}")
    full = shape.reshape(mask, (1,) * (x.ndim - mask.ndim) + mask.shape)
    return _along("masked_softmax", x, axis, _masked_softmax, full)  # type: ignore[no-any-return]


def _along(who: str, x: Array, axis: int, rows: Callable[..., Any], *more: Array) -> Any:
    """rows(x, *more), which works on the last axis, along another: the axis trades places with the last one."""
    if x.ndim == 0:
        raise ShapeError(f"{who}: x has no axes; wants one or more")
    at = shape.normalize_axis(who, axis, x.ndim)
    if at == x.ndim - 1:
        return rows(x, *more)
    order = list(range(x.ndim))
    order[at], order[-1] = order[-1], order[at]
    return shape.permute_dims(rows(*[shape.permute_dims(t, order) for t in (x, *more)]), order)


def _softmax_along(who: str, x: Array, axis: int, *, log: bool = False) -> Any:
    """Along the last axis, or another one with enough columns to keep the device busy; else the axes trade places."""
    if x.ndim == 0:
        raise ShapeError(f"{who}: x has no axes; wants one or more")
    at = shape.normalize_axis(who, axis, x.ndim)
    outer, length, inner = lines(x, at)
    if inner == 1 or (length and C.many_columns(outer, inner)):
        return _softmax(x, log=log, lines=(outer, length, inner))
    return _along(who, x, at, lambda rows: _softmax(rows, log=log, lines=lines(rows, rows.ndim - 1)))


@differentiable
def _softmax(x: Any, *, log: bool, lines: tuple[int, int, int]) -> tuple[Any, Backward]:
    """Softmax along the middle axis of x seen as these three."""
    if lines[2] == 1:
        y = K.softmax(x.view(lines[:2]), None, log=log).view(x.shape)
    else:
        y = C.softmax_columns(x.view(lines), log=log).view(x.shape)
    return y, lambda g: (lambda: _softmax_backward(g, y, log=log, lines=lines),)


@differentiable
def _masked_softmax(x: Any, mask: Any) -> tuple[Any, Backward]:
    y = K.softmax(x, mask)
    return y, lambda g: (lambda: _softmax_backward(g, y, lines=lines(y, y.ndim - 1)), None)  # y is 0 where masked, so is the gradient


@differentiable
def _softmax_backward(g: Any, y: Any, *, log: bool = False, lines: tuple[int, int, int]) -> tuple[Any, Backward]:
    """y · (g - Σ g·y), or g - e^y · Σ g: how a gradient passes a softmax; bilinear in g, so it can be differentiated again."""

    def sums(t: Any) -> Any:
        """Σ t along the axis, in a shape that broadcasts to t seen as three axes."""
        return reduce.sum(shape.reshape(t, lines), axis=1, keepdims=True)

    def times(t: Any, per_line: Any) -> Any:
        return shape.reshape(elementwise.multiply(shape.reshape(t, lines), per_line), y.shape)

    def from_softmax(v: Any) -> Any:
        through = elementwise.subtract(shape.reshape(g, lines), sums(elementwise.multiply(g, y)))
        first = elementwise.multiply(v, shape.reshape(through, y.shape))
        return elementwise.subtract(first, times(g, sums(elementwise.multiply(v, y))))

    def log_to_g(v: Any) -> Any:
        total = sums(elementwise.multiply(v, elementwise.exp(y)))
        return shape.reshape(elementwise.subtract(shape.reshape(v, lines), total), y.shape)

    def log_to_y(v: Any) -> Any:
        return elementwise.negative(times(elementwise.multiply(v, elementwise.exp(y)), sums(g)))

    def backward(v: Any) -> tuple[Any, Any]:
        if log:
            return lambda: log_to_g(v), lambda: log_to_y(v)
        return lambda: _softmax_backward(v, y, lines=lines), lambda: from_softmax(v)

    if lines[2] == 1:
        return K.softmax_backward(g.view(lines[:2]), y.view(lines[:2]), log=log).view(y.shape), backward
    return C.softmax_columns_backward(g.view(lines), y.view(lines), log=log).view(y.shape), backward


def _checked(who: str, eps: float) -> float:
    """eps as a float; ConfigError for what would make a root of a negative number."""
    if not (isfinite(eps) and eps >= 0):
        raise ConfigError(f"{who}: eps is {eps}; wants a finite number of 0 or more")
    return float(eps)


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5) -> Tensor:
    """(x - μ) / √(σ² + eps) · weight + bias over the last axis (Ba et al., Layer Normalization, 2016).

    weight, bias: of the last axis's length, each optional. A mean far from zero costs no digits.
    """
    return _layer_norm(x, weight, bias, eps=_checked("layer_norm", eps))  # type: ignore[no-any-return]


@differentiable
def _layer_norm(x: Any, weight: Any, bias: Any, *, eps: float) -> tuple[Any, Backward]:
    y, offset, rstd = K.layer_norm(x, weight, bias, eps=eps)

    def backward(g: Any) -> Any:
        sums = cache(lambda: _norm_weight_backward(g, x, rstd, offset))  # both gradients come from one pass
        return lambda: _norm_backward(g, x, rstd, offset, weight), lambda: sums()[0], lambda: sums()[1]

    return y, backward


def rms_norm(x: Array, weight: Array | None = None, *, eps: float = 1e-6) -> Tensor:
    """x / √(mean(x²) + eps) · weight over the last axis (Zhang and Sennrich, Root Mean Square Layer Normalization, 2019)."""
    return _rms_norm(x, weight, eps=_checked("rms_norm", eps))  # type: ignore[no-any-return]


@differentiable
def _rms_norm(x: Any, weight: Any, *, eps: float) -> tuple[Any, Backward]:
    y, rstd = K.rms_norm(x, weight, eps=eps)
    return y, lambda g: (lambda: _norm_backward(g, x, rstd, None, weight), lambda: _norm_weight_backward(g, x, rstd, None)[0])


def add_layer_norm(
    x: Array, residual: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """(layer_norm of x + residual, x + residual) in one pass over memory; weight, bias and eps as in layer_norm."""
    return _add_layer_norm(x, residual, weight, bias, eps=_checked("add_layer_norm", eps))  # type: ignore[no-any-return]


@differentiable
def _add_layer_norm(x: Any, residual: Any, weight: Any, bias: Any, *, eps: float) -> tuple[Any, Backward]:
    y, total, offset, rstd = K.add_layer_norm(x, residual, weight, bias, eps=eps)

    def backward(gradients: Any) -> Any:
        g, more = gradients
        if g is None:
            return more, more, None, None
        sums = cache(lambda: _norm_weight_backward(g, total, rstd, offset))
        both = cache(lambda: _norm_backward(g, total, rstd, offset, weight, more))  # the same to x and to residual
        return both, both, lambda: sums()[0], lambda: sums()[1]

    return (y, total), backward


def add_rms_norm(x: Array, residual: Array, weight: Array | None = None, *, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """(rms_norm of x + residual, x + residual) in one pass over memory; weight and eps as in rms_norm."""
    return _add_rms_norm(x, residual, weight, eps=_checked("add_rms_norm", eps))  # type: ignore[no-any-return]


@differentiable
def _add_rms_norm(x: Any, residual: Any, weight: Any, *, eps: float) -> tuple[Any, Backward]:
    y, total, rstd = K.add_rms_norm(x, residual, weight, eps=eps)

    def backward(gradients: Any) -> Any:
        g, more = gradients
        if g is None:
            return more, more, None
        both = cache(lambda: _norm_backward(g, total, rstd, None, weight, more))
        return both, both, lambda: _norm_weight_backward(g, total, rstd, None)[0]

    return (y, total), backward


@differentiable
def _norm_backward(g: Any, x: Any, rstd: Any, offset: Any, weight: Any, more: Any = None) -> tuple[Any, Backward]:
    return K.norm_backward(g, x, rstd, offset, weight, more), None


@differentiable
def _norm_weight_backward(g: Any, x: Any, rstd: Any, offset: Any) -> tuple[Any, Backward]:
    cols = x.shape[-1]
    chunk = part_of(1, x.size // cols, cols)
    return _sum_parts(K.norm_weight_backward(g, x, rstd, offset, chunk=chunk)), None


def _sum_parts(parts: tuple[Array, Array]) -> tuple[Array, ...]:
    """The sums over the first axis of two [parts, n] results, each [n]."""
    return tuple(t.view(t.shape[1:]) if t.shape[0] == 1 else reduce_axes(t, (0,), "sum").view(t.shape[1:]) for t in parts)


def batch_norm1d(
    x: Array, weight: Array | None, bias: Array | None, running_mean: Array, running_var: Array, *,
    training: bool, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(x - mean) / √(variance + eps) · weight + bias per channel of [N, C] or [N, C, L] (Ioffe and Szegedy, 2015).

    In training mean and (biased) variance are those of x, and the running ones are updated in place:
    running = (1 - momentum) · running + momentum · batch, the variance unbiased. Otherwise the running ones are used.
    Training wants two values per channel or more: of one there is no variance. A mean far from zero costs no digits.
    """
    eps = _checked("batch_norm1d", eps)
    if not 0 <= momentum <= 1:
        raise ConfigError(f"batch_norm1d: momentum is {momentum}; wants 0 to 1")
    B.channels_of("batch_norm1d", x, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if not training:
        return _batch_norm(x, weight, bias, running_mean, running_var, eps=eps)  # type: ignore[no-any-return]
    count = x.shape[0] * (x.shape[2] if x.ndim == 3 else 1)
    if count < 2:
        has = "one element" if count else "no elements"
        raise ShapeError(f"batch_norm1d: x of shape {x.shape} has {has} per channel to take statistics of; training wants two or more")
    y, mean, variance = _batch_norm_training(x, weight, bias, eps=eps)
    B.batch_norm_update(running_mean, running_var, mean, variance, momentum=float(momentum), count=count)
    return y  # type: ignore[no-any-return]


@differentiable
def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, *, eps: float) -> tuple[Any, Backward]:
    """Batch normalisation with given statistics; no gradient flows to them."""

    def backward(g: Any) -> Any:
        sums = cache(lambda: _batch_norm_sums(g, x, mean, variance, eps=eps))
        to_x = lambda: _batch_norm_backward(g, x, mean, variance, weight, None, None, eps=eps)  # noqa: E731
        return to_x, lambda: sums()[0], lambda: sums()[1], None, None

    return B.batch_norm(x, mean, variance, weight, bias, eps=eps), backward


@differentiable
def _batch_norm_training(x: Any, weight: Any, bias: Any, *, eps: float) -> tuple[Any, Backward]:
    """(result, mean, variance) with the statistics of x; gradients flow from the result alone."""
    offset, mean, variance = moments(x, part_of_channels(x))
    y = B.batch_norm(x, offset, variance, weight, bias, eps=eps, relative=True)

    def backward(gradients: Any) -> Any:
        g = gradients[0]
        sums = cache(lambda: _batch_norm_sums(g, x, offset, variance, eps=eps, relative=True))
        to_x = lambda: _batch_norm_backward(g, x, offset, variance, weight, *sums(), eps=eps, relative=True)  # noqa: E731
        return to_x, lambda: sums()[0], lambda: sums()[1]

    return (y, mean, variance), backward


@differentiable
def _batch_norm_sums(g: Any, x: Any, mean: Any, variance: Any, *, eps: float, relative: bool = False) -> tuple[Any, Backward]:
    sums = B.batch_norm_weight_backward(g, x, mean, variance, eps=eps, chunk=part_of_channels(x), relative=relative)
    return _sum_parts(sums), None


@differentiable
def _batch_norm_backward(
    g: Any, x: Any, mean: Any, variance: Any, weight: Any, weight_gradient: Any, bias_gradient: Any, *, eps: float, relative: bool = False
) -> tuple[Any, Backward]:
    sums = weight_gradient, bias_gradient
    return B.batch_norm_backward(g, x, mean, variance, weight, *sums, eps=eps, relative=relative), None
