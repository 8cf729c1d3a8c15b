"""The reference optimizers by hand and by identities."""

from __future__ import annotations

import numpy as np
import pytest

from kernels_ref import optim as ref


def _lr(value):
    return np.array([value])


def _steps(count=0):
    return np.array([count], np.uint32)


def test_pack_places_sources_and_clears_between():
    flat = np.full(16, 9.0)
    ref.pack(flat, np.zeros(1), np.array([[1.0, 2.0], [3.0, 4.0]]), None, np.array(5.0), spans=(8, 4, 4))
    np.testing.assert_array_equal(flat, [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0])


def test_pack_and_square_sums_deal_stretches_out(rng):
    g, partials, packed = rng.standard_normal(5000), np.zeros(3), np.zeros(3)
    ref.square_sums(g, partials)
    np.testing.assert_allclose(partials.sum(), (g**2).sum())
    np.testing.assert_allclose(partials[1], (g[1024:2048] ** 2).sum() + (g[4096:] ** 2).sum())
    ref.pack(np.zeros(5004), packed, g, spans=(5004,), squares=True)
    np.testing.assert_allclose(packed, partials)


def test_a_step_is_counted_and_scaled_by_the_norm():
    steps, theta = np.array([4, 4], np.uint32), np.zeros(2)
    ref.sgd(theta, np.array([3.0, 4.0]), steps, _lr(1.0), np.array([9.0, 16.0]), max_norm=1.0)
    np.testing.assert_array_equal(steps, [5, 5])
    np.testing.assert_allclose(theta, [-3 / (5 + 1e-6), -4 / (5 + 1e-6)])


def test_the_first_adam_step_is_the_learning_rate_in_the_gradients_direction(rng):
    """With both moments corrected at step 1 the update is lr·g/(|g| + eps)."""
    g, theta = rng.standard_normal(50), np.zeros(50)
    ref.adam(theta, np.zeros(50), np.zeros(50), g, _steps(), _lr(0.1), beta1=0.9, beta2=0.999, eps=1e-12)
    np.testing.assert_allclose(theta, -0.1 * np.sign(g), rtol=1e-9)


def test_adam_by_hand():
    theta, m, v = np.array([1.0]), np.array([0.5]), np.array([0.25])
    ref.adam(theta, m, v, np.array([2.0]), _steps(1), _lr(0.1), beta1=0.5, beta2=0.75, eps=0.5)
    np.testing.assert_allclose([m[0], v[0]], [1.25, 1.1875])
    np.testing.assert_allclose(theta, 1 - 0.1 * (1.25 / 0.75) / (np.sqrt(1.1875 / 0.4375) + 0.5))


def test_decoupled_decay_leaves_the_moments_alone(rng):
    theta, g = rng.standard_normal(128), np.zeros(128)
    start = theta.copy()
    m, v = np.zeros(128), np.zeros(128)
    options = dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.5, decoupled=True)
    ref.adam(theta, m, v, g, _steps(), _lr(0.1), decay=np.array([1.0, 0.0]), **options)
    np.testing.assert_allclose(theta[:64], start[:64] * 0.95)
    np.testing.assert_array_equal(theta[64:], start[64:])
    assert not m.any()
    assert not v.any()


@pytest.mark.parametrize("nesterov", [False, True])
def test_constant_gradient_reaches_the_final_velocity(nesterov):
    """The velocity goes to g/(1-μ); Nesterov's step is one ahead of the plain one."""
    theta, velocity, g = np.zeros(1), np.zeros(1), np.ones(1)
    for _ in range(200):
        before = theta.copy()
        ref.sgd_momentum(theta, velocity, g, _steps(), _lr(0.1), momentum=0.8, nesterov=nesterov)
    np.testing.assert_allclose(velocity, 5)
    np.testing.assert_allclose(before - theta, 0.5)


def test_clipping_scales_first_and_bounds_then():
    theta = np.zeros(3)
    ref.sgd(theta, np.array([4.0, -0.5, np.nan]), _steps(), _lr(1.0), np.array([4.0]), max_norm=1.0, clip_value=1.0)
    np.testing.assert_allclose(theta, [-1, 0.25, np.nan], rtol=1e-6)


def test_sgd_weight_decay_is_l2(rng):
    theta, g = rng.standard_normal(5), rng.standard_normal(5)
    want = theta - 0.1 * (g + 0.3 * theta)
    ref.sgd(theta, g, _steps(), _lr(0.1), weight_decay=0.3)
    np.testing.assert_allclose(theta, want)
