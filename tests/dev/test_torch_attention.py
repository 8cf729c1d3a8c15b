"""The references of attention and the fused activations against PyTorch, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from kernels_ref import attention as ref
from kernels_ref import linalg

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("kind", ["none", "causal", "bool", "float"])
def test_attention_and_its_gradients(rng, kind):
    q, k, v, g = (rng.standard_normal((2, 3, 7, 5)) for _ in range(4))
    causal = kind == "causal"
    mask = {"none": None, "causal": None, "bool": rng.random((7, 7)) < 0.7, "float": rng.standard_normal((7, 7))}[kind]
    if kind == "bool":
        mask[:, 0] = True
    tensors = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    want = torch.nn.functional.scaled_dot_product_attention(
        *tensors, attn_mask=None if mask is None else torch.tensor(mask), is_causal=causal
    )
    want.backward(torch.tensor(g))
    out, lse = ref.attention(q, k, v, mask, causal=causal)
    np.testing.assert_allclose(out, want.detach().numpy(), atol=1e-10)
    stats = ref.attention_stats(g, out, lse)
    for of, tensor in zip("qkv", tensors, strict=True):
        got = ref.attention_backward(q, k, v, g, stats, mask, of=of, causal=causal)
        np.testing.assert_allclose(got, tensor.grad.numpy(), atol=1e-10)


def test_activations(rng):
    x = rng.standard_normal(1000) * 4
    t, f = torch.tensor(x), torch.nn.functional
    want = {
        "relu": f.relu(t),
        "gelu": f.gelu(t),
        "gelu_tanh": f.gelu(t, approximate="tanh"),
        "silu": f.silu(t),
        "sigmoid": t.sigmoid(),
        "tanh": t.tanh(),
    }
    for name, values in want.items():
        np.testing.assert_allclose(linalg.ACTIVATIONS[name](x), values.numpy(), atol=1e-12)
