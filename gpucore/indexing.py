"""What `tensor[...]` means: whole numbers, slices, None, an Ellipsis, or one index tensor for the first axis."""

from __future__ import annotations

from operator import index as as_index
from typing import Any

import numpy as np

from . import ops
from .array import Array
from .errors import ShapeError


class PositionError(ShapeError, IndexError):
    """A position outside an axis; an IndexError too, as Python's sequences raise."""


def get_item(x: Array, key: Any) -> Any:
    """x[key] as NumPy has it, as a copy or a reshaped view; ShapeError for what does not fit.

    An int32 tensor, an array or a list of whole numbers takes entries of the first axis (`ops.take`). Positions outside
    an axis raise PositionError, which is an IndexError.
    """
    if isinstance(key, Array | list | np.ndarray):
        return ops.take(x, key, axis=0)
    starts: list[int | None] = []
    stops: list[int | None] = []
    steps: list[int | None] = []
    shape: list[int] = []
    for part in _expanded(x, key if isinstance(key, tuple) else (key,)):
        if part is None:
            shape.append(1)
            continue
        axis = len(starts)
        if not isinstance(part, slice):
            at = _position(x, part, axis)
            part = slice(at, at + 1)
        else:
            shape.append(_length(x, part, axis))
        starts.append(part.start)
        stops.append(part.stop)
        steps.append(part.step)
    taken = ops.slice(x, starts, stops, steps)
    return taken if taken.shape == tuple(shape) else ops.reshape(taken, tuple(shape))


def _expanded(x: Array, parts: tuple[Any, ...]) -> list[Any]:
    """One entry per axis of x, besides the Nones: the Ellipsis (or the end) filled with whole slices."""
    used = sum(p is not None and p is not Ellipsis for p in parts)
    dots = sum(p is Ellipsis for p in parts)
    if used > x.ndim or dots > 1:
        raise ShapeError(f"indexing: got {used} positions and {dots} ellipses for the {x.ndim} axes of {x.shape}")
    whole = [slice(None)] * (x.ndim - used)
    if not dots:
        return [*parts, *whole]
    at = next(i for i, p in enumerate(parts) if p is Ellipsis)
    return [*parts[:at], *whole, *parts[at + 1 :]]


def _length(x: Array, part: slice, axis: int) -> int:
    try:
        return len(range(x.shape[axis])[part])
    except (TypeError, ValueError) as error:
        raise ShapeError(f"indexing: {part} along axis {axis} of {x.shape} is no slice of whole numbers with a step ({error})") from None


def _position(x: Array, part: Any, axis: int) -> int:
    if isinstance(part, bool | np.bool_ | Array | list | np.ndarray):
        raise ShapeError(
            f"indexing: got {type(part).__name__} beside other positions; wants it alone (a tensor of indices) or ops.where (a mask)"
        )
    try:
        at = as_index(part)
    except TypeError:
        raise ShapeError(f"indexing: got {type(part).__name__} for axis {axis}; wants whole numbers, slices, None or ...") from None
    n = x.shape[axis]
    if not -n <= at < n:
        raise PositionError(f"index {at} is outside axis {axis} of {x.shape}")
    return at % n
