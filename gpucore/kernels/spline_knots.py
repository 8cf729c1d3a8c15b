"""B-spline kernels on given knots, a row of them per input."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels_ref import spline_knots as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, ceil_div, expect, kernel
from .spline import MAX_DEGREE, MAX_GRID, MIN_GRID

NARROW = ref.NARROW


def check_knots(who: str, x: Array, knots: Array, degree: int, order: int = 0) -> int:
    """The number of functions G + p, when knots are [in, G + 2p + 1] for x [..., in]; ConfigError or ShapeError otherwise."""
    if not 1 <= degree <= MAX_DEGREE:
        raise ConfigError(f"{who}: degree {degree} is not one of 1 to {MAX_DEGREE}")
    if order < 0:
        raise ConfigError(f"{who}: order {order} is negative; wants 0 for values, 1 and more for derivatives")
    if x.ndim < 1 or knots.ndim != 2 or knots.shape[0] != x.shape[-1] or knots.shape[0] == 0:
        raise ShapeError(f"{who}: knots have shape {knots.shape} and x {x.shape}; wants one row of knots per place of the last axis of x")
    cells = knots.shape[1] - 2 * degree - 1
    if not MIN_GRID <= cells <= MAX_GRID:
        wanted = f"{MIN_GRID} to {MAX_GRID} cells, so {MIN_GRID + 2 * degree + 1} to {MAX_GRID + 2 * degree + 1} knots"
        raise ShapeError(f"{who}: {knots.shape[1]} knots at degree {degree} make {cells} cells; wants {wanted}")
    return cells + degree


def _uneven(inputs: int, degree: int, cells: int, low: float, high: float) -> Any:
    """Knots for every input between ends of its own near low and high, their distances up to ten times as large as the smallest."""

    def made(rng: np.random.Generator) -> np.ndarray:
        steps = rng.uniform(0.2, 2.0, (inputs, cells + 2 * degree))
        places = np.concatenate([np.zeros((inputs, 1)), steps.cumsum(axis=1)], axis=1)
        places = (places - places[:, degree, None]) / (places[:, degree + cells] - places[:, degree])[:, None]
        knots: np.ndarray = low + rng.uniform(-0.1, 0.1, (inputs, 1)) + places * (high - low)
        return knots.astype(np.float32)

    return made


def _case(shape: tuple[int, ...], degree: int, cells: int, order: int = 0, low: float = -3.0, high: float = 3.0) -> dict[str, Any]:
    def points(rng: np.random.Generator) -> np.ndarray:
        reach = 0.2 * (high - low)
        return rng.uniform(low - reach, high + reach, shape).astype(np.float32)

    label = f"{shape} p={degree} G={cells} ({low:g}, {high:g}) order {order}"
    return dict(x=points, knots=_uneven(shape[-1], degree, cells, low, high), degree=degree, order=order, id=label)


def _odd_knots(degree: int) -> np.ndarray:
    """Rows with knots that meet: none, two inside, more than the degree inside, at the low end, at the high end; cells within NARROW."""
    row = np.array([-2.0, -1.25, -0.5, 0.25, 0.375, 1.0, 1.5, 3.0], np.float32)
    rows = [row.copy() for _ in range(7)]
    rows[1][3:5], rows[2][:] = 0.25, [-2, -1, 0.5, 0.5, 0.5, 0.5, 0.5, 3]
    rows[3][:3], rows[4][5:] = -2.0, 3.0
    rows[5][:], rows[6][:] = [-2, -1, 0, 5e-7, 1e-6, 1.25e-6, 1, 3], [0, 2.5e-7, 5e-7, 1, 2, 2, 2, 2]
    ends = np.arange(1, degree + 1, dtype=np.float32)
    padded: np.ndarray = np.stack([np.concatenate([r[0] - ends[::-1] / 2, r, r[-1] + ends / 2]) for r in rows]).astype(np.float32)
    return padded


def _specials(degree: int, order: int) -> dict[str, Any]:
    """On every knot, just beside it, far outside, tiny, subnormal, infinite, NaN: for knots of every kind."""
    knots = _odd_knots(degree)
    beside = [np.nextafter(knots, np.float32(side)) for side in (-np.inf, np.inf)]
    odd = np.array([0.0, -0.0, 1e-30, -1e-30, 1e-42, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.3, -1.7, 2.9], np.float32)
    points = np.concatenate([knots, *beside, np.broadcast_to(odd, (len(knots), len(odd)))], axis=1).T
    # A driver that flushes subnormals sees those just below 0 as 0: inside, where the grid starts there.
    flushed = (points < 0) & (points > -np.finfo(np.float32).tiny)
    return dict(
        x=np.where(flushed, np.float32(0.5), points), knots=knots, degree=degree, order=order, id=f"specials p={degree} order {order}"
    )


_CASES = [
    _case((1,), 3, 5), _case((1, 1), 1, 2), _case((257,), 3, 5), _case((3, 5, 7), 3, 5), _case((0, 3), 3, 5), _case((400, 3), 3, 5),
    *[_case((61, 2), p, n, m, -n / 2, n / 2) for p in range(1, 7) for n in (2, 23, 128) for m in (0, 1, 2)],
    _case((61, 2), 3, 64, 0, -1.0, 1.0), _case((31, 3), 2, 9, 0, 999.0, 1001.0), _case((31, 3), 4, 7, 5),
    _case((17, 2), 6, 7, 6, -3.5, 3.5),
]  # fmt: skip
_SPECIALS = [_specials(p, m) for p in (1, 2, 3, 6) for m in (0, 1)]


def _flops(x: Any, *rest: Any, degree: int, **options: Any) -> float:
    return 4.0 * degree * (degree + 1) * float(x.size)


@kernel(
    "spline/knot_basis", ref=ref.knot_basis, rtol=2e-5, flops=_flops, cases=[*_CASES, *_SPECIALS],
    bench=[_case((1 << 14, 64), 3, 5), _case((1 << 12, 64), 3, 64)],
)  # fmt: skip
def knot_basis(x: Array, knots: Array, *, degree: int, order: int = 0) -> Launch:
    """[..., in, G + p]: the order-th derivatives of the functions on each input's knots [in, G + 2p + 1] at x [..., in]."""
    basis = check_knots("knot_basis", x, knots, degree, order)
    params = dict(size=x.size, inputs=x.shape[-1], basis=basis)
    return Launch((*x.shape, basis), groups=ceil_div(x.size, 128), params=params, constants=dict(DEGREE=degree, ORDER=order))


