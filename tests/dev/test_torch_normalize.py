"""The references of the normalisations against PyTorch, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from kernels_ref import norm as ref

torch = pytest.importorskip("torch")


def torch_gradients(fn, g, *arrays):
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = fn(*tensors)
    y.backward(torch.tensor(g))
    return y.detach().numpy(), *[t.grad.numpy() for t in tensors]


def test_layer_norm_and_its_gradients(rng):
    x, g, w, b = rng.standard_normal((4, 9)), rng.standard_normal((4, 9)), rng.standard_normal(9), rng.standard_normal(9)
    want = torch_gradients(lambda x, w, b: torch.nn.functional.layer_norm(x, (9,), w, b, eps=0.1), g, x, w, b)
    y, offset, rstd = ref.layer_norm(x, w, b, eps=0.1)
    got = (y, ref.norm_backward(g, x, rstd, offset, w), *[s[0] for s in ref.norm_weight_backward(g, x, rstd, offset)])
    for a, t in zip(got, want, strict=True):
        np.testing.assert_allclose(a, t, atol=1e-10)


def test_rms_norm_and_its_gradients(rng):
    x, g, w = rng.standard_normal((4, 9)), rng.standard_normal((4, 9)), rng.standard_normal(9)
    want = torch_gradients(lambda x, w: torch.nn.functional.rms_norm(x, (9,), w, eps=0.1), g, x, w)
    y, rstd = ref.rms_norm(x, w, eps=0.1)
    got = (y, ref.norm_backward(g, x, rstd, None, w), ref.norm_weight_backward(g, x, rstd)[0][0])
    for a, t in zip(got, want, strict=True):
        np.testing.assert_allclose(a, t, atol=1e-10)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)], ids=str)
def test_batch_norm_its_gradients_and_its_running_statistics(rng, shape):
    x, g, w, b = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(3), rng.standard_normal(3)
    running = [torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)]
    want = torch_gradients(
        lambda x, w, b: torch.nn.functional.batch_norm(x, *running, w, b, training=True, momentum=0.3, eps=0.1), g, x, w, b
    )
    axes = (0, *range(2, x.ndim))
    mean, var, count = x.mean(axes), x.var(axes), x.size // 3
    dw, db = (s[0] for s in ref.batch_norm_weight_backward(g, x, mean, var, eps=0.1))
    got = ref.batch_norm(x, mean, var, w, b, eps=0.1), ref.batch_norm_backward(g, x, mean, var, w, dw, db, eps=0.1), dw, db
    for a, t in zip(got, want, strict=True):
        np.testing.assert_allclose(a, t, atol=1e-10)
    ours = np.zeros(3), np.ones(3)
    ref.batch_norm_update(*ours, mean, var, momentum=0.3, count=count)
    for a, t in zip(ours, running, strict=True):
        np.testing.assert_allclose(a, t.numpy(), atol=1e-12)
