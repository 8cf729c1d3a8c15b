"""Convolutions as products of register tiles in shared memory, the columns never written: for hardware adapters."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import conv as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, ceil_div, expect, kernel
from ..tuning import Candidate, Choices
from .conv import PLAIN, activates, launch_params, weight_flops
from .window import Pair, out_size, rank4

SLICE = 16
"""Places that a workgroup of the weight gradient multiplies at a time; a chunk is a multiple of it."""


def _tile(rows: int, cols: int, depth: int, tall: int = 8) -> Candidate:
    """ROWS × COLS sums per workgroup, `tall` × 8 per invocation; two operands of `depth` inner indices in shared memory."""
    threads = rows // tall * cols // 8
    return Candidate(dict(ROWS=rows, COLS=cols, TALL=tall, THREADS=threads), workgroup=threads, memory=4 * depth * (rows + cols))


TILES = Choices("conv2d_tiled", {
    "64x64": _tile(64, 64, 16), "64x128": _tile(64, 128, 16), "32x128": _tile(32, 128, 16, tall=4), "128x128": _tile(128, 128, 16),
})  # fmt: skip
WEIGHT_TILES = Choices("conv2d_weight_gradient_tiled", {
    "64x64": _tile(64, 64, SLICE), "64x128": _tile(64, 128, SLICE), "32x128": _tile(32, 128, SLICE, tall=4),
})  # fmt: skip
WORKGROUPS = 528
"""Workgroups that fill a large adapter: four per multiprocessor."""


def _usual_tile(outputs: int, places: int) -> str:
    if outputs <= 32 or ceil_div(outputs, 64) * ceil_div(places, 128) < WORKGROUPS // 2:
        return "32x128"
    return "64x128"


def _flops(x: Any, weight: Any, *rest: Any, stride: Pair, padding: Pair, dilation: Pair, **options: Any) -> float:
    if options.get("up", (1, 1)) != (1, 1):
        return float(2 * x.size * prod(weight.shape[1:]))
    out = out_size("conv2d_tiled", x.shape[2:], weight.shape[1:3], stride, padding, dilation)
    return float(2 * x.shape[0] * prod(out) * prod(weight.shape))


_PADDED: dict[str, Any] = PLAIN | dict(padding=(1, 1))
_ODD: dict[str, Any] = dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2))


def _specials(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal((1, 8, 9, 15), np.float32)
    x[0, 3, 2, 2], x[0, 7, 8, 14], x[0, 0, 0, 9] = np.nan, np.inf, -np.inf
    return x


@kernel(
    "conv/conv2d_tiled", ref=ref.conv2d_tiled, flops=_flops, atol=1e-5, choices=TILES,
    bench=[dict(x=(16, 64, 112, 112), weight=(64, 3, 3, 64), bias=(64,), activation="none", **_PADDED),
           dict(x=(32, 64, 56, 56), weight=(64, 3, 3, 64), bias=(64,), activation="none", **_PADDED),
           dict(x=(32, 128, 28, 28), weight=(128, 3, 3, 64), activation="none", flip=True, up=(2, 2), size=(56, 56), **_PADDED)],
    cases=[
        dict(x=(1, 1, 1, 1), weight=(1, 1, 1, 1), activation="none", **PLAIN),
        dict(x=(2, 3, 7, 11), weight=(3, 3, 2, 5), bias=(5,), activation="none", flip=True, **_ODD),
        *TILES.across([
            dict(x=(2, 8, 9, 8), weight=(8, 3, 3, 68), bias=(68,), activation="relu", **_PADDED),
            dict(x=(3, 5, 8, 9), weight=(5, 2, 3, 131), activation="none", flip=True, **PLAIN),
        ]),
        dict(x=(1, 16, 23, 31), weight=(16, 3, 3, 12), activation="none", stride=(2, 2), padding=(1, 1), dilation=(1, 1)),
        *[dict(x=(2, channels, 5, 6), weight=(channels, *kernel, 9), bias=(9,), activation="none", flip=flip, up=up, size=size,
               stride=(1, 1), padding=padding, dilation=(1, 1)) for channels, kernel, flip, up, size, padding in (
            (8, (3, 3), True, (2, 2), (10, 12), (1, 1)), (5, (4, 2), False, (3, 2), (14, 13), (2, 0)),
            (16, (1, 2), True, (2, 3), (10, 17), (0, 0)), (3, (7, 7), True, (2, 2), (9, 11), (3, 3)))],
        dict(x=_specials, weight=(8, 3, 3, 8), bias=(8,), activation="relu", **_PADDED, id="specials"),
        dict(x=(0, 3, 5, 5), weight=(3, 3, 3, 2), bias=(2,), activation="none", **PLAIN),
        dict(x=(65536 * 64 + 1, 1, 1, 1), weight=(1, 1, 1, 1), activation="none", config="64x64", large=True, **PLAIN),
    ],
)  # fmt: skip
def conv2d_tiled(
    x: Array, weight: Array, bias: Array | None = None, *,
    stride: Pair, padding: Pair, dilation: Pair, activation: str, flip: bool = False, up: Pair = (1, 1), size: Pair | None = None,
    config: str | None = None,
) -> Launch:  # fmt: skip
    """conv2d with the weight stored [in, kh, kw, out]; flip runs its taps backwards, as the gradient to the image wants.

    up: the image has up - 1 zeros between its elements, and as many behind them as give a result of `size`: the gradient
    to the image of a convolution with that stride. It goes with a stride and a dilation of 1.
    """
    rank4("conv2d_tiled", x=x, weight=weight)
    batch, channels, *_ = x.shape
    image, kernel_size, outputs = (x.shape[2], x.shape[3]), (weight.shape[1], weight.shape[2]), weight.shape[3]
    if weight.shape[0] != channels:
        raise ShapeError(f"conv2d_tiled: x {x.shape} has {channels} channels and weight {weight.shape} wants {weight.shape[0]}")
    expect(channels > 0 and outputs > 0, f"conv2d_tiled: x {x.shape} and weight {weight.shape}; wants at least one channel on each side")
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"conv2d_tiled: bias has shape {bias.shape}; wants {(outputs,)}, one per output channel")
    spread = _spread("conv2d_tiled", image, kernel_size, stride, padding, dilation, up, size)
    out = out_size("conv2d_tiled", spread, kernel_size, stride, padding, dilation)
    places = batch * prod(out)
    chosen = TILES.pick(x.device, config, (outputs, channels, *kernel_size, places), _usual_tile(outputs, places))
    constants = dict(TILES[chosen].constants) | dict(
        KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1], DEEP=channels % 8 == 0, FLIP=flip, UP_H=up[0], UP_W=up[1],
        VECTOR_W=outputs % 4 == 0, VECTOR_OUT=prod(out) % 4 == 0 and up == (1, 1), HAS_BIAS=bias is not None,
        RELU=activates("conv2d_tiled", activation),
    )  # fmt: skip
    params = launch_params(image, kernel_size, out, stride, padding, dilation) | dict(batch=batch, channels=channels, outputs=outputs)
    in_phase = batch * ceil_div(out[0], up[0]) * ceil_div(out[1], up[1])
    groups = prod(up) * ceil_div(outputs, constants["ROWS"]) * ceil_div(in_phase, constants["COLS"])
    return Launch((batch, outputs, *out), groups=groups, params=params, constants=constants)


def _spread(who: str, image: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, up: Pair, size: Pair | None) -> Pair:
    """The image's size with the zeros in."""
    if up == (1, 1):
        return image
    if stride != (1, 1) or dilation != (1, 1) or size is None:
        raise ConfigError(f"{who}: up {up} wants a size, and a stride and a dilation of 1; got {size}, {stride} and {dilation}")
    found = tuple(n - 2 * p + k - 1 for n, p, k in zip(size, padding, kernel_size, strict=True))
    least = tuple((n - 1) * u + 1 for n, u in zip(image, up, strict=True))
    expect(found[0] >= least[0] and found[1] >= least[1], f"{who}: size {size} is too small for an image of {image} spread by {up}")
    return found[0], found[1]


