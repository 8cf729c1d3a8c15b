"""The reference on given knots against scipy, the uniform reference, hand cases and identities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from kernels_ref import spline, spline_knots


def uneven(rng, inputs, degree, cells, low=-3.0, high=3.0):
    """Rows of random knots, distances from a hundredth of the mean on."""
    t = np.sort(rng.uniform(low, high, (inputs, cells + 1)), axis=1) + np.arange(cells + 1) * 0.01 * (high - low) / cells
    before, after = -np.arange(degree, 0, -1) * 0.3, np.arange(1, degree + 1) * 0.7
    return np.concatenate([t[:, :1] + before, t, t[:, -1:] + after], axis=1)


def scipy_basis(x, t, degree, order=0):
    """[n, in, basis] with clamping."""
    rows = []
    for column, row in zip(x.T, t, strict=True):
        z = np.clip(column, row[degree], row[-degree - 1])
        rows.append(BSpline(row, np.eye(len(row) - degree - 1), degree)(z, nu=order))
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("cells", [2, 5, 31, 128])
def test_equals_scipy_on_random_knots(degree, cells):
    rng = np.random.default_rng(degree)
    t = uneven(rng, 3, degree, cells)
    x = rng.uniform(-3, 3, (200, 3))
    for order in (0, 1, 2, degree):
        got = spline_knots.knot_basis(np.clip(x, t[:, degree], t[:, -degree - 1]), t, degree=degree, order=order)
        want = scipy_basis(x, t, degree, order)
        assert np.linalg.norm(got - want) <= 1e-9 * np.linalg.norm(want)


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_equals_scipy_where_inner_knots_meet_and_on_every_knot(degree):
    row = np.array([-2, -1, 0.5, 0.5, 0.75, 1, 1, 1, 3.0])
    t = np.concatenate([row[0] - np.arange(degree, 0, -1), row, row[-1] + np.arange(1, degree + 1)])[None]
    x = np.concatenate([row, np.linspace(-2.5, 3.5, 101), np.nextafter(row, -9), np.nextafter(row, 9)])[:, None]
    got = spline_knots.knot_basis(x, t, degree=degree)
    assert np.allclose(got, scipy_basis(x, t, degree), atol=1e-12)
    assert np.allclose(got.sum(axis=-1), 1, atol=1e-12)


def test_equals_the_uniform_reference_on_uniform_knots():
    x = np.random.default_rng(0).uniform(-4, 4, (300, 1))
    for degree, cells in ((1, 2), (3, 5), (4, 64), (6, 9)):
        t = spline.knots(degree, cells, (-3.0, 3.0))[None]
        for order in range(degree):
            want = spline.spline_basis(x, degree=degree, grid_size=cells, grid_range=(-3.0, 3.0), order=order)
            assert np.allclose(spline_knots.knot_basis(x, t, degree=degree, order=order), want, rtol=1e-9, atol=1e-9 * cells**order)


def test_a_hand_case():
    """Hats on the knots 0, 1, 3, 3.5: at 2 half of each neighbour, slopes ±1/2; at 0 the first alone."""
    t = np.array([[-1.0, 0, 1, 3, 3.5, 4]])
    x = np.array([[2.0], [0.0], [3.25], [9.0]])
    assert spline_knots.knot_basis(x, t, degree=1)[:, 0].tolist() == [[0, 0.5, 0.5, 0], [1, 0, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1]]
    assert spline_knots.knot_basis(x, t, degree=1, order=1)[:, 0].tolist() == [[0, -0.5, 0.5, 0], [-1, 1, 0, 0], [0, 0, -2, 2], [0] * 4]
    assert (spline_knots.knot_basis(x, t, degree=1, order=2) == 0).all()


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_knots_that_are_too_close_never_divide_by_nothing(degree):
    """Cells of up to 1e-6 inside, at the low and at the high end: sums stay 1 and derivatives bounded."""
    for row in ([-2, 0, 1e-7, 1e-6, 1, 3], [0, 1e-7, 2e-7, 1, 2, 3], [-1, 0, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1, 1, 1, 1, 2]):
        t = np.concatenate([row[0] - np.arange(degree, 0, -1.0), row, row[-1] + np.arange(1, degree + 1)])[None]
        x = np.concatenate([row, np.linspace(-2.5, 3.5, 101), np.linspace(-1e-7, 2e-6, 50)])[:, None]
        b = spline_knots.knot_basis(x, t, degree=degree)
        assert (b >= 0).all()
        assert np.allclose(b.sum(axis=-1), 1, atol=1e-12)
        slopes = spline_knots.knot_basis(x, t, degree=degree, order=1)
        assert np.abs(slopes).max() <= 2 * degree / 0.9
        assert np.allclose(slopes.sum(axis=-1), 0, atol=1e-9)


def test_outside_and_what_is_no_number():
    t = uneven(np.random.default_rng(3), 1, 3, 6)
    low, high = t[0, 3], t[0, -4]
    at = [[np.nan], [np.inf], [-np.inf], [high], [low], [1e30], [-1e30]]
    b = spline_knots.knot_basis(np.array(at), t, degree=3)[:, 0]
    assert np.isnan(b[0]).all()
    assert (b[[1, 5]] == b[3]).all()
    assert (b[[2, 6]] == b[4]).all()
    d = spline_knots.knot_basis(np.array(at), t, degree=3, order=1)[:, 0]
    assert np.isnan(d[0]).all()
    assert (d[[1, 2, 5, 6]] == 0).all()
    assert (np.abs(d[[3, 4]]).max(axis=1) > 0).all()


def test_contract_is_the_weighted_sum():
    rng = np.random.default_rng(5)
    t, x, w = uneven(rng, 2, 3, 4), rng.uniform(-3, 3, (9, 2)), rng.normal(size=(9, 2, 7))
    want = (scipy_basis(x, t, 3) * w).sum(axis=-1)
    assert np.allclose(spline_knots.knot_contract(x, w, t, degree=3), want)
