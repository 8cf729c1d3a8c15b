"""KAN layers on tables, with and without the base: sizes, agreement of the two forms, repeatability, derivatives, errors."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError, ShapeError
from gpucore.kernels import spline_table as kernels
from gpucore.ops import spline_table

ops = gc.ops
GRID = dict(degree=3, grid_size=5, grid_range=(-3.0, 3.0))


@pytest.fixture(params=[True, False], ids=["tables", "parts"])
def tables(request, monkeypatch):
    """Whether adapters run layers on tables, as hardware does, or in parts, as the NumPy device always does."""
    monkeypatch.setattr(spline_table, "TABLED", dict.fromkeys(("software", "discrete", "integrated"), request.param) | dict(cpu=False))
    return request.param


def weights(rng, inputs, outputs, grid, base):
    shapes = [(outputs, inputs, grid["grid_size"] + grid["degree"]), (outputs,), (outputs, inputs)]
    c, b, w = (rng.standard_normal(s, np.float32) for s in shapes)
    return c, b, w if base else None


def silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(
    ("batch", "inputs", "outputs", "degree", "grid_size"),
    [
        (1, 1, 1, 3, 5),
        (17, 21, 64, 3, 5),
        (40, 9, 260, 3, 5),
        (64, 70, 10, 2, 3),
        (130, 13, 131, 3, 5),
        (33, 5, 12, 6, 17),
        (18, 3, 7, 3, 61),
    ],
)
def test_layer_and_gradients_equal_the_oracle(gpu, cpu, tables, base, batch, inputs, outputs, degree, grid_size):
    rng = np.random.default_rng(batch)
    grid = GRID | dict(degree=degree, grid_size=grid_size)
    x, (c, b, w) = rng.uniform(-3.5, 3.5, (batch, inputs)).astype(np.float32), weights(rng, inputs, outputs, grid, base)
    seed = rng.standard_normal((batch, outputs), np.float32)

    def layer_and_gradients(device, dtype, packed):
        t = [None if a is None else device.tensor(a, dtype) for a in (x, c, b, w)]
        with gc.GradientTape() as tape:
            if packed:
                y = ops.kan_table_layer(t[0], ops.kan_pack(t[1], t[3]), t[2], base=base, **grid)
            else:
                y = ops.kan_layer(*t, **grid)
        return [y, *tape.gradient(y, [a for a in t if a is not None], seed=device.tensor(seed, dtype))]

    want = layer_and_gradients(cpu, "float64", False)
    for packed in (False, True):
        for got, exact in zip(layer_and_gradients(gpu, "float32", packed), want, strict=True):
            exact = exact.numpy()
            assert got.shape == exact.shape
            assert np.linalg.norm(got.numpy() - exact) <= 1e-6 * np.linalg.norm(exact) + 5e-6


def test_the_base_adds_silu_of_the_input_as_it_comes(cpu, rng):
    c, b, w = weights(rng, 4, 6, GRID, True)
    x = rng.uniform(-9, 9, (5, 4))
    without = ops.kan_layer(*(cpu.tensor(a, "float64") for a in (x, c, b)), **GRID).numpy()
    whole = ops.kan_layer(*(cpu.tensor(a, "float64") for a in (x, c, b, w)), **GRID).numpy()
    assert np.allclose(whole - without, silu(x) @ w.T)


@pytest.mark.parametrize("base", [False, True])
def test_packing_and_unpacking_are_inverse(gpu, rng, base):
    c, _, w = weights(rng, 5, 33, GRID, base)
    table = ops.kan_pack(gpu.tensor(c), gpu.tensor(w) if base else None)
    assert table.shape == (5, 8 + base, 33)
    back, weight = ops.kan_unpack(table, base=base)
    assert (back.numpy() == c).all()
    assert (weight.numpy() == w).all() if base else weight is None


def test_gradients_flow_through_unpacking(gpu, rng):
    table = gpu.tensor(rng.standard_normal((2, 6, 3), np.float32))
    with gc.GradientTape(persistent=True) as tape:
        c, w = ops.kan_unpack(table, base=True)
        by_both = ops.sum(c * c) + ops.sum(w * 3.0)
        by_base = ops.sum(w * 3.0)
    both, base = (tape.gradient(y, [table])[0].numpy() for y in (by_both, by_base))
    assert np.allclose(both[:, :5], 2 * table.numpy()[:, :5])
    assert (both[:, 5] == 3).all()
    assert (base[:, :5] == 0).all()
    assert (base[:, 5] == 3).all()


def test_training_gradients_repeat_bit_for_bit(gpu, rng, tables):
    x, table = gpu.tensor(rng.uniform(-3, 3, (300, 40))), gpu.tensor(rng.standard_normal((40, 9, 132)))

    def once():
        with gc.GradientTape() as tape:
            y = ops.kan_table_layer(x, table, base=True, **GRID)
        return [t.numpy().tobytes() for t in (y, *tape.gradient(y, [x, table], seed=ops.multiply(y, y)))]

    assert once() == once()


def test_a_layer_is_one_dispatch_and_so_is_each_gradient(gpu, rng, monkeypatch):
    monkeypatch.setitem(spline_table.TABLED, "software", True)
    monkeypatch.setattr(spline_table, "WORKGROUPS", {64: 1, 128: 1})
    x, table, bias = gpu.tensor(rng.uniform(-3, 3, (64, 8))), gpu.tensor(rng.standard_normal((8, 9, 16))), gpu.ones((16,))
    with gpu.profile() as profile, gc.GradientTape() as tape:
        y = ops.kan_table_layer(x, table, bias, base=True, **GRID)
        tape.gradient(y, [x, table, bias], seed=y)
    assert sorted(name for name, _ in profile.samples) == ["kan_tile_gradient", "kan_tile_input", "kan_tile_layer"]


def test_replays_in_a_pipeline(gpu, rng, tables):
    table = gpu.tensor(rng.standard_normal((4, 9, 6)))

    @gc.Pipeline
    def gradient(x):
        with gc.GradientTape() as tape:
            y = ops.kan_table_layer(x, table, base=True, **GRID)
        return y, *tape.gradient(y, [table, x], seed=y)

    differences = gradient.verify(gpu.tensor(rng.uniform(-2.9, 2.9, (50, 4))))
    assert max(d.relative_l2 for d in differences) < 1e-6


@pytest.mark.parametrize("base", [False, True])
def test_nan_stays_and_the_slope_outside_is_that_of_the_base(gpu, rng, tables, base):
    x = np.full((20, 3), 0.3, np.float32)
    x[0, 0], x[1, 1], x[2, 2] = np.nan, 3.5, -9.0
    table = rng.standard_normal((3, 8 + base, 5)).astype(np.float32)
    t = gpu.tensor(x), gpu.tensor(table)
    with gc.GradientTape() as tape:
        y = ops.kan_table_layer(*t, base=base, **GRID)
    to_x, to_table = (g.numpy() for g in tape.gradient(y, t, seed=ops.ones_like(y)))
    assert np.isnan(y.numpy()[0]).all()
    assert np.isfinite(y.numpy()[1:]).all()
    assert np.isnan(to_x[0]).tolist() == [True, False, False]
    assert np.isnan(to_table[0]).all()
    assert np.isfinite(to_table[1:]).all()
    for row, column in ((1, 1), (2, 2)):
        s = 1 / (1 + np.exp(-x[row, column].astype(np.float64)))
        want = s * (1 + x[row, column] * (1 - s)) * table[column, 8].sum() if base else 0.0
        assert to_x[row, column] == pytest.approx(want, rel=1e-5, abs=0 if not base else 1e-6)


def test_bad_shapes(gpu, tables):
    x, table = gpu.ones((20, 3)), gpu.ones((3, 8, 5))
    with pytest.raises(ShapeError, match=r"kan_table_layer: the table has shape \(3, 8, 5\); wants \(in, 9, out\)"):
        ops.kan_table_layer(x, table, base=True, **GRID)
    with pytest.raises(ShapeError, match=r"kan_table_layer: x has shape \(20, 4\) and the table \(3, 8, 5\); wants \(batch, 3\)"):
        ops.kan_table_layer(gpu.ones((20, 4)), table, **GRID)
    with pytest.raises(ShapeError, match=r"kan_table_layer: bias has shape \(4,\); wants \(5,\)"):
        ops.kan_table_layer(x, table, gpu.ones((4,)), **GRID)
    with pytest.raises(ConfigError, match="degree 7 is not one of 1 to 6"):
        ops.kan_table_layer(x, table, **(GRID | dict(degree=7)))
    with pytest.raises(ShapeError, match=r"kan_layer: base has shape \(5, 2\); wants \(5, 3\)"):
        ops.kan_layer(x, gpu.ones((5, 3, 8)), base=gpu.ones((5, 2)), **GRID)
    with pytest.raises(ShapeError, match=r"kan_unpack: partial has shape \(0, 2, 3, 4\); wants four axes, the first not empty"):
        kernels.kan_unpack(gpu.zeros((0, 2, 3, 4)))
    with pytest.raises(ShapeError, match=r"kan_pack: base has shape \(3, 5\); wants \(5, 3\)"):
        ops.kan_pack(gpu.ones((5, 3, 8)), gpu.ones((3, 5)))
