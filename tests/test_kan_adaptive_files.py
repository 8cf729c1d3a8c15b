"""Grids with knots of each input's own in files, states and baked copies."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open
from test_kan_adaptive import crowded, make

from gpucore.errors import FormatError
from gpucore.systems import kan


def test_a_network_comes_back_bit_for_bit(gpu, cpu, tmp_path):
    network, x, path = make(gpu, base="silu").refine(11), crowded(), tmp_path / "net"
    network.layers[1].set_grid(kan.Grid(3, 11, -2, 2), network.layers[1].coefficients.numpy())  # one of each kind
    network.save(path)
    again = kan.KanNetwork.load(path, device=gpu)
    assert [layer.grid for layer in again.layers] == [layer.grid for layer in network.layers]
    assert np.array_equal(again(x).numpy(), network(x).numpy())
    assert np.allclose(kan.KanNetwork.load(path, device=cpu)(x).numpy(), network(x).numpy(), atol=1e-5)
    uniform = kan.KanNetwork(kan.KanConfig(2, (3,), 2, grid_size=11, base="silu"), device=gpu)
    uniform.save(tmp_path / "uniform")
    for target in (uniform, make(gpu, base="silu").refine(11)):
        target.restore(path)
        assert np.array_equal(target(x).numpy(), network(x).numpy())
        target.restore(tmp_path / "uniform")
        assert target.layers[0].knots is None
        assert set(target.state_dict()) == set(kan.KanNetwork.load(tmp_path / "uniform", device=gpu).state_dict())


def test_states_go_from_device_to_device(gpu, cpu):
    network, x = make(gpu), crowded()
    network.train_step(x, x)
    host = kan.KanNetwork(network.config, device=cpu)
    host.load_state_dict(network.state_dict())
    assert host.layers[0].grid == network.layers[0].grid
    assert np.allclose(host(x).numpy(), network(x).numpy(), atol=1e-5)
    host.update_grid(x, adaptive=0.1)
    host.train_step(x, x)
    changes = network.changes
    network.load_state_dict(host.state_dict())
    assert network.changes == changes + 1
    network.train_step(x, x)
    assert np.allclose(network.to(cpu)(x).numpy(), network(x).numpy(), atol=1e-5)


def test_damaged_knots_are_refused_whole(gpu, tmp_path):
    network, path, bad = make(gpu), tmp_path / "net", tmp_path / "bad"
    network.save(path)
    with safe_open(path, framework="numpy") as file:
        metadata, tensors = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert metadata["version"] == "3"
    knots = tensors["layers.0.knots"]
    holed = knots.copy()
    holed[1, 4] = np.nan
    before = network.state_dict()
    for changed, sentence in (
        (knots[:, ::-1], "knots of input 0 decrease"), (holed, "not all finite"),
        (knots[:, :-1], r"knots of shape \(2, 12\); wants \(2, 13\)"),
        (knots[:1], r"shape \(1, 13\)"), (knots * 0, "no cell wider"), (np.zeros(0, np.float32), r"shape \(0,\)"),
    ):  # fmt: skip
        bad.write_bytes(safetensors.numpy.save(tensors | {"layers.0.knots": np.ascontiguousarray(changed)}, metadata))
        for take in (network.restore, lambda p: kan.KanNetwork.load(p, device=gpu)):
            with pytest.raises(FormatError, match=sentence) as caught:
                take(bad)
            assert str(bad) in str(caught.value)
        with pytest.raises(FormatError, match=sentence):
            network.load_state_dict(before | {"layers.0.knots": changed})
    bad.write_bytes(safetensors.numpy.save(tensors, metadata | {"version": "2"}))
    with pytest.raises(FormatError, match=r"version 2 and layers\.0\.knots"):
        network.restore(bad)
    with pytest.raises(FormatError, match="no grid that can be used"):
        network.load_state_dict(
            {k: v for k, v in before.items() if "knots" not in k} | {"layers.0.grid_range": np.array([1, 0], np.float32)}
        )
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_a_baked_copy(gpu, dtype):
    network, x = make(gpu, base="silu"), crowded(300)
    baked = kan.BakedKan.of(network, dtype, samples=x)
    assert 0 < baked.error.relative_l2 < (2e-3 if dtype == "float16" else 5e-2)
    elsewhere = np.random.default_rng(4).uniform(-3, 3, (2000, 2)).astype(np.float32)
    gap = np.abs(baked(elsewhere).numpy() - network(elsewhere).numpy())
    assert (gap <= np.array(baked.error.bound) + 1e-5).all()
    data = baked.to_bytes()
    again = kan.BakedKan.from_bytes(data, device=gpu)
    assert np.array_equal(again(x).numpy(), baked(x).numpy())
    assert (again.to_bytes(), again.nbytes) == (data, baked.nbytes)
    tensors = safetensors.numpy.load(data)
    for name, values in (("0.knots", tensors["0.knots"][:, ::-1]), ("1.knots", tensors["1.knots"][:1])):
        with pytest.raises(FormatError, match="do not fit together"):
            kan.BakedKan.from_bytes(safetensors.numpy.save(tensors | {name: np.ascontiguousarray(values)}), device=gpu)


def test_the_bound_of_a_baked_copy_counts_jumps(cpu):
    """Knots that meet more often than the degree let a function jump: any error of its input may cost that."""
    grid = kan.AdaptiveGrid(1, np.array([[-2, -1, 0, 0, 0, 1, 2.0]]))
    slopes, jumps = grid.steepness(np.array([[[0, 1, 1, 5, 6.0]]]))
    assert (slopes.item(), jumps.item()) == (1, 4)
    x = np.array([[-0.5], [-1e-9], [0.0], [0.5]])
    assert (grid.functions(x)[:, 0] @ np.array([0, 1, 7, 5, 6.0])).tolist() == pytest.approx([0.5, 1, 5, 5.5])


def test_the_bound_holds_where_a_rounded_value_falls_over_a_jump(gpu):
    """The first layer gives 0.1, which 16 bits hold as 0.09998; the second jumps by 4 between the two."""
    network = kan.KanNetwork(kan.KanConfig(1, (1,), 1, grid_size=3, degree=1), device=gpu)
    first, second = network.layers
    first.coefficients.assign(np.full((1, 1, 4), 0.1, np.float32))
    knots = np.array([[-2, -1, 0.09999, 0.09999, 1, 2]], np.float32)
    second.set_grid(kan.AdaptiveGrid(1, knots), np.array([[[0, 0, 4, 4]]], np.float32))
    baked = kan.BakedKan.of(network)
    assert baked.error.largest == pytest.approx(4, abs=1e-3)
    assert 4 <= baked.error.bound[0] < 4.1
