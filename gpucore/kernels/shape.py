"""Kernels that move elements. Each invocation writes 16 bytes of the result."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from kernels_ref import shape as ref

from ..array import Array
from ..dtypes import DType, bfloat16, float16, float32, float64
from ..errors import DTypeError, ShapeError
from ..kernel import ANY32, MAX_GROUPS, Launch, Out, ceil_div, expect, kernel
from .broadcast import MAX_RANK, six_axes, vec4_pair
from .elementwise import CAST, bits_of
from .spread import groups_for

TILE = 32
MAX_INPUTS = 7
"""Inputs of one concat: a shader has eight buffers."""


def _kind(t: Array) -> DType:
    return float32 if t.dtype is float64 else t.dtype


def _groups(size: int, half: bool = False) -> int:
    return groups_for(size, 8 if half else 4)


def collapse(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The same walk with axes of 1 dropped and axes that follow one another in memory joined."""
    sizes: list[int] = []
    steps: list[int] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if sizes and steps[-1] == s * n:
            sizes[-1] *= n
            steps[-1] = s
        else:
            sizes.append(n)
            steps.append(s)
    return sizes or [1], steps or [1]


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


_PERMUTED = [((2, 3, 4), (2, 0, 1)), ((5, 1, 7), (2, 1, 0)), ((2, 3, 2, 3, 2, 3), (5, 3, 1, 4, 2, 0)), ((9, 3, 8), (1, 0, 2)), ((1,), (0,))]


def _permuted(shape: tuple[int, ...], axes: tuple[int, ...], **more: Any) -> dict[str, Any]:
    strides = contiguous(shape)
    return dict(x=shape, shape=tuple(shape[a] for a in axes), strides=tuple(strides[a] for a in axes), id=f"permuted {shape} {axes}") | more


def _halves(*shape: int) -> Any:
    return lambda rng: rng.standard_normal(shape).astype(np.float16)


