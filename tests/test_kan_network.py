from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest
from scipy.interpolate import BSpline

import gpucore as gc
from gpucore.errors import ConfigError, DeviceMismatchError, DTypeError, ShapeError
from gpucore.systems import kan

GOLDEN = {
    0.0: [0, 0, 0.020833, 0.479167, 0.479167, 0.020833, 0, 0], 0.3: [0, 0, 0.002604, 0.315104, 0.611979, 0.070313, 0, 0],
    -1.7: [0, 0.128376, 0.660012, 0.211516, 0.000096, 0, 0, 0], 3.0: [0, 0, 0, 0, 0, 1 / 6, 2 / 3, 1 / 6],
    -3.0: [1 / 6, 2 / 3, 1 / 6, 0, 0, 0, 0, 0],
}  # fmt: skip
"""B_k at points of the grid (-3, 3), 5 cells, degree 3."""


def l2(a, b):
    return np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b)


def twin(network, cpu):
    """The same network on the NumPy device in float64."""
    other = kan.KanNetwork(network.config, device=cpu, dtype="float64")
    for mine, its in zip(other.layers, network.layers, strict=True):
        mine.set_grid(its.grid, np.zeros(its.coefficients.shape))
    other.load_state_dict(network.state_dict())
    return other


def by_scipy(network, x):
    """The formula written out, with scipy's splines."""
    config = network.config
    z = x if config.mean is None else x - np.asarray(config.mean)
    z = z if config.std is None else z / np.asarray(config.std)
    for layer in network.layers:
        c, bias, g = layer.coefficients.numpy().astype(np.float64), layer.bias.numpy(), layer.grid
        knots = g.low + g.width * (np.arange(g.size + 2 * g.degree + 1) - g.degree)
        out = np.tile(bias.astype(np.float64), (len(z), 1))
        for j, i in np.ndindex(c.shape[:2]):
            out[:, j] += BSpline(knots, c[j, i], g.degree)(np.clip(z[:, i], g.low, g.high))
        if layer.base is not None:
            out += (z / (1 + np.exp(-z))) @ layer.base.numpy().T.astype(np.float64)
        z = out
    return z


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_golden_values_through_a_layer(name, request):
    device = request.getfixturevalue(name)
    network = kan.KanNetwork(kan.KanConfig(1, (), 8, grid_range=(-3, 3)), device=device)
    network.layers[0].coefficients.assign(np.eye(8, dtype=np.float32).reshape(8, 1, 8))
    got = network(np.array([[x] for x in GOLDEN])).numpy()
    assert np.abs(got - np.array(list(GOLDEN.values()))).max() < 1e-6
    slopes = network.derivatives(np.array([[0.0]]), order=1).numpy()[0, :, 0]
    assert slopes == pytest.approx([0, 0, -0.104167, -0.520833, 0.520833, 0.104167, 0, 0], abs=1e-6)
    ends = network(np.array([[-1e30], [-np.inf], [1e30], [np.inf], [np.nan], [1e-30]])).numpy()
    assert ends[:2] == pytest.approx(np.tile(GOLDEN[-3.0], (2, 1)), abs=1e-6)
    assert ends[2:4] == pytest.approx(np.tile(GOLDEN[3.0], (2, 1)), abs=1e-6)
    assert np.isnan(ends[4]).all()
    assert ends[5] == pytest.approx(GOLDEN[0.0], abs=1e-6)


SHAPES = [
    dict(widths=(2, 5, 1), degree=3, grid_size=5), dict(widths=(7, 13, 11, 3), degree=1, grid_size=2),
    dict(widths=(3, 4, 2), degree=6, grid_size=8), dict(widths=(5, 17, 3), degree=2, grid_size=17, base="silu"),
    dict(widths=(4, 3), degree=4, grid_size=8), dict(widths=(21, 32, 24), degree=5, grid_size=3, base="silu"),
]  # fmt: skip


