"""Moving elements: reshape, permute, slice, join, split, pad, repeat. Gathering and scattering by index: ops/indexing.py."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import prod
from operator import index as as_index
from typing import Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..dtypes import float32
from ..errors import ShapeError
from ..kernels import shape as K
from ..kernels.broadcast import broadcast_shapes
from . import elementwise, reduce
from .indexing import embedding, one_hot, scatter_add, take

__all__ = [
    "broadcast_to", "concat", "embedding", "expand_dims", "flatten", "matrix_transpose", "one_hot", "pad", "permute_dims", "reshape",
    "scatter_add", "slice", "split", "squeeze", "stack", "take",
]  # fmt: skip

_TILE = 8
"""From here on, in both axes, the tiled transpose beats a strided copy."""


def normalize_axis(who: str, axis: int, ndim: int) -> int:
    """The axis counted from the front; ShapeError where it is outside."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{who}: axis {axis} is outside a tensor of {ndim} axes")
    return axis % ndim


def _integers(values: Any) -> tuple[int, ...]:
    return (as_index(values),) if not isinstance(values, Sequence) else tuple(as_index(v) for v in values)


# ---- other shapes of the same elements: views


@differentiable
def _view(x: Any, *, shape: tuple[int, ...]) -> tuple[Any, Backward]:
    return x.view(shape), lambda g: (lambda: reshape(g, x.shape),)


def reshape(x: Array, shape: int | Sequence[int]) -> Any:
    """The same elements in another shape, row by row; one axis may be -1. A view: it shares x's memory."""
    wanted = _integers(shape)
    if wanted.count(-1) > 1 or any(n < -1 for n in wanted):
        raise ShapeError(f"reshape: the shape {wanted} has more than one unknown axis or a negative one")
    if -1 in wanted:
        rest = prod(n for n in wanted if n != -1)
        missing = x.size // rest if rest else 0
        filled = tuple(missing if n == -1 else n for n in wanted)
    else:
        filled = wanted
    if prod(filled) != x.size or (-1 in wanted and x.size == 0 and 0 in wanted):
        raise ShapeError(f"reshape: {x.shape} has {x.size} elements, which do not fill {wanted}")
    return _view(x, shape=filled)


def flatten(x: Array, *, start_axis: int = 0) -> Any:
    """The axes from `start_axis` on as one; a view."""
    if x.ndim == 0:
        return reshape(x, (1,))
    start = normalize_axis("flatten", start_axis, x.ndim)
    return reshape(x, (*x.shape[:start], prod(x.shape[start:])))


def expand_dims(x: Array, *, axis: int | Sequence[int]) -> Any:
    """A new axis of 1 at `axis` of the result, or several; a view."""
    axes = _integers(axis)
    rank = x.ndim + len(axes)
    places = {normalize_axis("expand_dims", a, rank) for a in axes}
    if len(places) < len(axes):
        raise ShapeError(f"expand_dims: an axis occurs twice in {axes}")
    old = iter(x.shape)
    return _view(x, shape=tuple(1 if i in places else next(old) for i in range(rank)))


def squeeze(x: Array, *, axis: int | Sequence[int]) -> Any:
    """Without the axes given, which must have the size 1; a view."""
    places = {normalize_axis("squeeze", a, x.ndim) for a in _integers(axis)}
    for a in sorted(places):
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} of {x.shape} has the size {x.shape[a]}; wants 1")
    return _view(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in places))


# ---- the elements in another order


@differentiable
def _permute(x: Any, *, axes: tuple[int, ...]) -> tuple[Any, Backward]:
    inverse = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    return _permuted(x, axes), lambda g: (lambda: permute_dims(g, inverse),)


def _permuted(x: Any, axes: tuple[int, ...]) -> Any:
    """A view where only axes of 1 move, the tiled transpose where another axis comes last, else a strided copy."""
    shape = tuple(x.shape[a] for a in axes)
    strides = K.contiguous(x.shape)
    moved = [a for a in axes if x.shape[a] != 1]
    if moved == sorted(moved) or x.size == 0:
        return x.view(shape)
    turn = K.turn_of(x.shape, axes) if x.dtype.itemsize >= 4 else None
    if turn is not None and min(turn.rows, turn.cols) >= _TILE:
        return K.transpose(x, axes=axes)
    return K.strided(x, shape=shape, strides=tuple(strides[a] for a in axes))


def permute_dims(x: Array, axes: Sequence[int]) -> Any:
    """The axes in another order: axis i of the result is axis axes[i] of x."""
    places = tuple(normalize_axis("permute_dims", a, x.ndim) for a in axes)
    if sorted(places) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: axes {tuple(axes)} are no order of the {x.ndim} axes of {x.shape}")
    return x if places == tuple(range(x.ndim)) else _permute(x, axes=places)


def matrix_transpose(x: Array) -> Any:
    """The last two axes exchanged."""
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: {x.shape} has {x.ndim} axes; wants two or more")
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


# ---- parts


@differentiable
def _slice(x: Any, *, start: tuple[int, ...], step: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Any, Backward]:
    strides = K.contiguous(x.shape)
    first = sum(b * s for b, s in zip(start, strides, strict=True)) if prod(shape) else 0
    y = K.strided(x, shape=shape, strides=tuple(k * s for k, s in zip(step, strides, strict=True)), start=first)
    return y, lambda g: (lambda: _place(g, shape=x.shape, start=start, step=step, value=0.0),)


