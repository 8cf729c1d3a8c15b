"""Batch normalisation per channel of [N, C] or [N, C, L]: the kernels."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import norm as ref

from ..array import Array
from ..errors import ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .reduce import lanes_for
from .rows import WORKGROUP, power_of_two


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


def _fours(channels: int, length: int) -> int:
    """VEC4 of lib/channels.wgsl: 1 with whole fours along L, 2 with whole fours of channels and L of 1, else 0."""
    return 1 if length % 4 == 0 else 2 if length == 1 and channels % 4 == 0 else 0


def _per_channel(x: Array, channels: int, length: int, params: dict[str, Any], flags: dict[str, int]) -> Launch:
    """A launch that gives each element a result."""
    vec4 = _fours(channels, length)
    total = x.size // 4 if vec4 else x.size
    params |= dict(total=total, channels=channels, length=length)
    return Launch(x.shape, groups=ceil_div(total, WORKGROUP), params=params, constants=flags | dict(VEC4=vec4))


def _parts(x: Array, channels: int, length: int, chunk: int | None) -> tuple[int, dict[str, int], dict[str, int]]:
    """(parts, Params, constants) of a reduction of each channel in parts of `chunk` elements."""
    count = x.shape[0] * length
    chunk = chunk or max(count, 1)
    parts = max(ceil_div(count, chunk), 1)
    vec4 = int(length % 4 == 0 and (parts == 1 or chunk % 4 == 0))
    if vec4:
        length, count, chunk = length // 4, count // 4, ceil_div(chunk, 4)
    cols = 1 if vec4 or length >= 8 else min(32, power_of_two(channels))  # neighbouring lanes read neighbouring elements
    tiles = ceil_div(channels, cols)
    params = dict(channels=channels, length=length, count=count, chunk=chunk, tiles=tiles, total=parts * tiles)
    workgroup = lanes_for(cols * min(count, chunk))
    return parts, params, dict(COLS=cols, VEC4=vec4, WORKGROUP=max(workgroup, cols))


def _far_channels(rng: np.random.Generator) -> np.ndarray:
    """Noise of spread 1 around 10,000 and around -3e6, and equal values."""
    x = rng.standard_normal((7, 4, 300)) + np.array([1e4, -3e6, 0, 0])[:, None]
    x[:, 3] = 0.1
    return np.asarray(x, np.float32)


_SHAPES = [(1, 1), (3, 257), (5, 3, 31), (2, 33, 1), (0, 4), (31, 10, 7), (64, 32)]
_FOURS = [(3, 5, 7), (5, 3, 8), (9, 12), (9, 5)]


@kernel(
    "norm/batch_norm", ref=ref.batch_norm, flops=4, bench=_both((64, 256, 1024), "weight", "bias"),
    cases=[_both(shape, "weight", "bias") for shape in _SHAPES] + [
        _both((3, 5, 7)), _both((3, 5), "bias", eps=0.5), _both((65537 * 256 + 1, 1), large=True),
        *[_both(shape, "weight", relative=True) for shape in _FOURS],
        dict(x=(3, 4), mean=np.array([1e30, 0, np.inf, np.nan], np.float32), variance=np.array([0, 1e30, 1, 1], np.float32), id="extreme"),
    ],
)  # fmt: skip
def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
    relative: bool = False,
) -> Launch:
    """(x - mean) / √(variance + eps) · weight + bias, per channel (axis 1) of [N, C] or [N, C, L].

    relative: mean is counted from the channel's first element, x[0, c, 0], so that one far from zero costs no digits.
    """
    channels, length = channels_of("batch_norm", x, mean=mean, variance=variance, weight=weight, bias=bias)
    flags = dict(HAS_WEIGHT=int(weight is not None), HAS_BIAS=int(bias is not None), RELATIVE=int(relative))
    return _per_channel(x, channels, length, dict(eps=eps), flags)


@kernel(
    "norm/batch_norm_backward", ref=ref.batch_norm_backward, flops=8,
    bench=_both((64, 256, 1024), "weight", "weight_gradient", "bias_gradient", g=(64, 256, 1024)),
    cases=[_both(shape, "weight", "weight_gradient", "bias_gradient", g=shape) for shape in _SHAPES] + [
        _both((3, 5, 7), g=(3, 5, 7)), _both((3, 5), "weight", g=(3, 5), eps=0.5),
        *[_both(shape, "weight", "weight_gradient", "bias_gradient", g=shape, relative=True) for shape in _FOURS],
        _both((6, 5), "weight_gradient", "bias_gradient", g=(6, 5)), _both((65537 * 256 + 1, 1), g=(65537 * 256 + 1, 1), large=True),
    ],
)  # fmt: skip
def batch_norm_backward(
    g: Array, x: Array, mean: Array, variance: Array, weight: Array | None = None,
    weight_gradient: Array | None = None, bias_gradient: Array | None = None, *, eps: float = 1e-5, relative: bool = False,
) -> Launch:  # fmt: skip
    """The gradient of batch_norm to x, through mean and variance too when the sums Σ g·z and Σ g are given (training).

    relative: mean is counted from the channel's first element.
    """
    expect(g.shape == x.shape, f"batch_norm_backward: g is {g.shape} and x {x.shape}; wants one shape")
    expect((weight_gradient is None) == (bias_gradient is None), "batch_norm_backward: got one of the two sums; wants both or none")
    vectors = dict(mean=mean, variance=variance, weight=weight, weight_gradient=weight_gradient, bias_gradient=bias_gradient)
    channels, length = channels_of("batch_norm_backward", x, **vectors)
    flags = dict(HAS_WEIGHT=int(weight is not None), HAS_SUMS=int(weight_gradient is not None), RELATIVE=int(relative))
    return _per_channel(x, channels, length, dict(count=x.shape[0] * length, eps=eps), flags)


@kernel(
    "norm/batch_norm_weight_backward", ref=ref.batch_norm_weight_backward, l2=2e-6, atol=1e-5, flops=lambda g, *_, **__: 5 * g.size,
    bench=_channel_case((64, 256, 1024), g=(64, 256, 1024), chunk=8192),
    cases=[_channel_case(shape, g=shape) for shape in _SHAPES] + [
        *[_channel_case(shape, g=shape, relative=True) for shape in _FOURS], _channel_case((9, 5, 12), g=(9, 5, 12), chunk=20),
        _channel_case((37, 5, 31), g=(37, 5, 31), chunk=100), _channel_case((1009, 33), g=(1009, 33), chunk=64, eps=0.5),
        _channel_case((65537, 1), g=(65537, 1), chunk=1, large=True),
    ],
)  # fmt: skip
def batch_norm_weight_backward(
    g: Array, x: Array, mean: Array, variance: Array, *, eps: float = 1e-5, chunk: int | None = None, relative: bool = False
) -> Launch:
    """(Σ g · z, Σ g) per channel over each part of `chunk` elements (default: all): the gradients to weight and bias.

    relative: mean is counted from the channel's first element.
    """
    expect(g.shape == x.shape, f"batch_norm_weight_backward: g is {g.shape} and x {x.shape}; wants one shape")
    channels, length = channels_of("batch_norm_weight_backward", x, mean=mean, variance=variance)
    parts, params, constants = _parts(x, channels, length, chunk)
    return Launch(
        dict(weight_gradient=Out((parts, channels)), bias_gradient=Out((parts, channels))),
        groups=params["total"], params=params | dict(eps=eps), constants=constants | dict(RELATIVE=int(relative)),
    )  # fmt: skip


@kernel(
    "norm/channel_moments", ref=ref.channel_moments, flops=lambda x, **_: 6 * x.size, l2=2e-6, atol=1e-5,
    bench=dict(x=(64, 256, 1024), chunk=8192),
    cases=[dict(x=shape) for shape in _SHAPES if 0 not in shape] + [
        dict(x=(37, 5, 32), chunk=96), dict(x=(37, 5, 31), chunk=100), dict(x=(1009, 33), chunk=64), dict(x=_far_channels),
        dict(x=(65537, 1), chunk=1, large=True),
    ],
)  # fmt: skip
def channel_moments(x: Array, *, chunk: int | None = None) -> Launch:
    """(μ - the channel's first element, Σ (x - μ)²) per channel over each part of `chunk` elements (default: all), μ its mean."""
    channels, length = channels_of("channel_moments", x)
    expect(x.size > 0, f"channel_moments: x of shape {x.shape} has no elements; wants one or more per channel")
    parts, params, constants = _parts(x, channels, length, chunk)
    return Launch(
        dict(offset=Out((parts, channels)), squares=Out((parts, channels))), groups=params["total"], params=params, constants=constants
    )


def _fold_case(shape: tuple[int, ...], chunk: int) -> dict[str, Any]:
    parts = ceil_div(prod(shape) // shape[1], chunk)
    positive: Any = lambda rng: (rng.random((parts, shape[1])) * chunk).astype(np.float32)  # noqa: E731
    return dict(x=shape, offsets=(parts, shape[1]), squares=positive, chunk=chunk, id=f"{shape} chunk={chunk}")


@kernel(
    "norm/fold_moments", ref=ref.fold_moments, flops=lambda x, offsets, *_, **__: 8 * offsets.size,
    bytes=lambda x, offsets, *_, **__: 8 * offsets.size + 16 * x.shape[1], bench=_fold_case((512, 256, 128), 64),
    cases=[_fold_case((1, 1), 1), _fold_case((9, 3), 4) | dict(divisor=8.0), _fold_case((3, 5, 7), 21),
           _fold_case((67, 3, 31), 10), _fold_case((8, 257), 3),
           _fold_case((2, 65537), 2) | dict(large=True)],
)  # fmt: skip
def fold_moments(x: Array, offsets: Array, squares: Array, *, chunk: int, divisor: float | None = None) -> Launch:
    """(μ - the first element, μ, Σ (x - μ)² / divisor) per channel from what channel_moments gave for its parts.

    divisor: the elements per channel by default.
    """
    channels, length = channels_of("fold_moments", x)
    count = x.shape[0] * length
    parts = ceil_div(count, chunk)
    for name, t in (("offsets", offsets), ("squares", squares)):
        expect(t.shape == (parts, channels), f"fold_moments: {name} have shape {t.shape}; wants {(parts, channels)}")
    params: dict[str, float] = dict(channels=channels, length=length, count=count, chunk=chunk, parts=parts)
    params["divisor"] = float(count) if divisor is None else divisor
    return Launch({name: Out((channels,)) for name in ("offset", "mean", "variance")}, groups=channels, params=params)


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
