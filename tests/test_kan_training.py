from __future__ import annotations

import gc as collector
import weakref

import numpy as np
import pytest

import gpucore as gc
from gpucore import optim, train
from gpucore.errors import ConfigError, DeviceMismatchError, DTypeError, ShapeError
from gpucore.systems import kan

CONFIG = kan.KanConfig(2, (5,), 1, seed=1, grid_range=(-1.5, 1.5))


def problem(n=64, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)
    return x, np.exp(np.sin(np.pi * x[:, :1]) + x[:, 1:] ** 2).astype(np.float32)


def make(device, config=CONFIG, **options):
    return kan.KanNetwork(config, device=device, **options)


def same(network, state):
    return all(np.array_equal(v, state[k]) for k, v in network.state_dict().items())


# ---- one step

STEPS = [
    dict(), dict(optimizer="sgd", lr=0.05, max_grad_norm=0.5, weight_decay=0.01),
    dict(optimizer="momentum", loss="huber", max_grad_norm=1.0),
    dict(loss=kan.KanLoss("mae", l1=1e-3, entropy=1e-4, smooth=1e-3), weight_decay=0.1),
]  # fmt: skip


@pytest.mark.parametrize("settings", STEPS, ids=str)
@pytest.mark.parametrize("base", [None, "silu"])
def test_a_hundred_steps_are_those_of_numpy(gpu, cpu, settings, base):
    x, y = problem(33)
    mask = np.ones_like(y)
    mask[::3] = 0
    config = kan.KanConfig(2, (4,), 1, seed=1, base=base, mean=0.1, std=0.8)
    losses, states = [], []
    for network in (make(gpu, config), make(cpu, config, dtype="float64")):
        found = [network.train_step(x, y, mask=mask, **settings) for _ in range(100)]
        losses.append([v.item() for v in (found[0], found[-1])])
        states.append(network.state_dict())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][1] < losses[0][0]
    for name, values in states[1].items():
        assert np.linalg.norm(states[0][name] - values) <= 2e-3 * np.linalg.norm(values) + 1e-6, name


def test_a_step_is_one_recording_per_shape(gpu):
    network, (x, y) = make(gpu), problem()
    loss = network.train_step(x, y)
    assert loss.shape == ()
    assert isinstance(loss, gc.Tensor)
    step = network._steps.first
    for n in (64, 31, 64, 1, 31):
        network.train_step(x[:n], y[:n])
    assert network._steps.first is step
    assert len(step._whole._recorded) == 3
    for difference in step._whole.verify(gpu.tensor(x), gpu.tensor(y)):
        assert difference.relative_l2 < 1e-5, difference
    assert step.optimizer.steps == 7


def test_two_trainings_give_the_same_bits(gpu):
    x, y = problem()
    states = []
    for _ in range(2):
        network = make(gpu)
        for _ in range(5):
            network.train_step(x, y, max_grad_norm=1.0)
        states.append(network.state_dict())
    assert all(np.array_equal(states[0][k], v) for k, v in states[1].items())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "momentum"])
def test_a_rate_of_0_changes_nothing(gpu, optimizer):
    network, (x, y) = make(gpu), problem()
    before = network.state_dict()
    decay = 0.0 if optimizer == "momentum" else 0.5
    for _ in range(3):
        network.train_step(x, y, optimizer=optimizer, lr=0.0, weight_decay=decay)
    assert same(network, before)
    network.train_step(x, y, optimizer=optimizer, lr=0.1, weight_decay=decay)
    assert not same(network, before)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_decay_shrinks_coefficients_alone(gpu, optimizer):
    """A target that is met: the gradients are 0, and only the decay is left."""
    network = make(gpu, kan.KanConfig(2, (3,), 2, base="silu", seed=4))
    network.layers[0].bias.assign(np.array([0.5, -0.5, 0.1], np.float32))
    x = problem()[0]
    before = network.state_dict()
    network.train_step(x, network(x), optimizer=optimizer, lr=0.1, weight_decay=0.5)
    for name, values in network.state_dict().items():
        factor = 0.95 if name.endswith("coefficients") else 1.0
        assert values == pytest.approx(factor * before[name], rel=1e-6), name


def test_gradients_are_clipped(gpu):
    network, (x, y) = make(gpu), problem()
    before = network.state_dict()
    network.train_step(x, 100 * y, optimizer="sgd", lr=1.0, max_grad_norm=0.01)
    moved = np.sqrt(sum(((v - before[k]) ** 2).sum() for k, v in network.state_dict().items()))
    assert moved == pytest.approx(0.01, rel=1e-3)
    assert network._steps.first.optimizer.last_grad_norm.item() > 1


