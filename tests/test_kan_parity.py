"""Networks at the edges of what they take, on the GPU and in float64 on the NumPy device: sizes, degrees, inputs, settings."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError
from gpucore.ops import spline_table
from gpucore.systems import kan

FORWARD, GRADIENT, LOSS = 1e-6, 1e-5, 1e-3
"""Relative distances that the specification allows."""


def l2(got, want):
    """The relative Euclidean distance; the absolute one from zeros."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return np.linalg.norm(got - want) / (np.linalg.norm(want) or 1.0)


def config_of(widths, **options):
    return kan.KanConfig(widths[0], widths[1:-1], widths[-1], **({"grid_range": (-2, 2), "seed": 4} | options))


def pair(gpu, cpu, widths, **options):
    """A network on the GPU and the same in float64."""
    network = kan.KanNetwork(config_of(widths, **options), device=gpu)
    twin = kan.KanNetwork(network.config, device=cpu, dtype="float64")
    twin.load_state_dict(network.state_dict())
    return network, twin


def gradients(network, x, seed):
    """[outputs, gradients to the input and to every parameter]."""
    kind = network.dtype.host
    given = network.device.tensor(x.astype(kind), network.dtype)
    with gc.GradientTape() as tape:
        y = network(given)
    found = tape.gradient(y, [given, *network.parameters()], seed=network.device.tensor(seed.astype(kind), network.dtype))
    return [t.numpy() for t in (y, *found)]


def check(networks, x, seed):
    (got, *slopes), (want, *truths) = (gradients(network, x, seed) for network in networks)
    assert l2(got, want) <= FORWARD
    for slope, truth in zip(slopes, truths, strict=True):
        assert l2(slope, truth) <= GRADIENT
    return got, slopes


def draw(rng, widths, n):
    return rng.normal(0, 1.2, (n, widths[0])).astype(np.float32), rng.normal(size=(n, widths[-1])).astype(np.float32)


# ---- sizes, degrees, grids

SIZES = [
    ((3, 4, 2), 33, dict(degree=p, grid_size=g)) for p in range(1, 7) for g in (2, 20, 64)
] + [
    *[((5, 7, 3), n, dict(base="silu")) for n in (1, 2, 31, 32, 33, 64, 4096)], ((7, 13, 11, 3), 33, {}), ((1, 1), 1, {}),
    ((127, 131, 7), 37, dict(base="silu")), ((13, 1024, 3), 17, dict(base="silu")), ((2, 1031), 64, {}), ((1024, 5), 1, {}),
    ((1024, 5), 2, {}), ((1024, 5), 64, {}), ((1024, 3), 33, dict(grid_size=64)), ((4, 3), 33, dict(mean=0.3, std=(0.5, 1, 2, 4))),
]  # fmt: skip
TABLES = [((5, 7, 3), 33, dict(base="silu")), ((1024, 5), 64, dict(base="silu")), ((13, 257, 3), 130, dict(base="silu"))]


@pytest.mark.parametrize(("widths", "n", "options"), SIZES, ids=str)
def test_forward_and_gradients(gpu, cpu, rng, widths, n, options):
    check(pair(gpu, cpu, widths, **options), *draw(rng, widths, n))


@pytest.mark.parametrize(("widths", "n", "options"), TABLES, ids=str)
def test_forward_and_gradients_on_tables(gpu, cpu, rng, monkeypatch, widths, n, options):
    """As hardware computes; sums are as long as they get there, since nothing is split for want of work."""
    monkeypatch.setitem(spline_table.TABLED, "software", True)
    monkeypatch.setattr(spline_table, "WORKGROUPS", {64: 1, 128: 1})
    check(pair(gpu, cpu, widths, **options), *draw(rng, widths, n))


@pytest.mark.gpu_large
@pytest.mark.parametrize(("widths", "n"), [((784, 64, 10), 4096), ((256, 1024, 256), 1024), ((1000, 1000, 1000), 512)], ids=str)
def test_forward_and_gradients_of_large_networks(gpu, cpu, rng, widths, n):
    check(pair(gpu, cpu, widths, base="silu"), *draw(rng, widths, n))


