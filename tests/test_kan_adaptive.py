"""Grids with knots of each input's own: where they lie, that functions stay, and that everything of a network works on them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gpucore as gc
from gpucore import optim
from gpucore.errors import ConfigError, OutOfVramError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan.adaptive import fitted_knots, refit
from gpucore.systems.kan.grid import least_squares


def crowded(n=400, seed=1, inputs=2):
    """Samples most of which lie close together, at a place of each input's own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.4 - 0.3 * np.arange(inputs), 0.05, (n, inputs))
    x[::5] = rng.uniform(-1, 1, (len(x[::5]), inputs)) * (1 + np.arange(inputs))
    return x.astype(np.float32)


def make(device, *, adaptive=0.8, hidden=(3,), x=None, **options):
    """A network on knots of its own, its functions those of its seed."""
    settings = dict(grid_size=6, seed=2, grid_range=(-1, 1)) | options
    dtype = settings.pop("dtype", "float32")
    network = kan.KanNetwork(kan.KanConfig(2, hidden, 2, **settings), device=device, dtype=dtype)
    network.update_grid(crowded() if x is None else x, adaptive=adaptive)
    return network


def random_knots(rng, degree, cells, inputs=1):
    edges = np.sort(rng.uniform(-1, 1, (inputs, cells + 1)), axis=1)
    edges[:, 0], edges[:, -1] = -1, 1
    return kan.AdaptiveGrid(
        degree, np.concatenate([edges[:, :1] + np.arange(-degree, 0), edges, edges[:, -1:] + np.arange(1, degree + 1)], axis=1)
    )


# ---- where knots lie


def test_knots_are_between_uniform_ones_and_quantiles():
    x, old = crowded(999).astype(np.float64), kan.Grid(3, 5, -1, 1)
    for adaptive in (0.0, 0.3, 1.0):
        grid = fitted_knots(x, old, 0.02, adaptive)
        assert (grid.size, grid.basis, grid.inputs, grid.knots.shape) == (5, 8, 2, (2, 12))
        for column, row in zip(x.T, grid.knots, strict=True):
            low, high = column.min(), column.max()
            low, high = low - 0.02 * (high - low), high + 0.02 * (high - low)
            wanted = np.array([np.sort(column)[round(998 * k / 5)] for k in range(6)])  # 998 / 5 is not whole: nearest samples
            wanted[0], wanted[-1] = low, high
            wanted = (1 - adaptive) * np.linspace(low, high, 6) + adaptive * wanted
            assert row[3:-3] == pytest.approx(wanted, abs=2e-3)
            assert np.diff(row)[[0, 1, 2, -3, -2, -1]] == pytest.approx((high - low) / 5, rel=1e-5)
    counts = np.histogram(x[:, 0], fitted_knots(x, old, 0.02, 1.0).edges(2)[0])[0]
    assert counts == pytest.approx(999 / 5, abs=8)  # the thousandth that stays uniform moves them a little


def test_samples_that_are_alike_leave_every_cell_a_width():
    """Half of an input's samples at 0, two values alone, one value, values far from 0, and tiny ones."""
    x = np.zeros((100, 6))
    x[50:, 0] = np.linspace(0, 1, 50)
    x[::2, 1], x[:, 2] = 1, 3
    x[:, 3] = np.linspace(1000, 1000.02, 100)
    x[:, 4] = np.linspace(0, 1e-6, 100)
    x[:, 5] = 1e9
    grid = fitted_knots(x.astype(np.float32), kan.Grid(3, 5, -1, 1), 0.01, 1.0)
    low, high = grid.ends
    steps = np.diff(grid.knots[:, 3:-3], axis=1)
    assert (steps > np.maximum(2e-6, 8 * np.spacing(np.abs(grid.knots[:, 4:-3])))).all()
    assert (low <= x.min(axis=0)).all()
    assert (high >= x.max(axis=0)).all()
    assert steps[0] == pytest.approx([0.0102, 0.000204, 0.192, 0.404, 0.414], rel=0.01)  # 0 at 2/5, then at 3/5 and 4/5 of the samples
    assert np.diff(grid.knots[2]) == pytest.approx(np.full(11, 0.4), rel=1e-3)
    assert (low[2], high[2]) == pytest.approx((2, 4))


