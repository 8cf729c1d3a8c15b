"""What each layer computes: against NumPy written here, on both devices, and its gradients on the GPU."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

import gpucore as gc
from gpucore import nn


def values(layer, name):
    return layer.named_parameters()[name].numpy().astype(np.float64)


def close(got, want, rtol=1e-5, floor=1e-7):
    want = np.asarray(want, np.float64)
    assert got.shape == want.shape
    assert np.linalg.norm(got - want) <= rtol * np.linalg.norm(want) + floor


LAYERS = {
    "linear": (lambda d: nn.Linear(6, 4, rng=1, device=d), (3, 5, 6)),
    "linear relu": (lambda d: nn.Linear(6, 4, rng=1, activation="relu", device=d), (7, 6)),
    "linear gelu": (lambda d: nn.Linear(6, 4, rng=1, activation="gelu", bias=False, device=d), (7, 6)),
    "conv1d": (lambda d: nn.Conv1d(3, 4, 3, dilation=2, padding=4, rng=1, device=d), (2, 3, 11)),
    "conv2d relu": (lambda d: nn.Conv2d(2, 3, 3, activation="relu", rng=1, device=d), (2, 2, 8, 7)),
    "max pool relu": (lambda d: nn.MaxPool2d(2, activation="relu"), (2, 2, 8, 7)),
    "conv2d": (lambda d: nn.Conv2d(2, 3, 3, stride=2, padding=1, rng=1, device=d), (2, 2, 8, 7)),
    "max pool": (lambda d: nn.MaxPool2d(2), (2, 3, 6, 6)),
    "avg pool": (lambda d: nn.AvgPool2d(2, stride=1), (2, 3, 6, 6)),
    "global pool": (lambda d: nn.GlobalAvgPool2d(), (2, 3, 6, 6)),
    "flatten": (lambda d: nn.Flatten(), (2, 3, 4)),
    "relu": (lambda d: nn.ReLU(), (33,)),
    "leaky relu": (lambda d: nn.LeakyReLU(0.2), (33,)),
    "gelu": (lambda d: nn.GELU(), (33,)),
    "gelu tanh": (lambda d: nn.GELU("tanh"), (33,)),
    "silu": (lambda d: nn.SiLU(), (33,)),
    "tanh": (lambda d: nn.Tanh(), (33,)),
    "sigmoid": (lambda d: nn.Sigmoid(), (33,)),
    "softplus": (lambda d: nn.Softplus(), (33,)),
    "layer norm": (lambda d: nn.LayerNorm(9, device=d), (4, 3, 9)),
    "layer norm without bias": (lambda d: nn.LayerNorm(9, bias=False, device=d), (4, 9)),
    "rms norm": (lambda d: nn.RMSNorm(9, device=d), (4, 9)),
    "batch norm": (lambda d: nn.BatchNorm1d(5, device=d), (8, 5)),
    "attention": (lambda d: nn.MultiHeadAttention(8, 2, rng=1, device=d), (2, 5, 8)),
    "causal grouped attention": (lambda d: nn.MultiHeadAttention(16, 4, kv_heads=2, causal=True, rng=1, device=d), (2, 5, 16)),
    "stack": (
        lambda d: nn.Sequential(nn.Linear(6, 8, rng=1, device=d), gc.ops.tanh, nn.LayerNorm(8, device=d), nn.Linear(8, 3, rng=2, device=d)),
        (4, 6),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_and_its_gradients_on_both_devices(gpu, cpu, rng, name):
    """The GPU in float32 against the NumPy device in float64: the result, d/dx and d/d each parameter."""
    make, shape = LAYERS[name]
    x = rng.standard_normal(shape).astype(np.float32)
    found = []
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        layer = make(device)
        if dtype == "float64":
            for p in layer.named_parameters().values():
                p.storage, p.dtype = p.storage.astype(np.float64), gc.dtypes.float64
        tensor = device.tensor(x, dtype)
        with gc.GradientTape() as tape:
            y = layer(tensor)
        seed = device.tensor(np.random.default_rng(3).standard_normal(y.shape).astype(np.float32), dtype)
        found.append([y.numpy(), *[g.numpy() for g in tape.gradient(y, [tensor, *layer.parameters()], seed=seed)]])
    for got, want in zip(*found, strict=True):
        close(got, want, 2e-5, floor=3e-6)  # some are zero in exact arithmetic, as that of a key's bias


def test_linear_is_the_formula(gpu, rng):
    layer = nn.Linear(5, 3, rng=0, device=gpu)
    layer.bias.assign(rng.standard_normal(3).astype(np.float32))
    x = rng.standard_normal((4, 5)).astype(np.float32)
    close(layer(gpu.tensor(x)).numpy(), x @ values(layer, "weight").T + values(layer, "bias"))


def test_activations_are_their_formulas(gpu):
    x = np.linspace(-4, 4, 41).astype(np.float32)
    wide = x.astype(np.float64)
    formulas = {
        nn.ReLU(): np.maximum(wide, 0), nn.LeakyReLU(0.1): np.where(wide > 0, wide, 0.1 * wide),
        nn.GELU(): wide * 0.5 * (1 + erf(wide / np.sqrt(2))), nn.SiLU(): wide / (1 + np.exp(-wide)),
        nn.GELU("tanh"): 0.5 * wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))),
        nn.Tanh(): np.tanh(wide), nn.Sigmoid(): 1 / (1 + np.exp(-wide)), nn.Softplus(): np.log1p(np.exp(wide)),
    }  # fmt: skip
    for layer, want in formulas.items():
        close(layer(gpu.tensor(x)).numpy(), want)


def test_convolution_is_the_formula(gpu, rng):
    layer = nn.Conv2d(2, 3, 2, rng=0, device=gpu)
    x = rng.standard_normal((1, 2, 4, 5)).astype(np.float32)
    w, want = values(layer, "weight"), np.zeros((1, 3, 3, 4))
    for i, j in np.ndindex(3, 4):
        want[0, :, i, j] = (w * x[0, :, i : i + 2, j : j + 2]).sum(axis=(1, 2, 3))
    close(layer(gpu.tensor(x)).numpy(), want)


def test_embedding_takes_rows_and_adds_up_gradients(gpu):
    layer = nn.Embedding(6, 3, rng=0, device=gpu)
    ids = gpu.tensor([[1, 5], [1, 1]])
    with gc.GradientTape() as tape:
        y = layer(ids)
    assert np.array_equal(y.numpy(), layer.weight.numpy()[[[1, 5], [1, 1]]])
    (grad,) = tape.gradient(y, [layer.weight], seed=gpu.ones(y.shape))
    assert np.array_equal(grad.numpy()[:, 0], [0, 3, 0, 0, 0, 1])


def test_dropout_in_training_and_not_in_evaluation(gpu):
    layer, x = nn.Dropout(0.25, rng=0, device=gpu), gpu.ones(10_000)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert set(np.unique(first)) == {0.0, np.float32(1 / 0.75)}
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert not np.array_equal(first, second)
    assert layer.eval()(x) is x


def test_batch_norm_follows_the_batch_in_training_alone(gpu, rng):
    layer = nn.BatchNorm1d(4, momentum=0.2, device=gpu)
    x = (rng.standard_normal((64, 4)) * 3 + 5).astype(np.float32)
    y = layer(gpu.tensor(x)).numpy()
    assert np.allclose(y.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(y.std(axis=0), 1, atol=1e-3)
    close(layer.running_mean.numpy(), 0.2 * x.mean(axis=0, dtype=np.float64))
    close(layer.running_var.numpy(), 0.8 + 0.2 * x.var(axis=0, ddof=1, dtype=np.float64))
    layer.eval()
    mean, var = layer.running_mean.numpy(), layer.running_var.numpy()
    close(layer(gpu.tensor(x)).numpy(), (x - mean) / np.sqrt(var + 1e-5))
    assert np.array_equal(layer.running_mean.numpy(), mean)


def attend(layer, x, context, allowed):
    """Multi-head attention head by head."""
    d, shared = layer.head_size, layer.heads // layer.kv_heads
    sources = (("query", x), ("key", context), ("value", context))
    q, k, v = (t @ values(layer, f"{n}.weight").T + values(layer, f"{n}.bias") for n, t in sources)
    parts = []
    for h in range(layer.heads):
        mine, theirs = slice(h * d, (h + 1) * d), slice(h // shared * d, (h // shared + 1) * d)
        scores = np.where(allowed, q[..., mine] @ k[..., theirs].swapaxes(1, 2) / np.sqrt(d), -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        parts.append(weights / weights.sum(axis=-1, keepdims=True) @ v[..., theirs])
    return np.concatenate(parts, axis=-1) @ values(layer, "output.weight").T + values(layer, "output.bias")


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("kind", ["self", "causal", "cross", "mask"])
def test_attention_is_the_formula(gpu, rng, kv_heads, kind):
    layer = nn.MultiHeadAttention(16, 4, kv_heads=kv_heads, causal=kind == "causal", rng=2, device=gpu)
    x = rng.standard_normal((2, 5, 16)).astype(np.float32)
    context = rng.standard_normal((2, 7, 16)).astype(np.float32) if kind == "cross" else x
    allowed = np.tril(np.ones((5, 5), bool)) if kind == "causal" else np.ones((5, context.shape[1]), bool)
    mask = None
    if kind == "mask":
        allowed = rng.random((5, 5)) < 0.6
        allowed[:, 0] = True
        mask = gpu.tensor(allowed[None, None])
    y = layer(gpu.tensor(x), gpu.tensor(context) if kind == "cross" else None, mask)
    close(y.numpy(), attend(layer, x, context, allowed))


def test_a_layer_of_fifteen_lines(gpu, cpu, rng):
    class Scale(nn.Module):
        """weight · x, per feature."""

        def __init__(self, features, *, device):
            self.weight = nn.parameter(np.full(features, 2, np.float32), device, "weight")

        def forward(self, x):
            return x * self.weight

    x = rng.standard_normal((3, 4)).astype(np.float32)
    model = nn.Sequential(nn.Linear(4, 4, rng=0, device=cpu), Scale(4, device=cpu))
    close(model.to(gpu)(gpu.tensor(x)).numpy(), model(cpu.tensor(x)).numpy())
    assert list(model.state_dict()) == ["layers.0.weight", "layers.0.bias", "layers.1.weight"]