@pytest.mark.gpu_large
def test_the_largest_batch_of_the_largest_network(gpu, cpu, rng):
    network, twin = pair(gpu, cpu, (1000, 1000, 1000), base="silu")
    x, _ = draw(rng, (1000, 1000), 4096)
    at = rng.integers(0, 4096, 64)
    assert l2(network(x).numpy()[at], twin(x[at].astype(np.float64)).numpy()) <= FORWARD
    losses = [network.train_step(x, np.zeros((4096, 1000), np.float32), lr=1e-4) for _ in range(20)]
    assert losses[-1].item() < losses[0].item()


# ---- inputs

EXTREME = [0.0, -0.0, 1e-30, -1e-30, 1e-42, -1e-45, 1e30, -1e30, 3e38, 2.0, -2.0, np.inf, -np.inf]


@pytest.mark.parametrize("degree", [1, 3, 6])
@pytest.mark.parametrize("options", [{}, dict(mean=0.5, std=1e-6), dict(base="silu")], ids=str)
def test_extreme_inputs(gpu, cpu, degree, options):
    """One extreme value at a time beside a common one; the gradient to what lies outside the grid is that of the base alone."""
    networks = pair(gpu, cpu, (2, 3, 2), degree=degree, **options)
    values = [v for v in EXTREME if np.abs(v) < 1e29 or "base" not in options]  # silu(1e30) leaves nothing to compare in float32
    x = np.array([[v, 0.3] for v in values], np.float32)
    got, slopes = check(networks, x, np.ones((len(x), 2), np.float32))
    assert np.isfinite(got).all()
    assert np.isfinite(slopes[0]).all()
    if "base" not in options:
        z = x[:, 0].astype(np.float64)
        outside = np.abs((z - 0.5) / 1e-6 if "std" in options else z) > 2
        assert (slopes[0][outside, 0] == 0).all()
        assert outside.any()


@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("base", [None, "silu"])
@pytest.mark.parametrize("tabled", [False, True])
def test_nan_stays_and_only_in_its_row(gpu, cpu, rng, monkeypatch, n, base, tabled):
    monkeypatch.setitem(spline_table.TABLED, "software", tabled)
    network, twin = pair(gpu, cpu, (5, 7, 3), base=base)
    x, seed = draw(rng, (5, 3), n)
    clean = gradients(network, x, seed)
    x[1, 2] = np.nan
    for net in (network, twin):
        y, to_x = gradients(net, x, seed)[:2]
        assert np.isnan(y[1]).all()
        assert np.isfinite(np.delete(y, 1, axis=0)).all()
        assert np.isfinite(np.delete(to_x, 1, axis=0)).all()
        assert np.isnan(to_x[1, 2])
    assert np.array_equal(np.delete(gradients(network, x, seed)[0], 1, axis=0), np.delete(clean[0], 1, axis=0))


# ---- gradients that are zero, or mostly

SPARSE = {"zero": np.s_[0:0], "one row": np.s_[7:8], "one number": np.s_[7:8, 1:2], "one column": np.s_[:, 2:3]}


@pytest.mark.parametrize("where", SPARSE, ids=str)
@pytest.mark.parametrize("n", [9, 33])
def test_sparse_gradients(gpu, cpu, rng, where, n):
    x, full = draw(rng, (5, 3), n)
    seed = np.zeros_like(full)
    seed[SPARSE[where]] = full[SPARSE[where]]
    _, slopes = check(pair(gpu, cpu, (5, 7, 3), base="silu"), x, seed)
    silent = np.flatnonzero((seed == 0).all(axis=1))
    assert (slopes[0][silent] == 0).all()
    if where == "zero":
        assert all((slope == 0).all() for slope in slopes)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "momentum"])
def test_a_mask_of_zeros_changes_nothing(gpu, rng, optimizer):
    network = kan.KanNetwork(config_of((5, 7, 3), base="silu"), device=gpu)
    x, y = draw(rng, (5, 3), 20)
    before = network.state_dict()
    for _ in range(3):
        assert network.train_step(x, y, mask=np.zeros_like(y), optimizer=optimizer, max_grad_norm=1.0).item() == 0
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


# ---- training

