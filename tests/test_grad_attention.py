"""Gradients of rotary embedding and attention."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient, gradients

import gpucore as gc
from gpucore import ops


@pytest.mark.parametrize("positions", [[0, 3, 40000], [[0, 1, 2], [7, 8, 32768]]])
def test_rope(gpu, rng, positions):
    x, at = rng.standard_normal((2, 2, 3, 6)), np.array(positions, np.int32)
    check_gradient(gpu, lambda x, p: ops.rope(x, p, base=500.0), x, at)


def test_rope_twice(gpu, rng):
    """The gradient of rope is rope with the opposite angle, and differentiable again."""
    x, p, w = gpu.tensor(rng.standard_normal((1, 1, 2, 4))), gpu.tensor(np.array([3, 9])), gpu.tensor(rng.standard_normal((1, 1, 2, 4)))
    with gc.GradientTape() as outer:
        with gc.GradientTape() as inner:
            y = ops.rope(x, p)
        (gx,) = inner.gradient(y, [x], seed=w)
    (gw,) = outer.gradient(gx, [w], seed=x)
    np.testing.assert_allclose(gw.numpy(), y.numpy(), rtol=1e-5, atol=1e-6)


def attention(**options):
    return lambda *tensors: ops.scaled_dot_product_attention(*tensors, **options)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "q_len", "k_len", "dim"), [(1, 1, 1, 1, 1), (2, 2, 3, 5, 3), (4, 2, 4, 3, 4), (1, 1, 2, 35, 2)]
)
def test_attention(gpu, rng, causal, heads, kv_heads, q_len, k_len, dim):
    q, k, v = rng.standard_normal((2, heads, q_len, dim)), *rng.standard_normal((2, 2, kv_heads, k_len, dim))
    check_gradient(gpu, attention(causal=causal, scale=0.7), q, k, v)


@pytest.mark.parametrize("mask", ["bool", "float"])
def test_attention_with_a_mask(gpu, rng, mask):
    q, k, v = rng.standard_normal((1, 2, 3, 4)), *rng.standard_normal((2, 1, 2, 5, 4))
    values = rng.random((3, 5)) < 0.6 if mask == "bool" else rng.standard_normal((2, 1, 5))
    check_gradient(gpu, attention(), q, k, v, values, wrt=[0, 1, 2])


def test_attention_with_a_cache_length(gpu, rng):
    q, k, v = rng.standard_normal((2, 2, 2, 4)), *rng.standard_normal((2, 2, 1, 6, 4))
    mask = np.ones((1, 1), bool)
    check_gradient(gpu, attention(causal=True), q, k, v, mask, np.array([4, 1], np.int32))


@pytest.mark.parametrize("dim", [8, 132])
def test_both_ways_give_the_same_gradients(gpu, rng, monkeypatch, dim):
    """Hardware goes tile by tile, software adapters take the simple kernels; here each goes both ways."""
    q, k, v = rng.standard_normal((1, 2, 5, dim)), *rng.standard_normal((2, 1, 1, 7, dim))
    found = []
    for tiles in (True, False):
        monkeypatch.setattr("gpucore.ops.attention.tiles_fit", lambda device, dim, tiles=tiles: tiles)
        with gpu.profile() as seen:
            found.append(gradients(gpu, attention(causal=True), (q, k, v), (0, 1, 2), np.ones(q.shape), "float32"))
        assert ("attention_backward_kv" in seen.by_kernel) is tiles
        assert ("attention_tiled" in seen.by_kernel) is tiles
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_no_second_derivative(gpu, rng):
    q, k, v = (gpu.tensor(rng.standard_normal((1, 1, 2, 2))) for _ in range(3))
    with gc.GradientTape() as outer:
        with gc.GradientTape() as inner:
            y = ops.scaled_dot_product_attention(q, k, v)
        (gq,) = inner.gradient(y, [q], seed=gpu.ones(y.shape))
    with pytest.raises(gc.errors.GradientError, match="attention_gradient has no gradient"):
        outer.gradient(gq, [k], seed=gpu.ones(gq.shape))