def _weighted(case: dict[str, Any]) -> dict[str, Any]:
    made = case["x"](np.random.default_rng(0)) if callable(case["x"]) else case["x"]
    shape = made if isinstance(made, tuple) else made.shape
    knots = case["knots"](np.random.default_rng(0)) if callable(case["knots"]) else case["knots"]
    return case | dict(weights=(*shape, knots.shape[1] - case["degree"] - 1))


@kernel(
    "spline/knot_contract", ref=ref.knot_contract, atol=5e-6, flops=_flops,
    cases=[_weighted(c) for c in (*_CASES[:6], *_CASES[7:60:7], *_SPECIALS)], bench=_weighted(_case((1 << 14, 64), 3, 5)),
)  # fmt: skip
def knot_contract(x: Array, weights: Array, knots: Array, *, degree: int, order: int = 0) -> Launch:
    """Σ_k weights[..., i, k]·B_k(x[..., i]), B the order-th derivatives on the knots of input i."""
    basis = check_knots("knot_contract", x, knots, degree, order)
    expect(weights.shape == (*x.shape, basis), f"knot_contract: weights has shape {weights.shape}; wants {(*x.shape, basis)}")
    params = dict(size=x.size, inputs=x.shape[-1], basis=basis)
    return Launch(x.shape, groups=ceil_div(x.size, 128), params=params, constants=dict(DEGREE=degree, ORDER=order))
