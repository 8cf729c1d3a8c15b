from __future__ import annotations

import numpy as np
import pytest

from gpucore.errors import ConfigError, DTypeError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan.grid import least_squares, refit, transfer_matrix


def smooth(device, *, base=None, grid_range=(-1, 1), grid_size=5, degree=3, seed=0):
    """A network whose edges are sums of sines, as far as their grids can follow."""
    config = kan.KanConfig(2, (3,), 2, grid_size=grid_size, degree=degree, base=base, grid_range=grid_range, seed=seed)
    network = kan.KanNetwork(config, device=device)
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        x = np.linspace(*layer.grid.range, 400)
        values = np.stack([a * np.sin(w * x) for a, w in rng.uniform(0.3, 1, (layer.outputs * layer.inputs, 2))], axis=1)
        c = least_squares(layer.grid.functions(x), values)
        layer.coefficients.assign(np.ascontiguousarray(c.T.reshape(layer.coefficients.shape), np.float32))
    return network


def points(n=400, seed=1, low=-1.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, (n, 2)).astype(np.float32)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_more_cells_that_divide_the_old_ones_change_nothing(degree, rng):
    old, new = kan.Grid(degree, 5, -1, 2), kan.Grid(degree, 20, -1, 2)
    c, x = rng.normal(size=(1, 1, old.basis)), np.linspace(-1.2, 2.2, 300)
    moved = refit(c, old, new)
    assert moved.dtype == np.float64
    assert np.abs(new.functions(x) @ moved[0, 0] - old.functions(x) @ c[0, 0]).max() < 1e-10
    assert np.abs(transfer_matrix(old, old) - np.eye(old.basis)).max() < 1e-8
    assert np.linalg.cond(new.functions(np.linspace(-1, 2, 500))) < 1e5


@pytest.mark.parametrize("base", [None, "silu"])
def test_refining_to_100_keeps_the_function(gpu, base):
    network, x = smooth(gpu, base=base, grid_range=(-1.5, 1.5)), points(low=-1.6, high=1.6)
    before = network(x).numpy()
    for size in (10, 20, 50, 100, 128):
        assert network.refine(size) is network
        after = network(x).numpy()
        assert np.isfinite(after).all()
        assert np.abs(after - before).max() <= 1e-4
        assert network.layers[0].coefficients.shape == (3, 2, size + 3)


def test_coarser_and_back(cpu):
    network, x = smooth(cpu, grid_size=20), points()
    before = network(x).numpy()
    assert np.abs(network.refine(7)(x).numpy() - before).max() < 5e-3
    assert np.abs(network.refine(31)(x).numpy() - before).max() < 5e-3


def test_a_coarser_grid_gets_the_nearest_function(rng):
    """Against ordinary least squares at many points."""
    old, new = kan.Grid(3, 20, -1, 1), kan.Grid(3, 7, -0.8, 1.2)
    c, x = rng.normal(size=(1, 1, old.basis)), np.linspace(-0.8, 1.2, 20001)
    wanted = least_squares(new.functions(x), old.functions(x) @ c[0, 0][:, None])[:, 0]
    assert np.abs(refit(c, old, new)[0, 0] - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_random_coefficients_on_fine_grids_make_no_nan(gpu):
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 1, grid_size=64, degree=6), device=gpu)
    x = points(low=-3, high=3)
    for size in (100, 3, 128, 2):
        y = network.refine(size)(x).numpy()
        assert np.isfinite(y).all()
        assert np.abs(y).max() < 100


def test_grids_follow_the_samples(gpu):
    network = smooth(gpu, grid_size=30, grid_range=(-4, 4))
    x = points(low=-0.5, high=2.0)
    before = network(x).numpy()
    held = network.layers[0].coefficients
    ranges = network.update_grid(x, margin=0.05)
    low, high = x.min(), x.max()
    assert ranges[0] == pytest.approx((low - 0.05 * (high - low), high + 0.05 * (high - low)), abs=1e-5)
    assert ranges == [layer.grid.range for layer in network.layers]
    assert network.layers[0].coefficients is held
    assert np.abs(network(x).numpy() - before).max() < 1e-4
    assert sum(r.below + r.above for r in network.out_of_range(x)) == 0


def test_a_grid_that_grows_keeps_what_clamping_made(gpu):
    network = smooth(gpu)
    x = points(low=-3, high=3)
    before = network(x).numpy()
    assert network.out_of_range(x)[0].share > 0.5
    network.refine(120)  # narrow cells, so that the corners at the old ends can be followed
    network.update_grid(x)
    assert network.out_of_range(x)[0].share == 0
    after = network(x).numpy()
    assert np.isfinite(after).all()
    assert np.abs(after - before).mean() < 2e-2


def test_samples_that_are_all_the_same(gpu):
    network = smooth(gpu)
    x = np.full((10, 2), 0.25, np.float32)
    before = network(x).numpy()
    network.update_grid(x)
    assert network.layers[0].grid.range == pytest.approx((-0.75, 1.25))
    assert np.abs(network(x).numpy() - before).max() < 0.02


def test_functions_without_a_sample_stay_at_zero():
    grid = kan.Grid(3, 10, 0, 1)
    x = np.linspace(0, 0.3, 50)
    c = least_squares(grid.functions(x), np.sin(x)[:, None])[:, 0]
    assert np.isfinite(c).all()
    assert (np.abs(c[7:]) < 1e-6).all()
    assert np.abs(grid.functions(x) @ c - np.sin(x)).max() < 1e-5


def test_training_goes_on_after_grids_moved(gpu):
    network, x = kan.KanNetwork(kan.KanConfig(2, (3,), 1, seed=1), device=gpu), points(64)
    y = np.sin(3 * x[:, :1])
    losses = []
    for size in (5, 10, 20):
        network.refine(size)
        losses += [float(network.train_step(x, y, lr=0.01)) for _ in range(30)]
        network.update_grid(x)
        losses += [float(network.train_step(x, y, lr=0.01)) for _ in range(10)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.2 * losses[0]


def test_wrong_samples_change_nothing(gpu):
    network = smooth(gpu)
    before, grids = network.state_dict(), [layer.grid for layer in network.layers]
    holed = points()
    holed[7, 1] = np.nan
    for samples, error, sentence in (
        (np.zeros((4, 3)), ShapeError, r"samples has shape \(4, 3\); wants \[n, 2\]"), (np.zeros(2), ShapeError, r"\[n, 2\]"),
        (np.zeros((0, 2)), ShapeError, "empty"), (holed, DTypeError, "row 7, column 1 of samples is nan"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            network.update_grid(samples)
    with pytest.raises(ConfigError, match="margin is -1"):
        network.update_grid(points(), margin=-1)
    for size in (1, 129, 2.5, True):
        with pytest.raises(ConfigError, match=r"grid size is .*; wants a whole number from 2 to 128"):
            network.refine(size)
    network.layers[1].coefficients.assign(np.full(network.layers[1].coefficients.shape, np.nan, np.float32))
    with pytest.raises(ConfigError, match="coefficients that are not finite"):
        network.refine(10)
    assert [layer.grid for layer in network.layers] == grids
    assert all(np.array_equal(network.state_dict()[k], v) for k, v in before.items() if k != "layers.1.coefficients")
