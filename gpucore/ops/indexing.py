"""Gathering and scattering by index tensors, embeddings, one-hot rows."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..array import Array
from ..autograd import Backward, differentiable
from ..dtypes import float32, int32
from ..errors import DTypeError, ShapeError
from ..kernels import scatter as S
from ..kernels import shape as K
from . import elementwise, shape

__all__ = ["embedding", "one_hot", "scatter_add", "take"]


def _as_indices(who: str, indices: Any, like: Array) -> Any:
    """An int32 tensor: bool is refused (it would be a mask), arrays and lists of whole numbers are uploaded."""
    if isinstance(indices, Array):
        if indices.dtype is not int32:
            raise DTypeError(f"{who}: the indices are {indices.dtype}; wants int32")
        return indices
    host = np.asarray(indices)
    if host.size == 0:
        host = host.astype(np.int32)
    if host.dtype.kind not in "iu":
        raise DTypeError(f"{who}: the indices are {host.dtype}; wants whole numbers")
    return like.device.tensor(host, int32)


@differentiable
def _take(x: Any, indices: Any, *, axis: int) -> tuple[Any, Backward]:
    def gradient(g: Any) -> Any:
        wide = x.dtype if x.dtype.itemsize > 2 else float32
        return elementwise.astype(_scattered(indices, elementwise.astype(g, wide), shape=x.shape, axis=axis), x.dtype)

    return K.take(x, indices, axis=axis), lambda g: (lambda: gradient(g), None)


def take(x: Array, indices: Any, *, axis: int = 0) -> Any:
    """x[..., indices, ...] along an axis, for int32 indices of any shape.

    Negative indices count from the end. Indices are not read back to be checked: one outside gives NaN, or 0 for whole
    numbers, and receives no gradient. The gradient is deterministic; see `scatter_add`.
    """
    axis = shape.normalize_axis("take", axis, x.ndim)
    return _take(x, _as_indices("take", indices, x), axis=axis)


@differentiable
def _scatter_add(x: Any, indices: Any, updates: Any, *, axis: int) -> tuple[Any, Backward]:
    y = elementwise.copy(x)
    _add_rows(y, indices, updates, axis)
    return y, lambda g: (g, None, lambda: _take_or_zero(g, indices, axis))


@differentiable
def _scattered(indices: Any, updates: Any, *, shape: tuple[int, ...], axis: int) -> tuple[Any, Backward]:
    """Zeros of this shape with the updates added at the indices: the gradient of take."""
    y = updates.device.zeros(shape, updates.dtype)
    _add_rows(y, indices, updates, axis)
    return y, lambda g: (None, lambda: _take_or_zero(g, indices, axis))


def _add_rows(y: Any, indices: Any, updates: Any, axis: int) -> None:
    """Adds the updates at the indices along an axis of y, in place."""
    if not (updates.size and y.size):
        return
    before, along, inner = prod(y.shape[:axis]), y.shape[axis], prod(y.shape[axis + 1 :])
    rows = updates.view((before, indices.size, inner))
    pairs = _sorted(indices.view((indices.size,)), along)
    S.scatter_add_sorted(y.view((before, along, inner)), pairs, rows, S.carried_sums(pairs, rows))


def _sorted(indices: Any, along: int) -> Any:
    """The pairs (index, position) in ascending order."""
    pairs, run = S.sort_indices(indices, along=along), S.SORTED
    while run < indices.size:
        pairs, run = S.merge_runs(pairs, run=run), 2 * run
    return pairs


def _take_or_zero(g: Any, indices: Any, axis: int) -> Any:
    """g at the indices, 0 where one lies outside: a dropped update has no effect."""
    along = g.shape[axis]
    inside = elementwise.multiply(
        elementwise.astype(elementwise.greater_equal(indices, -along), int32), elementwise.astype(elementwise.less(indices, along), int32)
    )
    mask = elementwise.not_equal(shape.reshape(inside, (*indices.shape, *[1] * (g.ndim - axis - 1))), 0)
    return elementwise.where(mask, take(g, indices, axis=axis), 0.0)


def scatter_add(x: Array, indices: Any, updates: Array, *, axis: int = 0) -> Any:
    """x with updates[..., j, ...] added at indices[j] along an axis, for int32 indices of any shape; float32.

    Deterministic without atomics: the indices are sorted with their positions, and the updates of one index are added
    up in that order with compensated sums. Costs log2(count / 1024) passes over the indices and one over the updates.
    Indices outside are dropped. updates has x's shape with the axis replaced by the shape of the indices.
    """
    axis = shape.normalize_axis("scatter_add", axis, x.ndim)
    indices = _as_indices("scatter_add", indices, x)
    wanted = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if updates.shape != wanted:
        raise ShapeError(f"scatter_add: updates are {updates.shape}; wants {wanted} for x {x.shape}, indices {indices.shape}, axis {axis}")
    return _scatter_add(x, indices, updates, axis=axis)


def embedding(weight: Array, ids: Any) -> Any:
    """Row ids[i] of the table `weight` [rows, width] for each id; shape ids.shape + (width,). See `take`."""
    if weight.ndim != 2:
        raise ShapeError(f"embedding: the weight has shape {weight.shape}; wants (rows, width)")
    return _take(weight, _as_indices("embedding", ids, weight), axis=0)


@differentiable
def one_hot(ids: Any, *, num_classes: int) -> tuple[Any, Backward]:
    """float32 rows with 1 at ids[i], else 0; an id outside 0 to num_classes - 1 gives zeros."""
    return K.one_hot(ids, num_classes=int(num_classes)), lambda g: (None,)
