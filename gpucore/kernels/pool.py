"""Pooling kernels, of the conv family; images are [batch, channels, height, width], options pairs (vertical, horizontal)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import conv as ref

from ..array import Array
from ..dtypes import int32
from ..errors import ConfigError, ShapeError
from ..kernel import Case, Launch, Out, ceil_div, kernel
from .conv import activates
from .window import Pair, geometry, out_size, rank4

WIDE = 256


def pool_size(who: str, image: Pair, kernel_size: Pair, stride: Pair, padding: Pair) -> Pair:
    """How many windows fit; a padding above half the window would make windows without an element, a ConfigError."""
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ConfigError(f"{who}: padding {padding} is more than half the kernel {kernel_size}")
    return out_size(who, image, kernel_size, stride, padding)


def _pooling(image: Pair, kernel_size: Pair, out: Pair, stride: Pair, padding: Pair, planes: int) -> tuple[dict[str, int], dict[str, Any]]:
    """The parameters and constants that all pooling kernels share."""
    params = {k: v for k, v in geometry(image, kernel_size, out, stride, padding).items() if not k.startswith(("kernel", "stride"))}
    constants = dict(KERNEL_H=kernel_size[0], KERNEL_W=kernel_size[1], STRIDE_H=stride[0], STRIDE_W=stride[1])
    return params | dict(planes=planes), constants


def _pool_launch(outputs: Any, image: Pair, kernel_size: Pair, out: Pair, stride: Pair, padding: Pair, planes: int, **more: Any) -> Launch:
    """A launch over the windows of `planes` images. FOUR: windows of 2×2 tile rows, and an invocation does four by vectors."""
    params, constants = _pooling(image, kernel_size, out, stride, padding, planes)
    four = kernel_size == stride == (2, 2) and padding == (0, 0) and out[1] % 4 == 0 and image[1] == 2 * out[1]
    groups = ceil_div(planes * prod(out), WIDE * (4 if four else 1))
    return Launch(outputs, groups=groups, params=params, constants=constants | dict(FOUR=four, **more))


def _gradient_launch(shape: tuple[int, ...], kernel_size: Pair, out: Pair, stride: Pair, padding: Pair, **more: Any) -> Launch:
    """A launch over the elements of the images, or over the windows where these tile them. TWO: two windows of 2×2 by vectors."""
    planes, image = prod(shape[:2]), (shape[2], shape[3])
    params, constants = _pooling(image, kernel_size, out, stride, padding, planes)
    tiles = kernel_size == stride and image == (kernel_size[0] * out[0], kernel_size[1] * out[1])
    two = tiles and kernel_size == (2, 2) and out[1] % 2 == 0
    count = planes * prod(out) // (2 if two else 1) if tiles else prod(shape)
    return Launch(shape, groups=ceil_div(count, WIDE), params=params, constants=constants | dict(TILES=tiles, TWO=two, **more))


_CASES: list[dict[str, Any]] = [
    dict(x=(1, 1, 1, 1), kernel_size=(1, 1), stride=(1, 1), padding=(0, 0)),
    dict(x=(2, 6, 28, 28), kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)),
    dict(x=(2, 3, 9, 20), kernel_size=(3, 4), stride=(3, 4), padding=(0, 0)),
    dict(x=(2, 5, 10, 24), kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)),
    dict(x=(3, 2, 7, 8), kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)),
    dict(x=(2, 3, 7, 11), kernel_size=(3, 3), stride=(2, 1), padding=(1, 1)),
    dict(x=(1, 5, 13, 9), kernel_size=(5, 4), stride=(1, 3), padding=(2, 2)),
    dict(x=(1, 1, 5, 17), kernel_size=(2, 2), stride=(3, 5), padding=(1, 0)),
    dict(x=(257, 1, 1, 1), kernel_size=(1, 1), stride=(1, 1), padding=(0, 0)),
    dict(x=(0, 2, 4, 4), kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)),
    dict(x=(1, 1, 4096, 4099), kernel_size=(1, 1), stride=(1, 1), padding=(0, 0), large=True),
]
_BENCH: dict[str, Any] = dict(x=(128, 64, 56, 56), kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))


def _gradient_case(case: dict[str, Any]) -> dict[str, Any]:
    """The gradient's case for a forward case: the gradient that arrives, and the size of the image."""
    batch, channels, height, width = case["x"]
    options = {k: case[k] for k in ("kernel_size", "stride", "padding")}
    places = pool_size("case", (height, width), **options)
    return {**{k: v for k, v in case.items() if k != "x"}, "g": (batch, channels, *places), "size": (height, width)}


def _max_gradient_case(case: dict[str, Any]) -> Case:
    """As above, with indices that a forward pass over coarse noise gave, so that there are ties."""
    options = {k: case[k] for k in ("kernel_size", "stride", "padding")}
    made = _gradient_case(case)
    if case.get("values"):
        made["values"] = made["g"]

    def indices(rng: np.random.Generator) -> np.ndarray:
        image = rng.integers(-2, 3, case["x"]).astype(np.float32)
        return np.asarray(ref.max_pool2d(image, **options)[1])

    return {**made, "indices": indices}


