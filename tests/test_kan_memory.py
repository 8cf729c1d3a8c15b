"""The memory of a KAN: what is estimated is what is used, nothing grows, and what is refused costs nothing."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError, OutOfVramError
from gpucore.memory import bucket_size
from gpucore.ops import spline_knots
from gpucore.ops.linalg import product_workspace
from gpucore.systems import kan

LIMITS = count(6 << 20, 4)


KINDS = ["own", "discrete"]


def opened(gpu, kind, limit):
    """A device of its own, which no other test has: kernels and their parts are chosen by its kind, whatever the adapter is."""
    device = gc.device(gpu.info.index, vram_limit=limit)
    device.kind = gpu.kind if kind == "own" else kind
    return device


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    """The adapter's own way of running a layer, and that of hardware: on tables, with split sums, on gradients where they lie."""
    return request.param


@pytest.fixture(scope="module")
def device(gpu, kind):
    """A device of each kind with room for everything."""
    return opened(gpu, kind, (1 << 30) + 4 * KINDS.index(kind))


def limited(gpu, kind="own"):
    """A device of its own with 6 MiB: devices with the same limit are the same."""
    return opened(gpu, kind, next(LIMITS))


def batch_of(device, config, n, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, config.input_dim)).astype(np.float32)
    return device.tensor(x), device.tensor(np.zeros((n, config.output_dim), np.float32))


def used(device):
    m = device.memory
    return m.in_use, m.pooled, m.allocations


# ---- estimates

ESTIMATED = [
    ((2, 5, 1), 4096, {}), ((21, 64, 64, 24), 1, {}), ((21, 64, 64, 24), 33, {}), ((21, 64, 64, 24), 512, {}),
    ((784, 64, 10), 64, {}), ((40, 131, 24), 256, {}), ((3, 300, 260), 200, {}), ((21, 64, 24), 256, dict(grid_size=64)),
    ((21, 64, 24), 256, dict(grid_size=2, degree=1)), ((21, 64, 24), 256, dict(grid_size=20, degree=6)),
    ((64, 32), 300, dict(mean=0.5, std=2.0)), ((24, 40), 16, dict(grid_size=30, degree=1)), ((1, 16, 16, 16), 65536, {}),
]  # fmt: skip


@pytest.mark.parametrize("base", [None, "silu"])
@pytest.mark.parametrize(("widths", "n", "options"), ESTIMATED, ids=str)
def test_what_is_estimated_is_what_is_used(device, widths, n, options, base):
    """The real peak is at most a tenth above the estimate, and at least two thirds of it (a third of it for tiny ones)."""
    config = kan.KanConfig(widths[0], widths[1:-1], widths[-1], base=base, **options)
    others = device.memory.in_use
    network = kan.KanNetwork(config, device=device)
    estimate = network.memory_estimate(n)
    assert estimate == config.memory_estimate(n, kind=device.kind)
    assert device.memory.in_use - others == estimate.parameters >= 4 * config.parameter_count()
    x, y = batch_of(device, config, n)
    device.pool.reset_peak()
    network.forward_async(x).result()
    targets = bucket_size(y.nbytes)  # are there already, and no part of inference
    assert 0.67 * estimate.inference <= device.memory.peak - others - targets <= 1.1 * estimate.inference
    device.pool.reset_peak()
    network.train_step(x, y).item()
    least = 0.67 if estimate.training > 400_000 else 0.33
    assert least * estimate.training <= device.memory.peak - others <= 1.1 * estimate.training


PRODUCTS = [
    (192, 24, 512, {}), (64, 168, 192, dict(transpose_a=True)), (192, 64, 168, dict(transpose_b=True)), (5, 7, 31, {}),
    (1, 40, 7000, {}), (1, 40, 7000, dict(transpose_b=True)), (40, 1, 7000, dict(transpose_a=True)), (40, 1, 7000, {}),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "cols", "inner", "flags"), PRODUCTS, ids=str)
