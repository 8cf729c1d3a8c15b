"""matmul and linear: shapes, dtypes, kernels chosen, error sentences."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore import ops
from gpucore.kernels import linalg as K
from gpucore.kernels import tiles

SHAPES = [
    ((3,), (3,)), ((3,), (3, 4)), ((5, 3), (3,)), ((2, 5, 3), (3,)), ((3,), (2, 3, 4)),
    ((1, 3), (3, 4)), ((5, 3), (3, 1)), ((1, 3), (3, 1)), ((2, 5, 3), (3, 4)), ((2, 1, 5, 3), (4, 3, 6)), ((70, 33), (33, 90)),
    ((2, 0, 3), (3, 4)), ((1, 0), (0, 4)), ((5, 0), (0,)), ((0, 3), (3, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_matmul_is_numpys(gpu, cpu, rng, a, b):
    x, y = rng.standard_normal(a, np.float32), rng.standard_normal(b, np.float32)
    want = x.astype(np.float64) @ y.astype(np.float64)
    for device in (gpu, cpu):
        got = ops.matmul(device.tensor(x), device.tensor(y))
        assert got.shape == want.shape
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("x", "w"), [((8,), (5, 8)), ((1, 7), (5, 7)), ((4, 8), (5, 8)), ((2, 3, 9), (6, 9))])
def test_linear_with_16_bit_weights(gpu, rng, dtype, x, w):
    values = gpu.tensor(rng.standard_normal(x, np.float32))
    weight = gpu.tensor(rng.standard_normal(w, np.float32), dtype)
    want = values.numpy().astype(np.float64) @ weight.numpy().astype(np.float64).T
    np.testing.assert_allclose(ops.linear(values, weight).numpy(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh"])
def test_activation_is_the_same_under_a_tape(gpu, rng, activation):
    x, w, b = (gpu.tensor(rng.standard_normal(s, np.float32) * 3) for s in ((6, 5), (7, 5), (7,)))
    fused = ops.linear(x, w, b, activation=activation).numpy()
    with gc.GradientTape():
        taped = ops.linear(x, w, b, activation=activation).numpy()
    np.testing.assert_allclose(fused, taped, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "relu"])
def test_activations_far_out(gpu, activation):
    x = np.array([[-3e38, -1e5, -90, -21, -6, -1e-6, 0, 1e-6, 6, 21, 90, 1e5, 3e38]], np.float32).T
    got = ops.matmul(gpu.tensor(x), gpu.ones((1, 2)), activation=activation).numpy()[:, 0]
    with np.errstate(all="ignore"):
        want = K.ref.ACTIVATIONS[activation](x.astype(np.float64)[:, 0])
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("config", [None, *tiles.CHOICES.candidates])
def test_reads_stay_inside(gpu, rng, config):
    """What lies behind an operand in memory, even NaN, has no part in the product."""
    a, b = (rng.standard_normal(s, np.float32) for s in ((33, 18), (18, 37)))
    held = [gpu.tensor(np.concatenate([x.reshape(-1), np.full(4096, np.nan, np.float32)])) for x in (a, b)]
    x, y = held[0].view(a.shape), held[1].view(b.shape)
    got = K.matmul_tiled(x, y, config=config) if config else K.matmul(x, y)
    np.testing.assert_allclose(got.numpy(), a.astype(np.float64) @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("storage", ["float32", "float16", "bfloat16"])
def test_parts_of_the_inner_axis_add_up(gpu, rng, storage):
    """What hardware does with few tiles: partial products, then a fold that adds bias and activation."""
    x, w, bias = (rng.standard_normal(s, np.float32) for s in ((2, 9, 70), (11, 70), (11,)))
    a, b = gpu.tensor(x), gpu.tensor(w, storage)
    parts = K.TILED[storage](a, b, transpose_b=True, chunk=32)
    assert parts.shape == (3, 2, 9, 11)
    got = K.matmul_fold(parts, gpu.tensor(bias), activation="silu").numpy()
    want = K.ref.matmul(x.astype(np.float64), b.numpy().astype(np.float64), bias, transpose_b=True, activation="silu")
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_every_tile_is_what_its_name_says():
    for config in tiles.CHOICES.candidates:
        rows, cols = map(int, config.split("x"))
        assert tiles.tile_shape(config) == (rows, cols)
    first = next(iter(tiles.CHOICES.candidates.values()))
    assert first.memory <= 16384
    assert first.workgroup <= 256


@pytest.mark.parametrize(("sizes", "tile", "split"), [
    ((1, 4096, 4096, 4096), "128x128", False), ((1, 8192, 8192, 8192), "128x128", False), ((64, 512, 512, 512), "128x128", False),
    ((1, 128, 128, 784), "32x32", True), ((1, 784, 128, 128), "32x32", False), ((1, 33, 4096, 4096), "64x64", True),
    ((1, 4, 4096, 4096), "16x128", True), ((1, 4096, 8, 4096), "128x16", True), ((1, 1, 1, 1), "32x32", False),
])  # fmt: skip
def test_plans(gpu, sizes, tile, split):
    """Large products take large tiles; few tiles become smaller ones, then parts of the inner axis, of whole slices each."""
    config, chunk = tiles.plan(gpu, *sizes, False, False)
    assert (config, chunk is not None) == (tile, split)
    assert chunk is None or (chunk % tiles.DEPTH == 0 and chunk < sizes[-1])


@pytest.mark.parametrize("sizes", [(2, 5, 7, 0), (0, 3, 3, 3), (1, 0, 4, 4), (1, 65536, 65536, 8)])
def test_plans_of_empty_and_huge_products(gpu, sizes):
    config, chunk = tiles.plan(gpu, *sizes, True, True)
    assert config in tiles.CHOICES.candidates
    assert chunk is None


ShapeError, ConfigError = gc.errors.ShapeError, gc.errors.ConfigError
BOTH = dict(transpose_a=True, transpose_b=True)


@pytest.mark.parametrize(("call", "error", "sentence"), [
    (lambda t: ops.matmul(t((3, 4)), t((5, 6))), ShapeError, r"matmul: inner axes differ, a is \(3, 4\) and b is \(5, 6\)"),
    (lambda t: ops.matmul(t((4, 3)), t((5, 3)), **BOTH), ShapeError, r"inner axes differ, .*transpose_a=True"),
    (lambda t: ops.matmul(t((2, 3, 4)), t((3, 4, 5))), ShapeError, r"batch axes do not broadcast, a is \(2, 3, 4\)"),
    (lambda t: ops.matmul(t((1, 1, 1, 1, 1, 3, 4)), t((2, 4, 5))), ShapeError, r"5 batch axes; wants at most 4"),
    (lambda t: ops.matmul(t(()), t((2, 2))), ShapeError, r"wants at least one axis each"),
    (lambda t: ops.matmul(t((2, 3)), t((3, 4)), bias=t((5,))), ShapeError, r"bias is \(5,\); wants \(4,\)"),
    (lambda t: ops.matmul(t((2, 3)), t((3, 4)), activation="swish"), ConfigError, r"activation is 'swish'; wants one of None, relu"),
    (lambda t: K.matmul_tiled(t((2, 3)), t((3, 4)), chunk=8), ConfigError, r"chunk is 8; wants a positive multiple of 16"),
    (lambda t: K.matmul_tiled(t((2, 3)), t((3, 4)), t((4,)), chunk=16), ConfigError, r"take no bias and no activation; give"),
    (lambda t: K.matmul_tiled(t((2, 3)), t((3, 4)), config="7x7"), ConfigError, r"matmul_tiled: config is '7x7'; wants one of 64x64"),
    (lambda t: K.matmul_fold(t((2, 3)), t((4,))), ShapeError, r"matmul_fold: bias is \(4,\); wants \(3,\)"),
    (lambda t: ops.linear(t((2, 3)), t((4, 5))), ShapeError, r"linear: x is \(2, 3\) and weight is \(4, 5\)"),
])  # fmt: skip
def test_error_sentences(gpu, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(lambda shape: gpu.zeros(shape))


def test_dtypes_refused(gpu):
    x, i, h = gpu.zeros((2, 2)), gpu.zeros((2, 2), "int32"), gpu.zeros((2, 2), "float16")
    for a, b in ((x, i), (i, x), (h, x)):
        with pytest.raises(gc.errors.DTypeError, match=r"matmul: a is .* wants float32"):
            ops.matmul(a, b)


def test_replays(gpu, rng):
    w = gpu.tensor(rng.standard_normal((8, 8), np.float32))
    step = gc.Pipeline(lambda x: ops.linear(x, w, activation="gelu"))
    for rows in (1, 5, 1, 5):
        x = rng.standard_normal((rows, 8), np.float32)
        want = K.ref.ACTIVATIONS["gelu"](x.astype(np.float64) @ w.numpy().T)
        np.testing.assert_allclose(step(gpu.tensor(x)).numpy(), want, rtol=1e-5, atol=1e-5)
