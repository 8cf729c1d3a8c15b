"""The operations on given knots: scipy in float32, gradients of every order, blocks, errors."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient
from test_ref_spline_knots import scipy_basis

import gpucore as gc
from gpucore.errors import ConfigError, ShapeError
from gpucore.ops import spline_knots

ops = gc.ops


def rows(rng, inputs, degree, cells):
    """Uneven knots per input, from about -1 to 1, no cell narrower than a quarter of the mean."""
    steps = rng.uniform(0.5, 2.0, (inputs, cells + 2 * degree)) * 2 / cells / 1.25
    t = np.concatenate([np.zeros((inputs, 1)), steps.cumsum(axis=1)], axis=1)
    return t - (t[:, degree] + t[:, -degree - 1])[:, None] / 2


def between(rng, t, degree, n):
    """Points inside and just outside the grids, none within a tenth of a cell of a knot."""
    at = rng.integers(degree - 1, t.shape[1] - degree, (n, len(t)))
    share = rng.uniform(0.1, 0.9, at.shape)
    inputs = np.arange(len(t))
    return t[inputs, at] * (1 - share) + t[inputs, at + 1] * share


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("cells", [2, 5, 100, 128])
def test_basis_in_float32_equals_scipy(gpu, rng, degree, cells):
    t = rows(rng, 2, degree, cells).astype(np.float32)
    x = np.concatenate([rng.uniform(-1.5, 1.5, (200, 2)), t.T, [[1e-30, -1e-42], [1e30, -1e30]]]).astype(np.float32)
    got = ops.knot_basis(gpu.tensor(x), gpu.tensor(t), degree=degree).numpy()
    assert np.abs(got - scipy_basis(x.astype(np.float64), t.astype(np.float64), degree)).max() <= 2e-6
    assert (got >= 0).all()
    assert np.abs(got.sum(axis=-1) - 1).max() <= 1e-6
    slopes = ops.knot_basis(gpu.tensor(x), gpu.tensor(t), degree=degree, order=1).numpy()
    assert np.abs(slopes.sum(axis=-1)).max() <= 1e-6 * max(1.0, np.abs(slopes).max())
    assert (slopes[(x < t[:, degree]) | (x > t[:, -degree - 1])] == 0).all()


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_gradients_of_the_basis(gpu, rng, degree):
    t = rows(rng, 2, degree, 4)
    x = between(rng, t, degree, 4)
    for order in range(min(degree, 3)):
        check_gradient(gpu, lambda x, t, m=order: ops.knot_basis(x, t, degree=degree, order=m), x, t, wrt=[0])


def slope(x, t, c, bias=None, degree=3):
    with gc.GradientTape() as tape:
        total = ops.sum(ops.kan_knot_layer(x, t, c, bias, degree=degree))
    return tape.gradient(total, [x])[0]


def curvature(x, t, c):
    with gc.GradientTape() as tape:
        total = ops.sum(slope(x, t, c))
    return tape.gradient(total, [x])[0]


def coefficient_slope(x, t, c, weights):
    with gc.GradientTape() as tape:
        total = ops.sum(ops.multiply(ops.kan_knot_layer(x, t, c, degree=3), weights))
    return tape.gradient(total, [c])[0]


@pytest.mark.parametrize("block", [64 << 20, 1])
@pytest.mark.parametrize(("degree", "cells", "base"), [(1, 3, False), (3, 5, True), (6, 4, False)])
def test_gradients_of_the_layer(gpu, rng, monkeypatch, block, degree, cells, base):
    monkeypatch.setattr(spline_knots, "BLOCK_BYTES", block)
    monkeypatch.setattr(spline_knots, "ALIGN", 4)
    t = rows(rng, 2, degree, cells)
    arrays = [between(rng, t, degree, 6), t, rng.normal(size=(2, 2, cells + degree)), rng.normal(size=2)]
    arrays += [rng.normal(size=(2, 2))] if base else []
    check_gradient(gpu, lambda *given: ops.kan_knot_layer(*given, degree=degree), *arrays, wrt=[i for i in range(len(arrays)) if i != 1])


@pytest.mark.parametrize("block", [64 << 20, 1])
def test_second_and_third_derivatives_of_the_layer(gpu, rng, monkeypatch, block):
    monkeypatch.setattr(spline_knots, "BLOCK_BYTES", block)
    monkeypatch.setattr(spline_knots, "ALIGN", 4)
    t = rows(rng, 2, 3, 5)
    x, c, bias = between(rng, t, 3, 5), rng.normal(size=(2, 2, 8)), rng.normal(size=2)
    check_gradient(gpu, slope, x, t, c, bias, wrt=[0, 2, 3])
    check_gradient(gpu, curvature, x, t, c, wrt=[0, 2])
    check_gradient(gpu, coefficient_slope, x, t, c, rng.normal(size=(5, 2)), wrt=[0, 2, 3])


@pytest.mark.parametrize("batch", [0, 1, 2, 31, 33, 300])
@pytest.mark.parametrize(("inputs", "outputs", "cells"), [(1, 1, 5), (21, 64, 5), (7, 13, 61)])
def test_layer_at_any_size(gpu, cpu, batch, inputs, outputs, cells):
    rng = np.random.default_rng(batch)
    t = rows(rng, inputs, 3, cells)
    arrays = [rng.uniform(-1.2, 1.2, (batch, inputs)), t, rng.normal(size=(outputs, inputs, cells + 3)), rng.normal(size=outputs)]
    *arrays, weights = [a.astype(np.float32) for a in (*arrays, rng.normal(size=(batch, outputs)))]

    def layer_and_gradients(device, dtype):
        x, knots, c, b = (device.tensor(a, dtype) for a in arrays)
        with gc.GradientTape() as tape:
            y = ops.kan_knot_layer(x, knots, c, b, degree=3)
        return [y, *tape.gradient(y, [x, c, b], seed=device.tensor(weights, dtype))]

    for got, want in zip(layer_and_gradients(gpu, "float32"), layer_and_gradients(cpu, "float64"), strict=True):
        gap = np.linalg.norm(got.numpy() - want.numpy())
        assert gap <= 1e-6 * np.linalg.norm(want.numpy()) + 5e-6


def test_blocks_change_no_more_than_rounding_and_bound_the_memory(gpu, rng, monkeypatch):
    device = gc.device(gpu.info.index)
    t, x, c = rows(rng, 5, 3, 5), rng.uniform(-1, 1, (1000, 5)), rng.normal(size=(3, 5, 8))

    def run(block):
        monkeypatch.setattr(spline_knots, "BLOCK_BYTES", block)
        given = [device.tensor(a) for a in (x, t, c)]
        device.pool.reset_peak()
        before = device.memory.in_use
        with gc.GradientTape() as tape:
            y = ops.kan_knot_layer(*given, degree=3)
        found = [v.numpy() for v in (y, *tape.gradient(y, [given[0], given[2]], seed=y))]
        return found, device.memory.peak - before

    (whole, much), (parts, less) = run(64 << 20), run(64 * 5 * 8 * 4)
    for a, b in zip(whole, parts, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-4)
    assert less < much


def test_replays_in_a_pipeline(gpu, rng):
    t, c = gpu.tensor(rows(rng, 4, 3, 5)), gpu.tensor(rng.normal(size=(6, 4, 8)))

    @gc.Pipeline
    def gradient(x):
        with gc.GradientTape() as tape:
            y = ops.kan_knot_layer(x, t, c, degree=3)
        return y, tape.gradient(y, [c], seed=y)[0]

    differences = gradient.verify(gpu.tensor(rng.uniform(-1, 1, (50, 4))))
    assert max(d.relative_l2 for d in differences) < 1e-6


def test_uniform_knots_give_the_uniform_layer(gpu, rng):
    x, c, bias, base = rng.uniform(-4, 4, (40, 3)), rng.normal(size=(5, 3, 8)), rng.normal(size=5), rng.normal(size=(5, 3))
    t = np.tile(-3 + (np.arange(12) - 3) * 1.2, (3, 1))
    x, c, bias, base, t = (gpu.tensor(a) for a in (x, c, bias, base, t))
    want = ops.kan_layer(x, c, bias, base, degree=3, grid_size=5, grid_range=(-3, 3)).numpy()
    assert np.allclose(ops.kan_knot_layer(x, t, c, bias, base, degree=3).numpy(), want, rtol=1e-5, atol=2e-5)


def test_faults_have_their_sentences(gpu):
    x, t, c = gpu.ones((4, 3)), gpu.ones((3, 12)), gpu.ones((5, 3, 8))
    for given, options, error, sentence in (
        ((x, gpu.ones((2, 12))), dict(degree=3), ShapeError, r"knot_basis: knots have shape \(2, 12\) and x \(4, 3\); wants one row"),
        ((gpu.ones(()), t), dict(degree=3), ShapeError, "one row of knots per place"),
        ((x, gpu.ones((12,))), dict(degree=3), ShapeError, "row"),
        ((x, gpu.ones((3, 8))), dict(degree=3), ShapeError, "8 knots at degree 3 make 1 cells; wants 2 to 128 cells, so 9 to 135 knots"),
        ((x, t), dict(degree=7), ConfigError, "degree 7 is not one of 1 to 6"), ((x, t), dict(degree=3, order=-1), ConfigError, "order -1"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            ops.knot_basis(*given, **options)
    for given, sentence in (
        ((gpu.ones((3,)), t, c), r"kan_knot_layer: x has shape \(3,\); wants \(batch, in\)"),
        ((x, t, gpu.ones((5, 3, 7))), r"coefficients have shape \(5, 3, 7\) .* wants \(out, 3, 8\)"),
        ((x, t, c, gpu.ones((4,))), r"bias has shape \(4,\)"),
        ((x, t, c, None, gpu.ones((5, 2))), r"base has shape \(5, 2\); wants \(5, 3\)"),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=sentence):
            ops.kan_knot_layer(*given, degree=3)


def test_jets_that_do_not_fit_have_their_sentences(gpu):
    z, c, grid = gpu.ones((4, 3)), gpu.ones((5, 3, 8)), dict(degree=3, grid_size=5, grid_range=(-3, 3))
    for rows in (0, 3, 6):
        with pytest.raises(ShapeError, match=rf"kan_jet: z has shape \(4, 3\) and first \({rows}, 3\); wants \(n, in\) and \(d·n, in\)"):
            ops.kan_jet(z, gpu.ones((rows, 3)), None, c, **grid)
    with pytest.raises(ShapeError, match=r"kan_jet: second has shape \(4, 3\); wants that of first, \(8, 3\)"):
        ops.kan_jet(z, gpu.ones((8, 3)), z, c, **grid)
    nothing = gpu.zeros((0, 3))
    for knots in (None, gpu.tensor(np.arange(36, dtype=np.float32).reshape(3, 12))):
        assert [t.shape for t in ops.kan_jet(nothing, nothing, nothing, c, knots=knots, **grid)] == [(0, 5)] * 3