@kernel(
    "shape/strided", ref=ref.strided, flops=0, dtypes=dict(x=CAST), rtol=0.0, atol=0.0, l2=1e-12,
    bytes=lambda x, shape, strides, start=0: 2 * prod(shape) * x.dtype.itemsize,
    bench=[_permuted((256, 256, 256), (1, 0, 2)), _permuted((256, 256, 256), (2, 0, 1))],
    cases=[_permuted(s, a) for s, a in _PERMUTED] + [_permuted(s, a, x=_halves(*s)) for s, a in _PERMUTED] + [
        dict(x=(257,), shape=(257,), strides=(-1,), start=256, id="reversed"), dict(x=(0,), shape=(0,), strides=(1,), id="empty"),
        dict(x=(10, 7), shape=(3, 2), strides=(21, -3), start=13, id="sliced"),
        dict(x=(1, 12), shape=(5, 12), strides=(0, 1), id="rows repeated"),
        dict(x=(3, 1), shape=(3, 257), strides=(1, 0), id="columns repeated"), dict(x=(6, 16), shape=(3, 8), strides=(32, 1),
        start=4, id="whole vec4s"),
        dict(x=_halves(6, 16), shape=(3, 8), strides=(32, 1), start=2, id="16-bit pairs"),
        dict(x=_halves(6, 15), shape=(3, 7), strides=(30, 1), start=3, id="16-bit odd"),
        dict(x=np.array([True, False, True]), shape=(2,), strides=(2,), id="bool"),
        dict(x=np.arange(9, dtype=np.int32), shape=(3,), strides=(-4,), start=8, id="int32"),
        dict(x=np.array([np.nan, np.inf, -0.0, 1e-45], np.float32), shape=(4,), strides=(-1,), start=3, id="bits"),
        dict(x=(1,), shape=(65536 * 256 + 1,), strides=(0,), large=True)],
)  # fmt: skip
def strided(x: Array, *, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> Launch:
    """out[c] = x.flat[start + c · strides], for any element type; strides count elements, negative and 0 included."""
    sizes, steps = collapse(shape, strides)
    expect(len(sizes) <= MAX_RANK, f"moving elements: {len(sizes)} axes that do not follow one another; wants at most {MAX_RANK}")
    size = prod(shape)
    if size:
        ends = [(n - 1) * s for n, s in zip(sizes, steps, strict=True)]
        low, high = start + sum(min(0, e) for e in ends), start + sum(max(0, e) for e in ends)
        expect(low >= 0 and high < x.size, f"strided: reads elements {low} to {high} of a tensor of {x.size}")
    half = x.dtype.itemsize == 2
    if half and steps[-1] == 1 and sizes[-1] % 2 == 0 and start % 2 == 0 and all(s % 2 == 0 for s in steps[:-1]):
        half, size, start = False, size // 2, start // 2  # pairs move together
        sizes[-1] //= 2
        steps[:-1] = [s // 2 for s in steps[:-1]]
    whole = not half and steps[-1] == 1 and sizes[-1] % 4 == 0 and start % 4 == 0 and all(s % 4 == 0 for s in steps[:-1])
    lead = MAX_RANK - len(sizes)
    params = dict(size=size, start=start) | vec4_pair("n", six_axes(tuple(sizes))) | vec4_pair("s", [0] * lead + [s % 2**32 for s in steps])
    constants = dict(HALF=int(half), WHOLE=int(whole), RANK=len(sizes))
    return Launch(Out(tuple(shape), _kind(x)), groups=_groups(size, half), params=params, constants=constants)


class Turn(NamedTuple):
    """A permutation whose last axis changes, with as few axes as it allows; steps in elements.

    rows: the extent of the result's last axis and its step in x; cols: of x's last axis and its step in the result;
    others: (extent, step in x, step in the result) of the other axes.
    """

    rows: int
    x_step: int
    cols: int
    out_step: int
    others: list[tuple[int, int, int]]


def turn_of(shape: tuple[int, ...], axes: tuple[int, ...]) -> Turn | None:
    """The permutation as a Turn; None where the last axis stays, or where more than six axes remain."""
    moved = [a for a in range(len(shape)) if shape[a] != 1]
    order = [moved.index(a) for a in axes if shape[a] != 1]
    runs: list[list[int]] = []  # axes that stay neighbours move as one
    for a in order:
        if runs and runs[-1][-1] == a - 1:
            runs[-1].append(a)
        else:
            runs.append([a])
    sizes = [prod(shape[moved[a]] for a in run) for run in runs]
    places = sorted(range(len(runs)), key=lambda i: runs[i][0])  # the runs in x's order
    if len(runs) < 2 or len(runs) > MAX_RANK or places[-1] == len(runs) - 1:
        return None
    x_strides = dict(zip(places, contiguous(tuple(sizes[i] for i in places)), strict=True))
    out_strides = contiguous(tuple(sizes))
    down, across = len(runs) - 1, places[-1]
    others = [(sizes[i], x_strides[i], out_strides[i]) for i in range(len(runs)) if i not in (down, across)]
    return Turn(sizes[down], x_strides[down], sizes[across], out_strides[across], others)


@kernel(
    "shape/transpose", ref=ref.transpose, flops=0, dtypes=dict(x=ANY32),
    bench=[dict(x=(4096, 4096)), dict(x=(64, 512, 512)), dict(x=(256, 256, 256), axes=(2, 1, 0))],
    cases=[dict(x=s) for s in ((1, 1), (32, 32), (33, 257), (7, 3), (5, 40, 33), (2, 3, 17, 64), (0, 5), (5, 0))]
    + [dict(x=s, axes=a) for s, a in (((9, 10, 11), (2, 1, 0)), ((3, 35, 2, 40), (3, 0, 2, 1)), ((3, 2, 2, 3, 2, 37), (5, 3, 1, 4, 2, 0)),
       ((2, 33, 1, 5), (3, 2, 1, 0)), ((4, 3, 5, 6), (0, 1, 3, 2)), ((2, 3, 4, 5), (3, 1, 2, 0)),
       ((2, 3, 4, 5, 6, 7), (5, 4, 3, 2, 1, 0)), ((4, 3, 5, 2, 33), (4, 2, 1, 3, 0)))]
    + [dict(x=(65537, 2, 2), large=True)]
    + [dict(x=lambda rng: rng.integers(-9, 9, (37, 65)).astype(np.int32), id="int32")],
)  # fmt: skip
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Launch:
    """The axes in the order given, or the last two exchanged, tile by tile; elements of 32 bits. Another axis must come last."""
    order = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2) if axes is None else axes
    shape = tuple(x.shape[a] for a in order)
    turn = turn_of(x.shape, order) if x.size else None
    if turn is None:  # nothing moves
        expect(axes is None or x.size == 0, f"transpose: axes {axes} of {x.shape} leave the last axis in its place; wants another one last")
        turn = Turn(1, 1, x.size, 1, [])
    others = [(1, 0, 0)] * (MAX_RANK - 2 - len(turn.others)) + turn.others
    n, x_steps, out_steps = (tuple(c) for c in zip(*others, strict=True))
    down, across = ceil_div(turn.rows, TILE), ceil_div(turn.cols, TILE)
    tiles = prod(n) * down * across
    params = dict(
        others=n, x_steps=x_steps, out_steps=out_steps, rows=turn.rows, cols=turn.cols, x_step=turn.x_step, out_step=turn.out_step,
        tiles=tiles, tiles_down=down, tiles_across=across,
    )  # fmt: skip
    grid = (across, down, prod(n))
    folded = max(grid) > MAX_GROUPS
    constants = dict(OTHERS=len(turn.others), FOLDED=int(folded))
    return Launch(Out(shape, _kind(x)), groups=tiles if folded else grid, params=params, constants=constants)


@kernel(
    "shape/place", ref=ref.place, flops=0, dtypes=dict(x=ANY32), bench=dict(x=(4096, 4094), shape=(4098, 4096),
    start=(1, 1), step=(1, 1)),
    cases=[
        dict(x=(1,), shape=(1,), start=(0,), step=(1,)), dict(x=(5,), shape=(257,), start=(250,), step=(1,), value=-1.5),
        dict(x=(3, 4), shape=(9, 13), start=(1, 12), step=(3, -3)), dict(x=(2, 1, 2, 3, 1, 2), shape=(3, 2, 5, 3, 2, 5),
        start=(1, 0, 1, 0, 1, 4), step=(1, 1, 2, 1, 1, -2)),
        dict(x=(0,), shape=(7,), start=(3,), step=(1,), value=float("inf")), dict(x=(0, 3), shape=(0, 3), start=(0, 0), step=(1, 1)),
        dict(x=np.array([[True, False]]), shape=(3, 3), start=(1, 1), step=(1, 1), value=1.0, id="bool"),
        dict(x=np.arange(6, dtype=np.int32), shape=(11,), start=(10,), step=(-2,), value=-7, id="int32"),
        dict(x=(1,), shape=(65536 * 256 + 1,), start=(65536 * 256,), step=(1,), large=True)],
)  # fmt: skip
def place(x: Array, *, shape: tuple[int, ...], start: tuple[int, ...], step: tuple[int, ...], value: float = 0.0) -> Launch:
    """A tensor of `value` with x at start + k · step along every axis: padding, and the gradient of a slice."""
    expect(x.ndim <= MAX_RANK, f"pad: {x.ndim} axes; wants at most {MAX_RANK}")
    expect(prod(shape) < 2**31, f"pad: the result {shape} has {prod(shape)} elements; wants fewer than 2^31")
    axes = _joined_axes(shape, start, step, x.shape)
    columns = [list(c) for c in zip(*axes, strict=True)]
    lead = MAX_RANK - len(axes)
    numbers = [*[1] * lead, *columns[0], *[0] * lead, *columns[1], *[1] * lead, *columns[2], *[1] * lead, *columns[3]]
    params: dict[str, Any] = {f"w{i}": tuple(numbers[4 * i : 4 * i + 4]) for i in range(6)}
    params |= dict(size=prod(shape), value=bits_of(value, _kind(x)))
    constants = dict(RANK=len(axes), UNIT=int(all(s == 1 for s in columns[2])))
    return Launch(Out(tuple(shape), _kind(x)), groups=_groups(prod(shape)), params=params, constants=constants)


def _joined_axes(
    shape: tuple[int, ...], start: tuple[int, ...], step: tuple[int, ...], inside: tuple[int, ...]
) -> list[tuple[int, int, int, int]]:
    """(extent, start, step, extent of x) per axis, where axes that x fills are joined with the one before them."""
    axes: list[tuple[int, int, int, int]] = []
    for n, b, s, m in zip(shape, start, step, inside, strict=True):
        full = b == 0 and n == m and (s == 1 or n == 1)
        if full and axes and (n == 1 or axes[-1][2] == 1):
            n0, b0, s0, m0 = axes[-1]
            axes[-1] = (n0 * n, b0 * n, s0, m0 * n)
        else:
            axes.append((n, b, 1 if m == 1 else s, m))
    return axes or [(1, 0, 1, 1)]


@kernel(
    "shape/concat", ref=ref.concat, flops=0, dtypes=dict.fromkeys("abcdefg", CAST), rtol=0.0, atol=0.0, l2=1e-12,
    bench=dict(a=(4096, 2048), b=(4096, 2048), axis=1),
    cases=[
        dict(a=(1,), axis=0), dict(a=(257,), b=(5,), axis=0), dict(a=(3, 1, 2), b=(3, 7, 2), c=(3, 2, 2), axis=1),
        dict(a=(4, 8), b=(4, 12), axis=1),
        dict(a=(5, 3), b=(5, 0), c=(5, 2), axis=1), dict(a=(0, 3), b=(0, 3), axis=0),
        dict(a=(2, 3), b=(2, 1), c=(2, 2), d=(2, 4), e=(2, 3), f=(2, 1), g=(2, 5), axis=1),
        dict(a=_halves(3, 5), b=_halves(3, 2), axis=1, id="16-bit"), dict(a=_halves(3, 4), b=_halves(3, 2), axis=1, id="16-bit pairs"),
        dict(a=_halves(3, 8), b=_halves(3, 16), axis=1, id="16-bit vec4s"),
        dict(a=np.arange(5, dtype=np.int32), b=np.arange(-3, 0, dtype=np.int32), axis=0, id="int32"),
        dict(a=np.array([True]), b=np.array([False, True]), axis=0, id="bool"),
        dict(a=(65536, 3), b=(65536, 2), axis=1, id="many rows"),
        dict(a=(65536 * 256, 1), b=(3, 1), axis=0, large=True)],
)  # fmt: skip
def concat(
    a: Array, b: Array | None = None, c: Array | None = None, d: Array | None = None, e: Array | None = None,
    f: Array | None = None, g: Array | None = None, *, axis: int,
) -> Launch:  # fmt: skip
    """Up to seven tensors one after the other along an axis, in one launch."""
    given = [t for t in (a, b, c, d, e, f, g) if t is not None]
    first = given[0]
    for t in given[1:]:
        if t.ndim != first.ndim or t.shape[:axis] + t.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ShapeError(f"concat: shapes {first.shape} and {t.shape} differ elsewhere than along axis {axis}")
        if _kind(t) is not _kind(first):
            raise DTypeError(f"concat: tensors are {first.dtype} and {t.dtype}; wants one dtype")
    shape = (*first.shape[:axis], sum(t.shape[axis] for t in given), *first.shape[axis + 1 :])
    runs = [prod(t.shape[axis:]) for t in given]
    half, unit = first.dtype.itemsize == 2, 1
    if half and all(r % 2 == 0 for r in runs):
        half, unit = False, 2
    runs = [r // unit for r in runs]
    ends = [sum(runs[: i + 1]) for i in range(len(runs))]
    ends += [ends[-1]] * (8 - len(ends))
    whole = not half and all(r % 4 == 0 for r in runs)
    size = prod(shape) // unit
    params = dict(ends_low=tuple(ends[:4]), ends_high=tuple(ends[4:]), size=size, run=max(1, ends[-1]))
    return Launch(Out(shape, _kind(first)), groups=_groups(size, half), params=params, constants=dict(HALF=int(half), WHOLE=int(whole)))


def _indices(high: int, *shape: int) -> Any:
    return lambda rng: rng.integers(-high, high, shape).astype(np.int32)


_OUTSIDE = np.array([0, 6, 7, -7, -8, 2**31 - 1, -(2**31)], np.int32)
_MISSING = {float16: 0x7E00, bfloat16: 0x7FC0, float32: 0x7FC00000}


@kernel(
    "shape/take", ref=ref.take, flops=0, dtypes=dict(x=CAST), rtol=0.0, atol=0.0, l2=1e-12,
    bytes=lambda x, indices, axis: 2 * x.dtype.itemsize * indices.size * x.size // max(1, x.shape[axis]),
    bench=dict(x=(32000, 1024), indices=_indices(32000, 8192), axis=0),
    cases=[
        dict(x=(1,), indices=_indices(1, 1), axis=0), dict(x=(7, 5), indices=_OUTSIDE, axis=0, id="outside"),
        dict(x=(7, 8), indices=_OUTSIDE, axis=0, id="outside vec4"),
        dict(x=(3, 11, 4), indices=_indices(11, 2, 5), axis=1), dict(x=(5, 13), indices=_indices(13, 257), axis=1),
        dict(x=(5, 3), indices=_indices(5, 0), axis=0),
        dict(x=_halves(7, 3), indices=_OUTSIDE, axis=0, id="16-bit odd"),
        dict(x=_halves(7, 8), indices=_OUTSIDE, axis=0, id="16-bit vec4"),
        dict(x=lambda rng: rng.integers(-9, 9, (7, 2)).astype(np.int32), indices=_OUTSIDE, axis=0, id="int32"),
        dict(x=(11, 1), indices=_indices(11, 65537), axis=0),
        dict(x=(0, 4), indices=np.zeros(3, np.int32), axis=0, id="nothing to take"),
        dict(x=(4, 4), indices=_indices(4, 65536 * 64 + 1), axis=0, large=True)],
)  # fmt: skip
def take(x: Array, indices: Array, *, axis: int) -> Launch:
    """x[..., indices, ...] along an axis. Negative indices count from the end; one outside gives NaN, or 0 for whole numbers."""
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    inner, missing = prod(x.shape[axis + 1 :]), _MISSING.get(_kind(x), 0)
    half, unit = x.dtype.itemsize == 2, 1
    if half and inner % 2 == 0:
        half, unit = False, 2
    if x.dtype.itemsize == 2:
        missing |= missing << 16
    size, inner = prod(shape) // unit, inner // unit
    whole = not half and inner % 4 == 0
    params = dict(size=size, count=indices.size, along=x.shape[axis], inner=inner, missing=missing)
    return Launch(Out(shape, _kind(x)), groups=_groups(size, half), params=params, constants=dict(HALF=int(half), WHOLE=int(whole)))


@kernel(
    "shape/one_hot", ref=ref.one_hot, flops=0, bench=dict(ids=_indices(1000, 16384), num_classes=1000),
    cases=[dict(ids=_indices(9, *s), num_classes=n) for s, n in (((1,), 1), ((257,), 7), ((3, 5), 10), ((0,), 4), ((4,), 0), ((65537,), 3))]
    + [dict(ids=np.zeros(65536 * 256 + 1, np.int32), num_classes=1, large=True)],
)  # fmt: skip
def one_hot(ids: Array, *, num_classes: int) -> Launch:
    """1 at ids[i], else 0, along a new last axis; an id outside the classes gives zeros."""
    expect(num_classes >= 0, f"one_hot: num_classes is {num_classes}; wants 0 or more")
    shape = (*ids.shape, num_classes)
    return Launch(shape, groups=_groups(prod(shape)), params=dict(size=prod(shape), classes=num_classes))
