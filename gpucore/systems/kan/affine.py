"""Fitting c·f(a·x + b) + d to the samples of an edge: a search over (a, b), and least squares for (c, d).

As pykan does (Liu et al., arXiv 2404.19756, section 2.5.1), with two changes. Points are scaled to [-1, 1] first, so that
one grid serves every edge; and of a and b only what c and d cannot make up for is searched. All in float64 on the host,
by the same functions that the network computes with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import pi
from typing import Any, NamedTuple

import numpy as np

from ...device import device as open_device
from .library import Function

SEARCHED = 128
"""Samples that the search looks at, evenly among the sorted ones; the last fit takes all."""
STARTS = 3
"""The search goes on from so many of the best pairs of its grids."""
ROUNDS = 20
ZOOM = 0.5
"""Each round looks at a smaller neighbourhood of the best, this times as wide."""
FLAT = 1e-12
"""A spread below this, relative to the size of the values, is none."""

NOTHING = 1e-200
"""A sum of squares of a function's values below this is none: its products would underflow."""


class Affine(NamedTuple):
    """c·f(a·x + b) + d, and the share r2 of the values' spread that it explains: 1 is all, 0 none."""

    a: float
    b: float
    c: float
    d: float
    r2: float


def fit_affine(function: Function, x: np.ndarray, y: np.ndarray) -> Affine:
    """The best c·f(a·x + b) + d through the samples x, y [n], with every a·x + b inside the domain of f.

    Where no a and b put them there, the mean, with R² 0. Values without spread have their mean as a perfect fit. Never NaN.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    half = half if half > FLAT * max(1.0, abs(middle)) else 1.0
    t = (x - middle) / half
    some = np.argsort(t, kind="stable")[np.unique(np.linspace(0, len(t) - 1, min(len(t), SEARCHED)).round().astype(int))]
    best = (1.0, 0.0)
    if np.ptp(y) <= FLAT * np.abs(y).max():
        return Affine(1.0 / half, -middle / half, 0.0, float(y.mean()), 1.0)
    if function.search != "none":
        found = _search(function, np.append(t[some], [-1.0, 1.0]), np.append(y[some], y[[t.argmin(), t.argmax()]]))
        if found is None:
            return _solved(np.zeros_like(y), y, 1.0, 0.0)
        best = found
    rate, shift = best
    u = rate * t + shift
    values = _values(function, u) if bool(function.inside(u)) else np.zeros_like(y)
    return _solved(values, y, rate / half, shift - rate * middle / half)


def _solved(f: np.ndarray, y: np.ndarray, a: float, b: float) -> Affine:
    """c and d by least squares of y on f."""
    mean_f, mean_y = float(f.mean()), float(y.mean())
    df, dy = f - mean_f, y - mean_y
    spread, total = float(df @ df), float(dy @ dy)
    flat_f, flat_y = spread <= max(FLAT**2 * float(f @ f), NOTHING), total <= FLAT**2 * float(y @ y)
    if flat_f or flat_y:
        return Affine(a, b, 0.0, mean_y, 1.0 if flat_y else 0.0)
    c = float(df @ dy) / spread
    rest = dy - c * df
    return Affine(a, b, c, mean_y - c * mean_f, 1.0 - float(rest @ rest) / total)


class _Start(NamedTuple):
    """A pair (rate, shift), its score, and how far around it to look: at rates times e^±wide and at shifts ±far."""

    score: float
    rate: float
    shift: float
    wide: float
    far: float


def _search(function: Function, t: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """(rate, shift) of the best f(rate·t + shift), or None when no pair puts all points inside the domain."""
    starts = []
    for pairs, wide, far in _grids(function):
        rate, shift, score = _best_of(function, t, y, pairs)
        if score >= 0:
            starts.append(_Start(score, rate, shift, wide, far))
    if not starts:
        return None
    found = [_refined(function, t, y, start) for start in sorted(starts, reverse=True)[:STARTS]]
    best = max(found)
    return best.rate, best.shift


def _refined(function: Function, t: np.ndarray, y: np.ndarray, start: _Start) -> _Start:
    """The best pair in ever smaller neighbourhoods of the best so far."""
    best, wide, far = start, start.wide, start.far
    near = np.linspace(-1, 1, 11)
    for _ in range(ROUNDS):
        rates = best.rate * np.exp(wide * near) if wide else np.array([best.rate])
        shifts = far * near if far else np.zeros(1)
        if function.search == "place":  # the place -shift/rate stays while the rate changes
            pairs = [(r, r * (best.shift / best.rate + s)) for r in rates for s in shifts]
        else:
            pairs = [(r, best.shift + s) for r in rates for s in shifts]
        rate, shift, score = _best_of(function, t, y, np.array(pairs))
        if score > best.score:
            best = _Start(score, rate, shift, wide, far)
        wide, far = wide * ZOOM, far * ZOOM
    return best


def _grids(function: Function) -> Iterator[tuple[np.ndarray, float, float]]:
    """Pairs (rate, shift) for points in [-1, 1], and the neighbourhood in which to go on from the best of them."""
    for sign in (1.0, -1.0) if function.mirrored else (1.0,):
        if function.search == "shift":
            yield _pairs([sign], np.linspace(-1, 1, 81)), 0.0, 0.05
            beyond = 1 + np.append(0.0, np.geomspace(1e-6, 30, 90))
            for part in np.array_split(beyond, 15):
                for side in (1.0, -1.0):
                    yield _pairs([sign], side * part), 0.0, float(np.ptp(part))
        elif function.search == "rate":
            yield _pairs(sign * np.geomspace(0.05, 20, 60), [0.0]), 0.11, 0.0
        elif function.search == "wave":
            yield _pairs(np.arange(0.25, 24, 0.25), np.arange(0, pi, pi / 16)), 0.3, pi / 16
        else:
            yield np.array([(r, -r * s) for r in np.geomspace(0.05, 24, 40) for s in np.linspace(-2, 2, 41)]), 0.2, 0.2


def _pairs(rates: Iterable[float], shifts: Iterable[float]) -> np.ndarray:
    return np.array([(r, s) for r in rates for s in shifts])


def _best_of(function: Function, t: np.ndarray, y: np.ndarray, pairs: np.ndarray) -> tuple[float, float, float]:
    """(rate, shift) with the greatest squared correlation of f(rate·t + shift) with y, and that; -1 where none is inside."""
    u = pairs[:, :1] * t + pairs[:, 1:]
    allowed = np.asarray(function.inside(u), bool)
    if not allowed.any():
        return 1.0, 0.0, -1.0
    pairs, f = pairs[allowed], _values(function, u[allowed])
    df, dy = f - f.mean(axis=1, keepdims=True), y - y.mean()
    dy = np.ldexp(dy, -int(np.frexp(np.abs(dy).max())[1]))  # near 1 without a rounding, so that no product underflows
    spread, total = (df * df).sum(axis=1), float(dy @ dy)
    seen = (spread > np.maximum(FLAT * (f * f).sum(axis=1), NOTHING)) & (total > 0)
    score = np.where(seen, (df @ dy) ** 2 / np.where(seen, spread * total, 1.0), 0.0)
    k = int(np.argmax(score))
    return float(pairs[k, 0]), float(pairs[k, 1]), float(score[k])


def _values(function: Function, u: np.ndarray) -> np.ndarray:
    """f(u) in float64 on the host."""
    cpu = open_device("cpu")
    values: Any = function.compute(cpu.tensor(np.ascontiguousarray(u), "float64")).numpy()
    return values  # type: ignore[no-any-return]
