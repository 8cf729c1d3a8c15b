from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore import optim
from gpucore.errors import ConfigError, DTypeError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan.edges import attribution, spreads


def points(n=200, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)


def make(device, *hidden, base="silu", outputs=1, **more):
    return kan.KanNetwork(kan.KanConfig(2, hidden or (3,), outputs, base=base, seed=3, **more), device=device)


def weakened(device, layer=0, i=1, j=2, by=1e-4, **more):
    """A network with one edge that does next to nothing, but for a constant."""
    network = make(device, **more)
    held = network.layers[layer]
    c = held.coefficients.numpy()
    c[j, i] = 0.7 + by * c[j, i]
    held.coefficients.assign(c)
    if held.base is not None:
        b = held.base.numpy()
        b[j, i] *= by
        held.base.assign(b)
    return network


@pytest.mark.parametrize("base", [None, "silu"])
def test_edges_and_bias_add_up_to_the_layer(gpu, base):
    network, x = make(gpu, base=base, mean=0.1, std=0.8), points()
    network.fix_symbolic(0, 1, 0, "sin", x)
    network.remove_edge(0, 0, 2)
    values = [t.numpy() for t in network.layer_inputs(x)]
    for k, layer in enumerate(network.layers):
        for j in range(layer.outputs):
            total = sum(network.edge_values(k, i, j, values[k][:, i]) for i in range(layer.inputs)) + layer.bias.numpy()[j]
            assert np.abs(total - values[k + 1][:, j]).max() < 2e-6
    assert (network.edge_values(0, 0, 2, np.linspace(-9, 9, 50)) == 0).all()
    assert network.edge_values(1, 0, 0, [[0.1, 0.2]]).shape == (1, 2)


def test_scores_by_hand(cpu):
    """Two inputs into one node by lines of slope 3 and 1, then a line: over independent inputs, shares 3/√10 and 1/√10."""
    network = kan.KanNetwork(kan.KanConfig(2, (1,), 1, grid_range=(-8, 8), degree=1, grid_size=2), device=cpu)
    network.layers[0].coefficients.assign(np.float32([[[-24, 0, 24], [-8, 0, 8]]]))
    network.layers[1].coefficients.assign(np.float32([[[-4, 0, 4]]]))
    x = np.array([[a, b] for a in np.linspace(-1, 1, 21) for b in np.linspace(-1, 1, 21)])
    found = spreads("test", network, x)
    scores = attribution(found)
    assert scores[1] == pytest.approx(np.array([[1.0]]))
    assert scores[0] == pytest.approx(np.array([[3, 1]]) / np.sqrt(10))
    assert found[0].spread[0] == pytest.approx([3 * x[:, 0].std(), x[:, 1].std()])
    by_distance = spreads("test", network, x, "l1")
    assert by_distance[0].spread[0, 0] == pytest.approx(3 * np.abs(x[:, 0]).mean())


def test_a_weak_edge_goes_and_its_mean_stays(gpu):
    network, x = weakened(gpu), points()
    before = network(x).numpy()
    found = network.prune(x, threshold=1e-3)
    assert [(e.layer, e.i, e.j) for e in found.edges] == [(0, 1, 2)]
    assert (found.left, found.before, found.nodes) == (8, 9, ())
    assert "layer 0: 1 to 2" in str(found)
    assert np.abs(network(x).numpy() - before).max() < 1e-3  # without the constant in the bias it would be far off
    assert not network.layers[0].live()[2, 1]
    assert network.prune(x, threshold=1e-3).edges == ()
    with pytest.raises(ConfigError, match="there is no edge from 1 to 2 in layer 0"):
        network.remove_edge(0, 1, 2)


def test_a_node_goes_with_all_its_edges(gpu):
    network, x = make(gpu), points()
    for values in (network.layers[1].coefficients, network.layers[1].base):
        held = values.numpy()
        held[0, 1] *= 1e-4
        values.assign(held)
    before = network(x).numpy()
    found = network.prune(x, threshold=0, node_threshold=1e-2)
    assert [(n.layer, n.node) for n in found.nodes] == [(0, 1)]
    assert len(found.edges) == 3
    assert np.abs(network(x).numpy() - before).max() < 1e-3