@kernel(
    "conv/max_pool2d", ref=ref.max_pool2d, flops=lambda x, **options: float(x.size), bench=_BENCH,
    cases=[
        *_CASES,
        dict(x=lambda rng: rng.integers(-2, 3, (2, 3, 9, 9)).astype(np.float32),
             kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), id="ties"),
        dict(x=lambda rng: rng.choice(np.array([np.nan, -np.inf, np.inf, -1e30, 1e-30], np.float32), (1, 7, 9, 13)),
             kernel_size=(2, 3), stride=(1, 2), padding=(1, 1), id="specials"),
        dict(x=np.full((1, 2, 5, 5), -np.inf, np.float32), kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), id="all -inf"),
        *[dict(x=lambda rng, width=width: rng.choice(np.array([np.nan, -np.inf, 1, -1, -2, -3, -1e-30], np.float32), (2, 5, 8, width)),
               kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), activation="relu", id=f"relu of specials, width {width}")
          for width in (7, 8)],
    ],
)  # fmt: skip
def max_pool2d(x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair, activation: str = "none") -> Launch:
    """(the maximum of each window, after a ReLU where asked, and its flat place in the plane as int32)."""
    rank4("max_pool2d", x=x)
    image = (x.shape[2], x.shape[3])
    out = pool_size("max_pool2d", image, kernel_size, stride, padding)
    shape = (*x.shape[:2], *out)
    outputs, relu = dict(out=Out(shape), indices=Out(shape, int32)), activates("max_pool2d", activation)
    return _pool_launch(outputs, image, kernel_size, out, stride, padding, prod(x.shape[:2]), RELU=relu)


@kernel(
    "conv/max_pool2d_gradient", ref=ref.max_pool2d_gradient, flops=lambda g, *rest, **options: float(g.size),
    bench=_max_gradient_case(dict(x=(128, 64, 56, 56), kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))),
    cases=[_max_gradient_case(c) for c in (*_CASES, *[c | dict(values=True) for c in _CASES[1:6]])],
)  # fmt: skip
def max_pool2d_gradient(
    g: Array, indices: Array, values: Array | None = None, *, size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Launch:
    """The gradient of max_pool2d to its image of `size`: each window's goes to the place of its maximum.

    values: what max_pool2d gave after a ReLU; only windows where it is above 0 hand their gradient on.
    """
    rank4("max_pool2d_gradient", g=g, indices=indices)
    out = pool_size("max_pool2d_gradient", size, kernel_size, stride, padding)
    if g.shape != indices.shape or g.shape[2:] != out:
        raise ShapeError(f"max_pool2d_gradient: g has shape {g.shape} and indices {indices.shape}; want windows {out}")
    if values is not None and values.shape != g.shape:
        raise ShapeError(f"max_pool2d_gradient: values has shape {values.shape}; wants {g.shape}, that of g")
    return _gradient_launch((*g.shape[:2], *size), kernel_size, out, stride, padding, RELU=values is not None)


def _places_in(plane: int, shape: tuple[int, ...]) -> Any:
    return lambda rng: rng.integers(0, plane, shape).astype(np.int32)


@kernel(
    "conv/take_in_plane", ref=ref.take_in_plane, flops=0,
    bench=dict(x=(128, 64, 56, 56), indices=_places_in(56 * 56, (128, 64, 28, 28))),
    cases=[dict(x=x, indices=_places_in(x[2] * x[3], (*x[:2], *places))) for x, places in (
        ((1, 1, 1, 1), (1, 1)), ((2, 3, 5, 7), (2, 3)), ((257, 1, 2, 2), (1, 1)), ((0, 1, 2, 2), (1, 1)), ((1, 3, 13, 11), (17, 19)))]
    + [dict(x=(1, 1, 4, 4), indices=_places_in(16, (1, 1, 4096, 4099)), large=True)],
)  # fmt: skip
def take_in_plane(x: Array, indices: Array) -> Launch:
    """x [n, c, h, w] at the flat places indices [n, c, ...] of its planes."""
    rank4("take_in_plane", x=x, indices=indices)
    if x.shape[:2] != indices.shape[:2]:
        raise ShapeError(f"take_in_plane: x has shape {x.shape} and indices {indices.shape}; want the same batch and channels")
    params = dict(size=indices.size, places=prod(indices.shape[2:]), plane=prod(x.shape[2:]))
    return Launch(indices.shape, groups=ceil_div(indices.size, WIDE), params=params)


@kernel("conv/avg_pool2d", ref=ref.avg_pool2d, flops=lambda x, **options: float(x.size), bench=_BENCH, cases=_CASES)
def avg_pool2d(x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair) -> Launch:
    """The mean of each window; the padding counts as zeros."""
    rank4("avg_pool2d", x=x)
    image = (x.shape[2], x.shape[3])
    out = pool_size("avg_pool2d", image, kernel_size, stride, padding)
    return _pool_launch((*x.shape[:2], *out), image, kernel_size, out, stride, padding, prod(x.shape[:2]))


@kernel(
    "conv/avg_pool2d_gradient", ref=ref.avg_pool2d_gradient, flops=lambda g, **options: float(g.size), bench=_gradient_case(_BENCH),
    cases=[_gradient_case(c) for c in _CASES],
)  # fmt: skip
def avg_pool2d_gradient(g: Array, *, size: Pair, kernel_size: Pair, stride: Pair, padding: Pair) -> Launch:
    """The gradient of avg_pool2d to its image of `size`: each window hands equal shares to its elements."""
    rank4("avg_pool2d_gradient", g=g)
    out = pool_size("avg_pool2d_gradient", size, kernel_size, stride, padding)
    if g.shape[2:] != out:
        raise ShapeError(f"avg_pool2d_gradient: g has shape {g.shape}; wants windows {out} for images of {size}")
    return _gradient_launch((*g.shape[:2], *size), kernel_size, out, stride, padding)
