"""Gradients of the normalisations: finite differences in float64, then the GPU."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc


@pytest.mark.parametrize("shape", [(3, 5), (2, 2, 9), (4, 1), (7,), (2, 33)], ids=str)
def test_layer_norm(gpu, rng, shape):
    x, w, b = rng.standard_normal(shape), rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1])
    if shape[-1] > 1:
        check_gradient(gpu, gc.ops.layer_norm, x)
    check_gradient(gpu, lambda x, w, b: gc.ops.layer_norm(x, w, b, eps=0.3), x, w, b)


def test_layer_norm_with_one_of_weight_and_bias(gpu, rng):
    x, v = rng.standard_normal((3, 6)), rng.standard_normal(6)
    check_gradient(gpu, lambda x, w: gc.ops.layer_norm(x, w), x, v)
    check_gradient(gpu, lambda x, b: gc.ops.layer_norm(x, None, b), x, v)


@pytest.mark.parametrize("shape", [(3, 5), (2, 2, 9), (4, 1), (7,), (2, 33)], ids=str)
@pytest.mark.parametrize("eps", [1e-6, 0.3])
def test_rms_norm(gpu, rng, shape, eps):
    if shape[-1] == 1 and eps < 0.1:
        eps = 0.05  # x / |x| has no slope to compare
    x = rng.standard_normal(shape)
    check_gradient(gpu, lambda x, w: gc.ops.rms_norm(x, w, eps=eps), x, rng.standard_normal(shape[-1]))


@pytest.mark.parametrize("shape", [(5, 3), (3, 2, 4), (2, 3, 1), (9, 1)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(gpu, rng, shape, training):
    c = shape[1]
    x, w, b = rng.standard_normal(shape), rng.standard_normal(c), rng.standard_normal(c)
    mean, var = rng.standard_normal(c), rng.random(c) + 0.5

    def fn(x, w, b):
        running = [x.device.tensor(np.array(a), x.dtype) for a in (mean, var)]
        return gc.ops.batch_norm1d(x, w, b, *running, training=training, eps=0.1)

    check_gradient(gpu, fn, x, w, b)


def test_the_running_statistics_get_no_gradient(gpu, rng):
    x, w, b, mean, var = (gpu.tensor(rng.random(s).astype(np.float32)) for s in ((4, 3), 3, 3, 3, 3))
    with gc.GradientTape() as tape:
        y = gc.ops.batch_norm1d(x, w, b, mean, var, training=False)
    grads = tape.gradient(y, [mean, var], seed=gpu.ones((4, 3)))
    assert not any(g.numpy().any() for g in grads)
