"""The spline references against scipy, published values and identities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from kernels_ref import spline as ref

GOLDEN = dict(degree=3, grid_size=5, grid_range=(-3.0, 3.0))
GRIDS = [(p, n, r) for p in range(1, 7) for n, r in ((2, (0.0, 1.0)), (5, (-3.0, 3.0)), (64, (-1.0, 1.0)), (128, (0.1, 0.9)))]


def nonzero(row):
    return row[np.abs(row) > 1e-9]


@pytest.mark.parametrize(
    ("x", "values"),
    [
        (0.0, [0.020833, 0.479167, 0.479167, 0.020833]),
        (0.3, [0.002604, 0.315104, 0.611979, 0.070313]),
        (-1.7, [0.128376, 0.660012, 0.211516, 0.000096]),
        (3.0, [1 / 6, 2 / 3, 1 / 6]),
        (-3.0, [1 / 6, 2 / 3, 1 / 6]),
    ],
)
def test_golden_values(x, values):
    assert nonzero(ref.spline_basis(np.array([x]), **GOLDEN)[0]) == pytest.approx(values, abs=1e-6)


def test_golden_derivative():
    slopes = ref.spline_basis(np.array([0.0]), **GOLDEN, order=1)[0]
    assert nonzero(slopes) == pytest.approx([-0.104167, -0.520833, 0.520833, 0.104167], abs=1e-6)


def scipy_basis(x, p, n, r, order):
    t = ref.knots(p, n, r)
    made = BSpline(t, np.eye(n + p), p)
    return made(np.clip(x, *r), nu=order)


@pytest.mark.parametrize(("p", "n", "r"), GRIDS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_equals_scipy_between_knots(p, n, r, order):
    h = (r[1] - r[0]) / n
    rng = np.random.default_rng(p)
    x = r[0] + (rng.integers(0, n, 200) + rng.uniform(0.01, 0.99, 200)) * h
    got = ref.spline_basis(x, degree=p, grid_size=n, grid_range=r, order=order)
    assert np.allclose(got, scipy_basis(x, p, n, r, order), rtol=1e-9, atol=1e-9 / h**order)


@pytest.mark.parametrize(("p", "n", "r"), GRIDS)
def test_equals_scipy_on_knots_at_both_ends_and_for_odd_numbers(p, n, r):
    x = np.concatenate([np.linspace(*r, n + 1), [1e-30, -1e-30, 1e30, -1e30, 5e-324, 1e-42]])
    x = np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf)])
    got = ref.spline_basis(x, degree=p, grid_size=n, grid_range=r)
    assert np.abs(got - scipy_basis(x, p, n, r, 0)).max() <= 2e-6  # a knot counts 1e-6 of a cell early


@pytest.mark.parametrize(("p", "n", "r"), GRIDS)
def test_sums_and_signs(p, n, r):
    x = np.random.default_rng(1).uniform(r[0] - 0.3, r[1] + 0.3, 500)
    b = ref.spline_basis(x, degree=p, grid_size=n, grid_range=r)
    assert b.shape == (500, n + p)
    assert (b >= 0).all()
    assert ((b > 0).sum(axis=1) <= p + 1).all()
    assert np.allclose(b.sum(axis=1), 1, atol=1e-12)
    for order in (1, 2):
        d = ref.spline_basis(x, degree=p, grid_size=n, grid_range=r, order=order)
        assert np.allclose(d.sum(axis=1), 0, atol=1e-9 * (n / (r[1] - r[0])) ** order)
        assert (d[(x < r[0]) | (x > r[1])] == 0).all()


def test_nan_stays_and_infinities_clamp():
    b = ref.spline_basis(np.array([np.nan, np.inf, -np.inf]), **GOLDEN)
    assert np.isnan(b[0]).all()
    assert (b[1] == ref.spline_basis(np.array([3.0]), **GOLDEN)[0]).all()
    assert (b[2] == ref.spline_basis(np.array([-3.0]), **GOLDEN)[0]).all()
    assert (ref.spline_basis(np.array([np.inf]), **GOLDEN, order=1) == 0).all()


def test_derivatives_above_the_degree_are_zero():
    assert (ref.spline_basis(np.array([0.1]), degree=2, grid_size=4, grid_range=(0.0, 1.0), order=3) == 0).all()


def test_layer_is_a_sum_of_scipy_splines():
    rng = np.random.default_rng(3)
    c, x, bias = rng.standard_normal((4, 3, 8)), rng.uniform(-3, 3, (6, 3)), rng.standard_normal(4)
    t = ref.knots(3, 5, (-3.0, 3.0))
    want = np.array([[bias[j] + sum(BSpline(t, c[j, i], 3)(row[i]) for i in range(3)) for j in range(4)] for row in x])
    assert np.allclose(ref.kan_layer_narrow(x, c, bias, **GOLDEN), want)
    assert np.allclose(ref.kan_layer(x, np.moveaxis(c, 0, 2), bias, **GOLDEN), want)


def test_gradient_references_are_the_transposes_of_the_layer():
    rng = np.random.default_rng(4)
    c, x, g, s = rng.standard_normal((4, 3, 8)), rng.uniform(-3, 3, (6, 3)), rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    for order in (0, 1):
        paired = (g * ref.kan_layer_narrow(x, c, None, s, **GOLDEN, order=order)).sum()
        to_c = ref.kan_unpack(ref.kan_coefficient_gradient(x, g, s, split=4, **GOLDEN, order=order))[0]
        assert (to_c * c).sum() == pytest.approx(paired)
        assert (ref.kan_input_gradient(x, c, g, **GOLDEN, order=order) * s).sum() == pytest.approx(paired)
