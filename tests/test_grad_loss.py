"""Gradients of the losses, first and second."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc

POINTWISE = {
    "mse": gc.ops.mse_loss,
    "l1": gc.ops.l1_loss,
    "huber": lambda a, b: gc.ops.huber_loss(a, b, delta=0.7),
    "bce": gc.ops.binary_cross_entropy_with_logits,
}


def _inputs(rng, kind):
    """Predictions and targets away from the kinks of l1 and Huber."""
    b = rng.random((3, 5))
    e = rng.choice([-2.0, -0.3, 0.25, 1.8], (3, 5)) + 0.05 * rng.random((3, 5))
    return b + e, b


@pytest.mark.parametrize("kind", list(POINTWISE))
def test_pointwise_gradient(gpu, rng, kind):
    check_gradient(gpu, POINTWISE[kind], *_inputs(rng, kind))


@pytest.mark.parametrize("kind", list(POINTWISE))
def test_pointwise_second_gradient(gpu, rng, kind):
    """The gradient of a weighted sum of the first gradients, in both arguments and in the arriving gradient."""
    weights = rng.standard_normal((3, 5))

    def fn(a, b, factor):
        with gc.GradientTape() as tape:
            loss = gc.ops.multiply(POINTWISE[kind](a, b), factor)
        da, db = tape.gradient(loss, [a, b])
        w = a.device.tensor(weights, a.dtype)
        return gc.ops.add(gc.ops.multiply(da, w), gc.ops.multiply(gc.ops.multiply(db, w), w))

    check_gradient(gpu, fn, *_inputs(rng, kind), np.array(1.3))


@pytest.mark.parametrize("kind", list(POINTWISE))
def test_the_gradient_that_comes_with_the_loss(gpu, rng, kind):
    """Without a factor in between it is the one that the loss's kernel left: first and second by differences, no launch more."""
    a, b = _inputs(rng, kind)
    weights = rng.standard_normal(a.shape)

    def fn(a, b):
        with gc.GradientTape() as tape:
            loss = POINTWISE[kind](a, b)
        return gc.ops.multiply(tape.gradient(loss, [a])[0], a.device.tensor(weights, a.dtype))

    check_gradient(gpu, fn, a, b)
    x, t = gpu.tensor(a), gpu.tensor(b)
    with gpu.profile() as profile, gc.GradientTape() as tape:
        tape.gradient(POINTWISE[kind](x, t), [x])
    assert list(profile.by_kernel) == ["pointwise_loss"]


@pytest.mark.parametrize("kind", [*POINTWISE, "cross entropy"])
def test_a_gradient_is_the_caller_s(gpu, rng, kind):
    """What the caller does to it does not come back from a tape that is asked again."""
    a, b = _inputs(rng, kind)
    x, t = gpu.tensor(a), gpu.tensor([0, 3, 2] if kind == "cross entropy" else b)
    with gc.GradientTape(persistent=True) as tape:
        loss = POINTWISE.get(kind, gc.ops.cross_entropy)(x, t)
    given = tape.gradient(loss, [x])[0]
    want = given.numpy()
    given.assign(np.zeros(a.shape, np.float32))
    np.testing.assert_allclose(tape.gradient(loss, [x])[0].numpy(), want, rtol=1e-6)


def test_launches_of_a_loss_of_many_elements(gpu, rng):
    x, t = gpu.tensor(rng.standard_normal(5000)), gpu.tensor(rng.standard_normal(5000))
    with gpu.profile() as profile, gc.GradientTape() as tape:
        g = tape.gradient(gc.ops.mse_loss(x, t), [x])[0]
    assert sorted(name for name, _ in profile.samples) == ["pointwise_loss", "reduce_rows"]
    np.testing.assert_allclose(g.numpy(), (x.numpy() - t.numpy()) / 2500, rtol=1e-6)


def test_cross_entropy_gradient(gpu, rng):
    labels = np.array([0, 3, 2, 2], np.int32)
    check_gradient(gpu, lambda x: gc.ops.cross_entropy(x, x.device.tensor(labels)), rng.standard_normal((4, 5)) * 2)


def test_cross_entropy_second_gradient(gpu, rng):
    labels = np.array([0, 3, 2, 2], np.int32)

    def fn(x, factor):
        with gc.GradientTape() as tape:
            loss = gc.ops.multiply(gc.ops.cross_entropy(x, x.device.tensor(labels)), factor)
        return tape.gradient(loss, [x])[0]

    check_gradient(gpu, fn, rng.standard_normal((4, 5)), np.array(0.7))


def test_the_arriving_gradient_multiplies(gpu, rng):
    x, labels = gpu.tensor(rng.standard_normal((4, 5))), gpu.tensor([0, 1, 2, 3])
    found = []
    for factor in (1.0, -3.0):
        with gc.GradientTape() as tape:
            loss = gc.ops.multiply(gc.ops.cross_entropy(x, labels), gpu.tensor(factor))
        found.append(tape.gradient(loss, [x])[0].numpy())
    np.testing.assert_allclose(found[1], -3 * found[0], rtol=1e-6)
