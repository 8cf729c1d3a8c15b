"""The spline operations on a device: invariants in float32, sizes, repeatability, errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

import gpucore as gc
from gpucore.errors import ConfigError, ShapeError

ops = gc.ops
GRID = dict(degree=3, grid_size=5, grid_range=(-3.0, 3.0))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("grid_size", [2, 3, 5, 20, 33, 64, 100, 128])
def test_basis_in_float32_equals_scipy(gpu, degree, grid_size):
    low, high = -2.3, 3.1
    knots = np.linspace(low, high, grid_size + 1)
    x = np.concatenate([np.random.default_rng(0).uniform(-3, 4, 300), knots, [0, 1e-30, -1e-30, 1e-42, 1e30, -1e30]]).astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(9)), np.nextafter(x, np.float32(-9))])
    grid = dict(degree=degree, grid_size=grid_size, grid_range=(low, high))
    got = ops.spline_basis(gpu.tensor(x), **grid).numpy()
    h = (high - low) / grid_size
    t = low + (np.arange(grid_size + 2 * degree + 1) - degree) * h
    want = BSpline(t, np.eye(grid_size + degree), degree)(np.clip(x.astype(np.float64), low, high))
    assert np.abs(got - want).max() <= 2e-6
    assert (got >= 0).all()
    assert np.abs(got.sum(axis=1) - 1).max() <= 5e-7
    slopes = ops.spline_basis_derivative(gpu.tensor(x), **grid).numpy()
    assert np.abs(slopes.sum(axis=1)).max() <= 5e-7 / h
    assert (slopes[(x < np.float32(low)) | (x > np.float32(high))] == 0).all()


def test_golden_values_in_float32(gpu):
    b = ops.spline_basis(gpu.tensor([0.0, 0.3, -1.7, 3.0, -3.0]), **GRID).numpy()
    assert b[0, 2:6] == pytest.approx([0.020833, 0.479167, 0.479167, 0.020833], abs=1e-6)
    assert b[1, 2:6] == pytest.approx([0.002604, 0.315104, 0.611979, 0.070313], abs=1e-6)
    assert b[2, 1:5] == pytest.approx([0.128376, 0.660012, 0.211516, 0.000096], abs=1e-6)
    assert b[3, 5:] == pytest.approx([1 / 6, 2 / 3, 1 / 6], abs=1e-6)
    assert b[4, :3] == pytest.approx([1 / 6, 2 / 3, 1 / 6], abs=1e-6)
    d = ops.spline_basis_derivative(gpu.tensor([0.0]), **GRID).numpy()
    assert d[0, 2:6] == pytest.approx([-0.104167, -0.520833, 0.520833, 0.104167], abs=1e-6)


def test_nan_stays_and_infinities_clamp(gpu):
    b = ops.spline_basis(gpu.tensor([np.nan, np.inf, -np.inf, 3.0, -3.0]), **GRID).numpy()
    assert np.isnan(b[0]).all()
    assert (b[1] == b[3]).all()
    assert (b[2] == b[4]).all()
    d = ops.spline_basis_derivative(gpu.tensor([np.nan, np.inf, -np.inf]), **GRID).numpy()
    assert np.isnan(d[0]).all()
    assert (d[1:] == 0).all()


@pytest.mark.parametrize("batch", [0, 1, 2, 16, 17, 31, 32, 33, 64, 300])
@pytest.mark.parametrize(("inputs", "outputs", "grid_size"), [(1, 1, 5), (21, 64, 5), (127, 13, 5), (5, 257, 5), (1, 3, 61), (7, 67, 61)])
def test_layer_at_any_size(gpu, cpu, batch, inputs, outputs, grid_size):
    rng = np.random.default_rng(batch)
    grid = GRID | dict(grid_size=grid_size)
    arrays = [rng.uniform(-3.5, 3.5, (batch, inputs)), rng.standard_normal((outputs, inputs, grid_size + 3)), rng.standard_normal(outputs)]
    *arrays, weights = [a.astype(np.float32) for a in (*arrays, rng.standard_normal((batch, outputs)))]

    def layer_and_gradients(device, dtype):
        x, c, b = (device.tensor(a, dtype) for a in arrays)
        with gc.GradientTape() as tape:
            y = ops.kan_layer(x, c, b, **grid)
        return [y, *tape.gradient(y, [x, c, b], seed=device.tensor(weights, dtype))]

    for got, want in zip(layer_and_gradients(gpu, "float32"), layer_and_gradients(cpu, "float64"), strict=True):
        gap = np.linalg.norm(got.numpy() - want.numpy())
        assert gap <= 1e-6 * np.linalg.norm(want.numpy()) + 5e-6


@pytest.mark.parametrize("grid_size", [5, 61])
def test_the_layer_does_not_depend_on_the_batch(gpu, rng, grid_size):
    grid = GRID | dict(grid_size=grid_size)
    x, c = rng.uniform(-3, 3, (17, 40)).astype(np.float32), rng.standard_normal((70, 40, grid_size + 3), np.float32)
    all_at_once = ops.kan_layer(gpu.tensor(x), gpu.tensor(c), **grid).numpy()
    one_by_one = np.concatenate([ops.kan_layer(gpu.tensor(row[None]), gpu.tensor(c), **grid).numpy() for row in x])
    assert np.allclose(all_at_once, one_by_one, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("grid_size", [5, 61])
def test_training_gradients_repeat_bit_for_bit(gpu, rng, grid_size):
    grid = GRID | dict(grid_size=grid_size)
    x, c = gpu.tensor(rng.uniform(-3, 3, (700, 9))), gpu.tensor(rng.standard_normal((11, 9, grid_size + 3)))

    def once():
        with gc.GradientTape() as tape:
            y = ops.kan_layer(x, c, **grid)
        return [t.numpy().tobytes() for t in (y, *tape.gradient(y, [x, c], seed=ops.multiply(y, y)))]

    assert once() == once()


def test_replays_in_a_pipeline(gpu, rng):
    c = gpu.tensor(rng.standard_normal((6, 4, 8)))

    @gc.Pipeline
    def gradient(x):
        with gc.GradientTape() as tape:
            y = ops.kan_layer(x, c, **GRID)
        return y, tape.gradient(y, [c], seed=y)[0]

    differences = gradient.verify(gpu.tensor(rng.uniform(-3, 3, (50, 4))))
    assert max(d.relative_l2 for d in differences) < 1e-6


def test_gradient_to_the_input_is_zero_outside(gpu, rng):
    x = gpu.tensor([[-3.1, 0.5], [2.0, 3.0001], [3.0, -3.0]])
    with gc.GradientTape() as tape:
        y = ops.sum(ops.kan_layer(x, gpu.tensor(rng.standard_normal((2, 2, 8))), **GRID))
    zero = tape.gradient(y, [x])[0].numpy() == 0
    assert zero.tolist() == [[True, False], [False, True], [False, False]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(degree=0), "degree 0 is not one of 1 to 6"),
        (dict(degree=7), "degree 7 is not one of 1 to 6"),
        (dict(grid_size=1), "grid size 1 is not between 2 and 128"),
        (dict(grid_size=129), "grid size 129 is not between"),
        (dict(grid_range=(1.0, 1.0)), "not two finite ends in order"),
        (dict(grid_range=(2.0, -1.0)), "not two finite ends in order"),
        (dict(grid_range=(0.0, np.inf)), "not two finite ends in order"),
        (dict(grid_range=(0.0, 1e-6)), "no more than 1e-6 apart"),
    ],
)
def test_bad_grids(gpu, cpu, change, sentence):
    for device in (gpu, cpu):
        with pytest.raises(ConfigError, match=sentence):
            ops.spline_basis(device.ones((3,)), **(GRID | change))


def test_bad_shapes(gpu):
    x, c = gpu.ones((4, 3)), gpu.ones((5, 3, 8))
    with pytest.raises(ConfigError, match="order 0 is less than 1"):
        ops.spline_basis_derivative(x, **GRID, order=0)
    with pytest.raises(ShapeError, match=r"kan_layer: x has shape \(3,\); wants \(batch, in\)"):
        ops.kan_layer(gpu.ones((3,)), c, **GRID)
    with pytest.raises(ShapeError, match=r"kan_layer: coefficients have shape \(5, 3, 7\) .* wants \(out, 3, 8\)"):
        ops.kan_layer(x, gpu.ones((5, 3, 7)), **GRID)
    with pytest.raises(ShapeError, match=r"kan_layer: coefficients have shape \(5, 2, 8\)"):
        ops.kan_layer(gpu.ones((40, 3)), gpu.ones((5, 2, 8)), **GRID)
    with pytest.raises(ShapeError, match=r"kan_layer: bias has shape \(4,\); wants \(5,\)"):
        ops.kan_layer(x, c, gpu.ones((4,)), **GRID)
