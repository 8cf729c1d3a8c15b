"""Softmax and variance along an axis that is not the last: the kernels. `kernels.norm` and `kernels.reduce` have those along rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels_ref import norm as ref
from kernels_ref import reduce as reduce_ref

from ..array import Array
from ..kernel import Launch, ceil_div, expect, kernel
from .rows import WORKGROUP, power_of_two

MANY_COLUMNS = 1 << 17
"""Columns that keep a large device busy with one lane each."""


ENOUGH_TILES = 512
"""Tiles of 32 columns that keep a large device busy."""


def many_columns(outer: int, inner: int) -> bool:
    """True when the columns of [outer, _, inner] are enough for a kernel that gives a few lanes to each."""
    return outer * ceil_div(inner, 32) >= ENOUGH_TILES


def _column_launch(x: Array, outputs: tuple[int, ...], params: dict[str, float], **flags: int) -> Launch:
    """A workgroup per tile of neighbouring columns of [outer, reduced, inner]; one lane per column where they are short and many."""
    outer, reduced, inner = x.shape
    alone = reduced <= 64 and outer * inner >= MANY_COLUMNS and inner >= WORKGROUP
    cols = WORKGROUP if alone else min(32, power_of_two(inner))
    tiles = ceil_div(inner, cols)
    params = params | dict(inner=inner, reduced=reduced, tiles=tiles, total=outer * tiles)
    workgroup = max(32, min(WORKGROUP, power_of_two(cols * reduced)))
    return Launch(outputs, groups=outer * tiles, params=params, constants=flags | dict(WORKGROUP=workgroup, COLS=cols))


def _extreme(rng: np.random.Generator) -> np.ndarray:
    """Columns with -inf, +inf, NaN, only -inf, huge values, values far apart, equal values."""
    x = rng.standard_normal((1, 37, 7)).astype(np.float32)
    x[0, 3:20, 0], x[0, 4, 1], x[0, 5, 2], x[0, :, 3] = -np.inf, np.inf, np.nan, -np.inf
    x[..., 4] *= np.float32(1e30)
    x[0, 0, 5], x[..., 6] = 300, -7.5
    return x


_SHAPES = [(1, 1, 1), (2, 257, 3), (1, 1009, 33), (3, 7, 130), (0, 3, 2), (5, 4, 1), (513, 3, 257)]


@kernel(
    "norm/softmax_columns", ref=ref.softmax_columns, flops=4, bench=[dict(x=(64, 256, 1024)), dict(x=(1024, 16, 1024))],
    cases=[dict(x=shape, log=log) for shape in _SHAPES for log in (False, True)] + [
        dict(x=_extreme), dict(x=_extreme, log=True), dict(x=(65537, 2, 2), large=True),
    ],
)  # fmt: skip
def softmax_columns(x: Array, *, log: bool = False) -> Launch:
    """eˣ / Σ eˣ over the middle axis of [outer, reduced, inner] (its logarithm with `log`); NaN as in softmax."""
    expect(x.shape[1] > 0, f"softmax_columns: x {x.shape} is empty along the axis; wants one element or more")
    return _column_launch(x, x.shape, {}, LOG=int(log))


def _case(shape: tuple[int, ...], log: bool, **more: Any) -> dict[str, Any]:
    made = lambda rng: ref.softmax_columns(rng.standard_normal(shape, np.float32), log=log)  # noqa: E731
    return dict(g=shape, y=made, log=log, id=f"{shape} log={log}") | more


@kernel(
    "norm/softmax_columns_backward", ref=ref.softmax_columns_backward, flops=4, bench=dict(g=(64, 256, 1024), y=(64, 256, 1024)),
    cases=[_case(shape, log) for shape in _SHAPES for log in (False, True)] + [_case((65537, 2, 2), False, large=True)],
)  # fmt: skip
def softmax_columns_backward(g: Array, y: Array, *, log: bool = False) -> Launch:
    """y · (g - Σ g·y) over the middle axis of [outer, reduced, inner], y a softmax; with `log`, g - e^y · Σ g, y its logarithm."""
    expect(g.shape == y.shape, f"softmax_columns_backward: g is {g.shape} and y {y.shape}; wants one shape")
    return _column_launch(y, y.shape, {}, LOG=int(log))


def _far(rng: np.random.Generator) -> np.ndarray:
    return (rng.standard_normal((2, 500, 40)) + 10000).astype(np.float32)


@kernel(
    "reduce/variance_columns", ref=reduce_ref.variance_columns, flops=lambda x, **_: 4 * x.size,
    bench=dict(x=(64, 256, 1024), divisor=256.0),
    cases=[dict(x=shape, divisor=float(shape[1])) for shape in _SHAPES] + [
        dict(x=_far, divisor=499.0), dict(x=(65537, 2, 2), divisor=2.0, large=True),
    ],
)  # fmt: skip
def variance_columns(x: Array, *, divisor: float) -> Launch:
    """Σ (x - μ)² / divisor over the middle axis, μ its mean: [outer, reduced, inner] → [outer, inner]. No digits are lost far from zero."""
    expect(x.shape[1] > 0, f"variance_columns: x {x.shape} is empty along the axis; wants one element or more")
    return _column_launch(x, (x.shape[0], x.shape[2]), dict(divisor=divisor))
