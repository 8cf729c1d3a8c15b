"""The references of softmax and the normalisations against scipy, identities and hand cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kernels_ref import norm as ref


def test_softmax_is_scipys(rng):
    x = rng.standard_normal((3, 17)) * 20
    np.testing.assert_allclose(ref.softmax(x), special.softmax(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(ref.softmax(x, log=True), special.log_softmax(x, axis=-1), rtol=1e-12)


def test_masked_softmax_is_softmax_of_what_is_open(rng):
    x = rng.standard_normal((4, 9))
    mask = rng.random((4, 9)) < 0.5
    mask[0] = False
    with np.errstate(all="ignore"):
        got = ref.softmax(x, mask)
    assert not got[~mask].any()
    for row, open_, y in zip(x, mask, got, strict=True):
        if open_.any():
            np.testing.assert_allclose(y[open_], special.softmax(row[open_]), rtol=1e-12)


@pytest.mark.parametrize("log", [False, True])
def test_softmax_backward_is_the_jacobian(rng, log):
    x, g = rng.standard_normal(6), rng.standard_normal(6)
    p = special.softmax(x)
    jacobian = np.eye(6) - p[None, :] if log else np.diag(p) - np.outer(p, p)
    y = np.log(p) if log else p
    np.testing.assert_allclose(ref.softmax_backward(g, y, log=log), g @ jacobian, rtol=1e-12)


def test_layer_norm_has_mean_0_and_variance_1(rng):
    x = rng.standard_normal((5, 33)) * 7 + 3
    y, offset, rstd = ref.layer_norm(x, eps=0.0)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(offset + x[:, 0], x.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(rstd, 1 / x.std(-1), rtol=1e-12)


def test_layer_norm_by_hand():
    y, offset, rstd = ref.layer_norm(np.array([1.0, 3.0]), np.array([2.0, 10.0]), np.array([0.5, -1.0]), eps=3.0)
    np.testing.assert_allclose(y, [2 * -0.5 + 0.5, 10 * 0.5 - 1])  # μ = 2, σ² = 1, √(1 + 3) = 2: eps is inside the root
    assert (offset, rstd) == (1.0, 0.5)


def test_rms_norm_by_hand():
    y, rstd = ref.rms_norm(np.array([3.0, 4.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0, 1.0]), eps=2.75)
    np.testing.assert_allclose(y, [1, 8 / 3, 0, 0])  # mean of squares 6.25, + 2.75 = 9
    assert rstd == pytest.approx(1 / 3)


def _numeric(f, x, step=1e-6):
    grad = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            ends.append(f(moved))
        grad[at] = (ends[0] - ends[1]) / (2 * step)
    return grad


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_norm_gradients_are_finite_differences(rng, kind):
    x, g, weight = rng.standard_normal((3, 5)), rng.standard_normal((3, 5)), rng.standard_normal(5)

    def norm(x, weight):
        return ref.layer_norm(x, weight) if kind == "layer" else ref.rms_norm(x, weight)

    saved = norm(x, weight)
    rstd, offset = saved[-1], saved[1] if kind == "layer" else None
    numeric = _numeric(lambda v: np.sum(g * norm(v, weight)[0]), x)
    np.testing.assert_allclose(ref.norm_backward(g, x, rstd, offset, weight), numeric, rtol=1e-5, atol=1e-8)
    to_weight, to_bias = ref.norm_weight_backward(g, x, rstd, offset)
    np.testing.assert_allclose(to_weight[0], _numeric(lambda w: np.sum(g * norm(x, w)[0]), weight), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(to_bias[0], g.sum(0))
    parts = ref.norm_weight_backward(g, x, rstd, offset, chunk=2)
    np.testing.assert_allclose([p.sum(0) for p in parts], [to_weight[0], to_bias[0]], rtol=1e-12)


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5)])
def test_batch_norm(rng, shape):
    axes = (0, 2)[: len(shape) - 1]
    x = rng.standard_normal(shape) * 5 + 2
    y = ref.batch_norm(x, x.mean(axes), x.var(axes), eps=0.0)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5)])
def test_batch_norm_gradients_are_finite_differences(rng, shape):
    axes = (0, 2)[: len(shape) - 1]
    x, g, weight = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(3)
    mean, variance = x.mean(axes), x.var(axes)
    to_weight, to_bias = ref.batch_norm_weight_backward(g, x, mean, variance)
    training = ref.batch_norm_backward(g, x, mean, variance, weight, to_weight[0], to_bias[0])
    numeric = _numeric(lambda v: np.sum(g * ref.batch_norm(v, v.mean(axes), v.var(axes), weight)), x)
    np.testing.assert_allclose(training, numeric, rtol=1e-5, atol=1e-8)
    inference = ref.batch_norm_backward(g, x, mean, variance, weight)
    numeric = _numeric(lambda v: np.sum(g * ref.batch_norm(v, mean, variance, weight)), x)
    np.testing.assert_allclose(inference, numeric, rtol=1e-5, atol=1e-8)
    parts = ref.batch_norm_weight_backward(g, x, mean, variance, chunk=3)
    np.testing.assert_allclose([p.sum(0) for p in parts], [to_weight[0], to_bias[0]], rtol=1e-12)


def test_batch_norm_update_by_hand():
    mean, var = np.array([1.0]), np.array([2.0])
    ref.batch_norm_update(mean, var, np.array([3.0]), np.array([8.0]), momentum=0.25, count=5)
    assert (mean[0], var[0]) == (1.5, 0.75 * 2 + 0.25 * 10)
    ref.batch_norm_update(mean, var, np.array([1.5]), np.array([0.0]), momentum=0.5, count=1)
    assert (mean[0], var[0]) == (1.5, 2.0)
