"""The reference losses against SciPy, by hand, and their derivatives against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kernels_ref import loss as ref


def test_cross_entropy_is_minus_log_softmax(rng):
    logits, labels = rng.standard_normal((7, 5)) * 3, rng.integers(0, 5, 7)
    loss, _ = ref.cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, -special.log_softmax(logits, axis=1)[np.arange(7), labels], rtol=1e-13)


def test_cross_entropy_by_hand():
    loss, gradient = ref.cross_entropy(np.array([[0.0, 0.0], [np.log(3.0), 0.0]]), np.array([1, 0]))
    np.testing.assert_allclose(loss, [np.log(2), np.log(4 / 3)])
    np.testing.assert_allclose(gradient, np.array([[0.5, -0.5], [-0.25, 0.25]]) / 2)


def test_cross_entropy_gradient_by_differences(rng):
    logits, labels = rng.standard_normal((4, 6)), rng.integers(0, 6, 4)
    _, gradient = ref.cross_entropy(logits, labels)
    np.testing.assert_allclose(gradient, _differences(lambda x: ref.cross_entropy(x, labels)[0].mean(), logits), atol=1e-9)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)


def test_cross_entropy_far_logits_and_bad_labels():
    logits = np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    loss, gradient = ref.cross_entropy(logits, np.array([0, 1, 3, -1]))
    np.testing.assert_array_equal(loss[:2], [0, 2e4])
    np.testing.assert_array_equal(gradient[:2], np.array([[0, 0, 0], [1, -1, 0]]) / 4)
    assert np.isnan(loss[2:]).all()
    assert np.isnan(gradient[2:]).all()


def test_huber_by_hand():
    """Outside delta the linear part; at delta both give the same value."""
    e = np.array([0.0, 0.5, 2.0, -2.0, 3.0, -10.0])
    parts, _ = ref.pointwise_loss(e, np.zeros(6), kind="huber", delta=2.0, block=1)
    np.testing.assert_allclose(parts * 6, [0, 0.125, 2, 2, 4, 18])
    np.testing.assert_allclose(parts * 6, special.huber(2.0, e))


def test_binary_cross_entropy_matches_its_definition(rng):
    x, t = rng.standard_normal(50) * 4, rng.random(50)
    want = -(t * special.log_expit(x) + (1 - t) * special.log_expit(-x)).mean()
    np.testing.assert_allclose(ref.pointwise_loss(x, t, kind="bce")[0].sum(), want, rtol=1e-13)
    np.testing.assert_allclose(ref.pointwise_loss(np.array([1e4, -1e4]), np.array([0.0, 1.0]), kind="bce")[0], 1e4)


def test_blocks_add_up_to_the_mean(rng):
    a, b = rng.standard_normal((3, 1000)), rng.standard_normal((3, 1000))
    for kind, want in (("mse", ((a - b) ** 2).mean()), ("l1", np.abs(a - b).mean())):
        parts, slope = ref.pointwise_loss(a, b, kind=kind, block=128)
        assert slope.size == 0
        assert parts.shape == (24,)
        np.testing.assert_allclose(parts.sum(), want, rtol=1e-13)


@pytest.mark.parametrize("kind", list(ref.VALUES))
def test_derivatives_by_differences(rng, kind):
    x, t, g = 2 * rng.standard_normal(40), rng.random(40), np.array(1.7)

    def mean(x):
        return g * ref.pointwise_loss(x, t, kind=kind, delta=0.8)[0].sum()

    slope = ref.pointwise_loss_derivative(x, t, g, kind=kind, delta=0.8)
    np.testing.assert_allclose(slope, _differences(mean, x), atol=1e-9)
    np.testing.assert_allclose(g * ref.pointwise_loss(x, t, kind=kind, delta=0.8, with_slope=True)[1], slope, rtol=1e-15)
    curvature = ref.pointwise_loss_derivative(x, t, g, kind=kind, order=2, delta=0.8)
    step = 1e-5
    ends = [ref.pointwise_loss_derivative(x + s, t, g, kind=kind, delta=0.8) for s in (step, -step)]
    np.testing.assert_allclose(curvature, (ends[0] - ends[1]) / (2 * step), atol=1e-9)


def _differences(fn, x, step=1e-6):
    found = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            ends.append(fn(moved))
        found[at] = (ends[0] - ends[1]) / (2 * step)
    return found
