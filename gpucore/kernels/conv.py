"""Convolution kernels; images are [batch, channels, height, width].

Options are pairs (vertical, horizontal) here; the operations accept single numbers.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import conv as ref

from ..array import Array
from ..device.base import Device
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .window import Pair, geometry, out_size, rank4

PLAIN: dict[str, Any] = dict(stride=(1, 1), padding=(0, 0), dilation=(1, 1))
GRADIENT_TILE = 8  # channels of one invocation of the gradient to the image
WEIGHT_TILE = 8  # outputs, and taps, of one workgroup of the weight gradient
LANES = 64
WIDE = 256
_ODD: dict[str, Any] = dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2))
_PADDED: dict[str, Any] = PLAIN | dict(padding=(1, 1))
_LENET: dict[str, Any] = dict(stride=(1, 1), padding=(2, 2), dilation=(1, 1))


SHARED_QUADS = 768
"""Fours of weights that a workgroup of conv2d keeps in shared memory: 12 KiB."""
ENOUGH_QUADS = 1 << 17
"""Invocations of conv2d that fill a large adapter."""


def _whole(*shape: int) -> Any:
    """Small whole numbers: long sums of them are exact."""
    return lambda rng: rng.integers(-2, 3, shape).astype(np.float32)


def launch_params(image: Pair, kernel_size: Pair, out: Pair, stride: Pair, padding: Pair, dilation: Pair) -> dict[str, int]:
    """The geometry for a shader that has the kernel's size as constants."""
    found = geometry(image, kernel_size, out, stride, padding, dilation)
    return {k: v for k, v in found.items() if not k.startswith("kernel")}


def activates(who: str, activation: str) -> bool:
    """Whether a kernel applies the ReLU; ConfigError for an activation that it does not know."""
    if activation not in ("none", "relu"):
        raise ConfigError(f"{who}: activation {activation!r} is unknown; wants 'none' or 'relu'")
    return activation == "relu"


