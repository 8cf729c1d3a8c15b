"""The measures of what edges do, against plain NumPy, finite differences, and in training."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient
from scipy.interpolate import BSpline

import gpucore as gc
from gpucore import train
from gpucore.errors import ConfigError, OutOfVramError
from gpucore.systems import kan
from gpucore.systems.kan import activations
from kernels_ref.spline import knots as uniform_knots

MASK = np.array([[1, 0], [0, 0], [0.5, 2], [1, 1], [0, 0], [0, 3], [1, 1], [1, 1], [0, 0]])


def make(device, *, base=None, uneven=False, dtype="float32", degree=3):
    config = kan.KanConfig(3, (4,), 2, grid_size=4, degree=degree, base=base, seed=3, grid_range=(-1, 1))
    network = kan.KanNetwork(config, device=device, dtype=dtype)
    if uneven:
        network.update_grid(points(200), adaptive=0.7)
    return network


def points(n=9, seed=0):
    return np.random.default_rng(seed).uniform(-1.1, 1.1, (n, 3)).astype(np.float32)


def edges_by_scipy(layer, x):
    """[n, out, in] from the parameters, by scipy's splines."""
    c, grid = layer.coefficients.numpy().astype(np.float64), layer.grid
    rows = (
        grid.knots
        if isinstance(grid, kan.AdaptiveGrid)
        else uniform_knots(grid.degree, grid.size, grid.range)[None].repeat(layer.inputs, 0)
    )
    found = np.zeros((len(x), layer.outputs, layer.inputs))
    for i, row in enumerate(rows.astype(np.float64)):
        z = np.clip(x[:, i], row[grid.degree], row[-grid.degree - 1])
        found[:, :, i] = BSpline(row, c[:, i].T, grid.degree)(z)
    if layer.base is not None:
        found += layer.base.numpy() * (x / (1 + np.exp(-x)))[:, None, :]
    return found


def formula(network, x, counted, l1, entropy):
    """Equations 2.17 to 2.20."""
    total = 0.0
    for layer, z in zip(network.layers, network.layer_inputs(x), strict=False):
        norms = (np.abs(edges_by_scipy(layer, z.numpy().astype(np.float64))) * counted[:, None, None]).sum(axis=0) / counted.sum()
        q = norms / norms.sum()
        total += l1 * norms.sum() - entropy * (q * np.log(q)).sum()
    return total


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("base", [None, "silu"])
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_that_of_the_paper(gpu, cpu, base, uneven, masked):
    x, y = points(), np.zeros((9, 2), np.float32)
    loss, plain = kan.KanLoss("mae", activation_l1=0.3, activation_entropy=0.2), kan.KanLoss("mae")
    counted = (MASK > 0).any(axis=1).astype(float) if masked else np.ones(9)
    assert counted.sum() == (6 if masked else 9)
    for device, dtype, rel in ((cpu, "float64", 1e-9 if not uneven else 1e-6), (gpu, "float32", 1e-5)):
        network = make(device, base=base, uneven=uneven, dtype=dtype)
        given = [device.tensor(a, dtype) for a in (x, y, MASK)][: 3 if masked else 2]
        more = formula(network, given[0], counted, 0.3, 0.2)
        assert loss.of_network(network, *given).item() - plain.of_network(network, *given).item() == pytest.approx(more, rel=rel, abs=1e-6)
        assert more > 0.1


@pytest.mark.parametrize("block", [16 << 20, 1])
@pytest.mark.parametrize("uneven", [False, True])
def test_gradients(gpu, cpu, monkeypatch, uneven, block):
    monkeypatch.setattr(activations, "BLOCK_BYTES", block)
    layers = {
        device: make(device, base="silu", uneven=uneven, dtype=dtype).layers[0] for device, dtype in ((gpu, "float32"), (cpu, "float64"))
    }
    c, base = (p.numpy() for p in (layers[cpu].coefficients, layers[cpu].base))
    x, counted = points(4, seed=5).astype(np.float64) * 0.8, np.array([1.0, 0, 2, 0.5])

    def measure(x, c, base, counted):
        layer = layers[x.device]
        layer.coefficients, layer.base = c, base
        sizes = kan.edge_l1(layer, x, counted)
        return gc.ops.sum(sizes * 0.3) + activations.entropy(sizes)

    check_gradient(gpu, measure, x, c, base, counted, wrt=[0, 1, 2])


def test_second_derivatives(gpu, cpu):
    """The slope of the measure by the inputs, differentiated by the coefficients: as a loss on derivatives would."""
    layers = {device: make(device, dtype=dtype).layers[0] for device, dtype in ((gpu, "float32"), (cpu, "float64"))}

    def slope(x, c):
        layers[x.device].coefficients = c
        with gc.GradientTape() as tape:
            total = gc.ops.sum(kan.edge_l1(layers[x.device], x))
        return tape.gradient(total, [x])[0]

    check_gradient(gpu, slope, points(3).astype(np.float64) * 0.8, layers[cpu].coefficients.numpy())


