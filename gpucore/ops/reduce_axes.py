"""Reduces any axes with the kernels for one: the plan, without the tape. `ops.reduce` has the operations.

Axes that lie next to each other are merged, so that each group is one pass over [outer, reduced, inner]; a long group
is reduced in two steps, parts first and then the parts' results, so that the whole device takes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..array import Array
from ..errors import ShapeError
from ..kernel import ceil_div
from ..kernels import reduce as K

Axis = int | Sequence[int] | None

ENOUGH_GROUPS = 1024
"""Workgroups that fill a large device; fewer, and a long reduction is split into parts."""
ROW_PART = 4096
COLUMN_PART = 64
LONGEST_COLUMN = 4096
"""Elements above which a column is split whatever the grid: a lane's own chain of additions must stay short."""


def axes_of(who: str, x: Array, axis: Axis) -> tuple[int, ...]:
    """The axes that an `axis` argument means, counted from 0, in order; ShapeError for one that x does not have."""
    if axis is None:
        return tuple(range(x.ndim))
    wanted = [axis] if isinstance(axis, int) else list(axis)
    found = set()
    for a in wanted:
        if not -x.ndim <= a < x.ndim:
            raise ShapeError(f"{who}: axis {a} is outside x of shape {x.shape}; wants {-x.ndim} to {x.ndim - 1}")
        found.add(a % x.ndim)
    if len(found) != len(wanted):
        raise ShapeError(f"{who}: axis {axis} names an axis of x of shape {x.shape} twice")
    return tuple(sorted(found))


def kept_shape(x: Array, axes: Sequence[int]) -> tuple[int, ...]:
    """x's shape with 1 along the reduced axes."""
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape))


def result_shape(x: Array, axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """x's shape with the reduced axes of length 1 (keepdims) or left out."""
    return kept_shape(x, axes) if keepdims else tuple(n for i, n in enumerate(x.shape) if i not in axes)


def _groups(x: Array, axes: Sequence[int]) -> list[tuple[int, bool]]:
    """(length, reduced?) of x's axes with neighbours of one kind merged and axes of length 1 left out."""
    merged: list[tuple[int, bool]] = []
    for i, n in enumerate(x.shape):
        if n == 1:
            continue
        if merged and merged[-1][1] == (i in axes):
            merged[-1] = (merged[-1][0] * n, i in axes)
        else:
            merged.append((n, i in axes))
    return merged


def _part_of(outer: int, reduced: int, inner: int) -> int | None:
    """Elements per part of a reduction in two steps, or None for one step."""
    if inner == 1:
        parts = min(ceil_div(ENOUGH_GROUPS, outer), reduced // ROW_PART)
        return ceil_div(ceil_div(reduced, parts), 4) * 4 if parts > 1 else None
    tiles = outer * ceil_div(inner, 32)
    parts = min(ceil_div(ENOUGH_GROUPS, tiles), reduced // COLUMN_PART)
    if parts > 1 or reduced > LONGEST_COLUMN:
        return min(ceil_div(reduced, parts), LONGEST_COLUMN)
    return None


def _one_group(x: Array, outer: int, reduced: int, inner: int, op: str, divisor: float, center: Array | None) -> Array:
    """A reduction over the middle of three axes."""
    part = _part_of(outer, reduced, inner) if min(outer, inner) else None
    if not x.dtype.is_float:
        y = K.reduce_integers(x.view((outer, reduced, inner)), op=op, chunk=part)
        return y if part is None else K.reduce_integers(y, op=op)  # type: ignore[no-any-return]
    kernel, view = (K.reduce_rows, (outer, reduced)) if inner == 1 else (K.reduce_columns, (outer, reduced, inner))
    if part is None:
        return kernel(x.view(view), center, op=op, divisor=divisor)  # type: ignore[no-any-return]
    y = kernel(x.view(view), center, op=op, chunk=part)
    return kernel(y, None, op="sum" if op == "squares" else op, divisor=divisor)  # type: ignore[no-any-return]


def reduce(x: Array, axes: Sequence[int], op: str, *, divisor: float = 1.0, center: Array | None = None) -> Array:
    """op of x - center over these axes, sums over divisor; one group of neighbouring axes after another, without the tape.

    A center (one value per result) goes with one group only. Returns a flat result.
    """
    groups = _groups(x, axes) or [(1, True)]
    if not any(reduced for _, reduced in groups):
        groups.append((1, True))
    while (last := [i for i, (_, reduced) in enumerate(groups) if reduced]) != []:
        i = last[-1]
        outer, inner = prod(n for n, _ in groups[:i]), prod(n for n, _ in groups[i + 1 :])
        x = _one_group(x, outer, groups[i][0], inner, op, divisor if len(last) == 1 else 1.0, center)
        op = "sum" if op == "squares" else op
        del groups[i]
    return x
