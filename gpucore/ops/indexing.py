"""Gathering and scattering by index tensors, embeddings, one-hot rows."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..array import Array
from ..autograd import Backward, differentiable
from ..dtypes import float32, int32
from ..errors import DTypeError, ShapeError
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
        zeros = x.device.zeros(x.shape, x.dtype if x.dtype.itemsize > 2 else float32)
        return elementwise.astype(scatter_add(zeros, indices, elementwise.astype(g, zeros.dtype), axis=axis), x.dtype)

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
    before, along, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    y = elementwise.copy(x)
    if updates.size and x.size:
        flat = indices.view((indices.size,))
        following, first = K.index_chains(flat, along=along)
        K.scatter_add_chains(y.view((before, along, inner)), flat, following, first, updates.view((before, indices.size, inner)))
    return y, lambda g: (g, None, lambda: _take_or_zero(g, indices, axis))


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

    Deterministic without atomics: positions with equal indices are chained, and one invocation adds up each chain in
    order with a compensated sum. Costs count² integer comparisons and one pass over the updates. Indices outside are
    dropped. updates has x's shape with the axis replaced by the shape of the indices.
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
