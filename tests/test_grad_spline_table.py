"""Gradients of KAN layers on tables, of every order, against finite differences."""

from __future__ import annotations

import pytest
from gradcheck import check_gradient
from test_grad_spline import away_from_knots

import gpucore as gc
from gpucore.ops import spline_table

ops = gc.ops
GRID = dict(degree=3, grid_size=4, grid_range=(-2.0, 2.0))


@pytest.fixture(autouse=True, params=[True, False], ids=["tables", "parts"])
def tables(request, monkeypatch):
    monkeypatch.setattr(spline_table, "TABLED", dict.fromkeys(("software", "discrete", "integrated", "cpu"), request.param))


def arrays(rng, batch, inputs, outputs, grid, base):
    rows = grid["grid_size"] + grid["degree"] + base
    return away_from_knots(rng, (batch, inputs), **grid), rng.standard_normal((inputs, rows, outputs)), rng.standard_normal(outputs)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_layer(gpu, rng, degree, base):
    grid = GRID | dict(degree=degree)
    check_gradient(gpu, lambda x, t, b: ops.kan_table_layer(x, t, b, base=base, **grid), *arrays(rng, 18, 2, 2, grid, base))


@pytest.mark.parametrize("base", [False, True])
def test_layer_of_coefficients_and_base(gpu, rng, base):
    x, _, b = arrays(rng, 18, 2, 2, GRID, base)
    more = [rng.standard_normal((2, 2))] if base else []
    check_gradient(gpu, lambda x, c, b, *w: ops.kan_layer(x, c, b, *w, **GRID), x, rng.standard_normal((2, 2, 7)), b, *more)


def slope(x, table, base):
    """dy/dx of a layer, by a tape inside."""
    with gc.GradientTape() as tape:
        total = ops.sum(ops.kan_table_layer(x, table, base=base, **GRID))
    return tape.gradient(total, [x])[0]


@pytest.mark.parametrize("base", [False, True])
def test_second_derivatives(gpu, rng, base):
    x, table, _ = arrays(rng, 4, 2, 2, GRID, base)
    check_gradient(gpu, lambda x, t: slope(x, t, base), x, table)


def test_third_derivatives(gpu, rng):
    def curvature(x, table):
        with gc.GradientTape() as tape:
            total = ops.sum(slope(x, table, True))
        return tape.gradient(total, [x])[0]

    x, table, _ = arrays(rng, 4, 2, 2, GRID, True)
    check_gradient(gpu, curvature, x, table)


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_of_the_gradients_to_table_and_bias(gpu, rng, which):
    def to_weights(x, table, bias, w):
        with gc.GradientTape() as tape:
            y = ops.kan_table_layer(x, table, bias, base=True, **GRID)
            total = ops.sum(ops.multiply(ops.multiply(y, y), w))
        return tape.gradient(total, [table, bias])[which]

    check_gradient(gpu, to_weights, *arrays(rng, 4, 2, 2, GRID, True), rng.standard_normal((4, 2)), fd=1e-5)