def config_of(shape, **more):
    widths = shape["widths"]
    rest = {k: v for k, v in shape.items() if k != "widths"} | more
    return kan.KanConfig(widths[0], widths[1:-1], widths[-1], **rest)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_gradients_are_those_of_numpy(gpu, cpu, rng, shape):
    config = config_of(shape, grid_range=(-2, 2), mean=0.1, std=1.5, seed=4)
    network = kan.KanNetwork(config, device=gpu)
    if config.degree == 6:  # 64 cells of a smooth function: with random ones the rounding of x alone changes more than is allowed
        network.refine(64)
    other = twin(network, cpu)
    x = rng.normal(0, 2, (37, config.input_dim)).astype(np.float32)
    x[np.abs((x - 0.1) / 1.5) > 1.98] *= 1.5  # away from the ends, where rounding would decide on which side a point lies
    assert l2(other(x.astype(np.float64)).numpy(), by_scipy(network, x.astype(np.float64))) < 1e-6
    seed = rng.normal(size=(37, config.output_dim)).astype(np.float32)
    found = []
    for net in (network, other):
        given = net.device.tensor(x.astype(net.dtype.host), net.dtype)
        with gc.GradientTape() as tape:
            y = net(given)
        sources = [given, *net.named_parameters().values()]
        grads = tape.gradient(y, sources, seed=net.device.tensor(seed.astype(net.dtype.host), net.dtype))
        found.append([t.numpy() for t in (y, *grads)])
    assert l2(found[0][0], found[1][0]) <= 1e-6
    for got, want in zip(found[0][1:], found[1][1:], strict=True):
        assert l2(got, want) <= 1e-5
    outside = np.abs((x - 0.1) / 1.5) > 2
    assert config.base is not None or (found[0][1][outside] == 0).all()


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64])
def test_any_batch(gpu, rng, n):
    network = kan.KanNetwork(kan.KanConfig(3, (7,), 2, base="silu"), device=gpu)
    x = rng.uniform(-1.2, 1.2, (n, 3)).astype(np.float32)
    got = network(x).numpy()
    assert l2(got, by_scipy(network, x.astype(np.float64))) < 1e-6
    assert np.array_equal(got, network(gpu.tensor(x)).numpy())


def test_one_sample_and_more_axes(gpu, cpu, rng):
    for device in (gpu, cpu):
        network = kan.KanNetwork(kan.KanConfig(3, (4,), 2), device=device)
        x = rng.uniform(-1, 1, (2, 5, 3)).astype(np.float32)
        y = network(x).numpy()
        assert y.shape == (2, 5, 2)
        assert network(x[0, 0]).shape == (2,)
        assert np.allclose(network(x[1, 3]).numpy(), y[1, 3], atol=1e-6)
        assert np.allclose(network(list(map(float, x[0, 0]))).numpy(), y[0, 0], atol=1e-6)


def test_results_can_be_awaited_with_several_on_the_way(gpu, rng):
    network = kan.KanNetwork(kan.KanConfig(3, (4,), 2), device=gpu)
    batches = [rng.uniform(-1, 1, (n, 3)).astype(np.float32) for n in (1, 8, 33)]
    wanted = [network(x).numpy() for x in batches]

    async def all_of_them():
        return [await r for r in [network.forward_async(x) for x in batches]]

    for got, want in zip(asyncio.run(all_of_them()), wanted, strict=True):
        assert np.array_equal(got, want)


def test_first_weights(cpu, gpu):
    config = kan.KanConfig(6, (6, 6), 6, seed=5)
    network, again = kan.KanNetwork(config, device=cpu), kan.KanNetwork(config, device=gpu)
    for name, values in network.state_dict().items():
        assert np.array_equal(values, again.state_dict()[name])
    c = [layer.coefficients.numpy() for layer in network.layers]
    limit = 0.5 * np.sqrt(2 / 12)
    assert all(0.98 * limit < np.abs(v).max() <= limit for v in c)
    assert all(abs(v.std() - limit / np.sqrt(3)) < 0.02 * limit / np.sqrt(3) * 3 for v in c)
    for a, b in pairwise(c):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.15
    assert all((layer.bias.numpy() == 0).all() for layer in network.layers)
    with_base = kan.KanNetwork(kan.KanConfig(6, (6, 6), 6, seed=5, base="silu"), device=cpu)
    assert np.array_equal(with_base.layers[1].coefficients.numpy(), c[1])
    other = kan.KanNetwork(kan.KanConfig(6, (6, 6), 6, seed=6), device=cpu)
    assert not np.array_equal(other.layers[0].coefficients.numpy(), c[0])


def test_inputs_are_standardised_in_the_first_layer(gpu, rng):
    x = rng.normal((5, -3), (2, 0.5), (20, 2)).astype(np.float32)
    plain = kan.KanNetwork(kan.KanConfig(2, (3,), 1, grid_range=(-2, 2)), device=gpu)
    config = kan.KanConfig(2, (3,), 1, grid_range=(-2, 2), mean=(5, -3), std=(2, 1e-9))
    network = kan.KanNetwork(config, device=gpu)
    assert network.std.numpy() == pytest.approx([2, 1e-6])
    z = ((x - np.float32([5, -3])) / np.float32([2, 1e-6])).astype(np.float32)
    assert np.allclose(network(x).numpy(), plain(z).numpy(), atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_every_order(gpu, cpu, rng, order):
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 2, degree=4, base="silu", seed=3), device=gpu)
    other, x = twin(network, cpu), rng.uniform(-0.9, 0.9, (5, 2))
    found = other.derivatives(x, order=order).numpy()
    step = 1e-4
    for i in range(2):
        e = step * np.eye(2)[i]
        below = (lambda z: other(z).numpy()) if order == 1 else (lambda z, i=i: other.derivatives(z, order=order - 1).numpy()[:, :, i])
        assert l2(found[:, :, i], (below(x + e) - below(x - e)) / (2 * step)) < 1e-4
    got = network.derivatives(x.astype(np.float32), order=order).numpy()
    assert got.shape == (5, 2, 2)
    assert l2(got, other.derivatives(x.astype(np.float32), order=order).numpy()) < 1e-4


