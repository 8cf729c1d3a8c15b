"""Moving elements: permute, slice, concat, gather, scatter."""

import numpy as np


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


def index_chains(indices, *, along):
    """For each position the next with the same index (-1: none), and whether it is the first."""
    following, first, latest = np.full(indices.shape, -1, np.int32), np.zeros(indices.shape, np.int32), {}
    for p, index in enumerate(indices.tolist()):
        index = index + along if index < 0 else index
        if 0 <= index < along:
            if index in latest:
                following[latest[index]] = p
            else:
                first[p] = 1
            latest[index] = p
    return following, first


def scatter_add_chains(x, indices, following, first, updates):
    """x[i, indices[j], k] += updates[i, j, k] for every j whose index lies inside; changes x."""
    along = x.shape[1]
    index = np.where(indices < 0, indices + along, indices)
    inside = (index >= 0) & (index < along)
    np.add.at(x, (slice(None), index[inside]), updates[:, inside])


def one_hot(ids, *, num_classes):
    """Rows of the identity; zeros for an id outside."""
    return (ids[..., None] == np.arange(num_classes)).astype(np.float64)