def test_blocks_change_no_more_than_rounding_and_bound_the_memory(gpu, monkeypatch):
    device = gc.device(gpu.info.index)
    network, x = kan.KanNetwork(kan.KanConfig(6, (), 40), device=device), device.tensor(np.random.default_rng(0).uniform(-1, 1, (900, 6)))
    layer = network.layers[0]

    def run(block):
        monkeypatch.setattr(activations, "BLOCK_BYTES", block)
        estimate = activations.working_bytes(6, 40, 8, 900)
        device.pool.reset_peak()
        before = device.memory.in_use
        with gc.GradientTape() as tape:
            sizes = kan.edge_l1(layer, x)
            total = gc.ops.sum(sizes * sizes)
        found = [t.numpy() for t in (sizes, *tape.gradient(total, [x, layer.coefficients]))]
        peak = device.memory.peak - before
        assert 0.3 * estimate < peak < 1.5 * estimate + 200_000
        return found, peak

    (whole, much), (parts, less) = run(16 << 20), run(200_000)
    for a, b in zip(whole, parts, strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-6)
    assert less < 0.5 * much


def test_entropy_counts_edges():
    cpu = gc.device("cpu")
    assert activations.entropy(cpu.tensor(np.ones((3, 4)), "float64")).item() == pytest.approx(np.log(12))
    one = np.zeros((3, 4))
    one[1, 2] = 5
    assert activations.entropy(cpu.tensor(one, "float64")).item() == pytest.approx(0, abs=1e-12)
    assert activations.entropy(cpu.tensor(one * 0, "float64")).item() == 0


@pytest.mark.parametrize("uneven", [False, True])
def test_training_steps_are_those_of_numpy(gpu, cpu, uneven):
    x = points(30)
    y, losses, states = np.sin(2 * x[:, :2]).astype(np.float32), [], []
    mask = np.ones_like(y)
    mask[::4] = 0
    loss = kan.KanLoss(activation_l1=1e-2, activation_entropy=1e-2)
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        network = make(device, base="silu", uneven=uneven, dtype=dtype)
        found = [network.train_step(x, y, mask=mask, loss=loss) for _ in range(60)]
        losses.append([v.item() for v in (found[0], found[-1])])
        states.append(network.state_dict())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][1] < losses[0][0]
    for name, values in states[1].items():
        assert np.linalg.norm(states[0][name] - values) <= 2e-3 * np.linalg.norm(values) + 1e-6, name


def test_training_with_them_leaves_fewer_edges(gpu):
    """y depends on x_0 alone: the edges from the other inputs shrink, which the data's loss alone does not ask for."""
    x = points(200, seed=1)
    y = np.sin(2 * x[:, :1]).astype(np.float32)

    def idle(loss):
        network = kan.KanNetwork(kan.KanConfig(3, (), 1, grid_range=(-1.1, 1.1)), device=gpu)
        history = kan.fit(network, x, y, epochs=25, batch_size=50, lr=0.05, loss=loss, validation=(x, y))
        assert history["val_loss"][-1] < 0.02
        return kan.edge_l1(network.layers[0], gpu.tensor(x)).numpy()[0, 1:].sum(), history

    without, plain = idle("mse")
    shrunk, history = idle(kan.KanLoss(activation_l1=0.05, activation_entropy=0.05))
    assert shrunk < 0.2 * without
    assert history["loss"][-1] > history["val_loss"][-1] + 0.02  # the measures belong to training alone
    assert plain["loss"][-1] == pytest.approx(plain["val_loss"][-1], abs=0.01)


def test_what_does_not_fit_is_one_sentence(gpu):
    device = gc.device(gpu.info.index, vram_limit="24MiB")
    network = kan.KanNetwork(kan.KanConfig(64, (), 64), device=device)
    x, y = np.zeros((512, 64)), np.zeros((512, 64))
    network.train_step(x, y)
    step = kan.KanStep(network, loss=kan.KanLoss(activation_l1=1e-3))
    held = device.memory.in_use
    with pytest.raises(OutOfVramError, match=r"a batch of 512 needs about .* are free; one of [\d,]+ would fit") as caught:
        step(x, y)
    fits = int(str(caught.value).split("one of ")[1].split(" ")[0])
    with pytest.raises(OutOfVramError, match=r"KanNetwork\.train_step: a batch of 512 needs"):  # that went before without the measures
        network.train_step(x, y, loss=kan.KanLoss(activation_l1=1e-3))
    with pytest.raises(OutOfVramError, match=r"KanNetwork\.fit: a batch of 512 needs"):
        kan.fit(network, x, y, epochs=1, batch_size=512, loss=kan.KanLoss(activation_entropy=1e-3))
    assert device.memory.in_use == held
    assert np.isfinite(step(x[:fits], y[:fits]).item())
    assert kan.KanLoss().working_bytes(network, 512) == 0


def test_wrong_weights_have_their_sentence():
    for name in ("activation_l1", "activation_entropy"):
        with pytest.raises(ConfigError, match=f"KanLoss: {name} is -1; wants a number of 0 or more"):
            kan.KanLoss(**{name: -1})


def test_a_trainer_takes_a_loss_that_looks_at_the_model(gpu):
    network, x = make(gpu), points(8)

    class Loss:
        def __call__(self, output, y):
            return gc.ops.mse_loss(output, y)

        def of_model(self, model, x, y):
            return self(model(x), y) + 5.0

    network_loss = train.Trainer(network, gc.optim.SGD(network.parameters(), 0.0), Loss())
    batch = [(gpu.tensor(x), gpu.tensor(x[:, :2]))]
    history = network_loss.fit(batch, epochs=1, validation=batch, progress=False)
    assert history["loss"][0] == pytest.approx(history["val_loss"][0] + 5, rel=1e-5)
