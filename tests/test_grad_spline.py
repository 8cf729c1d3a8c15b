"""Gradients of the spline operations: finite differences in float64, and the GPU against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc

ops = gc.ops
GRID = dict(degree=3, grid_size=5, grid_range=(-3.0, 3.0))


def away_from_knots(rng, shape, degree, grid_size, grid_range):
    """Points inside and outside the grid, none within a tenth of a cell of a knot: low degrees have kinks there."""
    low, high = grid_range
    cell = (high - low) / grid_size
    return low + (rng.integers(-1, grid_size + 1, shape) + rng.uniform(0.1, 0.9, shape)) * cell


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_spline_basis(gpu, rng, degree):
    grid = dict(degree=degree, grid_size=4, grid_range=(-1.0, 1.5))
    check_gradient(gpu, lambda x: ops.spline_basis(x, **grid), away_from_knots(rng, (5, 2), **grid))


@pytest.mark.parametrize("order", [1, 2])
def test_spline_basis_derivative(gpu, rng, order):
    check_gradient(gpu, lambda x: ops.spline_basis_derivative(x, **GRID, order=order), away_from_knots(rng, (7,), **GRID))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize(("batch", "grid_size"), [(3, 3), (5, 100), (18, 3), (18, 100)])
def test_kan_layer(gpu, rng, degree, batch, grid_size):
    grid = dict(degree=degree, grid_size=grid_size, grid_range=(-grid_size / 2, grid_size / 2))
    arrays = away_from_knots(rng, (batch, 2), **grid), rng.standard_normal((1, 2, grid_size + degree)), rng.standard_normal(1)
    check_gradient(gpu, lambda x, c, b: ops.kan_layer(x, c, b, **grid), *arrays)


FINE = GRID | dict(grid_size=61)  # a grid for which the device writes no basis out


def slope(x, c, bias, grid=GRID):
    """dy/dx of a layer, by a tape inside."""
    with gc.GradientTape() as tape:
        total = ops.sum(ops.kan_layer(x, c, bias, **grid))
    return tape.gradient(total, [x])[0]


@pytest.mark.parametrize("grid", [GRID, FINE])
def test_second_derivatives_of_the_layer(gpu, rng, grid):
    arrays = away_from_knots(rng, (4, 2), **grid), rng.standard_normal((2, 2, grid["grid_size"] + 3)), rng.standard_normal(2)
    check_gradient(gpu, lambda x, c, b: slope(x, c, b, grid), *arrays)


def curvature(x, c, grid=GRID):
    with gc.GradientTape() as tape:
        total = ops.sum(slope(x, c, None, grid))
    return tape.gradient(total, [x])[0]


@pytest.mark.parametrize("grid", [GRID, FINE])
def test_third_derivatives_of_the_layer(gpu, rng, grid):
    arrays = away_from_knots(rng, (4, 2), **grid), rng.standard_normal((2, 2, grid["grid_size"] + 3))
    check_gradient(gpu, lambda x, c: curvature(x, c, grid), *arrays)


def coefficient_slope(x, c, weights, grid):
    """The gradient to the coefficients of a weighted sum: linear in the weights, a spline in x."""
    with gc.GradientTape() as tape:
        total = ops.sum(ops.multiply(ops.kan_layer(x, c, **grid), weights))
    return tape.gradient(total, [c])[0]


@pytest.mark.parametrize("grid", [GRID, FINE])
def test_gradient_of_the_gradient_to_the_coefficients(gpu, rng, grid):
    arrays = away_from_knots(rng, (4, 2), **grid), rng.standard_normal((2, 2, grid["grid_size"] + 3)), rng.standard_normal((4, 2))
    check_gradient(gpu, lambda x, c, w: coefficient_slope(x, c, w, grid), *arrays)


def test_curvature_equals_the_second_derivative_of_the_basis(cpu, rng):
    x, c = rng.uniform(-2.9, 2.9, (6, 1)), rng.standard_normal((1, 1, 8))
    got = curvature(cpu.tensor(x, "float64"), cpu.tensor(c, "float64")).numpy()
    want = ops.spline_basis_derivative(cpu.tensor(x[:, 0], "float64"), **GRID, order=2).numpy() @ c[0, 0]
    assert np.abs(want).min() > 0.01
    assert np.allclose(got[:, 0], want)