TRAINED = [
    dict(), dict(degree=1, grid_size=2), dict(degree=6, grid_size=3), dict(degree=2, grid_size=40), dict(degree=4, base="silu"),
    dict(degree=5, base="silu", mean=0.1, std=2.0),
]  # fmt: skip


def regression(n=33):
    x = np.random.default_rng(8).uniform(-1.8, 1.8, (n, 2)).astype(np.float32)
    return x, np.stack([np.sin(2 * x[:, 0]) * x[:, 1], x[:, 0] ** 2 - x[:, 1]], axis=1).astype(np.float32)


@pytest.mark.parametrize("options", TRAINED, ids=str)
def test_a_hundred_steps_of_every_kind_of_grid(gpu, cpu, options):
    x, y = regression()
    losses = [
        [loss.item() for loss in [network.train_step(x, y, lr=0.01, max_grad_norm=0.5) for _ in range(100)][::11]]
        for network in pair(gpu, cpu, (2, 4, 2), **options)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=LOSS)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("options", TRAINED, ids=str)
def test_every_tensor_of_a_step(gpu, options):
    """Parameters, both moments and the loss of the first and a later step against a step in float64 from the same state."""
    network = kan.KanNetwork(config_of((2, 4, 2), **options), device=gpu)
    x, y = (gpu.tensor(a) for a in regression())
    step = kan.KanStep(network, lr=0.01, max_grad_norm=0.5, weight_decay=0.01)
    for _ in range(2):
        found = step._whole.verify(x, y)
        assert len(found) >= 4
        for difference in found:
            assert difference.relative_l2 <= GRADIENT, difference
        for _ in range(20):
            step(x, y)


def trained(device, x, y, steps=5, widths=(2, 4, 2), options=None, **settings):
    network = kan.KanNetwork(config_of(widths, **(options or {})), device=device)
    for _ in range(steps):
        network.train_step(x, y, **settings)
    return network


