"""Convolution and its columns: images [batch, channels, height, width], signals [batch, channels, length], as in PyTorch.

Stride, padding and dilation are numbers, or pairs (vertical, horizontal) for images. Groups are not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..errors import ConfigError, ShapeError
from ..kernel import ceil_div
from ..kernels import conv as K
from ..kernels import conv_tiled as T
from ..kernels.window import Pair, out_size
from . import shape, unary
from .pool import avg_pool2d, global_avg_pool2d, max_pool2d, pair

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["avg_pool2d", "col2im", "conv1d", "conv2d", "global_avg_pool2d", "im2col", "max_pool2d"]

GROUPS_WANTED = {"software": 32, "cpu": 1}
"""Workgroups among which the long sum of a weight gradient is split, by kind of device: hardware wants many."""
MANY_CHANNELS, MANY_TILES = 24, 112
"""Output channels, and tiles of 32 by 128 places, from which hardware does better with tiles in shared memory."""
MANY_PLACES = 512
"""Places from which the weight gradient of so many channels does."""


def conv2d(
    x: Any, weight: Any, bias: Any = None, *, stride: int | Pair = 1, padding: int | Pair = 0, dilation: int | Pair = 1,
    activation: str | None = None,
) -> Tensor:  # fmt: skip
    """act(bias[o] + Σ_cuv weight[o,c,u,v] · x[n, c, y·stride − padding + u·dilation, ...]): cross-correlation, zero-padded.

    x [n, in, h, w], weight [out, in, kh, kw], bias [out] → [n, out, h', w'] with
    h' = (h + 2·padding − dilation·(kh − 1) − 1) // stride + 1. activation: None or "relu", fused.
    Raises ShapeError for other ranks, unequal channels, or a kernel larger than the padded image.
    """
    options = dict(stride=pair("conv2d", stride), padding=pair("conv2d", padding), dilation=pair("conv2d", dilation))
    if activation not in (None, "none", "relu"):
        raise ConfigError(f"conv2d: activation {activation!r} is unknown; wants None or 'relu'")
    return _conv2d(x, weight, bias, activation=activation or "none", **options)  # type: ignore[no-any-return]


def conv1d(
    x: Any, weight: Any, bias: Any = None, *, stride: int = 1, padding: int = 0, dilation: int = 1, activation: str | None = None
) -> Tensor:
    """act(bias[o] + Σ_cv weight[o,c,v] · x[n, c, i·stride − padding + v·dilation]): cross-correlation along the last axis.

    x [n, in, length], weight [out, in, k], bias [out] → [n, out, length']; otherwise as conv2d.
    """
    for name, t in (("x", x), ("weight", weight)):
        if t.ndim != 3:
            raise ShapeError(f"conv1d: {name} has shape {t.shape}; wants three axes")
    if x.shape[1] != weight.shape[1]:
        raise ShapeError(f"conv1d: x {x.shape} has {x.shape[1]} channels and weight {weight.shape} wants {weight.shape[1]}")
    span = dilation * (weight.shape[2] - 1) + 1
    if stride > 0 and dilation > 0 and span > x.shape[2] + 2 * padding:
        raise ShapeError(f"conv1d: the kernel spans {span} and the padded signal only {x.shape[2] + 2 * padding}")
    flat = conv2d(
        shape.reshape(x, (*x.shape[:2], 1, x.shape[2])), shape.reshape(weight, (*weight.shape[:2], 1, weight.shape[2])), bias,
        stride=(1, stride), padding=(0, padding), dilation=(1, dilation), activation=activation,
    )  # fmt: skip
    return shape.reshape(flat, (*flat.shape[:2], flat.shape[3]))  # type: ignore[no-any-return]


@differentiable
def _conv2d(x: Any, weight: Any, bias: Any, *, activation: str, **options: Pair) -> tuple[Any, Backward]:
    if _matching(x, weight) and _in_tiles(x, weight.shape[0], _places(x, weight, options)):
        y = T.conv2d_tiled(x, shape.permute_dims(weight, (1, 2, 3, 0)), bias, activation=activation, **options)
    else:
        y = K.conv2d(x, weight, bias, activation=activation, **options)
    size, kernel_size = (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])

    def backward(g: Any) -> Sequence[Any]:
        if activation == "relu":
            g = unary.unary_backward(g, y, op="relu")
        found: list[Any] = []

        def both() -> Any:  # one kernel gives the gradients of weight and bias
            if not found:
                found.extend(_conv2d_weight_gradient(x, g, kernel_size=kernel_size, **options))
            return found

        to_bias = None if bias is None else lambda: both()[1]
        return lambda: _conv2d_input_gradient(g, weight, size=size, **options), lambda: both()[0], to_bias

    return y, backward


def _matching(x: Array, weight: Array) -> bool:
    """Whether the shapes allow a choice; what is wrong with others, the rule of the direct kernel says."""
    return x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[1] > 0 and weight.shape[0] > 0


def _in_tiles(x: Array, outputs: int, places: int) -> bool:
    """Whether a convolution with so many output channels and places goes through tiles in shared memory."""
    if x.device.kind in ("software", "cpu"):
        return False
    return outputs >= MANY_CHANNELS and ceil_div(outputs, 32) * ceil_div(places, 128) >= MANY_TILES


def _places(x: Array, weight: Array, options: dict[str, Pair]) -> int:
    """Windows of a convolution over all images."""
    return x.shape[0] * prod(out_size("conv2d", (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3]), **options))


@differentiable
def _conv2d_input_gradient(g: Any, weight: Any, *, size: Pair, **options: Pair) -> tuple[Any, Backward]:
    """The transpose of the convolution in its image; bilinear as well, so its gradients are the other two kernels."""
    kernel_size = (weight.shape[2], weight.shape[3])

    def backward(h: Any) -> Sequence[Any]:
        return (
            lambda: _conv2d(h, weight, None, activation="none", **options),
            lambda: _conv2d_weight_gradient(h, g, kernel_size=kernel_size, **options)[0],
        )

    return _run_input_gradient(g, weight, size, **options), backward


def _run_input_gradient(g: Array, weight: Array, size: Pair, *, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """It is a convolution of g, spread by the stride, with the taps run backwards, so padded that the size comes out."""
    kernel_size = (weight.shape[2], weight.shape[3])
    around = tuple(d * (k - 1) - p for k, p, d in zip(kernel_size, padding, dilation, strict=True))
    # With a stride even few channels do better in tiles: the gathering kernel asks every tap of every place.
    tiles = _in_tiles(g, weight.shape[1] if stride == (1, 1) else max(MANY_CHANNELS, weight.shape[1]), g.shape[0] * prod(size))
    if min(around) < 0 or (stride != (1, 1) and not (tiles and dilation == (1, 1))):
        return K.conv2d_input_gradient(g, weight, size=size, stride=stride, padding=padding, dilation=dilation)
    options: dict[str, Any] = dict(stride=(1, 1), padding=around, dilation=dilation, activation="none")
    if tiles:
        spread = dict(up=stride, size=size) if stride != (1, 1) else {}
        return T.conv2d_tiled(g, shape.permute_dims(weight, (0, 2, 3, 1)), flip=True, **options, **spread)
    return K.conv2d(g, weight, transposed=True, **options)


@differentiable
def _conv2d_weight_gradient(x: Any, g: Any, *, kernel_size: Pair, **options: Pair) -> tuple[Any, Backward]:
    """(gradient to the weight, gradient to the bias): sums over chunks of places, then over the chunks."""
    wanted = (g.shape[1], x.shape[1], *kernel_size)
    if g.size == 0:
        weight, bias = x.device.zeros(wanted, x.dtype), x.device.zeros(wanted[:1], x.dtype)
    else:
        weight, bias = K.conv2d_weight_fold(_partial_weight_gradient(x, g, kernel_size, options))
        weight = weight.view(wanted)

    def backward(arriving: Any) -> Sequence[Any]:
        to_weight, to_bias = arriving
        if to_weight is None:
            to_weight = x.device.zeros(wanted, x.dtype)
        return (
            lambda: _conv2d_input_gradient(g, to_weight, size=(x.shape[2], x.shape[3]), **options),
            lambda: _conv2d(x, to_weight, to_bias, activation="none", **options),
        )

    return (weight, bias), backward


def _weight_in_tiles(x: Array, outputs: int, places: int) -> bool:
    """The same for the weight gradient, whose long sums make enough workgroups of few places."""
    return x.device.kind not in ("software", "cpu") and outputs >= MANY_CHANNELS and places >= MANY_PLACES


def _partial_weight_gradient(x: Array, g: Array, kernel_size: Pair, options: dict[str, Pair]) -> Any:
    """The sums per chunk: whole rounds of a workgroup's lanes or slices, so that enough workgroups share the work."""
    places, taps = g.shape[0] * prod(g.shape[2:]), x.shape[1] * prod(kernel_size)
    if _weight_in_tiles(x, g.shape[1], places):
        chunk = T.SLICE * max(4, ceil_div(places, T.SLICE * T.weight_chunks(g.shape[1], taps)))
        return T.conv2d_weight_gradient_tiled(x, g, kernel_size=kernel_size, chunk=chunk, **options)
    tiles = ceil_div(g.shape[1], K.WEIGHT_TILE) * ceil_div(taps + 1, K.WEIGHT_TILE)
    rounds = ceil_div(places, K.LANES * ceil_div(GROUPS_WANTED.get(g.device.kind, 1024), tiles))
    return K.conv2d_weight_gradient(x, g, kernel_size=kernel_size, chunk=K.LANES * max(4, rounds), **options)


def im2col(x: Any, *, kernel_size: int | Pair, stride: int | Pair = 1, padding: int | Pair = 0, dilation: int | Pair = 1) -> Tensor:
    """out[n, (c,u,v), (y,x)] = the element of x under tap (u, v) of the window at (y, x); zeros in the padding.

    x [n, c, h, w] → [n, c · kh · kw, places], so that conv2d is weight.reshape(out, -1) @ im2col(x). Copies each element
    once per tap.
    """
    options = dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    return _im2col(x, **{name: pair("im2col", value) for name, value in options.items()})  # type: ignore[no-any-return]


def col2im(
    columns: Any, *, size: Pair, kernel_size: int | Pair, stride: int | Pair = 1, padding: int | Pair = 0, dilation: int | Pair = 1
) -> Tensor:
    """The transpose of im2col: columns [n, c · kh · kw, places] → [n, c, h, w] of `size` (h, w), overlaps added.

    Every element of the image gathers its columns in a fixed order.
    """
    options = dict(size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    return _col2im(columns, **{name: pair("col2im", value) for name, value in options.items()})  # type: ignore[no-any-return]


@differentiable
def _im2col(x: Any, **options: Pair) -> tuple[Any, Backward]:
    y = K.im2col(x, **options)
    size = (x.shape[2], x.shape[3])
    return y, lambda g: (lambda: _col2im(g, size=size, **options),)


@differentiable
def _col2im(columns: Any, *, size: Pair, **options: Pair) -> tuple[Any, Backward]:
    return K.col2im(columns, size=size, **options), lambda g: (lambda: _im2col(g, **options),)