def test_a_differential_equation_reaches_the_coefficients(cpu, gpu, rng):
    """The gradient of the mean square of u'' + u, by the coefficients, against finite differences."""
    config, x = kan.KanConfig(1, (2,), 1, degree=4, seed=2), rng.uniform(-0.9, 0.9, (6, 1))

    def residual(net):
        given = net.device.tensor(x.astype(net.dtype.host), net.dtype)
        r = net.derivatives(given)[:, :, 0] + net(given)
        return gc.ops.mean(r * r)

    grads = []
    for net in (kan.KanNetwork(config, device=cpu, dtype="float64"), kan.KanNetwork(config, device=gpu)):
        c = net.layers[0].coefficients
        with gc.GradientTape() as tape:
            value = residual(net)
        grads.append(tape.gradient(value, [c])[0].numpy())
    net = kan.KanNetwork(config, device=cpu, dtype="float64")
    c, numeric = net.layers[0].coefficients, np.zeros(net.layers[0].coefficients.shape)
    start = c.numpy()
    for at in np.ndindex(*numeric.shape):
        ends = []
        for sign in (1, -1):
            changed = start.copy()
            changed[at] += sign * 1e-5
            c.assign(changed)
            ends.append(residual(net).item())
        numeric[at] = (ends[0] - ends[1]) / 2e-5
    assert l2(grads[0], numeric) < 1e-6
    assert l2(grads[1], grads[0]) < 1e-4


def test_values_outside_the_grids_are_counted(gpu, cpu):
    for device in (gpu, cpu):
        network = kan.KanNetwork(kan.KanConfig(2, (3,), 1), device=device)
        network.layers[0].bias.assign(np.array([9, -9, 0], np.float32))
        first, second = network.out_of_range(np.array([[0, 1.5], [-3, 1], [np.nan, 0], [np.inf, -1]]))
        assert first == (0, 1, 2, 8)
        assert (second.below, second.above, second.total) == (3, 3, 12)
        assert first.share == 3 / 8


def test_the_same_input_gives_the_same_bits(gpu, rng):
    x = rng.normal(size=(257, 11)).astype(np.float32)
    a, b = (kan.KanNetwork(kan.KanConfig(11, (13,), 5, base="silu"), device=gpu)(x).numpy() for _ in range(2))
    assert np.array_equal(a, b)


def test_it_is_a_module(gpu, cpu):
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 1, std=2.0), device=gpu)
    assert "KanLayer(2, 3, degree=3, grid_size=5" in repr(network)
    copied = network.to(cpu)
    x = np.array([[0.3, -0.2]], np.float32)
    assert np.allclose(copied(x).numpy(), network(x).numpy(), atol=1e-6)
    copied.train_step(x, np.array([[1.0]]))
    assert "mean" not in network.state_dict()
    assert "std" in network.state_dict()
    forward = gc.Pipeline(network)
    assert np.array_equal(forward(gpu.tensor(x)).numpy(), network(x).numpy())
    assert forward.verify(gpu.tensor(x))[0].max_abs < 1e-6


def test_bad_input(gpu, cpu):
    network = kan.KanNetwork(kan.KanConfig(3, (4,), 2), device=gpu)
    for shape in ((4,), (2, 4), ()):
        with pytest.raises(ShapeError, match=r"KanNetwork: x has shape .*; wants \[3\] or \[n, 3\]"):
            network(np.zeros(shape))
    with pytest.raises(ShapeError, match="which is empty"):
        network(np.zeros((0, 3)))
    with pytest.raises(DTypeError, match="x is int32; wants float32"):
        network(gpu.tensor(np.zeros((2, 3), np.int32)))
    with pytest.raises(DeviceMismatchError, match="x is on"):
        network(cpu.tensor(np.zeros((2, 3))))
    with pytest.raises(DTypeError, match="wants numbers"):
        network(np.array([["a", "b", "c"]]))
    with pytest.raises(ShapeError, match="rows of x differ in length"):
        network([[1.0, 2.0, 3.0], [1.0]])
    with pytest.raises(ConfigError, match="order is 0"):
        network.derivatives(np.zeros((1, 3)), order=0)
    with pytest.raises(ShapeError, match=r"wants \[n, 3\]"):
        network.derivatives(np.zeros(3))
    with pytest.raises(ShapeError, match="KanLayer: x has shape"):
        network.layers[0](gpu.tensor(np.zeros((2, 5), np.float32)))