def _conv_flops(x: Any, weight: Any, *rest: Any, stride: Pair, padding: Pair, dilation: Pair, **options: Any) -> float:
    out = out_size("conv2d", x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return float(2 * x.shape[0] * prod(out) * prod(weight.shape))


@kernel(
    "conv/conv2d", ref=ref.conv2d, flops=_conv_flops, atol=1e-5,
    bench=[dict(x=(128, 1, 28, 28), weight=(6, 1, 5, 5), bias=(6,), activation="relu", **_LENET),
           dict(x=(128, 6, 14, 14), weight=(16, 6, 5, 5), bias=(16,), activation="relu", **PLAIN),
           dict(x=(128, 16, 10, 10), weight=(16, 6, 5, 5), activation="none", transposed=True, **(PLAIN | dict(padding=(4, 4)))),
           dict(x=(32, 16, 112, 112), weight=(16, 16, 3, 3), bias=(16,), activation="none", **_PADDED)],
    cases=[
        dict(x=(1, 1, 1, 1), weight=(1, 1, 1, 1), activation="none", **PLAIN),
        dict(x=(2, 3, 7, 11), weight=(5, 3, 3, 2), bias=(5,), activation="none", **_ODD),
        dict(x=(3, 1, 28, 28), weight=(6, 1, 5, 5), bias=(6,), activation="relu", **_LENET),
        dict(x=(1, 2, 1, 257), weight=(3, 2, 1, 3), bias=(3,), activation="relu", stride=(1, 3), padding=(0, 4), dilation=(1, 4)),
        dict(x=(2, 13, 5, 5), weight=(17, 13, 5, 5), activation="none", **PLAIN),
        dict(x=(0, 3, 5, 5), weight=(2, 3, 3, 3), bias=(2,), activation="none", **PLAIN),
        dict(x=(1, 1, 1, 1), weight=(8 * 65536 + 1, 1, 1, 1), activation="none", **PLAIN),
        dict(x=lambda rng: rng.choice(np.array([np.nan, np.inf, 1e30, -1e30, 1e-30], np.float32), (1, 1, 6, 9)),
             weight=(1, 1, 1, 1), activation="relu", **PLAIN, id="specials"),
        *[dict(x=_whole(2, 67, 6, 9), weight=_whole(67, 11, 4, 4), activation="none", transposed=True, blocks=blocks, shared=shared,
               stride=(1, 1), padding=(3, 2), dilation=(1, 1), id=f"two slabs, blocks={blocks} shared={shared}")
          for blocks in (1, 2) for shared in (False, True)],
        *[dict(x=_whole(3, 67, 9, 9), weight=_whole(5, 67, 4, 4), bias=(5,), activation="none", blocks=1, shared=True, split=split,
               stride=(1, 2), padding=(3, 2), dilation=(2, 1), id=f"split={split}") for split in (2, 4)],
        dict(x=_whole(1, 2, 40, 41), weight=_whole(3, 2, 33, 32), activation="none", **PLAIN, id="large window"),
    ],
)  # fmt: skip
def conv2d(
    x: Array, weight: Array, bias: Array | None = None, *,
    stride: Pair, padding: Pair, dilation: Pair, activation: str,
    transposed: bool = False, blocks: int | None = None, shared: bool | None = None, split: int | None = None,
) -> Launch:  # fmt: skip
    """act(bias + cross-correlation of x [n, in, h, w] with weight [out, in, kh, kw]).

    transposed: the weight is stored [in, out, kh, kw] and its taps run backwards: what the gradient to the image of a
    convolution without stride is. blocks: how many fours of output channels an invocation computes; shared: whether a
    workgroup keeps its weights in shared memory; split: how many invocations share the channels of a sum, which wants
    shared and one block. None: what suits the adapter.
    """
    rank4("conv2d", x=x, weight=weight)
    batch, channels, *_ = x.shape
    image, kernel_size = (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])
    inner, outputs = weight.shape[:2] if transposed else weight.shape[1::-1]
    if inner != channels:
        raise ShapeError(f"conv2d: x {x.shape} has {channels} channels and weight {weight.shape} wants {inner}")
    expect(channels > 0 and outputs > 0, f"conv2d: x {x.shape} and weight {weight.shape}; wants at least one channel on each side")
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"conv2d: bias has shape {bias.shape}; wants {(outputs,)}, one per output channel")
    relu = activates("conv2d", activation)
    out = out_size("conv2d", image, kernel_size, stride, padding, dilation)
    across, columns = out[0] * ceil_div(out[1], 4), ceil_div(out[0], 4) * out[1]  # fours in rows, and in columns
    down = 4 * columns <= 5 * across
    quads = batch * (columns if down else across)
    constants = _blocking(x.device, channels, outputs, kernel_size, quads, blocks, shared, split)
    tiles = ceil_div(outputs, 4 * constants["BLOCKS"])
    slab = max(1, constants["SLAB"] // (prod(kernel_size) * constants["BLOCKS"]))
    params = launch_params(image, kernel_size, out, stride, padding, dilation)
    params |= dict(batch=batch, channels=channels, outputs=outputs, channel_tiles=tiles, slab_channels=slab)
    constants |= dict(
        KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1], DOWN=down, TRANSPOSED=transposed,
        SLIDE=stride[0 if down else 1] == dilation[0 if down else 1] == 1, HAS_BIAS=bias is not None, RELU=relu,
    )  # fmt: skip
    return Launch((batch, outputs, *out), groups=tiles * ceil_div(quads, LANES), params=params, constants=constants)


