"""Moving elements: permute, slice, concat, gather, scatter."""

import numpy as np

SORTED = 1024
"""Positions that one workgroup sorts."""
CHUNK = 32
"""Sorted pairs whose updates are added up together."""


def strided(x, *, shape, strides, start=0):
    """out[c] = x.flat[start + c·strides]."""
    at = np.full(shape, start, np.int64)
    for axis, stride in enumerate(strides):
        along = [1] * len(shape)
        along[axis] = shape[axis]
        at = at + stride * np.arange(shape[axis]).reshape(along)
    return x.reshape(-1)[at]


def transpose(x, *, axes=None):
    """The axes in another order; the last two exchanged without one."""
    return np.swapaxes(x, -1, -2) if axes is None else np.transpose(x, axes)


def place(x, *, shape, start, step, value=0.0):
    """x at start + k·step in a field of one value."""
    out = np.full(shape, value, x.dtype)
    where = [np.arange(n) * s + b for n, s, b in zip(x.shape, step, start, strict=True)]
    out[np.ix_(*where)] = x
    return out


def concat(a, b=None, c=None, d=None, e=None, f=None, g=None, *, axis):
    """The inputs one after the other along an axis."""
    return np.concatenate([t for t in (a, b, c, d, e, f, g) if t is not None], axis)


def take(x, indices, *, axis):
    """x[..., indices, ...]; negative from the end; NaN, or 0 for whole numbers, where an index lies outside."""
    along = x.shape[axis]
    index = np.where(indices < 0, indices.astype(np.int64) + along, indices)
    outside = (index < 0) | (index >= along)
    if along == 0:
        out = np.zeros((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)
    else:
        out = np.take(x, np.where(outside, 0, index), axis)
    mask = outside.reshape(outside.shape + (1,) * (x.ndim - axis - 1))
    return np.where(mask, x.dtype.type(np.nan if x.dtype.kind == "f" else 0), out)


def sorted_runs(pairs, run):
    """Every stretch of `run` pairs in ascending order."""
    parts = [pairs[i : i + run] for i in range(0, len(pairs), run)]
    return np.concatenate([p[np.lexsort((p[:, 1], p[:, 0]))] for p in parts] or [pairs])


def sort_indices(indices, *, along):
    """Pairs (index, position), every block of 1024 in ascending order; an index outside is the largest number."""
    index = np.where(indices < 0, indices.astype(np.int64) + along, indices)
    index = np.where((index < 0) | (index >= along), 2**32 - 1, index)
    return sorted_runs(np.stack([index, np.arange(len(indices))], 1).astype(np.uint32), SORTED)


def merge_runs(pairs, *, run):
    """Neighbouring sorted runs become one, two by two."""
    return sorted_runs(pairs, 2 * run)


def carried_sums(pairs, updates):
    """Per chunk of 32 pairs the sum of the updates at its start whose index is that of the pair before the chunk."""
    outer, count, inner = updates.shape
    out = np.zeros((outer, -(-count // CHUNK), inner), updates.dtype)
    for c in range(1, out.shape[1]):
        for index, position in pairs[c * CHUNK : (c + 1) * CHUNK]:
            if index != pairs[c * CHUNK - 1, 0]:
                break
            out[:, c] += updates[:, position]
    return out


def scatter_add_sorted(x, pairs, updates, carried):
    """x[i, index] += updates[i, position] for every pair whose index lies inside; changes x."""
    inside = pairs[:, 0] < x.shape[1]
    np.add.at(x, (slice(None), pairs[inside, 0]), updates[:, pairs[inside, 1]])


def one_hot(ids, *, num_classes):
    """Rows of the identity; zeros for an id outside."""
    return (ids[..., None] == np.arange(num_classes)).astype(np.float64)