def test_a_thousand_steps_do_not_blow_up(gpu):
    network, (x, y) = make(gpu, kan.KanConfig(2, (2,), 1, seed=3)), problem(16)
    x, y = gpu.tensor(x), gpu.tensor(y)
    losses = [network.train_step(x, y, lr=0.02) for _ in range(1000)]
    values = [v.item() for v in losses[::50]]
    assert np.isfinite(values).all()
    assert values[-1] < 0.05 * values[0]


def test_frozen_layers_stay(gpu):
    network, (x, y) = make(gpu), problem()
    network.layers[0].freeze()
    before = network.state_dict()
    network.train_step(x, y, weight_decay=0.1)
    changed = [k for k, v in network.state_dict().items() if not np.array_equal(v, before[k])]
    assert changed == ["layers.1.coefficients", "layers.1.bias"]


def test_an_optimizer_of_ones_own(gpu):
    network, (x, y) = make(gpu), problem()
    own = optim.Adam(network.parameters(), lr=0.01, max_grad_norm=1.0)
    network.train_step(x, y, optimizer=own)
    network.train_step(x, y, optimizer=own, loss="mae")
    assert own.steps == 2
    with pytest.raises(ConfigError, match="belong to the optimizer"):
        network.train_step(x, y, optimizer=own, weight_decay=0.1, lr=0.1)
    network.refine(10)
    with pytest.raises(ConfigError, match=r"does not have layers\.0\.coefficients; make it .*, anew after refine"):
        network.train_step(x, y, optimizer=own)


def test_a_step_of_moved_grids_is_not_replayed(gpu):
    network, (x, y) = make(gpu), problem()
    step = kan.KanStep(network)
    step(x, y)
    network.update_grid(x)
    with pytest.raises(ConfigError, match="have changed since"):
        step(x, y)
    step = kan.KanStep(network)
    step(x, y)
    optim.SGD(network.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="have changed since"):
        step(x, y)
    network.train_step(x, y)


def test_what_was_recorded_is_let_go_when_the_network_changes(gpu):
    changes = (
        lambda n, x: n.refine(9), lambda n, x: n.update_grid(x), lambda n, x: n.remove_edge(0, 0, 0),
        lambda n, x: n.fix_symbolic(0, 1, 0, "sin"), lambda n, x: n.unfix_symbolic(0, 1, 0),
    )  # fmt: skip
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 1), device=gpu)
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
    for change in changes:
        network.train_step(x, x[:, :1])
        step = weakref.ref(network._steps.first)
        change(network, x)
        assert step() is None, "its optimizer would stay on the device until the next step"


def test_the_guard_names_step_and_tensor(gpu, cpu):
    for device in (gpu, cpu):
        network, (x, y) = make(device), problem()
        plain = make(device)
        for _ in range(3):
            a, b = network.train_step(x, y, nan_guard=True), plain.train_step(x, y)
            assert a.item() == b.item()
        assert same(network, plain.state_dict())
        before = network.state_dict()
        bad = x.copy()
        bad[3, 1] = np.nan
        with pytest.raises(train.TrainingDivergedError, match=r"in step 3 the loss and the gradient of .* is not finite; nothing"):
            network.train_step(device.tensor(bad), y, nan_guard=True)
        assert same(network, before)
        network.layers[1].bias.assign(np.array([np.inf], np.float32))
        with pytest.raises(train.TrainingDivergedError, match=r"in step 3 layers\.1\.bias is not finite"):
            network.train_step(x, y, nan_guard=True)


# ---- bad input


