"""Gradients of the matrix products."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc
from gpucore import ops


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(("batch_a", "batch_b"), [((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,))])
def test_matmul(gpu, rng, transpose_a, transpose_b, batch_a, batch_b):
    a = rng.standard_normal((*batch_a, *((3, 2) if transpose_a else (2, 3))))
    b = rng.standard_normal((*batch_b, *((4, 3) if transpose_b else (3, 4))))
    check_gradient(gpu, lambda x, y: ops.matmul(x, y, transpose_a=transpose_a, transpose_b=transpose_b), a, b)


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((1, 3), (3, 2)), ((2, 3), (3, 1))]
)
def test_vectors(gpu, rng, a, b):
    check_gradient(gpu, ops.matmul, rng.standard_normal(a), rng.standard_normal(b))


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"])
@pytest.mark.parametrize("rows", [(1,), (2,), (2, 2), ()])
def test_linear_with_bias_and_activation(gpu, rng, activation, rows):
    x, w, b = rng.standard_normal((*rows, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    check_gradient(gpu, lambda x, w, b: ops.linear(x, w, b, activation=activation), x, w, b)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_16_bits_pass_the_gradient_to_the_other_side(gpu, rng, dtype):
    weight = rng.standard_normal((4, 3)).astype(np.float32)
    x = gpu.tensor(rng.standard_normal((5, 3)))
    w = gpu.tensor(weight, dtype)
    with gc.GradientTape() as tape:
        y = ops.linear(x, w)
    g = gpu.tensor(rng.standard_normal((5, 4)))
    (grad,) = tape.gradient(y, [x], seed=g)
    np.testing.assert_allclose(grad.numpy(), g.numpy() @ w.numpy().astype(np.float32), rtol=1e-5, atol=1e-5)


def test_second_derivative(gpu, cpu, rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    for device, dtype, tolerance in ((cpu, "float64", 1e-9), (gpu, "float32", 1e-4)):
        x, y = device.tensor(a, dtype), device.tensor(b, dtype)
        with gc.GradientTape() as outer:
            with gc.GradientTape() as inner:
                z = ops.matmul(x, y, activation="tanh")
            (gx,) = inner.gradient(z, [x], seed=device.ones((2, 2), dtype))
        (gy,) = outer.gradient(gx, [y], seed=device.ones((2, 3), dtype))
        t = np.tanh(a @ b)
        want = ((1 - t**2).T @ np.ones((2, 3))).T  # d/dy of sum(tanh'(xy) yᵀ): through yᵀ ...
        want = want + a.T @ (-2 * t * (1 - t**2) * (np.ones((2, 3)) @ b))  # ... and through tanh'
        np.testing.assert_allclose(gy.numpy(), want, rtol=tolerance, atol=tolerance)