def test_loose_ends_go_as_well(gpu):
    network = make(gpu, 3, 2)
    network.remove_edge(1, 0, 0)
    found = network.remove_edge(1, 0, 1)
    assert {(e.layer, e.i, e.j) for e in found.edges} == {(1, 0, 1), (0, 0, 0), (0, 1, 0)}
    assert found.nodes == ((0, 0),)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_nothing_is_left_and_nothing_is_nan(name, request):
    network, x = make(request.getfixturevalue(name), outputs=2), points()
    found = network.prune(x, threshold=1e9)
    assert found.left == 0
    for _ in range(3):
        assert np.isfinite(float(network.train_step(x, np.zeros((200, 2)), loss=kan.KanLoss(l1=1e-2, entropy=1e-2, smooth=1e-2))))
    network.refine(9)
    network.update_grid(x)
    y = network(x).numpy()
    assert np.isfinite(y).all()
    assert (np.ptp(y, axis=0) == 0).all()
    assert np.isfinite(network.prune(x).left)
    assert [k.r2 for k in network.auto_symbolic(x)] == []


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_a_pruned_edge_stays_0(gpu, optimizer):
    network, x = weakened(gpu), points()
    y = np.sin(3 * x[:, :1])
    if optimizer == "adam":  # an optimizer whose momentum would move the edge on
        own = optim.Adam(network.parameters(), 1e-2)
        for _ in range(3):
            network.train_step(x, y, optimizer=own)
    network.remove_edge(0, 1, 2, x)
    if optimizer == "lbfgs":
        train_all(network, x, y, 5)
    else:
        for _ in range(5):
            network.train_step(x, y, optimizer=own if optimizer == "adam" else "sgd")
    network.refine(8)
    network.update_grid(x)
    network.train_step(x, y)
    assert (network.edge_values(0, 1, 2, np.linspace(-2, 2, 40)) == 0).all()
    changed = x.copy()
    changed[:, 1] += 0.3
    hidden = [network.layers[0](gpu.tensor(v)).numpy() for v in (x, changed)]
    assert np.array_equal(hidden[0][:, 2], hidden[1][:, 2])
    assert not np.allclose(hidden[0][:, 1], hidden[1][:, 1])


def train_all(network, x, y, iterations):
    from gpucore.systems.kan.discovery import train_all

    return train_all(network, x, y.astype(np.float32), iterations)


def test_recordings_end_with_the_mask(gpu):
    network, x = make(gpu), points()
    y = np.sin(3 * x[:, :1])
    step = kan.KanStep(network)
    step(x, y)
    network.remove_edge(0, 0, 0)
    assert not step.fits()
    with pytest.raises(ConfigError, match="have changed since this step was made"):
        step(x, y)
    first = float(network.train_step(x, y))
    assert float(network.train_step(x, y)) < first


def test_gradients_of_a_pruned_network(gpu, cpu):
    """Finite differences in float64 on the NumPy device, then the GPU against it; nothing flows into the pruned edge."""
    network, x = make(gpu), points(31)
    network.remove_edge(0, 1, 1)
    network.fix_symbolic(1, 2, 0, "tanh", points())
    twin = as_float64(network, cpu)
    weights = np.linspace(-1, 2, 31).reshape(31, 1)

    def gradients(net):
        seed = net.device.tensor(weights, net.dtype)
        with gc.GradientTape() as tape:
            y = net(x.astype(net.dtype.host))
        return {k: g.numpy() for k, g in zip(names, tape.gradient(y, list(net.named_parameters().values()), seed=seed), strict=True)}

    names = list(network.named_parameters())
    exact, found = gradients(twin), gradients(network)
    for name, parameter in twin.named_parameters().items():
        values = parameter.numpy()
        flat = np.random.default_rng(0).choice(values.size, min(values.size, 6), replace=False)
        for at in flat:
            sides = []
            for h in (1e-6, -1e-6):
                moved = values.copy()
                moved.reshape(-1)[at] += h
                parameter.assign(moved)
                sides.append(float((twin(x.astype(np.float64)).numpy() * weights).sum()))
            parameter.assign(values)
            assert exact[name].reshape(-1)[at] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-6)
        assert np.linalg.norm(found[name] - exact[name]) <= 1e-5 * max(1, np.linalg.norm(exact[name]))
    assert (found["layers.0.coefficients"][1, 1] == 0).all()
    assert found["layers.0.base"][1, 1] == 0


def as_float64(network, cpu):
    other = kan.KanNetwork(network.config, device=cpu, dtype="float64")
    for mine, its in zip(other.layers, network.layers, strict=True):
        mine.set_grid(its.grid, np.zeros(its.coefficients.shape))
        mine.set_edges(its.host_mask(), its.functions())
    other.load_state_dict(network.state_dict())
    return other


