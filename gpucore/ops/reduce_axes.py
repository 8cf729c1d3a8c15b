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
from ..kernels import batch_norm as B
from ..kernels import reduce as K
from ..kernels.columns import many_columns, variance_columns
from . import elementwise

Axis = int | Sequence[int] | None

ENOUGH_GROUPS = 1024
"""Workgroups that fill a large device; fewer, and a long reduction is split into parts."""
ROW_PART = 4096
COLUMN_PART = 64
SHORT_ROW = 128
"""Elements below which a row is scanned by one lane."""
ENOUGH_LANES = 1 << 18
"""Lanes that fill a large device, and the fewest elements that each of them should look at."""
SHORTEST_PART = 16
ONE_STEP, MANY_TILES = 1024, 128
"""Elements of a column up to which hardware reduces it in one step, and tiles of 32 columns from which on it does so with longer ones:
measured on an H100."""
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


def groups_of(x: Array, axes: Sequence[int]) -> list[tuple[int, bool]]:
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


def part_of(outer: int, reduced: int, inner: int) -> int | None:
    """Elements per part of a reduction in two steps, or None for one step."""
    if inner == 1:
        parts = min(ceil_div(ENOUGH_GROUPS, outer), reduced // ROW_PART)
        return ceil_div(ceil_div(reduced, parts), 4) * 4 if parts > 1 else None
    tiles = outer * ceil_div(inner, 32)
    parts = min(ceil_div(ENOUGH_GROUPS, tiles), reduced // COLUMN_PART)
    if parts > 1 or reduced > LONGEST_COLUMN:
        return min(ceil_div(reduced, parts), LONGEST_COLUMN)
    return None


def column_part(x: Array, outer: int, reduced: int, inner: int) -> int | None:
    """The same for `reduce_columns`, whose workgroups on hardware have up to 1024 lanes: columns of ONE_STEP elements are done in one
    step, and longer ones where there are many, because a second launch takes as long as the first."""
    enough = reduced <= ONE_STEP or (reduced <= LONGEST_COLUMN and outer * ceil_div(inner, 32) >= MANY_TILES)
    return None if x.device.kind != "software" and enough else part_of(outer, reduced, inner)


def _one_group(x: Array, outer: int, reduced: int, inner: int, op: str, divisor: float, center: Array | None) -> Array:
    """A reduction over the middle of three axes."""
    columns = x.dtype.is_float and inner > 1
    part = (column_part(x, outer, reduced, inner) if columns else part_of(outer, reduced, inner)) if min(outer, inner) else None
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

    The groups go from the last to the first; a center repeats over the results of the last. Returns a flat result.
    """
    groups = groups_of(x, axes) or [(1, True)]
    if not any(reduced for _, reduced in groups):
        groups.append((1, True))
    while (last := [i for i, (_, reduced) in enumerate(groups) if reduced]) != []:
        i = last[-1]
        outer, inner = prod(n for n, _ in groups[:i]), prod(n for n, _ in groups[i + 1 :])
        x = _one_group(x, outer, groups[i][0], inner, op, divisor if len(last) == 1 else 1.0, center)
        op, center = "sum" if op == "squares" else op, None
        del groups[i]
    return x


def repeats(x: Array, axes: Sequence[int]) -> bool:
    """True when one value per result can be the `center` of `reduce`: at most one more group, and that one leads x."""
    groups = [reduced for _, reduced in groups_of(x, axes)]
    return groups.count(True) <= 1 or (groups.count(True) == 2 and groups[0])


def accurate_mean(x: Array, axes: Sequence[int]) -> Array:
    """The mean, flat, to its last digit: a first mean and the mean of what is left. The axes must be such that it `repeats`.

    The rounding of a long sum around 10⁴ moves the mean by more than its own last digit, and a variance with it.
    """
    count = float(prod(x.shape[a] for a in axes))
    first = reduce(x, axes, "sum", divisor=count)
    rest = reduce(x, axes, "sum", divisor=count, center=first) if first.size else first
    return elementwise.add(first.view((first.size,)), rest.view((rest.size,)))  # type: ignore[no-any-return]


def squared_deviation(x: Array, axes: Sequence[int], divisor: float) -> Array:
    """Σ (x - mean)² over divisor, flat, in one pass over memory where the axes allow it."""
    groups = groups_of(x, axes)
    kinds, lengths = [reduced for _, reduced in groups], [n for n, _ in groups]
    if 0 not in x.shape and kinds in ([False, True, False], [True, False]):
        outer, length, inner = lengths if len(lengths) == 3 else (1, *lengths)
        if many_columns(outer, inner):
            return variance_columns(x.view((outer, length, inner)), divisor=divisor)  # type: ignore[no-any-return]
    if 0 in x.shape or kinds not in ([True], [False, True], [True, False], [True, False, True]):
        return _deviation_in_passes(x, axes, divisor)
    if kinds[0] is False or kinds == [True]:
        outer, length = lengths if len(lengths) == 2 else (1, lengths[0])
        part = part_of(outer, length, 1)
        if part is None:
            return K.variance_rows(x.view((outer, length)), divisor=divisor)  # type: ignore[no-any-return]
        channels = x.view((1, outer, length))
    else:
        channels = x.view(tuple(lengths))
        part = part_of_channels(channels)
    return moments(channels, part, divisor)[2]


def _deviation_in_passes(x: Array, axes: Sequence[int], divisor: float) -> Array:
    """The same by passes: the mean, what is left of it, and the squares around it."""
    count = float(prod(x.shape[a] for a in axes))
    if repeats(x, axes):
        return reduce(x, axes, "squares", divisor=divisor, center=accurate_mean(x, axes))
    deviation = x
    for _ in range(2):  # the second time for what the first mean's rounding left
        center = reduce(deviation, axes, "sum", divisor=count).view(kept_shape(x, axes))
        deviation = elementwise.subtract(deviation, center)
    return reduce(deviation, axes, "squares", divisor=divisor)


def moments(x: Array, part: int | None, divisor: float | None = None) -> tuple[Array, Array, Array]:
    """(μ - the first element, μ, Σ (x - μ)² / divisor) per channel of [N, C] or [N, C, L], in parts of `part` elements."""
    part = part or x.size // x.shape[1]
    return B.fold_moments(x, *B.channel_moments(x, chunk=part), chunk=part, divisor=divisor)  # type: ignore[no-any-return]


def part_of_channels(x: Array) -> int | None:
    """Elements per part of a reduction of the channels of [N, C] or [N, C, L], or None for one step."""
    length = x.shape[2] if x.ndim == 3 else 1
    channels, count = x.shape[1], x.shape[0] * length
    return part_of(channels, count, 1) if length > 1 else part_of(1, count, channels)


def lines(x: Array, axis: int) -> tuple[int, int, int]:
    """x as [outer, length, inner] around one axis."""
    return prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])


def running_sums(x: Array, axis: int, *, reverse: bool) -> Array:
    """Running sums along one axis; a long one is scanned in parts that start at the running sums of the parts' totals."""
    outer, length, inner = lines(x, axis)
    rows = inner == 1 and length >= SHORT_ROW
    kernel, view = (K.cumulative_rows, (outer, length)) if rows else (K.cumulative_columns, (outer, length, inner))
    flat = x.view(view)
    part = part_of(outer, length, inner) if min(outer, inner) else None
    if part is None:
        return kernel(flat, reverse=reverse).view(x.shape)  # type: ignore[no-any-return]
    totals = (K.reduce_rows if rows else K.reduce_columns)(flat, op="sum", chunk=part)
    start = kernel(totals, reverse=reverse)
    return kernel(flat, start, chunk=part, reverse=reverse).view(x.shape)  # type: ignore[no-any-return]


def _column_part(x: Array, outer: int, length: int, inner: int) -> int | None:
    """Elements per part where a lane looks through a column: as many parts as fill a large device with lanes."""
    if x.device.kind == "software":
        return part_of(outer, length, inner)
    parts = min(ceil_div(ENOUGH_LANES, outer * inner), length // SHORTEST_PART)
    return ceil_div(length, parts) if parts > 1 else None


def arguments(x: Array, axis: int, op: str) -> Array:
    """The indices of the first extremes along one axis, flat; a long axis in two steps."""
    outer, length, inner = lines(x, axis)
    flat = x.view((outer, length, inner))
    if inner == 1:
        part = part_of(outer, length, inner) if outer else None
        best = K.argument_rows(x.view((outer, length)), op=op, chunk=part)
    else:
        part = _column_part(x, outer, length, inner) if outer * inner else None
        best = K.argument(flat, op=op, chunk=part)
    return best if part is None else K.argument(flat, best.view((outer, best.size // (outer * inner), inner)), op=op)  # type: ignore[no-any-return]