def test_bad_input_changes_nothing(gpu, cpu):
    network, (x, y) = make(gpu), problem(8)
    network.train_step(x, y)
    before, steps = network.state_dict(), network._steps.first.optimizer.steps
    holed, gap = x.copy(), y.copy()
    holed[5, 1], gap[6, 0] = np.nan, np.inf
    for given, error, sentence in (
        ((x[:, :1], y), ShapeError, r"KanNetwork\.train_step: x has shape \(8, 1\); wants \[n, 2\]"), ((x[0], y), ShapeError, r"\[n, 2\]"),
        ((x[:0], y[:0]), ShapeError, "empty"), ((x, y[:7]), ShapeError, r"y has shape \(7, 1\); wants \(8, 1\)"),
        ((x, np.hstack([y, y])), ShapeError, r"y has shape \(8, 2\)"), ((holed, y), DTypeError, "row 5, column 1 of x is nan"),
        ((x, gap), DTypeError, "row 6, column 0 of y is inf"), ((x, y, y[:5]), ShapeError, r"the mask has shape \(5, 1\) and y \(8, 1\)"),
        ((x, y, -y), DTypeError, "the mask holds -"), ((x, y, y * np.nan), DTypeError, "row 0, column 0 of mask is nan"),
        ((x.astype("U3"), y), DTypeError, "wants numbers"), ((gpu.tensor(x > 0), y), DTypeError, "x is bool; wants float32"),
        ((x, gpu.tensor(y.astype(np.int32))), DTypeError, "y is int32"), ((cpu.tensor(x), y), DeviceMismatchError, "x is on 'cpu'"),
        ((x, gpu.tensor(y), gpu.tensor(y[:5])), ShapeError, "the mask has shape"), (([[1, 2], [3]], y), ShapeError, "differ in length"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence) as caught:
            network.train_step(*given[:2], mask=given[2] if len(given) > 2 else None, optimizer="sgd")
        assert "\n" not in str(caught.value)
    for settings, sentence in (
        (dict(optimizer="lion"), "optimizer is 'lion'; wants one of adam"), (dict(loss="l3"), "loss is 'l3'"), (dict(lr=-1), "lr is -1"),
        (dict(weight_decay=-1), "weight_decay is -1"), (dict(max_grad_norm=0), "max_grad_norm is 0"),
        (dict(optimizer="momentum", weight_decay=0.1), "carry weight decay along"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            network.train_step(x, y, **settings)
    assert same(network, before)
    network.train_step(x, y)
    assert network._steps.first.optimizer.steps in (1, steps + 1)


def test_targets_that_are_no_classes(gpu):
    network = make(gpu, kan.KanConfig(2, (), 3))
    x = problem(4)[0]
    for y, error, sentence in (
        ([0, 1, 3, 0], DTypeError, r"row 2 of y is 3; wants whole class numbers from 0 to 2"),
        ([0, -1, 1, 0], DTypeError, "row 1 of y is -1"),
        ([0, 1, 0.5, 0], DTypeError, "row 2 of y is 0.5"), ([[0], [1], [0], [2]], ShapeError, r"one class number per sample, \(4,\)"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            network.train_step(x, np.array(y), loss="cross_entropy")
        with pytest.raises(error, match=sentence):
            kan.fit(network, x, np.array(y), loss="cross_entropy", epochs=1)
    assert np.isfinite(network.train_step(x, np.array([0.0, 1, 2, 0]), loss="cross_entropy", mask=np.array([1, 0, 1, 1])).item())


# ---- the optimizer on the host, and what is kept


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_optimizer_on_the_host_is_the_same(gpu, optimizer):
    x, y = problem(33)
    settings = dict(optimizer=optimizer, lr=0.02, max_grad_norm=1.0, weight_decay=0.01)
    here, there = make(gpu), make(gpu)
    for _ in range(100):
        a = here.train_step(x, y, **settings)
        b = there.train_step(x, y, optimizer_device="cpu", nan_guard=True, **settings)
    assert b.item() == pytest.approx(a.item(), rel=2e-3)
    for name, values in there.state_dict().items():
        assert np.linalg.norm(values - here.state_dict()[name]) <= 2e-3 * np.linalg.norm(values) + 1e-6, name
    assert there._steps.first.optimizer.steps == 100
    assert there._steps.first.optimizer.params[0].device.is_cpu
    before = there.state_dict()
    there.train_step(x, y, optimizer_device="cpu", nan_guard=True, **(settings | {"lr": 0.0}))
    assert same(there, before)
    with pytest.raises(ConfigError, match="optimizer_device is 'gpu'"):
        here.train_step(x, y, optimizer_device="gpu")
    with pytest.raises(ConfigError, match="goes with an optimizer by name"):
        here.train_step(x, y, optimizer=optim.SGD(here.parameters(), lr=0.1), optimizer_device="cpu")


def test_a_copy_trains_itself(gpu):
    network, (x, y) = make(gpu), problem()
    network.train_step(x, y)
    copied = network.to(gpu)
    assert network._steps is not None
    assert copied._steps is None, "the other's optimizer would live as long as the copy"
    before = network.state_dict()
    copied.train_step(x, y)
    assert same(network, before)
    assert not same(copied, before)


def test_a_network_that_was_trained_is_freed_at_once(gpu):
    x, y = problem()
    network = make(gpu)
    network.train_step(x, y)
    kan.fit(network, x, y, epochs=1)
    network.train_step(x, y, nan_guard=True)
    alone = kan.KanStep(network)
    gone = weakref.ref(network)
    collector.disable()
    try:
        del network
        assert gone() is None
    finally:
        collector.enable()
    with pytest.raises(ConfigError, match="its network is gone"):
        alone(x, y)
