"""Gradients of softmax and the normalisations: finite differences in float64, then the GPU against them."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc
from gpucore.kernels import columns

ops = gc.ops


@pytest.fixture
def x(rng) -> np.ndarray:
    return rng.standard_normal((3, 4, 5))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax(gpu, x, name, axis):
    check_gradient(gpu, lambda t: getattr(ops, name)(t, axis=axis), x)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 1), (5,)], ids=str)
def test_masked_softmax(gpu, rng, x, axis, shape):
    mask = rng.random(shape) < 0.6
    check_gradient(gpu, lambda t, m: ops.masked_softmax(t, m, axis=axis), x, mask)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_of_many_columns(gpu, rng, monkeypatch, name, axis):
    """The kernels for columns, and their second derivatives, with few enough of them for finite differences."""
    monkeypatch.setattr(columns, "ENOUGH_TILES", 1)
    x, weight = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4, 2))
    check_gradient(gpu, lambda t: getattr(ops, name)(t, axis=axis), x)

    def gradient_of(t, w):
        with gc.GradientTape() as tape:
            y = ops.sum(ops.multiply(getattr(ops, name)(t, axis=axis), w))
        return tape.gradient(y, [t])[0]

    check_gradient(gpu, gradient_of, x, weight)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_second_derivative(gpu, rng, x, name):
    weight = rng.standard_normal((4, 5))

    def gradient_of(t, w):
        with gc.GradientTape() as tape:
            y = ops.sum(ops.multiply(getattr(ops, name)(t), w))
        return tape.gradient(y, [t])[0]

    check_gradient(gpu, gradient_of, x[0], weight)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norm(gpu, rng, x, eps):
    weight, bias = rng.standard_normal(5), rng.standard_normal(5)
    check_gradient(gpu, lambda *t: ops.layer_norm(*t, eps=eps), x, weight, bias)
    check_gradient(gpu, lambda t: ops.layer_norm(t, eps=eps), x)
    check_gradient(gpu, lambda t, b: ops.layer_norm(t, None, b, eps=eps), x, bias)
    check_gradient(gpu, lambda t, w: ops.layer_norm(t, w, eps=eps), x, weight)


@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_rms_norm(gpu, rng, x, eps):
    check_gradient(gpu, lambda *t: ops.rms_norm(*t, eps=eps), x, rng.standard_normal(5))
    check_gradient(gpu, lambda t: ops.rms_norm(t, eps=eps), x)


@pytest.mark.parametrize("name", ["add_layer_norm", "add_rms_norm"])
def test_norms_of_a_sum(gpu, rng, x, name):
    """The gradients through the norm, through the sum, and through both."""
    norm, residual, vectors = (
        getattr(ops, name),
        rng.standard_normal(x.shape),
        [rng.standard_normal(5) for _ in range(1 + (name == "add_layer_norm"))],
    )
    check_gradient(gpu, lambda *t: norm(*t)[0], x, residual, *vectors)
    check_gradient(gpu, lambda *t: norm(*t)[1], x, residual)

    def both(*t):
        y, total = norm(*t)
        return ops.multiply(y, ops.exp(total))

    check_gradient(gpu, both, x, residual, *vectors)
    check_gradient(gpu, lambda t: norm(t, t)[0], x)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 4, 9)], ids=str)
def test_batch_norm1d(gpu, rng, training, shape):
    values = rng.standard_normal(shape), rng.standard_normal(4), rng.standard_normal(4)
    mean, variance = rng.standard_normal(4), rng.random(4) + 0.5

    def norm(x, weight=None, bias=None):
        running = [x.device.tensor(v, x.dtype) for v in (mean, variance)]
        return ops.batch_norm1d(x, weight, bias, *running, training=training, eps=0.01)

    check_gradient(gpu, norm, *values)
    check_gradient(gpu, norm, values[0])


@pytest.mark.parametrize("rows", [5000, 20_000])
def test_gradients_to_weights_of_many_rows(gpu, cpu, rng, rows):
    x, g = rng.standard_normal((rows, 24), np.float32), rng.standard_normal((rows, 24), np.float32)
    found = []
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        tensors = [device.tensor(v, dtype) for v in (x, np.ones(24), np.zeros(24))]
        running = [device.tensor(v, dtype) for v in (np.zeros(24), np.ones(24))]
        for norm in (lambda *t: ops.layer_norm(*t), lambda *t, r=running: ops.batch_norm1d(*t, *r, training=True)):
            with gc.GradientTape() as tape:
                y = norm(*tensors)
            found.append([d.numpy() for d in tape.gradient(y, tensors, seed=device.tensor(g, dtype))])
    for got, want in zip(found[:2], found[2:], strict=True):
        for a, b in zip(got, want, strict=True):
            assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


def test_second_derivative_of_a_fused_norm_is_named(gpu, x):
    t = gpu.tensor(x)
    with gc.GradientTape() as outer:
        with gc.GradientTape() as tape:
            y = ops.sum(ops.layer_norm(t))
        (g,) = tape.gradient(y, [t])
        z = ops.sum(g)
    with pytest.raises(gc.errors.GradientError, match="norm_backward has no gradient"):
        outer.gradient(z, [t])