def test_a_product_takes_its_result_and_its_partial_sums(device, rows, cols, inner, flags):
    shapes = ((rows, inner), (inner, cols))
    stored = [s[::-1] if flags.get(f) else s for s, f in zip(shapes, ("transpose_a", "transpose_b"), strict=True)]
    a, b = (device.ones(s) for s in stored)
    gc.ops.matmul(a, b, **flags)  # a vector of ones is kept with the device
    before = device.memory.in_use
    device.pool.reset_peak()
    assert (gc.ops.matmul(a, b, **flags).numpy() == inner).all()
    wanted = [rows * cols, *product_workspace(rows, cols, inner, device.kind, **flags)]
    assert device.memory.peak - before == sum(bucket_size(4 * n) for n in wanted)


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("base", [None, "silu"])
def test_the_estimate_of_layers_with_knots_of_their_own(device, monkeypatch, blocks, base):
    config, n = kan.KanConfig(21, (64,), 24, base=base), 192
    others = device.memory.in_use
    network = kan.KanNetwork(config, device=device)
    network.update_grid(np.random.default_rng(0).normal(size=(300, 21)), adaptive=0.5)
    monkeypatch.setattr(spline_knots, "BLOCK_BYTES", 4 * 64 * 8 * n // blocks)
    x, y = batch_of(device, config, n)
    estimate = network.memory_estimate(n)
    device.pool.reset_peak()
    network.forward_async(x).result()
    assert 0.67 * estimate.inference <= device.memory.peak - others - bucket_size(y.nbytes) <= 1.1 * estimate.inference
    device.pool.reset_peak()
    network.train_step(x, y).item()
    assert 0.67 * estimate.training <= device.memory.peak - others <= 1.1 * estimate.training


@pytest.mark.parametrize("functions", [0, 40])
@pytest.mark.parametrize("base", [None, "silu"])
def test_the_estimate_of_layers_with_edges_that_are_no_splines(device, functions, base):
    config, n = kan.KanConfig(21, (64,), 24, base=base), 192
    others = device.memory.in_use
    network = kan.KanNetwork(config, device=device)
    for layer in network.layers:
        mask = np.ones((layer.outputs, layer.inputs), bool)
        mask[:7, :7] = False
        layer.set_edges(mask, {(k % 7, k // 7): ("sin", (1.0, 0.0, 1.0, 0.0)) for k in range(functions)})
    x, y = batch_of(device, config, n)
    estimate = network.memory_estimate(n)
    assert device.memory.in_use - others - bucket_size(x.nbytes) - bucket_size(y.nbytes) == estimate.parameters
    device.pool.reset_peak()
    network.forward_async(x).result()
    assert 0.6 * estimate.inference <= device.memory.peak - others - bucket_size(y.nbytes) <= 1.1 * estimate.inference
    device.pool.reset_peak()
    network.train_step(x, y).item()
    assert 0.67 * estimate.training <= device.memory.peak - others <= 1.1 * estimate.training


def test_estimates_before_anything_is_made():
    config = kan.KanConfig(784, (64,), 10, base="silu")
    one, more = config.memory_estimate(64), config.memory_estimate(1024)
    assert one.parameters == more.parameters >= 4 * config.parameter_count()
    assert one.training > one.inference > one.parameters
    assert more.training > one.training
    assert config.memory_estimate(64, kind="software") != one
    for bad in (0, -1, 2.5, True):
        with pytest.raises(ConfigError, match=r"batch is .*; wants a whole number of 1 or more"):
            config.memory_estimate(bad)


# ---- nothing grows


@pytest.mark.parametrize("settings", [dict(), dict(nan_guard=True), dict(optimizer_device="cpu")], ids=str)
def test_alternating_batches_take_memory_once_each(gpu, settings):
    device = gc.device(gpu.info.index)
    config = kan.KanConfig(7, (11,), 3, base="silu")
    network = kan.KanNetwork(config, device=device)
    batches = [batch_of(device, config, n) for n in (1, 64, 33)]

    def rounds(count):
        for i in range(count):
            x, y = batches[i % 3]
            network.train_step(x, y, **settings).item()
            network(x).numpy()

    rounds(6)
    device.synchronize()
    before = used(device)
    rounds(51)
    device.synchronize()
    assert used(device) == before


def test_a_smaller_batch_takes_no_more_than_its_own(gpu):
    """Largest first, then ever smaller ones: each is recorded once, within its own estimate."""
    device = gc.device(gpu.info.index)
    config = kan.KanConfig(7, (11,), 3)
    network = kan.KanNetwork(config, device=device)
    for n in (1024, 100, 10):
        x, y = batch_of(device, config, n)
        before = device.memory.in_use
        network.train_step(x, y).item()
        grown = device.memory.in_use - before
        assert grown <= network.memory_estimate(n).activations_training + network.memory_estimate(n).optimizer
        network.train_step(x, y).item()
        assert device.memory.in_use - before == grown


def test_more_batch_sizes_than_are_recorded(gpu):
    """What is beyond the recordings of a Pipeline runs too, with the same numbers as a network that records it."""
    device = gc.device(gpu.info.index)
    config = kan.KanConfig(2, (3,), 1)
    network, other = (kan.KanNetwork(config, device=device) for _ in range(2))
    for n in [*range(1, 19), 18, 5, 17]:
        x, y = batch_of(device, config, n, seed=n)
        loss = network.train_step(x, y)
        if n >= 17:
            other._steps = None if n == 17 else other._steps
            assert np.isfinite(loss.item())
    assert network._steps.first.optimizer.steps == 21
    assert len(network._steps.first._whole._recorded) == 16
    recorded, stepwise = (kan.KanNetwork(config, device=device) for _ in range(2))
    steps = [kan.KanStep(recorded), kan.KanStep(stepwise)]
    steps[1]._whole.max_shapes = 0
    for _ in range(5):
        a, b = (step(x, y) for step in steps)
        assert a.item() == b.item()
    assert all(np.array_equal(v, stepwise.state_dict()[k]) for k, v in recorded.state_dict().items())
    for _ in range(3):
        stepwise.train_step(x, y, nan_guard=True)


# ---- what is refused


def refused(call):
    """The batch that would fit, of the sentence with which a call is refused."""
    with pytest.raises(OutOfVramError, match=r"a batch of [\d,]+ needs about .* are free; one of [\d,]+ would fit") as caught:
        call()
    assert "\n" not in str(caught.value)
    return int(str(caught.value).split("one of ")[1].split(" ")[0].replace(",", ""))


def host(config, n):
    rng = np.random.default_rng(n)
    return rng.uniform(-1, 1, (n, config.input_dim)).astype(np.float32), np.zeros((n, config.output_dim), np.float32)


REFUSED = [
    dict(hidden_dims=(32,), output_dim=8), dict(hidden_dims=(32,), output_dim=8, base="silu"),
    dict(output_dim=64, grid_size=40, degree=2), dict(hidden_dims=(5, 5), grid_size=3, degree=1, mean=0.0, std=2.0),
]  # fmt: skip


@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_the_named_batch_fits_and_one_more_does_not(gpu, kind, options):
    device = limited(gpu, kind)
    config = kan.KanConfig(32, **options)
    network = kan.KanNetwork(config, device=device)
    state, before = network.state_dict(), used(device)
    fits = refused(lambda: network.forward_async(np.zeros((10**6, 32), np.float32)))
    assert used(device) == before
    assert refused(lambda: network.forward_async(host(config, fits + 1)[0])) == fits
    assert network.forward_async(host(config, fits)[0]).result().shape == (fits, config.output_dim)
    fits = refused(lambda: network.train_step(*host(config, 10**5)))
    assert all(np.array_equal(v, state[k]) for k, v in network.state_dict().items())
    assert refused(lambda: network.train_step(*host(config, fits + 1))) == fits
    assert np.isfinite(network.train_step(*host(config, fits)).item())
    assert np.isfinite(network.train_step(*host(config, fits)).item())


def test_a_second_size_is_measured_against_what_the_first_left(gpu, kind):
    device = limited(gpu, kind)
    config = kan.KanConfig(32, (32,), 8)
    network = kan.KanNetwork(config, device=device)
    alone = refused(lambda: network.train_step(*host(config, 10**5)))
    first = host(config, 300)
    network.train_step(*first).item()
    fits = refused(lambda: network.train_step(*host(config, 10**5)))
    assert 0 < fits < alone
    assert refused(lambda: network.train_step(*host(config, fits + 1))) == fits
    steps = network._steps.first.optimizer.steps
    assert np.isfinite(network.train_step(*host(config, fits)).item())
    assert network._steps.first.optimizer.steps == steps + 1
    network.train_step(*first).item()
    config = kan.KanConfig(512, (512,), 8)
    with pytest.raises(OutOfVramError, match="KanNetwork: the parameters need"):
        kan.KanNetwork(config, device=device)


def test_memory_that_ends_within_a_recording_changes_nothing(gpu, monkeypatch):
    """When an estimate should ever be too low, the pool refuses; state, optimizer and the device stay as they were."""
    device = limited(gpu)
    config = kan.KanConfig(32, (32,), 8)
    network = kan.KanNetwork(config, device=device)
    small = host(config, 20)
    network.train_step(*small).item()
    state, held = network.state_dict(), device.memory.in_use
    monkeypatch.setattr(kan.KanNetwork, "check_room", lambda *args, **options: None)
    with pytest.raises(OutOfVramError, match="limit is in use"):
        network.train_step(*host(config, 4000))
    assert device.memory.in_use == held
    assert all(np.array_equal(v, state[k]) for k, v in network.state_dict().items())
    assert network._steps.first.optimizer.steps == 1
    assert np.isfinite(network.train_step(*small).item())
    assert network(small[0]).shape == (20, 8)


def test_the_limit_comes_from_the_device(gpu):
    network = kan.KanNetwork(kan.KanConfig(3), device=gc.device(gpu.info.index))
    assert network.device.memory.limit is None
    network.check_room("forward", 10**9, training=True)