@kernel(
    "conv/conv2d_weight_gradient_tiled", ref=ref.conv2d_weight_gradient_tiled, flops=weight_flops, atol=2e-5, choices=WEIGHT_TILES,
    bench=[dict(x=(16, 64, 112, 112), g=(16, 64, 112, 112), kernel_size=(3, 3), chunk=1920, **_PADDED)],
    cases=[
        dict(x=(1, 1, 1, 1), g=(1, 1, 1, 1), kernel_size=(1, 1), chunk=16, **PLAIN),
        dict(x=(2, 3, 7, 11), g=(2, 5, 4, 13), kernel_size=(3, 2), chunk=64, **_ODD),
        *WEIGHT_TILES.across([
            dict(x=(2, 15, 6, 8), g=(2, 68, 6, 8), kernel_size=(3, 3), chunk=64, **_PADDED),
            dict(x=(2, 3, 7, 9), g=(2, 131, 6, 7), kernel_size=(2, 3), chunk=32, **PLAIN),
        ]),
        dict(x=(2, 2, 8, 10), g=(2, 3, 6, 6), kernel_size=(3, 5), chunk=48, **PLAIN),
        dict(x=(1, 2, 1, 257), g=(1, 3, 1, 86), kernel_size=(1, 3), chunk=32, stride=(1, 3), padding=(0, 4), dilation=(1, 4)),
        dict(x=_specials, g=(1, 3, 7, 13), kernel_size=(3, 3), chunk=32, **PLAIN, id="specials"),
        dict(x=(65537 * 16, 1, 1, 1), g=(65537 * 16, 1, 1, 1), kernel_size=(1, 1), chunk=16, config="64x64", **PLAIN, large=True),
    ],
)  # fmt: skip
def conv2d_weight_gradient_tiled(
    x: Array, g: Array, *, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, chunk: int, config: str | None = None
) -> Launch:
    """conv2d_weight_gradient by tiles: partial gradients [chunks, out, in · taps + 1]; a chunk is a multiple of 16 places."""
    rank4("conv2d_weight_gradient_tiled", x=x, g=g)
    image = (x.shape[2], x.shape[3])
    out = out_size("conv2d_weight_gradient_tiled", image, kernel_size, stride, padding, dilation)
    batch, channels, outputs = x.shape[0], x.shape[1], g.shape[1]
    if g.shape != (batch, outputs, *out):
        raise ShapeError(f"conv2d_weight_gradient_tiled: g has shape {g.shape}; wants {(batch, outputs, *out)}")
    expect(chunk % SLICE == 0, f"conv2d_weight_gradient_tiled: chunk is {chunk}; wants a multiple of {SLICE}")
    taps = channels * prod(kernel_size)
    places = batch * prod(out)
    chosen = WEIGHT_TILES.pick(x.device, config, (outputs, channels, *kernel_size, places), _usual_weight_tile(outputs))
    constants = dict(WEIGHT_TILES[chosen].constants) | dict(
        KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1], VECTOR_G=prod(out) % 4 == 0, SAME_ROW=out[1] % 4 == 0
    )
    chunks = ceil_div(places, chunk)
    params = launch_params(image, kernel_size, out, stride, padding, dilation)
    params |= dict(batch=batch, channels=channels, outputs=outputs, chunk=chunk, chunks=chunks)
    groups = chunks * ceil_div(outputs, constants["ROWS"]) * ceil_div(taps + 1, constants["COLS"])
    return Launch((chunks, outputs, taps + 1), groups=groups, params=params, constants=constants)


def _usual_weight_tile(outputs: int) -> str:
    return "32x128" if outputs <= 32 else "64x64"


def weight_chunks(outputs: int, taps: int) -> int:
    """Into how many chunks the places of a weight gradient are cut: so many that its workgroups nearly fill whole rounds.

    One workgroup more than a round holds costs a round, so four or eight per multiprocessor are filled from below.
    """
    tile = WEIGHT_TILES[_usual_weight_tile(outputs)].constants
    tiles = ceil_div(outputs, tile["ROWS"]) * ceil_div(taps + 1, tile["COLS"])
    few, many = WORKGROUPS // tiles, 2 * WORKGROUPS // tiles
    return max(1, many if 2 * few < 0.95 * many else few)
