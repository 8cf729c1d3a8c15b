"""The references of the matrix products, against hand cases, loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kernels_ref import linalg as ref


def test_matmul_by_hand():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    b = np.array([[5.0, 6.0], [7.0, 8.0]])
    assert ref.matmul(a, b).tolist() == [[19, 22], [43, 50]]
    assert ref.matmul(a, b, np.array([1.0, -60.0]), activation="relu").tolist() == [[20, 0], [44, 0]]


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul_is_the_sum_over_the_inner_axis(rng, transpose_a, transpose_b):
    a, b = rng.standard_normal((3, 1, 4, 5)), rng.standard_normal((2, 5, 6))
    want = np.zeros((3, 2, 4, 6))
    for n, m, i, j, k in np.ndindex(3, 2, 4, 6, 5):
        want[n, m, i, j] += a[n, 0, i, k] * b[m, k, j]
    got = ref.matmul(
        a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b, transpose_a=transpose_a, transpose_b=transpose_b
    )
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_empty_inner_axis_gives_the_bias():
    assert ref.matmul(np.zeros((2, 0)), np.zeros((0, 3)), np.arange(3.0)).tolist() == [[0, 1, 2]] * 2


def test_vectors(rng):
    m, x, y = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal(4)
    np.testing.assert_allclose(ref.gemv(x, m, y), [m[i] @ x + y[i] for i in range(4)], rtol=1e-12)
    np.testing.assert_allclose(ref.vecmat(y, m), sum(y[i] * m[i] for i in range(4)), rtol=1e-12)
    parts = ref.vecmat(y, m, parts=3)  # two rows, two rows, none
    np.testing.assert_allclose(parts, [y[0] * m[0] + y[1] * m[1], y[2] * m[2] + y[3] * m[3], 0 * m[0]], rtol=1e-12)


def test_activations_against_scipy():
    x = np.linspace(-30, 30, 601)
    want = {
        None: x,
        "relu": np.where(x > 0, x, 0),
        "gelu": x * special.ndtr(x),
        "gelu_tanh": x * special.expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)),
        "silu": x * special.expit(x),
        "sigmoid": special.expit(x),
        "tanh": (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
    }
    assert set(want) == set(ref.ACTIVATIONS)
    for name, values in want.items():
        np.testing.assert_allclose(ref.ACTIVATIONS[name](x), values, rtol=1e-12, atol=2e-14, err_msg=str(name))
