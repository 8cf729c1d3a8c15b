"""Batch normalisation per channel of [N, C] or [N, C, L]: the kernels."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import norm as ref

from ..array import Array
from ..errors import ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .reduce import WORKGROUP, power_of_two


def channels_of(who: str, x: Array, **vectors: Array | None) -> tuple[int, int]:
    """(channels, elements after the channel's axis); ShapeError for another rank or a vector that is not one per channel."""
    expect(x.ndim in (2, 3), f"{who}: x has shape {x.shape}; wants (N, C) or (N, C, L)")
    for name, vector in vectors.items():
        if vector is not None and vector.shape != x.shape[1:2]:
            raise ShapeError(f"{who}: {name} {vector.shape} does not match the {x.shape[1]} channels of x {x.shape}")
    return x.shape[1], prod(x.shape[2:])


def _positive(channels: int) -> Any:
    return lambda rng: (rng.random(channels) + 0.1).astype(np.float32)


def _channel_case(shape: tuple[int, ...], **more: Any) -> dict[str, Any]:
    return dict(x=shape, mean=shape[1:2], variance=_positive(shape[1]), id=f"{shape} {' '.join(more)}") | more


def _both(shape: tuple[int, ...], *names: str, **more: Any) -> dict[str, Any]:
    """A case with these further vectors of one value per channel."""
    return _channel_case(shape) | dict.fromkeys(names, shape[1:2]) | more | dict(id=f"{shape} {' '.join([*names, *more])}")


_SHAPES = [(1, 1), (3, 257), (5, 3, 31), (2, 33, 1), (0, 4), (31, 10, 7), (64, 32)]


@kernel(
    "norm/batch_norm", ref=ref.batch_norm, flops=4, bench=_both((64, 256, 1024), "weight", "bias"),
    cases=[_both(shape, "weight", "bias") for shape in _SHAPES] + [
        _both((3, 5, 7)), _both((3, 5), "bias", eps=0.5), _both((65537 * 256 + 1, 1), large=True),
        dict(x=(3, 4), mean=np.array([1e30, 0, np.inf, np.nan], np.float32), variance=np.array([0, 1e30, 1, 1], np.float32), id="extreme"),
    ],
)  # fmt: skip
def batch_norm(
    x: Array, mean: Array, variance: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> Launch:
    """(x - mean) / √(variance + eps) · weight + bias, per channel (axis 1) of [N, C] or [N, C, L]."""
    channels, length = channels_of("batch_norm", x, mean=mean, variance=variance, weight=weight, bias=bias)
    return Launch(
        x.shape,
        groups=ceil_div(x.size, WORKGROUP),
        params=dict(size=x.size, channels=channels, length=length, eps=eps),
        constants=dict(HAS_WEIGHT=int(weight is not None), HAS_BIAS=int(bias is not None)),
    )


@kernel(
    "norm/batch_norm_backward", ref=ref.batch_norm_backward, flops=8,
    bench=_both((64, 256, 1024), "weight", "weight_gradient", "bias_gradient", g=(64, 256, 1024)),
    cases=[_both(shape, "weight", "weight_gradient", "bias_gradient", g=shape) for shape in _SHAPES] + [
        _both((3, 5, 7), g=(3, 5, 7)), _both((3, 5), "weight", g=(3, 5), eps=0.5),
        _both((6, 5), "weight_gradient", "bias_gradient", g=(6, 5)), _both((65537 * 256 + 1, 1), g=(65537 * 256 + 1, 1), large=True),
    ],
)  # fmt: skip
def batch_norm_backward(
    g: Array, x: Array, mean: Array, variance: Array, weight: Array | None = None,
    weight_gradient: Array | None = None, bias_gradient: Array | None = None, *, eps: float = 1e-5,
) -> Launch:  # fmt: skip
    """The gradient of batch_norm to x, through mean and variance too when the sums Σ g·z and Σ g are given (training)."""
    expect(g.shape == x.shape, f"batch_norm_backward: g is {g.shape} and x {x.shape}; wants one shape")
    expect((weight_gradient is None) == (bias_gradient is None), "batch_norm_backward: got one of the two sums; wants both or none")
    vectors = dict(mean=mean, variance=variance, weight=weight, weight_gradient=weight_gradient, bias_gradient=bias_gradient)
    channels, length = channels_of("batch_norm_backward", x, **vectors)
    return Launch(
        x.shape,
        groups=ceil_div(x.size, WORKGROUP),
        params=dict(size=x.size, channels=channels, length=length, count=x.shape[0] * length, eps=eps),
        constants=dict(HAS_WEIGHT=int(weight is not None), HAS_SUMS=int(weight_gradient is not None)),
    )


@kernel(
    "norm/batch_norm_weight_backward", ref=ref.batch_norm_weight_backward, l2=2e-6, atol=1e-5, flops=lambda g, *_, **__: 5 * g.size,
    bench=_channel_case((64, 256, 1024), g=(64, 256, 1024), chunk=8192),
    cases=[_channel_case(shape, g=shape) for shape in _SHAPES] + [
        _channel_case((37, 5, 31), g=(37, 5, 31), chunk=100), _channel_case((1009, 33), g=(1009, 33), chunk=64, eps=0.5),
        _channel_case((65537, 1), g=(65537, 1), chunk=1, large=True),
    ],
)  # fmt: skip
def batch_norm_weight_backward(g: Array, x: Array, mean: Array, variance: Array, *, eps: float = 1e-5, chunk: int | None = None) -> Launch:
    """(Σ g · z, Σ g) per channel over each part of `chunk` elements (default: all): the gradients to weight and bias."""
    expect(g.shape == x.shape, f"batch_norm_weight_backward: g is {g.shape} and x {x.shape}; wants one shape")
    channels, length = channels_of("batch_norm_weight_backward", x, mean=mean, variance=variance)
    count = x.shape[0] * length
    chunk = chunk or max(count, 1)
    parts = max(ceil_div(count, chunk), 1)
    cols = 1 if length >= 8 else min(32, power_of_two(channels))  # neighbouring lanes read neighbouring elements
    tiles = ceil_div(channels, cols)
    return Launch(
        dict(weight_gradient=Out((parts, channels)), bias_gradient=Out((parts, channels))),
        groups=parts * tiles,
        params=dict(channels=channels, length=length, count=count, chunk=chunk, tiles=tiles, total=parts * tiles, eps=eps),
        constants=dict(COLS=cols),
    )


def _running(channels: int, **more: Any) -> dict[str, Any]:
    return dict(running_mean=(channels,), running_var=_positive(channels), mean=(channels,), variance=_positive(channels),
                id=f"{channels} channels {more}") | more  # fmt: skip


@kernel(
    "norm/batch_norm_update", ref=ref.batch_norm_update, flops=lambda running_mean, *_, **__: 6 * running_mean.size,
    bench=_running(1 << 22, momentum=0.1, count=64),
    cases=[_running(c, momentum=m, count=n) for c, m, n in ((1, 0.1, 8), (257, 0.9, 2), (64, 1.0, 100), (5, 0.5, 1), (0, 0.1, 3))] + [
        _running(65537 * 64 + 1, momentum=0.1, count=7, large=True),
    ],
)  # fmt: skip
def batch_norm_update(running_mean: Array, running_var: Array, mean: Array, variance: Array, *, momentum: float, count: int) -> Launch:
    """running = (1 - momentum) · running + momentum · batch, in place; the running variance is unbiased, n / (n - 1).

    count: n, the elements per channel; a single one has no unbiased variance and counts as it is.
    """
    shapes = {t.shape for t in (running_mean, running_var, mean, variance)}
    if len(shapes) != 1 or running_mean.ndim != 1:
        raise ShapeError(f"batch_norm_update: got shapes {', '.join(map(str, sorted(shapes)))}; wants one shape (channels,)")
    return Launch(
        None,
        groups=ceil_div(running_mean.size, 64),
        params=dict(channels=running_mean.size, momentum=momentum, unbiased=count / max(count - 1, 1)),
    )
