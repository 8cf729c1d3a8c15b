"""Losses of differential equations: derivatives through the layers, residuals and their gradients, Poisson's equation."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore import ops
from gpucore.autograd import GradientTape
from gpucore.errors import ConfigError, DTypeError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan.full_batch import FullBatch
from gpucore.systems.kan.pde import PdeLoss, laplacian, pde_residual
from gpucore.systems.kan.poisson import Poisson, integral, mesh, solution, source
from gpucore.systems.kan.refinement import Schedule, race


def make(device, dtype="float64", base="silu", adaptive=None, widths=(3, 4, 2), **options):
    first, *hidden, last = widths
    config = kan.KanConfig(first, tuple(hidden), last, base=base, grid_range=(-2.5, 2.5), seed=2, **options)
    network = kan.KanNetwork(config, device=device, dtype=dtype)
    if adaptive is not None:
        network.update_grid(points(widths[0]), adaptive=adaptive, margin=0.1)
    return network


def points(width=3, n=40):
    return np.random.default_rng(5).uniform(-1, 1, (n, width))


@pytest.mark.parametrize("base", [None, "silu"])
@pytest.mark.parametrize("adaptive", [None, 0.5])
def test_the_jet_is_what_differences_say(cpu, base, adaptive):
    network = make(cpu, base=base, adaptive=adaptive, mean=(0.1, -0.2, 0.3), std=(0.8, 1.1, 0.9))
    x, step = points(), 1e-4
    found = [t.numpy() for t in network.jet(x)[1:]]
    assert [f.shape for f in found] == [(40, 2), (40, 2, 3), (40, 2, 3)]
    assert np.array_equal(found[0], network(x).numpy())
    for i in range(3):
        before, after = (network(x + sign * step * np.eye(3)[i]).numpy() for sign in (-1, 1))
        assert np.allclose(found[1][:, :, i], (after - before) / (2 * step), atol=1e-6)
        assert np.allclose(found[2][:, :, i], (after - 2 * found[0] + before) / step**2, atol=2e-4)


@pytest.mark.parametrize("base", [None, "silu"])
@pytest.mark.parametrize("adaptive", [None, 0.5])
def test_the_jet_and_nested_tapes_agree_with_their_gradients(cpu, base, adaptive):
    network = make(cpu, base=base, adaptive=adaptive)
    x = cpu.tensor(points(), "float64")
    w = cpu.tensor(np.random.default_rng(1).normal(size=(40, 2, 3)), "float64")
    found = []
    for fast in (True, False):
        with GradientTape() as tape:
            _, value, first, second = network.jet(x) if fast else (x, network(x), network.derivatives(x, 1), network.derivatives(x, 2))
            loss = ops.sum(second * second * w) + ops.sum(first * w) + ops.sum(value)
        found.append([loss, first, second, *tape.gradient(loss, [*network.parameters(), x])])
    for a, b in zip(*found, strict=True):
        assert np.allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


def test_the_jet_of_pruned_and_symbolic_edges(cpu):
    network = make(cpu, widths=(2, 3, 1))
    gone = np.zeros((3, 2), bool)
    gone[1, 0] = True
    network.layers[0].remove_edges(gone)
    for _ in range(2):
        _, value, first, second = network.jet(points(2))
        for got, want in (
            (value, network(points(2))),
            (first, network.derivatives(points(2), 1)),
            (second, network.derivatives(points(2), 2)),
        ):
            assert np.allclose(got.numpy(), want.numpy(), atol=1e-12)
        network.fix_symbolic(0, 0, 0, "sin")


def test_outside_the_grid_splines_are_flat_and_the_base_is_not(cpu):
    far = np.full((1, 1), 9.0)
    for base in (None, "silu"):
        _, _, first, second = make(cpu, base=base, widths=(1, 1)).jet(far)
        assert (np.abs(first.numpy()).max() > 0) == (base is not None)
        assert (np.abs(second.numpy()).max() > 0) == (base is not None)


def test_the_jet_on_the_gpu(gpu, cpu):
    network, reference = make(gpu, "float32"), make(cpu)
    for adaptive in (None, 0.5):
        if adaptive:
            network.update_grid(points(), adaptive=adaptive, margin=0.1)
        for mine, theirs in zip(network.layers, reference.layers, strict=True):
            theirs.set_grid(mine.grid, mine.coefficients.numpy().astype(np.float64))
            theirs.base.assign(mine.base.numpy().astype(np.float64))
        x = points().astype(np.float32)
        for a, b in zip(network.jet(x)[1:], reference.jet(x.astype(np.float64))[1:], strict=True):
            want = b.numpy()
            assert np.linalg.norm(a.numpy() - want) <= 2e-6 * np.linalg.norm(want)


def test_jets_of_many_sizes_leave_nothing_on_the_device(gpu):
    network = kan.KanNetwork(kan.KanConfig(3, (2,), 1), device=gpu)

    def left(n):
        network.jet(np.zeros((n, 3))).second.numpy()
        return gpu.memory.in_use

    before = left(100)
    assert [left(n) for n in (200, 400, 800)] == [before] * 3


def test_points_are_checked(gpu):
    network = make(gpu, "float32")
    with pytest.raises(ShapeError, match=r"KanNetwork\.jet: x has shape \(40, 2\)"):
        network.jet(points(2))
    with pytest.raises(DTypeError, match=r"KanNetwork\.jet: x holds"):
        network.jet(np.array([["a"]]))


def test_residuals_of_equations(cpu):
    network = make(cpu, widths=(2, 3, 1))
    x = points(2)
    first, second = (t.numpy() for t in network.jet(x)[2:])
    poisson = pde_residual(network, x, laplacian, cpu.tensor(source(x), "float64"))
    assert np.allclose(poisson.numpy(), second.sum(axis=2) - source(x))
    heat = pde_residual(network, x, lambda j: j.first[:, :, 1] - 0.3 * j.second[:, :, 0])
    assert np.allclose(heat.numpy(), first[:, :, 1] - 0.3 * second[:, :, 0])
    x, f, edge, zeros = (cpu.tensor(v, "float64") for v in (x, source(x), points(2, 7), np.zeros((7, 1))))
    inside, outside = float((poisson.numpy() ** 2).mean()), float((network(edge).numpy() ** 2).mean())
    for weights, want in (((0.1, 2.0), 0.1 * inside + 2 * outside), ((1.0, 0.0), inside), ((0.0, 1.0), outside)):
        assert PdeLoss(laplacian, *weights)(network, x, f, edge, zeros).item() == pytest.approx(want, rel=1e-12)
    for weights in ((0.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(ConfigError, match="PdeLoss: the weights are"):
            PdeLoss(laplacian, *weights)


@pytest.mark.parametrize("base", [None, "silu"])
def test_the_gradient_of_poissons_loss_is_what_differences_say(cpu, base):
    problem = Poisson(side=7, base=base)
    network = kan.KanNetwork(problem.config, device=cpu, dtype="float64")
    network.update_grid(problem.samples, margin=0.2)
    tensors = problem.tensors(network)
    with GradientTape() as tape:
        loss = problem.objective(network, *tensors)
    gradients = tape.gradient(loss, network.parameters())
    rng, step = np.random.default_rng(0), 1e-5
    for p, g in zip(network.parameters(), gradients, strict=True):
        held, direction = p.numpy(), rng.normal(size=p.shape)
        losses = []
        for sign in (-1, 1):
            p.assign(held + sign * step * direction)
            losses.append(problem.objective(network, *tensors).item())
        p.assign(held)
        slope = float((g.numpy() * direction).sum())
        assert (losses[1] - losses[0]) / (2 * step) == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_the_recorded_loss_and_gradients_are_those_of_the_numpy_device(gpu, cpu):
    problem = Poisson(side=9)
    found = []
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        network = kan.KanNetwork(problem.config, device=device, dtype=dtype)
        run = FullBatch(network, problem.objective, problem.tensors(network))
        found.append([t.numpy().astype(np.float64) for t in run._evaluate(*run.tensors)])
        assert (run.dispatches > 0) == (device is gpu)
    for got, want in zip(*found, strict=True):
        assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want)


def test_poissons_equation(gpu):
    """The line of the specification for 5 cells, on a mesh of 21 x 21; `gpucore run kan poisson` shows all of them on 51 x 51."""
    problem = Poisson(side=21)
    best = race(problem, gpu, [3], [5], schedule=Schedule(iterations=50))[0]
    assert best.stages[0].errors["squared L2"] <= 5e-3
    miss = problem.predict(best.network, 21) - solution(mesh(21)).reshape(21, 21)
    assert np.abs(miss).max() < 0.2
    assert abs(problem.predict(best.network)[[0, -1]]).max() < 0.1


def test_the_problem_is_the_one_it_says(cpu):
    problem = Poisson(side=11)
    assert len(problem.inside) == 81
    assert len(problem.edge) == 40
    assert len(problem.samples) == 121
    assert np.abs(solution(problem.edge)).max() < 1e-6
    x, step = points(2), 1e-4
    around = sum(solution(x + sign * step * e) for sign in (-1, 1) for e in np.eye(2))
    assert np.allclose((around - 4 * solution(x)) / step**2, source(x), atol=1e-5)
    assert integral(np.ones((5, 5))) == pytest.approx(4)
    assert integral(solution(mesh(101)).reshape(101, 101) ** 2) == pytest.approx(1, rel=1e-6)
    zero = kan.KanNetwork(problem.config, device=gc.device("cpu"))
    for layer in zero.layers:
        layer.coefficients.assign(np.zeros(layer.coefficients.shape, np.float32))
    assert problem.errors(zero) == pytest.approx({"squared L2": 1, "largest": 1}, rel=1e-6)