def test_wrong_requests_change_nothing(gpu):
    network = make(gpu)
    before = network.state_dict()
    for call, error, sentence in (
        (lambda: network.prune(points(), threshold=-1), ConfigError, "threshold is -1"),
        (lambda: network.prune(points(), node_threshold=np.nan), ConfigError, "node_threshold is nan"),
        (lambda: network.prune(points(), measure="max"), ConfigError, "measure is 'max'; wants one of std, l1"),
        (lambda: network.prune(np.zeros((3, 3))), ShapeError, r"samples has shape \(3, 3\)"),
        (lambda: network.prune(np.full((3, 2), np.nan)), DTypeError, "row 0, column 0 of samples is nan"),
        (lambda: network.remove_edge(2, 0, 0), ConfigError, "layer is 2; wants a whole number from 0 to 1"),
        (lambda: network.edge_values(0, 2, 0, [0.0]), ConfigError, "i is 2; wants a whole number from 0 to 1 in layer 0"),
        (lambda: network.edge_values(0, 0, True, [0.0]), ConfigError, "j is True"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            call()
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())
    assert list(before) == list(network.state_dict())


@pytest.mark.parametrize(("batch", "hidden", "base"), [(1, 64, None), (40, 64, "silu"), (300, 40, None)])
def test_wide_masked_layers_are_those_of_numpy(gpu, cpu, rng, batch, hidden, base):
    """The kernels for few and many samples and for written-out functions, with half of the edges masked."""
    network = kan.KanNetwork(kan.KanConfig(20, (hidden,), 10, base=base, grid_range=(-2, 2)), device=gpu)
    for layer in network.layers:
        layer.set_edges(rng.random((layer.outputs, layer.inputs)) < 0.5, {})
    twin, x = as_float64(network, cpu), rng.uniform(-1.9, 1.9, (batch, 20)).astype(np.float32)
    seed = rng.normal(size=(batch, 10)).astype(np.float32)
    found = []
    for net in (network, twin):
        with gc.GradientTape() as tape:
            y = net(x.astype(net.dtype.host))
        grads = tape.gradient(y, list(net.named_parameters().values()), seed=net.device.tensor(seed.astype(net.dtype.host), net.dtype))
        found.append([t.numpy().astype(np.float64) for t in (y, *grads)])
    for got, want in zip(*found, strict=True):
        assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want)
    for k, layer in enumerate(network.layers):
        gradient = found[0][1 + list(network.named_parameters()).index(f"layers.{k}.coefficients")]
        assert (gradient[~layer.host_mask()] == 0).all()


def test_the_host_optimizer_takes_masks_and_functions(gpu):
    network, x = make(gpu), points(40)
    network.remove_edge(0, 1, 1)
    network.fix_symbolic(0, 0, 0, "sin", affine=(2, 0, 1, 0))
    y = np.sin(2 * x[:, :1])
    losses = [float(network.train_step(x, y, optimizer_device="cpu")) for _ in range(10)]
    assert losses[-1] < losses[0]
    assert (network.edge_values(0, 1, 1, x[:, 1]) == 0).all()
    assert network.layers[0].functions()[0, 0][1] != (2, 0, 1, 0)


def test_grids_with_knots_of_their_own_know_masks_and_functions(gpu, tmp_path):
    """Edges still add up, what is pruned stays 0, the others keep their values where grids move, and all comes back from a file."""
    network, x = make(gpu, 4, base=None, grid_size=8), points(300)
    network.remove_edge(0, 1, 1, x)
    network.fix_symbolic(0, 0, 0, "sin", affine=(2, 0.1, 0.5, 0))
    network.fix_symbolic(1, 2, 0, "tanh", affine=(1, 0, 1, 0))
    before = network(x).numpy()
    network.update_grid(x, adaptive=0.8)
    assert np.abs(network(x).numpy() - before).max() < 0.05
    network.refine(16)
    network.update_grid(x, adaptive=0.5)
    values = [t.numpy() for t in network.layer_inputs(x)]
    for k, layer in enumerate(network.layers):
        for j in range(layer.outputs):
            total = sum(network.edge_values(k, i, j, values[k][:, i]) for i in range(layer.inputs)) + layer.bias.numpy()[j]
            assert np.abs(total - values[k + 1][:, j]).max() < 2e-6
    assert (network.edge_values(0, 1, 1, x[:, 1]) == 0).all()
    assert np.isfinite(float(network.train_step(x, x[:, :1], loss=kan.KanLoss(activation_l1=1e-2))))
    ends = network.layers[1].grid.of_input(1).range
    box = next(a for a in network.plot(x).axes if a.get_label() == "edge 1 1 0")
    assert [t.get_text() for t in box.get_xticklabels()] == [f"{v:.3g}" for v in ends]
    network.save(tmp_path / "net")
    again = kan.KanNetwork.load(tmp_path / "net", device=gpu)
    assert np.array_equal(again(x).numpy(), network(x).numpy())
