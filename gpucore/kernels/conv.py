"""Convolution kernels; images are [batch, channels, height, width].

Options are pairs (vertical, horizontal) here; the operations accept single numbers.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import conv as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .window import Pair, geometry, out_size, rank4

PLAIN: dict[str, Any] = dict(stride=(1, 1), padding=(0, 0), dilation=(1, 1))
TILE = 4  # channels that one invocation computes
GRADIENT_TILE = 8  # channels of one invocation of the gradient to the image
WEIGHT_TILE = 8  # outputs, and taps, of one workgroup of the weight gradient
LANES = 64
WIDE = 256
_ODD: dict[str, Any] = dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2))
_LENET: dict[str, Any] = dict(stride=(1, 1), padding=(2, 2), dilation=(1, 1))


def _positions(device_kind: str, places: int, tiles: int) -> int:
    """How many places an invocation computes: more share each weight, fewer fill a large adapter."""
    return 4 if device_kind == "software" or places * tiles >= 1 << 21 else 1


def _conv_flops(x: Any, weight: Any, *rest: Any, stride: Pair, padding: Pair, dilation: Pair, **options: Any) -> float:
    out = out_size("conv2d", x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return float(2 * x.shape[0] * prod(out) * prod(weight.shape))


@kernel(
    "conv/conv2d", ref=ref.conv2d, flops=_conv_flops, atol=1e-5,
    bench=[dict(x=(128, 1, 28, 28), weight=(6, 1, 5, 5), bias=(6,), activation="relu", **_LENET),
           dict(x=(128, 6, 14, 14), weight=(16, 6, 5, 5), bias=(16,), activation="relu", **PLAIN),
           dict(x=(16, 64, 112, 112), weight=(64, 64, 3, 3), bias=(64,), activation="none", **(PLAIN | dict(padding=(1, 1))))],
    cases=[
        dict(x=(1, 1, 1, 1), weight=(1, 1, 1, 1), activation="none", **PLAIN),
        dict(x=(2, 3, 7, 11), weight=(5, 3, 3, 2), bias=(5,), activation="none", **_ODD),
        dict(x=(3, 1, 28, 28), weight=(6, 1, 5, 5), bias=(6,), activation="relu", **_LENET),
        dict(x=(1, 2, 1, 257), weight=(3, 2, 1, 3), bias=(3,), activation="relu", stride=(1, 3), padding=(0, 4), dilation=(1, 4)),
        dict(x=(2, 13, 5, 5), weight=(17, 13, 5, 5), activation="none", **PLAIN),
        dict(x=(0, 3, 5, 5), weight=(2, 3, 3, 3), bias=(2,), activation="none", **PLAIN),
        dict(x=(1, 1, 1, 1), weight=(4 * 65536 + 1, 1, 1, 1), activation="none", **PLAIN),
        dict(x=lambda rng: rng.choice(np.array([np.nan, np.inf, 1e30, -1e30, 1e-30], np.float32), (1, 1, 6, 9)),
             weight=(1, 1, 1, 1), activation="relu", **PLAIN, id="specials"),
    ],
)  # fmt: skip
def conv2d(x: Array, weight: Array, bias: Array | None = None, *, stride: Pair, padding: Pair, dilation: Pair, activation: str) -> Launch:
    """act(bias + cross-correlation of x [n, in, h, w] with weight [out, in, kh, kw])."""
    rank4("conv2d", x=x, weight=weight)
    batch, channels, *_ = x.shape
    image, kernel_size = (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])
    if weight.shape[1] != channels:
        raise ShapeError(f"conv2d: x {x.shape} has {channels} channels and weight {weight.shape} wants {weight.shape[1]}")
    expect(channels > 0 and weight.shape[0] > 0, f"conv2d: x {x.shape} and weight {weight.shape}; wants at least one channel on each side")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(f"conv2d: bias has shape {bias.shape}; wants {weight.shape[:1]}, one per output channel")
    if activation not in ("none", "relu"):
        raise ConfigError(f"conv2d: activation {activation!r} is unknown; wants 'none' or 'relu'")
    out = out_size("conv2d", image, kernel_size, stride, padding, dilation)
    outputs = weight.shape[0]
    tiles = ceil_div(outputs, TILE)
    params = geometry(image, kernel_size, out, stride, padding, dilation)
    params |= dict(batch=batch, channels=channels, outputs=outputs, channel_tiles=tiles)
    positions = _positions(x.device.kind, batch * prod(out), tiles)
    constants = dict(POSITIONS=positions, HAS_BIAS=bias is not None, RELU=activation == "relu")
    groups = tiles * ceil_div(batch * prod(out), LANES * positions)
    return Launch((batch, outputs, *out), groups=groups, params=params, constants=constants)


def _gradient_flops(g: Any, weight: Any, **options: Any) -> float:
    return float(2 * g.shape[0] * prod(g.shape[2:]) * prod(weight.shape))


@kernel(
    "conv/conv2d_input_gradient", ref=ref.conv2d_input_gradient, flops=_gradient_flops, atol=1e-5,
    bench=[dict(g=(128, 16, 10, 10), weight=(16, 6, 5, 5), size=(14, 14), **PLAIN),
           dict(g=(16, 64, 112, 112), weight=(64, 64, 3, 3), size=(112, 112), **(PLAIN | dict(padding=(1, 1))))],
    cases=[
        dict(g=(1, 1, 1, 1), weight=(1, 1, 1, 1), size=(1, 1), **PLAIN),
        dict(g=(2, 5, 4, 13), weight=(5, 3, 3, 2), size=(7, 11), **_ODD),
        dict(g=(3, 6, 28, 28), weight=(6, 1, 5, 5), size=(28, 28), **_LENET),
        dict(g=(2, 16, 10, 10), weight=(16, 6, 5, 5), size=(14, 14), **PLAIN),
        dict(g=(1, 3, 1, 86), weight=(3, 2, 1, 3), size=(1, 257), stride=(1, 3), padding=(0, 4), dilation=(1, 4)),
        dict(g=(2, 2, 2, 2), weight=(2, 3, 2, 2), size=(9, 8), stride=(5, 4), padding=(0, 0), dilation=(2, 3)),
        dict(g=(0, 2, 3, 3), weight=(2, 3, 3, 3), size=(5, 5), **PLAIN),
        dict(g=(1, 1, 1, 1), weight=(1, 8 * 65536 + 1, 1, 1), size=(1, 1), **PLAIN),
    ],
)  # fmt: skip
def conv2d_input_gradient(g: Array, weight: Array, *, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Launch:
    """The gradient of conv2d to its image of `size`, from the gradient g of its result."""
    rank4("conv2d_input_gradient", g=g, weight=weight)
    kernel_size = (weight.shape[2], weight.shape[3])
    out = out_size("conv2d_input_gradient", size, kernel_size, stride, padding, dilation)
    batch, (outputs, channels) = g.shape[0], weight.shape[:2]
    expect(g.shape[1:] == (outputs, *out), f"conv2d_input_gradient: g has shape {g.shape}; wants {(batch, outputs, *out)}")
    tiles = ceil_div(channels, GRADIENT_TILE)
    params = geometry(size, kernel_size, out, stride, padding, dilation)
    params |= dict(batch=batch, channels=channels, outputs=outputs, channel_tiles=tiles)
    positions = _positions(g.device.kind, batch * prod(size), tiles)
    groups = tiles * ceil_div(batch * prod(size), LANES * positions)
    constants = dict(POSITIONS=positions, STRIDED=stride != (1, 1))
    return Launch((batch, channels, *size), groups=groups, params=params, constants=constants)


def _weight_flops(x: Any, g: Any, *, kernel_size: Pair, **options: Any) -> float:
    return float(2 * g.size * x.shape[1] * prod(kernel_size))


@kernel(
    "conv/conv2d_weight_gradient", ref=ref.conv2d_weight_gradient, flops=_weight_flops, atol=2e-5,
    bench=[dict(x=(128, 1, 28, 28), g=(128, 6, 28, 28), kernel_size=(5, 5), chunk=1408, **_LENET),
           dict(x=(128, 6, 14, 14), g=(128, 16, 10, 10), kernel_size=(5, 5), chunk=1856, **PLAIN),
           dict(x=(16, 64, 112, 112), g=(16, 64, 112, 112), kernel_size=(3, 3), chunk=50176, **(PLAIN | dict(padding=(1, 1))))],
    cases=[
        dict(x=(1, 1, 1, 1), g=(1, 1, 1, 1), kernel_size=(1, 1), chunk=64, **PLAIN),
        dict(x=(2, 3, 7, 11), g=(2, 5, 4, 13), kernel_size=(3, 2), chunk=64, **_ODD),
        dict(x=(3, 1, 28, 28), g=(3, 6, 28, 28), kernel_size=(5, 5), chunk=640, **_LENET),
        dict(x=(5, 6, 14, 14), g=(5, 17, 10, 10), kernel_size=(5, 5), chunk=256, **PLAIN),
        dict(x=(1, 2, 1, 257), g=(1, 3, 1, 86), kernel_size=(1, 3), chunk=1024, stride=(1, 3), padding=(0, 4), dilation=(1, 4)),
        dict(x=(1, 1, 1, 1), g=(1, 263, 1, 1), kernel_size=(1, 1), chunk=64, **PLAIN),
        dict(x=(1, 1031, 1, 1), g=(1, 1, 1, 1), kernel_size=(1, 1), chunk=64, **PLAIN),
        dict(x=(65537, 1, 1, 1), g=(65537, 2, 1, 1), kernel_size=(1, 1), chunk=1, **PLAIN, large=True),
    ],
)  # fmt: skip
def conv2d_weight_gradient(x: Array, g: Array, *, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, chunk: int) -> Launch:
    """Partial gradients of conv2d to weight and bias, [chunks, out, in · taps + 1]; a chunk is so many places."""
    rank4("conv2d_weight_gradient", x=x, g=g)
    image = (x.shape[2], x.shape[3])
    out = out_size("conv2d_weight_gradient", image, kernel_size, stride, padding, dilation)
    batch, channels, outputs = x.shape[0], x.shape[1], g.shape[1]
    if g.shape != (batch, outputs, *out):
        raise ShapeError(f"conv2d_weight_gradient: g has shape {g.shape}; wants {(batch, outputs, *out)}")
    taps = channels * prod(kernel_size)
    chunks = ceil_div(batch * prod(out), chunk)
    params = geometry(image, kernel_size, out, stride, padding, dilation)
    params |= dict(batch=batch, channels=channels, outputs=outputs, chunk=chunk, chunks=chunks)
    groups = chunks * ceil_div(outputs, WEIGHT_TILE) * ceil_div(taps + 1, WEIGHT_TILE)
    return Launch((chunks, outputs, taps + 1), groups=groups, params=params)


@kernel(
    "conv/conv2d_weight_fold", ref=ref.conv2d_weight_fold, atol=1e-5, flops=lambda partial: float(partial.size),
    bench=dict(partial=(1024, 128, 129)),
    cases=[dict(partial=shape) for shape in ((1, 1, 2), (7, 6, 26), (64, 16, 151), (2, 257, 2), (3, 1, 1031))]
    + [dict(partial=(1, 65537, 65), large=True)],
)  # fmt: skip
def conv2d_weight_fold(partial: Array) -> Launch:
    """The sums over the chunks of conv2d_weight_gradient: (weight [out, in · taps], bias [out])."""
    expect(partial.ndim == 3, f"conv2d_weight_fold: partial has shape {partial.shape}; wants three axes")
    chunks, outputs, columns = partial.shape
    params = dict(outputs=outputs, taps=columns - 1, chunks=chunks)
    outs = dict(weight=Out((outputs, columns - 1)), bias=Out((outputs,)))
    return Launch(outs, groups=ceil_div(outputs * columns, LANES), params=params)


_COLUMNS: list[dict[str, Any]] = [
    dict(size=(1, 1, 1, 1), kernel_size=(1, 1), **PLAIN),
    dict(size=(2, 3, 7, 11), kernel_size=(3, 2), **_ODD),
    dict(size=(2, 1, 28, 28), kernel_size=(5, 5), **_LENET),
    dict(size=(1, 2, 1, 257), kernel_size=(1, 3), stride=(1, 3), padding=(0, 4), dilation=(1, 4)),
    dict(size=(2, 2, 9, 8), kernel_size=(2, 2), stride=(5, 4), padding=(0, 0), dilation=(2, 3)),
    dict(size=(0, 2, 4, 4), kernel_size=(2, 2), **PLAIN),
    dict(size=(1, 1, 4096, 4099), kernel_size=(1, 1), **PLAIN, large=True),
]


def _as_x(case: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in case.items() if k != "size"}, "x": case["size"]}


def _as_columns(case: dict[str, Any]) -> dict[str, Any]:
    batch, channels, *image = case["size"]
    places = out_size("col2im", (image[0], image[1]), case["kernel_size"], case["stride"], case["padding"], case["dilation"])
    return {**case, "size": tuple(image), "columns": (batch, channels * prod(case["kernel_size"]), prod(places))}


_BENCH_COLUMNS: dict[str, Any] = dict(size=(128, 6, 56, 56), kernel_size=(5, 5), **PLAIN)


@kernel("conv/im2col", ref=ref.im2col, flops=0, bench=_as_x(_BENCH_COLUMNS), cases=[_as_x(c) for c in _COLUMNS])
def im2col(x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Launch:
    """[n, c · kh · kw, places]: the elements of x [n, c, h, w] under every tap of every window."""
    rank4("im2col", x=x)
    batch, channels = x.shape[:2]
    image = (x.shape[2], x.shape[3])
    out = out_size("im2col", image, kernel_size, stride, padding, dilation)
    shape = (batch, channels * prod(kernel_size), prod(out))
    params = geometry(image, kernel_size, out, stride, padding, dilation) | dict(batch=batch, channels=channels)
    return Launch(shape, groups=ceil_div(prod(shape), WIDE), params=params)


@kernel(
    "conv/col2im", ref=ref.col2im, atol=2e-6, flops=lambda columns, **options: float(columns.size), bench=_as_columns(_BENCH_COLUMNS),
    cases=[_as_columns(c) for c in _COLUMNS],
)  # fmt: skip
def col2im(columns: Array, *, size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Launch:
    """[n, c, h, w] of `size` (h, w): every element is the sum of the columns [n, c · kh · kw, places] that lie on it."""
    out = out_size("col2im", size, kernel_size, stride, padding, dilation)
    taps = prod(kernel_size)
    if columns.ndim != 3 or columns.shape[1] % taps or columns.shape[2] != prod(out):
        raise ShapeError(f"col2im: columns has shape {columns.shape}; wants (batch, channels · {taps}, {prod(out)}) for images of {size}")
    batch, channels = columns.shape[0], columns.shape[1] // taps
    params = geometry(size, kernel_size, out, stride, padding, dilation) | dict(batch=batch, channels=channels)
    return Launch((batch, channels, *size), groups=ceil_div(batch * channels * prod(size), WIDE), params=params)