def test_update_grid_says_what_all_inputs_lie_in(gpu):
    network, x = make(gpu, adaptive=None), crowded()
    assert isinstance(network.layers[0].grid, kan.Grid)
    assert network.layers[0].knots is None
    changes = network.changes
    ranges = network.update_grid(x, adaptive=0.5)
    assert network.changes == changes + 1
    assert ranges == [layer.grid.range for layer in network.layers]
    spread = x.max(axis=0) - x.min(axis=0)
    assert network.layers[0].grid.ends[0] == pytest.approx(x.min(axis=0) - 0.01 * spread, abs=1e-6)
    assert network.layers[0].grid.ends[1] == pytest.approx(x.max(axis=0) + 0.01 * spread, abs=1e-6)
    assert np.array_equal(network.layers[0].knots.numpy(), network.layers[0].grid.knots)
    assert "knots per input" in repr(network)
    for wrong in (-0.1, 1.5, "yes", np.nan):
        with pytest.raises(ConfigError, match=r"adaptive is .*; wants a number from 0 to 1, or None"):
            network.update_grid(x, adaptive=wrong)
    network.update_grid(x)
    assert all(isinstance(layer.grid, kan.Grid) and layer.knots is None for layer in network.layers)


def test_knots_that_make_no_grid_are_refused():
    good = np.arange(12.0)[None]
    for knots, sentence in (
        (good[0], r"float64 of shape \(12,\)"), (good[:, :8], "8 knots make 1 cells; wants 2 to 128"), (good * np.nan, "not all finite"),
        (good * 1e30, "not all finite"), (np.concatenate([good, -good]), "knots of input 1 decrease"), (good * 1e-8, "input 0 has no cell"),
        (np.array([["a"] * 12]), "wants numbers"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            kan.AdaptiveGrid(3, knots)
    with pytest.raises(ConfigError, match="degree 7"):
        kan.AdaptiveGrid(7, good)
    grid = kan.AdaptiveGrid(3, good)
    assert grid == kan.AdaptiveGrid(3, good.astype(np.float32))
    assert hash(grid) == hash(kan.AdaptiveGrid(3, good))
    assert grid != kan.AdaptiveGrid(2, good)
    assert grid != kan.Grid(3, 5, 3, 8)
    assert not grid.knots.flags.writeable


def test_another_number_of_inputs_is_refused_and_nothing_changes(cpu):
    layer = make(cpu).layers[0]
    before, grid = layer.state_dict(), layer.grid
    with pytest.raises(ShapeError, match="knots for 1 inputs; wants 2"):
        layer.set_grid(grid.of_input(0), np.zeros((3, 2, 9)))
    assert layer.grid is grid
    assert all(np.array_equal(v, before[k]) for k, v in layer.state_dict().items())


# ---- moving functions


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_more_cells_that_keep_the_old_knots_change_nothing(degree, rng):
    old = random_knots(rng, degree, 5, inputs=2)
    c, x = rng.normal(size=(3, 2, old.basis)), rng.uniform(-1.3, 1.3, (300, 2))
    wanted = np.einsum("nik,jik->nj", old.functions(x), c)
    for size in (10, 100, 128 // 5 * 5):
        new = old.refined(size)
        assert new.size == size
        assert new.ends[0] == pytest.approx(old.ends[0])
        found = np.einsum("nik,jik->nj", new.functions(x), refit(c, old, new))
        assert np.abs(found - wanted).max() < 2e-5 * np.abs(wanted).max()  # float32 knots


def test_any_two_grids(rng):
    """From uniform to uneven and back: a function that both can follow stays."""
    uniform, uneven = kan.Grid(3, 60, -1, 1), random_knots(rng, 3, 100, inputs=2)
    x = np.linspace(-1, 1, 1000)[:, None].repeat(2, axis=1)
    c = least_squares(uniform.functions(x[:, 0]), np.sin(4 * x[:, :1])).T[None].repeat(2, axis=1)
    moved = refit(c, uniform, uneven)
    assert np.abs(np.einsum("nik,jik->ni", uneven.functions(x), moved) - np.sin(4 * x)).max() < 1e-3
    back = refit(moved, uneven, uniform)
    assert np.abs(back - c).max() < 2e-3
    assert np.array_equal(refit(moved, uneven, uneven), moved)


def test_the_nearest_function_counts_every_new_cell_alike(rng):
    """Against ordinary least squares at many points, as many in each new cell."""
    old, new = kan.Grid(3, 20, -1, 1), random_knots(rng, 3, 6)
    edges = new.edges(1)[0]
    x = np.concatenate([np.linspace(a, b, 4000, endpoint=False) for a, b in pairwise(edges)])
    c = rng.normal(size=(1, 1, old.basis))
    wanted = least_squares(new.functions(x), old.functions(x) @ c[0, 0][:, None])[:, 0]
    assert np.diff(edges).max() > 3 * np.diff(edges).min()
    assert np.abs(refit(c, old, new)[0, 0] - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_functions_on_knots_that_meet_get_0(rng):
    edges = np.array([-1, -0.5, 0, 0, 0, 0, 0, 0.3, 0.3 + 5e-7, 1])
    new = kan.AdaptiveGrid(3, np.concatenate([[-4, -3, -2], edges, [2, 3, 4]])[None])
    old = kan.Grid(3, 20, -1, 1)
    x = np.linspace(-1, 1, 500)
    c = least_squares(old.functions(x), np.sin(3 * x)[:, None]).T[None]
    moved = refit(c, old, new)
    assert np.isfinite(moved).all()
    assert np.abs(moved).max() < 10
    assert moved[0, 0, 5] == pytest.approx(0, abs=1e-6)
    assert np.abs(new.functions(x[:, None])[:, 0] @ moved[0, 0] - np.sin(3 * x)).max() < 0.02


@pytest.mark.parametrize("base", [None, "silu"])
def test_refining_to_100_keeps_the_function(gpu, base):
    network, x = make(gpu, base=base, adaptive=1.0), np.random.default_rng(3).uniform(-2, 2, (400, 2)).astype(np.float32)
    before = network(x).numpy()
    for size in (12, 24, 48, 96):
        assert np.abs(network.refine(size)(x).numpy() - before).max() <= 2e-4
    for size in (100, 128, 7, 2):
        assert np.isfinite(network.refine(size)(x).numpy()).all()
        assert np.abs(network(x).numpy()).max() < 10


def test_update_grid_keeps_the_function_where_cells_can_follow(gpu):
    network, x = make(gpu, adaptive=None), crowded()
    before = network(x).numpy()
    network.refine(72)
    for adaptive in (0.5, 0.9, None, 1.0):
        network.update_grid(x, adaptive=adaptive)
        gap = network(x).numpy() - before
        assert np.sqrt((gap**2).mean()) < 0.05 * before.std(), adaptive


def test_the_adaptive_grid_fits_better_where_samples_crowd(gpu):
    """A steep step among clustered samples: eight cells where the samples are, against eight cells of equal width."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0.3, 0.03, (450, 1)), rng.uniform(-1, 1, (50, 1))]).clip(-1, 1).astype(np.float32)
    y = np.tanh(60 * (x - 0.3)).astype(np.float32)

    def error(adaptive):
        network = kan.KanNetwork(kan.KanConfig(1, (), 1, grid_size=8), device=gpu)
        network.update_grid(x, adaptive=adaptive)
        inputs, targets = gpu.tensor(x), gpu.tensor(y)
        for rate in (0.05, 0.01):
            for _ in range(200):
                network.train_step(inputs, targets, lr=rate)
        return float(np.sqrt(np.mean((network(x).numpy() - y) ** 2)))

    uniform, adaptive = error(None), error(0.98)
    assert uniform > 0.2
    assert adaptive < uniform / 20


# ---- what a network does on them


def test_out_of_range_counts_by_each_inputs_range(gpu):
    network, x = make(gpu), crowded()
    assert sum(r.below + r.above for r in network.out_of_range(x)) == 0
    low, high = network.layers[0].grid.ends
    assert high[1] - high[0] > 0.3
    odd = np.array([[high[0] + 0.1, high[1] - 0.1], [low[0] - 0.1, low[1] + 0.1], [0, np.nan], [0, low[1] - 0.1]], np.float32)
    assert network.out_of_range(odd)[0][:4] == (0, 2, 1, 8)
    for _ in range(2):
        network.train_step(x[:10], x[:10])
    with pytest.raises(ConfigError, match="no value of x lies inside the first grid"):
        kan.fit(network, x + 50, x, epochs=1)


@pytest.mark.parametrize("base", [None, "silu"])
def test_derivatives_are_differences(cpu, base):
    network = make(cpu, base=base, dtype="float64", degree=4)
    x, step = crowded(9).astype(np.float64), 1e-4
    first, second = (network.derivatives(x, order).numpy() for order in (1, 2))
    scale = np.abs(second).max()
    for i in range(2):
        away = np.zeros(2)
        away[i] = step
        ahead, here, behind = (network(x + s * away).numpy() for s in (1, 0, -1))
        assert np.abs(first[:, :, i] - (ahead - behind) / (2 * step)).max() < 1e-3 * scale
        assert np.abs(second[:, :, i] - (ahead - 2 * here + behind) / step**2).max() < 3e-2 * scale
    assert scale > 1


@pytest.mark.parametrize("settings", [dict(), dict(loss=kan.KanLoss("mae", l1=1e-3, entropy=1e-4, smooth=1e-3), weight_decay=0.1)], ids=str)
def test_a_hundred_steps_are_those_of_numpy(gpu, cpu, settings):
    x = crowded(33)
    y, losses, states = np.sin(3 * x).astype(np.float32), [], []
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        network = make(device, base="silu", adaptive=None, dtype=dtype)
        network.layers[0].set_grid(random_knots(np.random.default_rng(0), 3, 6, inputs=2), network.layers[0].coefficients.numpy())
        network.layers[1].set_grid(random_knots(np.random.default_rng(1), 3, 6, inputs=3), network.layers[1].coefficients.numpy())
        found = [network.train_step(x, y, **settings) for _ in range(100)]
        losses.append([v.item() for v in (found[0], found[-1])])
        states.append(network.state_dict())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][1] < losses[0][0]
    for name, values in states[1].items():
        assert np.linalg.norm(states[0][name] - values) <= 2e-3 * np.linalg.norm(values) + 1e-6, name


def test_a_recorded_step_replays_and_notices_moved_knots(gpu):
    network, x = make(gpu), crowded(64)
    y = np.sin(x)
    step = kan.KanStep(network)
    losses = [step(x, y).item() for _ in range(20)]
    assert losses[-1] < losses[0]
    for difference in step._whole.verify(gpu.tensor(x), gpu.tensor(y)):
        assert difference.relative_l2 < 1e-5, difference
    network.update_grid(x, adaptive=0.3)
    with pytest.raises(ConfigError, match="grids or parameters of the network have changed"):
        step(x, y)
    for adaptive in (0.9, None, 0.2):
        network.update_grid(x, adaptive=adaptive)
        network.refine(network.layers[0].grid.size + 3)
        losses += [network.train_step(x, y).item() for _ in range(10)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_whole_trainings(gpu, tmp_path):
    network, x = make(gpu), crowded(128)
    y = np.sin(3 * x)
    options = dict(batch_size=32, lr=0.02, checkpoint_dir=tmp_path)
    history = kan.fit(network, x, y, epochs=6, **options)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    other = make(gpu)
    kan.fit(other, x, y, epochs=6, resume=True, **options)
    assert np.array_equal(other(x).numpy(), network(x).numpy())
    optimizer = optim.LBFGS(network.parameters())
    inputs, targets = gpu.tensor(x), gpu.tensor(y)

    @gc.Pipeline
    def evaluate(x, y):
        with gc.GradientTape() as tape:
            loss = gc.ops.mse_loss(network(x), y)
        return [loss, *tape.gradient(loss, network.parameters())]

    for _ in range(2):
        loss = optimizer.step(lambda: evaluate(inputs, targets))
    assert float(loss) < 0.3 * history["loss"][-1]


def test_what_is_no_number_stays_so_and_far_inputs_clamp(gpu):
    network = make(gpu)
    low, high = network.layers[0].grid.ends
    y = network(np.array([[np.nan, 0], [np.inf, -np.inf], [high[0], low[1]], [1e30, -1e30], [0.1, 1e-42]], np.float32)).numpy()
    assert np.isnan(y[0]).all()
    assert (y[1] == y[2]).all()
    assert (y[3] == y[2]).all()
    assert np.isfinite(y[1:]).all()


def test_sizes_are_counted_and_a_batch_too_large_is_refused(gpu):
    device = gc.device(gpu.info.index, vram_limit="4MiB")
    network = make(device, hidden=(32,), x=crowded())
    knots = sum(layer.grid.knots.nbytes for layer in network.layers)
    assert network.memory_estimate(5).parameters == device.memory.in_use >= 4 * network.parameter_count() + knots
    with pytest.raises(OutOfVramError, match=r"a batch of 1,000,000 .* would fit"):
        network.check_room("forward", 1_000_000)
    big = gc.device(gpu.info.index)
    network = kan.KanNetwork(kan.KanConfig(40, (64,), 24, seed=1), device=big)
    network.update_grid(np.random.default_rng(0).normal(size=(100, 40)), adaptive=0.9)
    estimate, x = network.memory_estimate(512), big.tensor(np.zeros((512, 40), np.float32))
    big.pool.reset_peak()
    before = big.memory.in_use
    network.train_step(x, big.tensor(np.zeros((512, 24), np.float32))).numpy()
    assert 0.3 * estimate.training < big.memory.peak - before < 2 * estimate.training