def same(a, b):
    return all(np.array_equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_settings_that_do_nothing(gpu, optimizer):
    """No decay, a clip that does not bind, a mask of ones: the same as without them; a clip that binds is not."""
    x, y = regression()
    plain = trained(gpu, x, y, optimizer=optimizer, lr=0.02)
    assert same(plain, trained(gpu, x, y, optimizer=optimizer, lr=0.02, weight_decay=0.0))
    loose = trained(gpu, x, y, optimizer=optimizer, lr=0.02, max_grad_norm=1e9)
    for name, values in loose.state_dict().items():
        assert np.allclose(values, plain.state_dict()[name], rtol=1e-6, atol=1e-7)
    masked = trained(gpu, x, y, optimizer=optimizer, lr=0.02, mask=np.ones_like(y))
    for name, values in masked.state_dict().items():
        assert np.allclose(values, plain.state_dict()[name], rtol=1e-4, atol=1e-5)
    if optimizer == "sgd":
        assert not same(plain, trained(gpu, x, y, optimizer=optimizer, lr=0.02, max_grad_norm=0.1))


def test_a_clip_that_binds_is_that_of_numpy(gpu, cpu):
    x, y = regression()
    for bound in (1e-3, 0.3, 3.0):
        settings = dict(optimizer="sgd", lr=0.5, max_grad_norm=bound)
        networks = pair(gpu, cpu, (2, 4, 2))
        before = networks[0].state_dict()
        for network in networks:
            network.train_step(x, 10 * y, **settings)
        got, want = (network.state_dict() for network in networks)
        moved = np.sqrt(sum(((want[k] - before[k]) ** 2).sum() for k in want))
        assert moved == pytest.approx(0.5 * bound, rel=1e-4)
        for name in want:
            rounding = 2e-7 * np.linalg.norm(want[name])
            gap = np.linalg.norm(got[name] - want[name])
            assert gap <= GRADIENT * np.linalg.norm(want[name] - before[name]) + rounding, name


@pytest.mark.parametrize("tabled", [False, True])
def test_trainings_repeat_bit_for_bit(gpu, monkeypatch, tabled):
    monkeypatch.setitem(spline_table.TABLED, "software", tabled)
    x, y = regression(300)
    options = dict(widths=(2, 37, 2), options=dict(base="silu"), max_grad_norm=0.5, weight_decay=0.01, steps=10)
    a, b = (trained(gpu, x, y, loss=kan.KanLoss("huber", l1=1e-3), **options) for _ in range(2))
    assert same(a, b)
    assert np.array_equal(a(x).numpy(), b(x).numpy())


def test_a_thousand_steps_at_a_high_rate(gpu):
    """Inputs beyond the grid, a fine grid of high degree, a rate at which a net of plain layers would diverge."""
    x, y = regression(24)
    x[:4] *= 50
    network = kan.KanNetwork(config_of((2, 3, 2), degree=5, grid_size=30, base="silu", std=2.0), device=gpu)
    x, y = gpu.tensor(x), gpu.tensor(y)
    losses = [network.train_step(x, y, lr=0.1, max_grad_norm=1.0, loss="huber") for _ in range(1000)]
    values = np.array([v.item() for v in losses[::25]])
    assert np.isfinite(values).all()
    assert values[-8:].max() < values[0]
    assert all(np.isfinite(v).all() for v in network.state_dict().values())


def test_frozen_layers_and_what_lies_below_them(gpu, cpu):
    """A frozen last layer stays and lets the gradient through, the same as in NumPy; a frozen network cannot be trained."""
    x, y = regression()
    networks = pair(gpu, cpu, (2, 4, 2), base="silu")
    for network in networks:
        network.layers[1].freeze()
        before = network.state_dict()
        for _ in range(10):
            network.train_step(x, y, lr=0.01)
        now = network.state_dict()
        changed = sorted(k for k in now if not np.array_equal(now[k], before[k]))
        assert changed == ["layers.0.base", "layers.0.bias", "layers.0.coefficients"]
    a, b = (network.state_dict() for network in networks)
    assert all(l2(a[k], b[k]) <= 1e-5 for k in a)
    networks[0].layers[0].freeze()
    with pytest.raises(ConfigError, match="no parameters to train"):
        networks[0].train_step(x, y)


# ---- from one device to the other


@pytest.mark.parametrize("base", [None, "silu"])
def test_state_goes_over_and_back(gpu, cpu, tmp_path, base):
    """By state, by file, by `to`: the same outputs on both devices, the same bits when it comes back, and training goes on."""
    x, y = regression()
    network = trained(gpu, x, y, options=dict(base=base, std=1.5), lr=0.02)
    network.refine(7)
    network.update_grid(x)
    path = tmp_path / "network.safetensors"
    network.save(path)
    there = [network.to(cpu), kan.KanNetwork.load(path, device=cpu)]
    fresh = kan.KanNetwork(network.config, device=cpu)
    fresh.refine(7)
    fresh.load_state_dict(network.state_dict())
    for other in (*there, fresh):
        assert l2(other(x).numpy(), network(x).numpy()) <= FORWARD
        for _ in range(3):
            other.train_step(x, y, lr=0.01)
    assert all(same(there[0], other) for other in (there[1], fresh))
    network.load_state_dict(fresh.state_dict())
    assert same(network, fresh)
    assert l2(network(x).numpy(), fresh(x).numpy()) <= FORWARD
    assert network.train_step(x, y).item() == pytest.approx(fresh.train_step(x, y).item(), rel=1e-5)


# ---- readbacks


def test_many_results_on_the_way(gpu, rng):
    """Each is of the network as it was when asked, in whatever order they are taken, also while it trains and grids move."""
    network = kan.KanNetwork(config_of((5, 7, 3), base="silu"), device=gpu)
    x, y = draw(rng, (5, 3), 40)
    wanted, pending = [], []
    for k in range(12):
        part = x[: 3 * k + 1]
        wanted.append(network(part).numpy())
        pending.append(network.forward_async(part))
        network.train_step(x, y, lr=0.05) if k != 6 else network.refine(9)
    for k in (11, 0, 5, *range(1, 5), *range(10, 5, -1)):
        assert np.array_equal(pending[k].result(timeout=30), wanted[k])
        assert pending[k].ready()
    assert not np.array_equal(wanted[11][:4], wanted[1])
