"""B-splines on given knots, a row of them per input, by the recursion of Cox and de Boor."""

import numpy as np

from .spline import _over

NARROW = 1e-6
"""Cells no wider than this hold no points: they go to the nearest wider cell before, or, at the low end, after."""


def _locate(x, t, degree):
    """The point clamped to its row's grid, inside a cell wider than NARROW, and the span of that cell; NaN goes to the low end."""
    low, high = t[:, degree], t[:, -degree - 1]
    z = np.where(np.isnan(x), low, np.clip(x.astype(np.float64), low, high))
    left, right = t[:, degree : -degree - 1], t[:, degree + 1 : t.shape[1] - degree]
    wide = right - left > NARROW
    begun = wide & (left <= z[..., None])
    last = left.shape[1] - 1 - np.argmax(begun[..., ::-1], axis=-1)
    cell = np.where(begun.any(axis=-1), last, np.argmax(wide, axis=-1))
    inputs = np.arange(len(t))
    return np.clip(z, left[inputs, cell], right[inputs, cell]), cell + degree


def knot_basis(x, knots, *, degree, order=0):
    """The order-th derivatives of all functions at clamp(x): x [..., in], knots [in, G + 2p + 1] → [..., in, G + p].

    The recursion up to degree p − order, then differences, as on a uniform grid, with the differences of the given
    knots as denominators; one of at most 1e-6 gives 0. A derivative is 0 outside the grid.
    """
    t = knots.astype(np.float64)
    z, span = _locate(x, t, degree)
    z = z[..., None]
    b = (span[..., None] == np.arange(t.shape[1] - 1)).astype(np.float64)
    for d in range(1, degree + 1):
        left, right = t[:, d:-1] - t[:, : -d - 1], t[:, d + 1 :] - t[:, 1:-d]
        if d <= degree - order:
            b = _over(z - t[:, : -d - 1], left) * b[..., :-1] + _over(t[:, d + 1 :] - z, right) * b[..., 1:]
        else:
            b = d * (_over(b[..., :-1], left) - _over(b[..., 1:], right))
    if order > degree:
        b = np.zeros_like(b)
    if order > 0:
        inside = (x >= t[:, degree]) & (x <= t[:, -degree - 1])
        b = np.where(inside[..., None], b, 0.0)
    return np.where(np.isnan(x)[..., None], np.nan, b).astype(x.dtype)


def knot_contract(x, weights, knots, **options):
    """Σ_k weights[..., k]·B_k(x) at every point."""
    return (weights * knot_basis(x, knots, **options)).sum(axis=-1).astype(x.dtype)