def _blocking(
    device: Device, channels: int, outputs: int, kernel_size: Pair, quads: int, blocks: int | None, shared: bool | None, split: int | None
) -> dict[str, Any]:
    """The constants that say how the work is shared out.

    Two blocks share each element of the image; one, and several invocations per sum, fill a large adapter.
    """
    software = device.kind in ("software", "cpu")
    if blocks is None:
        enough = ENOUGH_QUADS if channels >= 8 else ENOUGH_QUADS // 4
        blocks = 2 if outputs > 4 and (software or quads * ceil_div(outputs, 8) >= enough) else 1
    shared = (not software if shared is None else shared) and prod(kernel_size) * blocks <= SHARED_QUADS
    if split is None:
        split = 1
        while split < 4 and 2 * split <= channels and split * quads * ceil_div(outputs, 4) <= ENOUGH_QUADS:
            split *= 2
    if not shared or blocks > 1:
        split = 1
    quads_per_channel = prod(kernel_size) * blocks
    slab = min(channels, SHARED_QUADS // quads_per_channel) * quads_per_channel if shared else 1
    if 16 * (slab + (split - 1) * 4 * LANES) > device.info.limits.get("max_workgroup_memory", 1 << 15):
        split = 1
    parts = max(1, (split - 1) * 4 * LANES)
    spread = blocks == 2 and not shared and device.features.subgroups and device.subgroup_size >= 8
    return dict(BLOCKS=blocks, SHARED=shared, SLAB=slab, SPLIT=split, PARTS=parts, SPREAD=spread, WORKGROUP=LANES * split)


def _gradient_flops(g: Any, weight: Any, **options: Any) -> float:
    return float(2 * g.shape[0] * prod(g.shape[2:]) * prod(weight.shape))


@kernel(
    "conv/conv2d_input_gradient", ref=ref.conv2d_input_gradient, flops=_gradient_flops, atol=1e-5,
    bench=dict(g=(32, 64, 28, 28), weight=(64, 16, 3, 3), size=(56, 56), **(_PADDED | dict(stride=(2, 2)))),
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
    positions = 4 if g.device.kind == "software" or batch * prod(size) * tiles >= 1 << 21 else 1
    groups = tiles * ceil_div(batch * prod(size), LANES * positions)
    constants = dict(POSITIONS=positions, STRIDED=stride != (1, 1))
    return Launch((batch, channels, *size), groups=groups, params=params, constants=constants)


def weight_flops(x: Any, g: Any, *, kernel_size: Pair, **options: Any) -> float:
    """Operations of a gradient to the weight."""
    return float(2 * g.size * x.shape[1] * prod(kernel_size))


@kernel(
    "conv/conv2d_weight_gradient", ref=ref.conv2d_weight_gradient, flops=weight_flops, atol=2e-5,
    bench=[dict(x=(128, 1, 28, 28), g=(128, 6, 28, 28), kernel_size=(5, 5), chunk=448, **_LENET),
           dict(x=(128, 6, 14, 14), g=(128, 16, 10, 10), kernel_size=(5, 5), chunk=512, **PLAIN),
           dict(x=(32, 16, 112, 112), g=(32, 16, 112, 112), kernel_size=(3, 3), chunk=12544, **_PADDED)],
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
    params = launch_params(image, kernel_size, out, stride, padding, dilation)
    params |= dict(batch=batch, channels=channels, outputs=outputs, chunk=chunk, chunks=chunks)
    groups = chunks * ceil_div(outputs, WEIGHT_TILE) * ceil_div(taps + 1, WEIGHT_TILE)
    constants = dict(KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1])
    return Launch((chunks, outputs, taps + 1), groups=groups, params=params, constants=constants)


@kernel(
    "conv/conv2d_weight_fold", ref=ref.conv2d_weight_fold, atol=1e-5, flops=lambda partial, **options: float(partial.size),
    bench=dict(partial=(1024, 128, 129)),
    cases=[dict(partial=shape) for shape in ((1, 1, 2), (7, 6, 26), (64, 16, 151), (2, 257, 2), (3, 1, 1031))]
    + [dict(partial=shape, walkers=walkers) for shape in ((1, 3, 2), (67, 5, 13)) for walkers in (4, 16)]
    + [dict(partial=(1, 65537, 65), large=True)],
)  # fmt: skip
def conv2d_weight_fold(partial: Array, *, walkers: int | None = None) -> Launch:
    """The sums over the chunks of conv2d_weight_gradient: (weight [out, in · taps], bias [out]).

    walkers: how many invocations share the sum of an element, 1, 4 or 16; None: what suits the adapter.
    """
    expect(partial.ndim == 3, f"conv2d_weight_fold: partial has shape {partial.shape}; wants three axes")
    chunks, outputs, columns = partial.shape
    params = dict(outputs=outputs, taps=columns - 1, chunks=chunks)
    outs = dict(weight=Out((outputs, columns - 1)), bias=Out((outputs,)))
    if walkers is None:
        walkers = 1 if partial.device.kind in ("software", "cpu") or chunks < 16 else 4 if outputs * columns >= 1 << 14 else 16
    if walkers not in (1, 4, 16):
        raise ConfigError(f"conv2d_weight_fold: walkers is {walkers}; wants 1, 4 or 16")
    constants = dict(WORKGROUP=LANES if walkers == 1 else WIDE, WALKERS=walkers)
    return Launch(outs, groups=ceil_div(outputs * columns, constants["WORKGROUP"] // walkers), params=params, constants=constants)


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
    vector = prod(out) % 4 == 0
    lanes = ceil_div(prod(out), 4 if vector else 1)
    constants = dict(KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1], VECTOR=vector, WORKGROUP=WIDE if lanes > 2 * LANES else LANES)
    per_row = ceil_div(lanes, constants["WORKGROUP"])
    params = launch_params(image, kernel_size, out, stride, padding, dilation) | dict(planes=batch * channels, groups_per_row=per_row)
    return Launch(shape, groups=prod(shape[:2]) * per_row, params=params, constants=constants)


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
    params = launch_params(size, kernel_size, out, stride, padding, dilation) | dict(planes=batch * channels)
    del params["stride_h"], params["stride_w"]
    constants = dict(KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1], STRIDE_H=stride[0], STRIDE_W=stride[1])
    return Launch((batch, channels, *size), groups=ceil_div(batch * channels * prod(size), WIDE), params=params, constants=constants)
