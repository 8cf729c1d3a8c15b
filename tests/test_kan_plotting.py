from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest

from gpucore.errors import ConfigError
from gpucore.systems import kan


def points(n=100, inputs=2):
    return np.random.default_rng(1).uniform(-1.5, 1.5, (n, inputs)).astype(np.float32)


def make(device, *hidden, inputs=2):
    return kan.KanNetwork(kan.KanConfig(inputs, hidden, 1, base="silu", seed=3), device=device)


def boxes(figure):
    """The edges' axes by (layer, i, j)."""
    return {tuple(map(int, a.get_label().split()[1:])): a for a in figure.axes if a.get_label().startswith("edge ")}


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_plotted_values_are_the_forward_values(name, request):
    """At the points of every box the curves into a node and its bias add up to what the layer computes there."""
    device = request.getfixturevalue(name)
    network, x = make(device, 3), points()
    network.fix_symbolic(0, 1, 1, "sin", x)
    network.remove_edge(0, 0, 2)
    for samples in (x, None):
        drawn = boxes(network.plot(samples))
        assert set(drawn) == {(0, i, j) for i in range(2) for j in range(3)} - {(0, 0, 2)} | {(1, i, 0) for i in range(3)}
        curves = {edge: axes.lines[0].get_data() for edge, axes in drawn.items()}
        assert all(len(z) == 161 for z, _ in curves.values())
        for k, layer in enumerate(network.layers):
            columns = [next((curves[e][0] for e in curves if e[:2] == (k, i)), np.zeros(161)) for i in range(layer.inputs)]
            values = layer(device.tensor(np.stack(columns, axis=1).astype(np.float32))).numpy()
            for j in range(layer.outputs):
                total = sum(y for (at, _, to), (_, y) in curves.items() if (at, to) == (k, j)) + layer.bias.numpy()[j]
                assert np.abs(total - values[:, j]).max() < 5e-6


def test_what_a_picture_shows(gpu):
    network, x = make(gpu, 2), points()
    network.fix_symbolic(0, 1, 1, "sin", affine=(2, -0.5, 1.5, 0.25))
    for values in (network.layers[0].coefficients, network.layers[0].base):
        held = values.numpy()
        held[0, 0] *= 1e-3
        values.assign(held)
    figure = network.plot(x, names=["speed", "mass"], outputs=["force"])
    drawn = boxes(figure)
    assert drawn[0, 1, 1].get_title() == "1.5·sin(2x-0.5)+0.25"
    assert drawn[0, 1, 0].get_title() == ""
    colours = {edge: axes.lines[0].get_color() for edge, axes in drawn.items()}
    assert colours[0, 1, 1] not in {c for edge, c in colours.items() if edge != (0, 1, 1)}
    assert [t.get_text() for t in drawn[0, 1, 0].get_xticklabels()] == ["-1", "1"]
    low, high = drawn[0, 1, 0].get_xlim()
    assert (low, high) == pytest.approx((x[:, 1].min(), x[:, 1].max()))
    assert drawn[0, 0, 0].lines[0].get_alpha() < drawn[0, 1, 0].lines[0].get_alpha() <= 1
    assert {"speed", "mass", "force"} <= {t.get_text() for t in figure.axes[0].texts}
    plain = make(gpu).plot()
    assert {"$x_{1}$", "$x_{2}$", "$y_{1}$"} == {t.get_text() for t in plain.axes[0].texts}
    nothing = make(gpu, 2)
    nothing.prune(x, threshold=1e9)
    assert boxes(nothing.plot(x)) == {}


def test_one_edge(gpu):
    network, x = make(gpu, 2), points()
    for samples in (None, x):
        axes = network.plot_edge(0, 1, 0, samples).axes[0]
        z, y = axes.lines[0].get_data()
        assert np.array_equal(y, network.edge_values(0, 1, 0, z))
        assert axes.get_xlabel() == "input 1 of layer 0"
        assert axes.get_ylabel() == "its part of output 0"
    seen = axes.lines[1].get_data()
    assert seen[0] == pytest.approx(x[:, 1])


def test_what_cannot_be_drawn_is_refused(gpu, monkeypatch):
    with pytest.raises(ConfigError, match="layer 0 has 50 edges; draws up to 40 in a layer: prune first"):
        make(gpu, 25).plot()
    with pytest.raises(ConfigError, match=r"the network has 270 edges; draws up to 200"):
        make(gpu, 6, 6, 6, 6, 6, 6, 6, 6).plot()
    network = make(gpu, 2)
    with pytest.raises(ConfigError, match="names is 'xy'; wants 2 names"):
        network.plot(names="xy")
    network.remove_edge(0, 1, 0)
    with pytest.raises(ConfigError, match="edge from 1 to 0 in layer 0 was pruned"):
        network.plot_edge(0, 1, 0)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"matplotlib is not installed; install gpucore\[plots\]"):
        network.plot()


def test_formulas_say_when_sympy_is_missing(cpu, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "sympy":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"sympy is not installed; install gpucore\[symbolic\]"):
        make(cpu).formula(splines=True)
