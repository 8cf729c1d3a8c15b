"""Reductions along one axis: the kernels. Operations over any axes are composed of them in `ops.reduce`."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels_ref import reduce as ref

from ..array import Array
from ..device.base import Device
from ..dtypes import int32
from ..errors import ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .rows import LAYOUTS, SPREAD, WORKGROUP, power_of_two, row_launch, rows_plan

OPS = tuple(ref.REDUCE)


def segment_for(cols: int) -> int:
    """Lanes per row: about eight elements each, so that short rows share a workgroup and long ones fill it."""
    return min(WORKGROUP, power_of_two(ceil_div(max(cols, 1), 8)))


LONG_PART, MOST_LANES = 128, 1024
"""Elements of a column from which on hardware gives it up to so many lanes of a workgroup: on an H100 the sums of 1024 rows of 120
take 4.6 µs so, 6.3 with 256."""


def lanes_for(work: int, most: int = WORKGROUP) -> int:
    """Lanes of a workgroup that has this much to do: 32, so that small work is not mostly idle lanes, to `most`."""
    return max(32, min(most, power_of_two(work)))


def _most_lanes(device: Device, chunk: int) -> int:
    """The most lanes of a workgroup for parts of columns of this length. A software driver pays for each lane at a barrier."""
    if device.kind == "software" or chunk <= LONG_PART:
        return WORKGROUP
    return max(WORKGROUP, min(MOST_LANES, device.info.limits.get("max_workgroup_size", WORKGROUP)))


def _check_center(who: str, center: Array | None, results: int) -> int:
    """The number of centers, which repeat over the results."""
    if center is None:
        return 1
    expect(center.size > 0 and results % center.size == 0, f"{who}: center {center.shape} does not repeat over {results} results")
    return center.size


def _special(rng: np.random.Generator) -> np.ndarray:
    """Rows with NaN, infinities of one and of both signs, huge values, all -inf, equal values."""
    x = rng.standard_normal((8, 37)).astype(np.float32)
    x[0, 5], x[1, 6], x[2, 7] = np.nan, np.inf, -np.inf
    x[3, 0], x[3, 36] = np.inf, -np.inf
    x[4], x[5], x[6] = -np.inf, 1e30, 3.0
    x[7, :2] = np.nan, np.inf
    return x


def _special_columns(rng: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(_special(rng).T)[None]


def _far(rng: np.random.Generator) -> dict[str, Any]:
    x = (rng.standard_normal((3, 1009)) + 1000).astype(np.float32)
    return dict(x=x, center=np.full(3, 1000, np.float32), op="squares", divisor=1009.0)


def _one_per_element(x: Array, *_: Any, **__: Any) -> float:
    return x.size


def _shifted(*shape: int) -> Any:
    """Noise around 1: its long sums do not cancel, where a relative error would have no meaning."""
    return lambda rng: rng.standard_normal(shape, np.float32) + 1


_PARITY = [op for op in OPS if op != "squares"]  # those that special values are for
_ROWS = [(1, 1), (3, 257), (5, 31), (2, 4099), (1, 4100), (3, 0), (0, 5), (8, 1000)]
_COLUMNS = [(1, 1, 1), (2, 257, 3), (1, 1009, 33), (3, 7, 130), (2, 0, 3), (0, 3, 2), (5, 4, 1)]


@kernel(
    "reduce/reduce_rows", ref=ref.reduce_rows, choices=LAYOUTS, flops=_one_per_element,
    bench=[dict(x=(4096, 4096), op=op) for op in ("sum", "logsumexp")],
    cases=[dict(x=_shifted(*shape), op=op, id=f"{op} {shape}") for op in OPS for shape in _ROWS] + [
        *[dict(x=_special, op=op) for op in _PARITY],
        dict(x=(3, 33), op="sum"), dict(x=_shifted(2, 4099), op="sum", chunk=512), dict(x=_shifted(1, 70001), op="sum", chunk=4096),
        dict(x=(2, 4096), op="logsumexp", chunk=1000), dict(x=(65537 * 256 + 1, 1), op="max", large=True),
        dict(x=_shifted(1, 1 << 20), op="sum", divisor=1e3), dict(x=(6, 33), center=(3,), op="sum", divisor=33.0), _far,
        *LAYOUTS.across([dict(x=_shifted(*shape), op=op, id=f"{op} {shape}") for shape, op in zip(SPREAD, [*OPS, *OPS[:2]], strict=True)]),
        *LAYOUTS.across([dict(x=_special, op=op, id=f"{op} special") for op in ("max", "min", "logsumexp")]),
    ],
)  # fmt: skip
def reduce_rows(
    x: Array, center: Array | None = None, *, op: str, chunk: int | None = None, divisor: float = 1.0, config: str | None = None
) -> Launch:
    """op over each part of `chunk` elements (default: all) of the rows of x - center, sums over divisor: [rows, cols] → [rows, parts].

    center has one value per row, or fewer that repeat. op: sum, squares, max, min, logsumexp.
    """
    rows, cols = x.shape
    chunk = chunk or max(cols, 1)
    parts = max(ceil_div(cols, chunk), 1)
    centers = _check_center("reduce_rows", center, rows)
    plan = rows_plan(x.device, "reduce_rows", rows * parts, min(cols, chunk), reduces=True, whole=parts == 1, config=config)
    return Launch(
        (rows, parts),
        groups=ceil_div(rows * parts, plan["WORKGROUP"] // plan["SEGMENT"]),
        params=dict(rows=rows, cols=cols, parts=parts, chunk=chunk, centers=centers, divisor=divisor),
        constants=plan | dict(OP=OPS.index(op), HAS_CENTER=int(center is not None)),
    )


@kernel(
    "reduce/reduce_columns", ref=ref.reduce_columns, flops=_one_per_element,
    bench=dict(x=(64, 64, 4096), op="sum"),
    cases=[dict(x=_shifted(*shape), op=op, id=f"{op} {shape}") for op in OPS for shape in _COLUMNS] + [
        *[dict(x=_special_columns, op=op) for op in _PARITY],
        dict(x=(3, 33, 5), op="sum"), dict(x=_shifted(2, 1009, 5), op="sum", chunk=100),
        dict(x=_shifted(1, 70001, 2), op="sum", chunk=1000), dict(x=_shifted(513, 3, 257), op="sum"),
        dict(x=(3, 500, 40), op="logsumexp", chunk=64), dict(x=(65537, 2, 2), op="min", large=True),
        dict(x=(2, 33, 6), center=(6,), op="sum", divisor=33.0), dict(x=(2, 33, 6), center=(2, 6), op="squares"),
        *[dict(x=_shifted(*shape), op=op, lanes=n, id=f"{op} {shape} by {n} lanes")
          for op in OPS for shape, n in (((2, 257, 3), 512), ((1, 301, 33), 1024))],
    ],
)  # fmt: skip
def reduce_columns(
    x: Array, center: Array | None = None, *, op: str, chunk: int | None = None, divisor: float = 1.0, lanes: int | None = None
) -> Launch:
    """op over each part of `chunk` elements (default: all) of the middle axis of x - center, sums over divisor.

    [outer, reduced, inner] → [outer, parts, inner]; center has one value per result, or fewer that repeat. lanes: the most of a
    workgroup, as far as the adapter goes; None chooses.
    """
    outer, reduced, inner = x.shape
    chunk = chunk or max(reduced, 1)
    parts = max(ceil_div(reduced, chunk), 1)
    centers = _check_center("reduce_columns", center, outer * inner)
    # Enough columns: one lane each. Else neighbouring lanes share the columns of a part.
    cols = (
        WORKGROUP if min(reduced, chunk) <= 64 and outer * parts * inner >= 1 << 17 and inner >= WORKGROUP else min(32, power_of_two(inner))
    )
    tiles = ceil_div(inner, cols)
    limit = x.device.info.limits.get("max_workgroup_size", MOST_LANES)
    most = _most_lanes(x.device, min(reduced, chunk)) if lanes is None else min(lanes, limit)
    workgroup = lanes_for(cols * min(reduced, chunk), most)
    total = outer * parts * tiles
    return Launch(
        (outer, parts, inner),
        groups=total,
        params=dict(inner=inner, reduced=reduced, parts=parts, chunk=chunk, tiles=tiles, total=total, centers=centers, divisor=divisor),
        constants=dict(WORKGROUP=workgroup, OP=OPS.index(op), COLS=cols, HAS_CENTER=int(center is not None)),
    )


def _geometry(shape: tuple[int, ...], length: int, chunk: int | None) -> tuple[int, dict[str, int], int]:
    """(parts, the Params of [outer, reduced, inner] → [outer, parts, inner], lanes per result)."""
    outer, reduced, inner = shape
    chunk = chunk or max(length, 1)
    parts = max(ceil_div(length, chunk), 1)
    params = dict(results=outer * parts * inner, inner=inner, reduced=reduced, parts=parts, chunk=chunk)
    # Wide, and enough results: neighbouring lanes read neighbouring columns.
    segment = 1 if inner >= 32 and outer * parts * inner >= 1 << 16 else segment_for(min(length, chunk))
    return parts, params, segment


def _integers(*shape: int) -> Any:
    return lambda rng: rng.integers(-(2**31), 2**31, shape).astype(np.int32)


@kernel(
    "reduce/reduce_integers", ref=ref.reduce_integers, flops=_one_per_element, dtypes={"x": ("int32", "bool")},
    bench=dict(x=_integers(4096, 4096, 1), op="sum"),
    cases=[dict(x=_integers(*shape), op=op, id=f"{op} {shape}") for op in ref.INTEGERS for shape in _COLUMNS] + [
        dict(x=lambda rng: rng.random((3, 1009, 1)) < 0.3, op="sum", id="bool"), dict(x=_integers(2, 5000, 3), op="max", chunk=1000),
        dict(x=_integers(1, 70001, 1), op="sum", chunk=4096), dict(x=_integers(65537 * 256 + 1, 1, 1), op="sum", large=True),
    ],
)  # fmt: skip
def reduce_integers(x: Array, *, op: str, chunk: int | None = None) -> Launch:
    """op over each part of `chunk` elements (default: all) of the middle axis, sums modulo 2³²; booleans count as 0 and 1.

    [outer, reduced, inner] → [outer, parts, inner], int32. op: sum, max, min.
    """
    parts, params, segment = _geometry(x.shape, x.shape[1], chunk)
    return Launch(
        Out((x.shape[0], parts, x.shape[2]), int32),
        groups=ceil_div(params["results"], WORKGROUP // segment),
        params=params,
        constants=dict(OP=list(ref.INTEGERS).index(op), SEGMENT=segment),
    )


def _ties(rng: np.random.Generator) -> np.ndarray:
    x = rng.integers(-3, 4, (4, 1000, 3)).astype(np.float32)
    x[1, 500:503] = np.nan
    x[2], x[3, ::2], x[3, 1::2] = -np.inf, 0.0, -0.0
    return x


def _candidates(rng: np.random.Generator) -> dict[str, Any]:
    picks = np.sort(rng.integers(0, 500, (3, 40, 2)), axis=1).astype(np.int32)
    return dict(x=rng.integers(-3, 4, (3, 500, 2)).astype(np.float32), candidates=picks, op="argmax", chunk=16)


@kernel(
    "reduce/argument", ref=ref.argument, flops=_one_per_element, bench=dict(x=(4096, 4096, 1), op="argmax"),
    cases=[dict(x=shape, op=op) for op in ref.ARGUMENT for shape in [*_COLUMNS[:4], (0, 3, 2), (5, 4, 1), (3, 10, 1), (2, 65537, 1)]] + [
        dict(x=_ties, op="argmax"), dict(x=_ties, op="argmin"), dict(x=_special_columns, op="argmax"), _candidates,
        dict(x=(2, 5000, 3), op="argmin", chunk=1000), dict(x=(65537 * 256 + 1, 1, 1), op="argmax", large=True),
    ],
)  # fmt: skip
def argument(x: Array, candidates: Array | None = None, *, op: str, chunk: int | None = None) -> Launch:
    """The index of the first extreme of each part of the middle axis, the first NaN if there is one.

    [outer, reduced, inner] → [outer, parts, inner], int32. With candidates [outer, n, inner] only the elements with
    these indices take part, `chunk` candidates at a time.
    """
    outer, reduced, inner = x.shape
    length = reduced if candidates is None else candidates.shape[1]
    expect(length > 0, f"{op}: x {x.shape} is empty along the axis; wants one element or more")
    if candidates is not None and candidates.shape != (outer, length, inner):
        raise ShapeError(f"{op}: candidates {candidates.shape} do not match x {x.shape}; wants ({outer}, n, {inner})")
    parts, params, segment = _geometry(x.shape, length, chunk)
    return Launch(
        Out((outer, parts, inner), int32),
        groups=ceil_div(params["results"], WORKGROUP // segment),
        params=params | dict(length=length),
        constants=dict(MINIMUM=int(op == "argmin"), SEGMENT=segment, HAS_CANDIDATES=int(candidates is not None)),
    )


def _row_ties(rng: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(_ties(rng).swapaxes(1, 2)).reshape(12, 1000)


@kernel(
    "reduce/argument_rows", ref=ref.argument_rows, choices=LAYOUTS, flops=_one_per_element, bench=dict(x=(4096, 4096), op="argmax"),
    cases=[dict(x=shape, op=op) for op in ref.ARGUMENT for shape in [*_ROWS[:5], (3, 10), (8, 1000), (0, 5)]] + [
        dict(x=_row_ties, op="argmin"), dict(x=_row_ties, op="argmax"), dict(x=_special, op="argmax"),
        dict(x=(2, 5000), op="argmin", chunk=1000),
        dict(x=(1, 70001), op="argmax", chunk=4096), dict(x=(65537 * 128 + 1, 1), op="argmax", large=True),
        *LAYOUTS.across([dict(x=shape, op="argmax") for shape in SPREAD] + [dict(x=_special, op="argmin", id="special")]),
    ],
)  # fmt: skip
def argument_rows(x: Array, *, op: str, chunk: int | None = None, config: str | None = None) -> Launch:
    """The index of the first extreme of each part of the rows, the first NaN if there is one: [rows, cols] → [rows, parts], int32."""
    rows, cols = x.shape
    expect(cols > 0, f"{op}: x {x.shape} is empty along the axis; wants one element or more")
    chunk = chunk or cols
    parts = ceil_div(cols, chunk)
    plan = rows_plan(x.device, "argument_rows", rows * parts, min(cols, chunk), reduces=True, whole=parts == 1, config=config)
    return Launch(
        Out((rows, parts), int32),
        groups=ceil_div(rows * parts, plan["WORKGROUP"] // plan["SEGMENT"]),
        params=dict(rows=rows, cols=cols, parts=parts, chunk=chunk),
        constants=plan | dict(MINIMUM=int(op == "argmin")),
    )


def _far_rows(rng: np.random.Generator) -> np.ndarray:
    return (rng.standard_normal((3, 1009)) + 10000).astype(np.float32)


@kernel(
    "reduce/variance_rows", ref=ref.variance_rows, choices=LAYOUTS, flops=lambda x, **_: 4 * x.size,
    bench=dict(x=(4096, 4096), divisor=4096.0),
    cases=[dict(x=shape, divisor=float(shape[1])) for shape in [*_ROWS[:5], (8, 1000), (0, 5)]] + [
        dict(x=_far_rows, divisor=1008.0), dict(x=_special, divisor=37.0), dict(x=(65537 * 128 + 1, 1), divisor=1.0, large=True),
        *LAYOUTS.across([dict(x=shape, divisor=2.5) for shape in SPREAD]),
    ],
)  # fmt: skip
def variance_rows(x: Array, *, divisor: float, config: str | None = None) -> Launch:
    """Σ (x - μ)² / divisor over each row, μ its mean: [rows, cols] → [rows]. A mean far from zero costs no digits."""
    rows, cols = x.shape
    expect(cols > 0, f"variance_rows: x {x.shape} has empty rows; wants one element or more")
    return row_launch("variance_rows", (rows,), x, rows, cols, dict(divisor=divisor), reduces=True, config=config)


def _check_start(who: str, start: Array | None, wants: tuple[int, ...]) -> None:
    if start is not None and start.shape != wants:
        raise ShapeError(f"{who}: start has shape {start.shape}; wants {wants}, one sum per part")


def _rising(*shape: int) -> Any:
    """Positive values: their running sums never cross zero, where a relative error would have no meaning."""
    return lambda rng: rng.random(shape, np.float32)


_SCANS = [dict(reverse=False), dict(reverse=True)]


@kernel(
    "reduce/cumulative_rows", ref=ref.cumulative_rows, flops=_one_per_element, bench=dict(x=(4096, 4096)),
    cases=[dict(x=_rising(*shape), id=f"{shape} {way}", **way) for way in _SCANS for shape in [*_ROWS, (1, 65537)]] + [
        dict(x=_special, reverse=True), dict(x=_special), dict(x=(3, 31)), dict(x=(65537, 2), large=True),
        dict(x=_rising(2, 5000), start=_rising(2, 5), chunk=1000), dict(x=_rising(3, 5001), start=_rising(3, 3), chunk=2048, reverse=True),
    ],
)  # fmt: skip
def cumulative_rows(x: Array, start: Array | None = None, *, chunk: int | None = None, reverse: bool = False) -> Launch:
    """Running sums along each part of `chunk` elements (default: all) of the rows, plus the sum of the parts before.

    [rows, cols] → [rows, cols]; start [rows, parts] holds the running sums of the parts' totals, in the same direction.
    """
    rows, cols = x.shape
    chunk = chunk or max(cols, 1)
    parts = ceil_div(cols, chunk)
    _check_start("cumulative_rows", start, (rows, parts))
    length = min(cols, chunk)
    most = 8 if x.device.kind == "software" else WORKGROUP  # one small subgroup there: no shared memory
    segment = min(most, power_of_two(ceil_div(length + 6, 16)))
    workgroup = max(64, segment)
    aligned = int(cols % 4 == 0 and chunk % 4 == 0)
    return Launch(
        x.shape,
        groups=ceil_div(rows * parts, workgroup // segment),
        params=dict(rows=rows, cols=cols, parts=parts, chunk=chunk),
        constants=dict(WORKGROUP=workgroup, SEGMENT=segment, ALIGNED=aligned, REVERSE=int(reverse), HAS_START=int(start is not None)),
    )


@kernel(
    "reduce/cumulative_columns", ref=ref.cumulative_columns, flops=_one_per_element, bench=dict(x=(16, 256, 4096)),
    cases=[dict(x=_rising(*shape), id=f"{shape} {way}", **way) for way in _SCANS for shape in _COLUMNS] + [
        dict(x=_special_columns), dict(x=(1, 31, 3)), dict(x=(65537 * 256 + 1, 1, 1), large=True),
        dict(x=_rising(2, 500, 3), start=_rising(2, 5, 3), chunk=100),
        dict(x=_rising(1, 501, 4), start=_rising(1, 3, 4), chunk=200, reverse=True),
    ],
)  # fmt: skip
def cumulative_columns(x: Array, start: Array | None = None, *, chunk: int | None = None, reverse: bool = False) -> Launch:
    """Running sums down each part of `chunk` elements (default: all) of the middle axis, plus the sum of the parts before.

    [outer, reduced, inner] → the same; start [outer, parts, inner] holds the running sums of the parts' totals.
    """
    outer, reduced, inner = x.shape
    chunk = chunk or max(reduced, 1)
    parts = ceil_div(reduced, chunk)
    _check_start("cumulative_columns", start, (outer, parts, inner))
    total = outer * parts * inner
    return Launch(
        x.shape,
        groups=ceil_div(total, WORKGROUP),
        params=dict(total=total, inner=inner, reduced=reduced, parts=parts, chunk=chunk),
        constants=dict(REVERSE=int(reverse), HAS_START=int(start is not None)),
    )
