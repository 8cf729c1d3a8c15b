"""Gradients of reductions: finite differences in float64, then the GPU against them."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc

ops = gc.ops
AXES = [None, 0, -1, (0, 2), (1, 2), ()]


@pytest.fixture
def x(rng) -> np.ndarray:
    """Distinct values, so that no extreme changes place."""
    return rng.permutation(24).reshape(2, 3, 4) * 0.1 - 1


@pytest.mark.parametrize("name", ["sum", "mean", "var", "logsumexp", "max", "min"])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_reduction(gpu, x, name, axis):
    check_gradient(gpu, lambda t: getattr(ops, name)(t, axis=axis), x)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "logsumexp", "max", "min"])
def test_keepdims(gpu, x, name):
    check_gradient(gpu, lambda t: getattr(ops, name)(t, axis=(0, 1), keepdims=True), x)


def test_var_with_correction(gpu, x):
    check_gradient(gpu, lambda t: ops.var(t, axis=1, correction=1), x)


@pytest.mark.parametrize("shape", [(4,), (3, 1), (2, 1, 4), (1, 1, 1), ()], ids=str)
def test_sum_to(gpu, x, shape):
    check_gradient(gpu, lambda t: ops.sum_to(t, shape), x)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_sum(gpu, x, axis, reverse):
    check_gradient(gpu, lambda t: ops.cumulative_sum(t, axis=axis, reverse=reverse), x)


def test_equal_extremes_share_their_gradient(gpu, cpu):
    for device in (gpu, cpu):
        x = device.tensor([[3.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
        with gc.GradientTape() as tape:
            y = ops.sum(ops.max(x, axis=1))
        (g,) = tape.gradient(y, [x])
        np.testing.assert_array_equal(g.numpy(), [[0.5, 0, 0.5], [1, 0, 0]])


def test_logsumexp_of_minus_infinity_has_gradient_zero(gpu):
    x = gpu.tensor([[-np.inf, -np.inf], [-np.inf, 1.0]])
    with gc.GradientTape() as tape:
        y = ops.logsumexp(x, axis=1)
    (g,) = tape.gradient(y, [x], seed=gpu.ones((2,)))
    np.testing.assert_array_equal(g.numpy(), [[0, 0], [0, 1]])


@pytest.mark.parametrize("name", ["var", "logsumexp"])
def test_second_derivative(gpu, x, name):
    def gradient_of(t):
        with gc.GradientTape() as tape:
            y = ops.sum(getattr(ops, name)(t, axis=1))
        return tape.gradient(y, [t])[0]

    check_gradient(gpu, gradient_of, x)


def test_argmax_has_no_gradient(gpu):
    x = gpu.tensor([1.0, 2.0])
    with gc.GradientTape() as tape:
        y = ops.astype(ops.argmax(x), "float32")
    assert tape.gradient(y, [x])[0].numpy().tolist() == [0, 0]