@differentiable
def _place(x: Any, *, shape: tuple[int, ...], start: tuple[int, ...], step: tuple[int, ...], value: float) -> tuple[Any, Backward]:
    wide = elementwise.astype(x, float32) if x.dtype.itemsize == 2 else x
    y = elementwise.astype(K.place(wide, shape=shape, start=start, step=step, value=value), x.dtype) if wide is not x else None
    y = K.place(x, shape=shape, start=start, step=step, value=value) if y is None else y
    return y, lambda g: (lambda: _slice(g, start=start, step=step, shape=x.shape),)


def slice(x: Array, start: Sequence[int | None], stop: Sequence[int | None], step: Sequence[int | None] | None = None) -> Any:
    """x[start:stop:step] for its first axes, by Python's rules: negative positions count from the end, None is the end.

    A copy. Steps may be negative, not 0.
    """
    step = (None,) * len(start) if step is None else step
    if not len(start) == len(stop) == len(step) <= x.ndim:
        raise ShapeError(f"slice: got {len(start)} starts, {len(stop)} stops and {len(step)} steps for the {x.ndim} axes of {x.shape}")
    parts = [(b, e, s) for b, e, s in zip(start, stop, step, strict=True)]
    if any(s == 0 for _, _, s in parts):
        raise ShapeError("slice: a step is 0; wants another number")
    ranges = [range(n)[builtins.slice(*p)] for n, p in zip(x.shape, parts, strict=False)]
    ranges += [range(n) for n in x.shape[len(parts) :]]
    if all(r == range(n) for r, n in zip(ranges, x.shape, strict=True)):
        return x
    return _slice(x, start=tuple(r.start for r in ranges), step=tuple(r.step for r in ranges), shape=tuple(len(r) for r in ranges))


def split(x: Array, sections: int | Sequence[int], *, axis: int = 0) -> list[Any]:
    """Equal parts along an axis (a number of them), or parts of the sizes given."""
    axis = normalize_axis("split", axis, x.ndim)
    along = x.shape[axis]
    if isinstance(sections, int):
        if sections < 1 or along % sections:
            raise ShapeError(f"split: axis {axis} of {x.shape} does not divide into {sections} equal parts")
        sizes = [along // sections] * sections
    else:
        sizes = list(_integers(sections))
        if sum(sizes) != along or any(n < 0 for n in sizes):
            raise ShapeError(f"split: the sizes {sizes} do not add up to {along}, axis {axis} of {x.shape}")
    lead = (None,) * axis
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [slice(x, (*lead, end - n), (*lead, end)) for end, n in zip(ends, sizes, strict=True)]


# ---- more elements


@differentiable
def _concat(*tensors: Any, axis: int) -> tuple[Any, Backward]:
    parts = list(tensors)
    while len(parts) > 1:
        groups = [parts[i : i + K.MAX_INPUTS] for i in range(0, len(parts), K.MAX_INPUTS)]
        parts = [K.concat(*group, axis=axis) if len(group) > 1 else group[0] for group in groups]

    def backward(g: Any) -> list[Any]:
        lead, end, gradients = (None,) * axis, 0, []
        for t in tensors:
            start, end = end, end + t.shape[axis]
            gradients.append(lambda b=start, e=end: slice(g, (*lead, b), (*lead, e)))
        return gradients

    return parts[0], backward


def concat(tensors: Sequence[Any], *, axis: int = 0) -> Any:
    """The tensors one after the other along an axis; up to seven in one launch."""
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("concat: got no tensors; wants at least one")
    axis = normalize_axis("concat", axis, tensors[0].ndim)
    return tensors[0] if len(tensors) == 1 else _concat(*tensors, axis=axis)


def stack(tensors: Sequence[Any], *, axis: int = 0) -> Any:
    """Tensors of one shape along a new axis."""
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("stack: got no tensors; wants at least one")
    for t in tensors[1:]:
        if t.shape != tensors[0].shape:
            raise ShapeError(f"stack: shapes {tensors[0].shape} and {t.shape} differ")
    axis = normalize_axis("stack", axis, tensors[0].ndim + 1)
    return concat([expand_dims(t, axis=axis) for t in tensors], axis=axis)


def pad(x: Array, widths: Sequence[tuple[int, int]], *, value: float = 0.0) -> Any:
    """`value` before and after the elements: one pair of widths per axis."""
    pairs = [_integers(w) for w in widths]
    if len(pairs) != x.ndim or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise ShapeError(f"pad: widths are {list(widths)} for {x.shape}; wants a pair of numbers of 0 or more per axis")
    if all(p == (0, 0) for p in pairs):
        return x
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, pairs, strict=True))
    number = float(value) if x.dtype.is_float else value
    return _place(x, shape=shape, start=tuple(before for before, _ in pairs), step=(1,) * x.ndim, value=number)


@differentiable
def _broadcast_to(x: Any, *, shape: tuple[int, ...]) -> tuple[Any, Backward]:
    lead = len(shape) - x.ndim
    own = K.contiguous(x.shape)
    strides = [0] * lead + [0 if n == 1 else s for n, s in zip(x.shape, own, strict=True)]
    return K.strided(x, shape=shape, strides=tuple(strides)), lambda g: (lambda: reduce.sum_to(g, x.shape),)


def broadcast_to(x: Array, shape: Sequence[int]) -> Any:
    """x repeated to `shape` by NumPy's rules; a copy."""
    wanted = _integers(shape)
    if wanted == x.shape:
        return x
    if len(wanted) < x.ndim or broadcast_shapes("broadcast_to", x.shape, wanted) != wanted:
        raise ShapeError(f"broadcast_to: {x.shape} does not broadcast to {wanted}")
    return _broadcast_to(x, shape=wanted)
