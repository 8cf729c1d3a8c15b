"""Losses: values, scalars, and the sentences of refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import gpucore as gc
from gpucore.errors import ConfigError, DTypeError, GradientError, ShapeError


def test_each_loss_is_a_scalar_with_the_right_value(gpu, rng):
    a, b = rng.standard_normal((33, 130)).astype(np.float32), rng.random((33, 130)).astype(np.float32)
    labels = rng.integers(0, 130, 33).astype(np.int32)
    e = (a - b).astype(np.float64)
    want = {
        "mse_loss": (e**2).mean(),
        "l1_loss": np.abs(e).mean(),
        "huber_loss": special.huber(1.0, e).mean(),
        "binary_cross_entropy_with_logits": -(b * special.log_expit(a) + (1 - b) * special.log_expit(-a)).mean(),
    }
    for name, value in want.items():
        got = getattr(gc.ops, name)(gpu.tensor(a), gpu.tensor(b))
        assert got.shape == ()
        assert got.item() == pytest.approx(value, rel=2e-6)
    got = gc.ops.cross_entropy(gpu.tensor(a), gpu.tensor(labels))
    assert got.shape == ()
    assert got.item() == pytest.approx(-special.log_softmax(a.astype(np.float64), axis=1)[np.arange(33), labels].mean(), rel=2e-6)


def test_cross_entropy_of_far_logits(gpu):
    x = gpu.tensor([[1e4, -1e4], [-1e4, 1e4]])
    assert gc.ops.cross_entropy(x, gpu.tensor([0, 1])).item() == 0
    assert gc.ops.cross_entropy(x, gpu.tensor([1, 0])).item() == 2e4


@pytest.mark.parametrize("label", [-1, 3, 2**31 - 1])
def test_a_label_outside_the_classes_gives_nan(gpu, label):
    x, labels = gpu.ones((2, 3)), gpu.tensor([label, 1])
    with gc.GradientTape() as tape:
        loss = gc.ops.cross_entropy(x, labels)
    (grad,) = tape.gradient(loss, [x])
    assert np.isnan(loss.item())
    assert np.isnan(grad.numpy()[0]).all()
    np.testing.assert_allclose(grad.numpy()[1], np.array([1, -2, 1]) / 6, rtol=1e-6)


def test_huber_delta_is_where_the_sides_meet(gpu):
    zero = gpu.zeros((1,))
    values = [gc.ops.huber_loss(gpu.tensor([e]), zero, delta=0.5).item() for e in (0.25, 0.5, 1.0, -1.0)]
    np.testing.assert_allclose(values, [0.03125, 0.125, 0.375, 0.375], rtol=1e-6)


def test_l1_has_gradient_zero_where_equal(gpu):
    x, t = gpu.tensor([1.0, 2.0, 3.0]), gpu.tensor([1.0, 1.0, 4.0])
    with gc.GradientTape() as tape:
        loss = gc.ops.l1_loss(x, t)
    dx, dt = tape.gradient(loss, [x, t])
    np.testing.assert_allclose(dx.numpy(), np.array([0, 1, -1]) / 3)
    np.testing.assert_allclose(dt.numpy(), np.array([0, -1, 1]) / 3)


def test_losses_inside_a_pipeline(gpu, rng):
    x, labels = gpu.tensor(rng.standard_normal((9, 4))), gpu.tensor(rng.integers(0, 4, 9))
    step = gc.Pipeline(gc.ops.cross_entropy)
    assert step(x, labels).item() == gc.ops.cross_entropy(x, labels).item()
    assert max(d.max_abs for d in step.verify(x, labels)) < 1e-6


def test_refusals(gpu):
    x, i = gpu.ones((4, 3)), gpu.tensor([0, 1, 2, 0])
    with pytest.raises(ShapeError, match=r"mse_loss: predictions have shape \(4, 3\) and targets \(4,\); wants the same shape"):
        gc.ops.mse_loss(x, gpu.ones((4,)))
    with pytest.raises(ConfigError, match=r"huber_loss: delta is 0\.0; wants a positive number"):
        gc.ops.huber_loss(x, x, delta=0)
    with pytest.raises(ShapeError, match=r"labels have shape \(3,\) and logits \(4, 3\)"):
        gc.ops.cross_entropy(x, gpu.tensor([0, 1, 2]))
    with pytest.raises(ShapeError, match="wants \\(samples, classes\\)"):
        gc.ops.cross_entropy(gpu.ones((3,)), gpu.tensor([0, 1, 2]))
    with pytest.raises(DTypeError, match="labels is float32; wants int32"):
        gc.ops.cross_entropy(x, gpu.ones((4,)))
    with pytest.raises(ShapeError, match="no classes"):
        gc.ops.cross_entropy(gpu.zeros((4, 0)), i)


def test_a_third_derivative_is_refused_by_name(gpu):
    x, t = gpu.tensor([0.5]), gpu.tensor([1.0])
    loss = gc.ops.binary_cross_entropy_with_logits
    with gc.GradientTape() as third:
        with gc.GradientTape() as second:
            with gc.GradientTape() as first:
                y = loss(x, t)
            (d1,) = first.gradient(y, [x])
        (d2,) = second.gradient(d1, [x])
    with pytest.raises(GradientError, match="_curvature has no gradient"):
        third.gradient(d2, [x])
