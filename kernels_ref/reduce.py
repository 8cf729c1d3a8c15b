"""Reductions along axes."""

import numpy as np


def _sum(x):
    return np.sum(x, axis=1, dtype=np.float64)


def _squares(x):
    return np.sum(np.square(x), axis=1, dtype=np.float64)


def _max(x):
    return np.max(x, axis=1, initial=-np.inf)


def _min(x):
    return np.min(x, axis=1, initial=np.inf)


def _logsumexp(x):
    top = np.max(x, axis=1, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    return np.log(np.sum(np.exp(x - shift), axis=1)) + shift[:, 0]


REDUCE = {"sum": _sum, "squares": _squares, "max": _max, "min": _min, "logsumexp": _logsumexp}


def _parts(x, chunk):
    """The parts of the middle axis, `chunk` elements each; an empty axis is one empty part."""
    length = x.shape[1]
    chunk = chunk or max(length, 1)
    return [x[:, start : start + chunk] for start in range(0, max(length, 1), chunk)]


def reduce_columns(x, center=None, *, op, chunk=None, divisor=1.0, lanes=None):
    """op over each part of the middle axis of x - center, over divisor: [outer, reduced, inner] → [outer, parts, inner]."""
    if center is not None:
        x = x - np.resize(center, (x.shape[0], 1, x.shape[2]))
    return np.stack([REDUCE[op](part) for part in _parts(x, chunk)], axis=1) / divisor


def reduce_rows(x, center=None, *, op, chunk=None, divisor=1.0, config=None):
    """op over each part of the rows of x - center, over divisor: [rows, cols] → [rows, parts]."""
    return reduce_columns(x[:, :, None], center, op=op, chunk=chunk, divisor=divisor)[:, :, 0]


INTEGERS = {"sum": np.add, "max": np.maximum, "min": np.minimum}


def reduce_integers(x, *, op, chunk=None):
    """op over each part of the middle axis of integers, modulo 2³²: [outer, reduced, inner] → [outer, parts, inner]."""
    start = {"sum": 0, "max": -(2**31), "min": 2**31 - 1}[op]
    whole = x.astype(np.int32)
    return np.stack([INTEGERS[op].reduce(part, axis=1, dtype=np.int32, initial=start) for part in _parts(whole, chunk)], axis=1)


ARGUMENT = {"argmax": np.argmax, "argmin": np.argmin}


def argument(x, candidates=None, *, op, chunk=None):
    """The index of the first extreme of each part of the middle axis, a NaN first of all: [outer, reduced, inner] → [outer, parts, inner].

    With candidates [outer, n, inner] only the elements at these indices of the axis take part, in parts of n.
    """
    index = np.broadcast_to(np.arange(x.shape[1])[None, :, None], x.shape) if candidates is None else candidates
    best = []
    for part in _parts(index, chunk):
        place = ARGUMENT[op](np.take_along_axis(x, part, axis=1), axis=1)
        best.append(np.take_along_axis(part, place[:, None], axis=1))
    return np.concatenate(best, axis=1).astype(np.int32)


def argument_rows(x, *, op, chunk=None, config=None):
    """The index of the first extreme of each part of the rows, a NaN first of all: [rows, cols] → [rows, parts]."""
    return argument(x[:, :, None], op=op, chunk=chunk)[:, :, 0]


def variance_rows(x, *, divisor, config=None):
    """Σ (x - μ)² / divisor over each row, μ its mean: [rows, cols] → [rows]."""
    return np.sum(np.square(x - np.mean(x, axis=1, keepdims=True)), axis=1) / divisor


def variance_columns(x, *, divisor):
    """Σ (x - μ)² / divisor over the middle axis, μ its mean: [outer, reduced, inner] → [outer, inner]."""
    return np.sum(np.square(x - np.mean(x, axis=1, keepdims=True)), axis=1) / divisor


def cumulative_columns(x, start=None, *, chunk=None, reverse=False):
    """Running sums down each part of the middle axis, plus the sum of the parts before: [outer, reduced, inner].

    start [outer, parts, inner] holds the running sums of the parts' totals; in reverse all sums run from the end.
    """
    turn = (lambda a: np.flip(a, axis=1)) if reverse else (lambda a: a)
    sums = [turn(np.cumsum(turn(part), axis=1, dtype=np.float64)) for part in _parts(x, chunk)]
    if start is not None:
        for i, before in enumerate(range(-1, len(sums) - 1) if not reverse else range(1, len(sums) + 1)):
            if 0 <= before < len(sums):
                sums[i] = sums[i] + start[:, before : before + 1]
    return np.concatenate(sums, axis=1)


def cumulative_rows(x, start=None, *, chunk=None, reverse=False):
    """Running sums along each part of the rows, plus the sum of the parts before: [rows, cols]; start is [rows, parts]."""
    return cumulative_columns(x[:, :, None], None if start is None else start[:, :, None], chunk=chunk, reverse=reverse)[:, :, 0]
