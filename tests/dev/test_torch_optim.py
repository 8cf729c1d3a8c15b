"""Losses and optimizers on the NumPy device in float64 against PyTorch, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.optim import SGD, Adam, AdamW

torch = pytest.importorskip("torch")
functional = pytest.importorskip("torch.nn.functional")

LOSSES = {
    "mse_loss": (gc.ops.mse_loss, lambda a, b: functional.mse_loss(a, b)),
    "l1_loss": (gc.ops.l1_loss, lambda a, b: functional.l1_loss(a, b)),
    "huber_loss": (lambda a, b: gc.ops.huber_loss(a, b, delta=0.7), lambda a, b: functional.huber_loss(a, b, delta=0.7)),
    "bce": (gc.ops.binary_cross_entropy_with_logits, lambda a, b: functional.binary_cross_entropy_with_logits(a, b)),
}
OPTIMIZERS = {
    "sgd": (lambda p, **k: SGD(p, 0.1, weight_decay=0.2, **k), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.2)),
    "momentum": (
        lambda p, **k: SGD(p, 0.1, momentum=0.9, weight_decay=0.05, **k),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.05),
    ),
    "nesterov": (
        lambda p, **k: SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.05, **k),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    ),
    "adam": (lambda p, **k: Adam(p, 0.1, weight_decay=0.2, **k), lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.2)),
    "adamw": (
        lambda p, **k: AdamW(p, 0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2, **k),
        lambda p: torch.optim.AdamW(p, 0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2),
    ),
}


@pytest.mark.parametrize("name", list(LOSSES))
def test_pointwise_losses_and_both_gradients(cpu, rng, name):
    ours, theirs = LOSSES[name]
    a, b = 2 * rng.standard_normal((5, 7)), rng.random((5, 7))
    x, y = cpu.tensor(a, "float64"), cpu.tensor(b, "float64")
    with gc.GradientTape() as tape:
        loss = ours(x, y)
    got = tape.gradient(loss, [x, y])
    tensors = [torch.tensor(v, requires_grad=True) for v in (a, b)]
    want = theirs(*tensors)
    want.backward()
    assert loss.item() == pytest.approx(want.item(), rel=1e-12)
    for g, t in zip(got, tensors, strict=True):
        np.testing.assert_allclose(g.numpy(), t.grad.numpy(), atol=1e-12)


def test_cross_entropy(cpu, rng):
    logits, labels = 4 * rng.standard_normal((9, 6)), rng.integers(0, 6, 9)
    x = cpu.tensor(logits, "float64")
    with gc.GradientTape() as tape:
        loss = gc.ops.cross_entropy(x, cpu.tensor(labels))
    (got,) = tape.gradient(loss, [x])
    t = torch.tensor(logits, requires_grad=True)
    want = functional.cross_entropy(t, torch.tensor(labels))
    want.backward()
    assert loss.item() == pytest.approx(want.item(), rel=1e-12)
    np.testing.assert_allclose(got.numpy(), t.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize("limit", [None, 2.0])
def test_optimizers(cpu, rng, name, limit):
    ours, theirs = OPTIMIZERS[name]
    start = [rng.standard_normal(s) for s in ((3, 4), (5,), (70,))]
    params = [cpu.tensor(p, "float64") for p in start]
    tensors = [torch.tensor(p, requires_grad=True) for p in start]
    optimizer, peer = ours(params, max_grad_norm=limit), theirs(tensors)
    for _ in range(20):
        grads = [rng.standard_normal(p.shape) for p in start]
        for t, g in zip(tensors, grads, strict=True):
            t.grad = torch.tensor(g)
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(tensors, limit)
        peer.step()
        optimizer.step([cpu.tensor(g, "float64") for g in grads])
    for p, t in zip(params, tensors, strict=True):
        np.testing.assert_allclose(p.numpy(), t.detach().numpy(), rtol=1e-8, atol=1e-10)
