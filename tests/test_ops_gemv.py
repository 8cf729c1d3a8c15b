"""Products with a vector: kernels and candidates chosen, tall matrices in parts, float16 loaded as such and packed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import gpucore as gc
from gpucore import ops
from gpucore.array import Array
from gpucore.dtypes import as_dtype
from gpucore.kernels import linalg as K
from gpucore.kernels import products
from gpucore.kernels.gemv import _gemv_default, _vecmat_default
from gpucore.parity import case_label, check_case
from gpucore.shader import Features

HALF = [k for k in gc.KERNELS.values() if k.name.startswith("matmul") and k.name.endswith("_f16")]
HALF_CASES = [(k, i) for k in HALF for i in range(len(k.cases))]


@pytest.fixture
def native_gpu(gpu, monkeypatch):
    """The adapter with float16 weights loaded as such in products of matrices, which a software driver does not choose."""
    if not gpu.features.f16:
        pytest.skip("this adapter has no f16")
    device = gc.device(gpu.info.index, without=("timestamps",))
    monkeypatch.setattr(products, "loads_half", lambda b: b.dtype.name == "float16" and b.device is device)
    return device


@pytest.mark.parametrize(("k", "index"), HALF_CASES, ids=[f"{k.name}[{case_label(k, k.cases[i], i)}]" for k, i in HALF_CASES])
def test_float16_loaded_as_such_matches_the_reference(native_gpu, k, index):
    result = check_case(k, index, native_gpu, repeat=False)
    assert result.passed, result.sentence()


def test_who_loads_float16_as_such(gpu, cpu):
    shader = K.gemv_f16.shader
    assert "mat2x4<f16>" in shader.with_half.code(Features(f16=True))
    assert "mat2x4<f16>" not in shader.with_half.code(Features())
    assert "mat2x4<f16>" not in shader.code(Features(f16=True))
    assert shader.with_half.with_half == shader.with_half
    assert shader.with_half.path == shader.path
    hardware = SimpleNamespace(kind="discrete", info=cpu.info, tuned={})
    for dtype, cols, wanted in (("float16", 9, True), ("float16", 16, False), ("bfloat16", 9, False)):
        a, b = Array(hardware, None, (cols,), as_dtype("float32")), Array(hardware, None, (4, cols), as_dtype(dtype))
        kernel = K.GEMV[dtype]
        assert kernel.rule(a, b).half == wanted
        assert kernel.rule(a, b, native=True).half == (dtype == "float16")
        assert not kernel.rule(a, b, native=False).half
        assert products.loads_half(b) == (dtype == "float16")
    assert products.loads_half(gpu.zeros((2, 2), "float16")) == (gpu.kind != "software")


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("name", [k.name for k in HALF])
def test_products_know_every_float16(gpu, plain_gpu, native_gpu, name, transpose_b):
    """Subnormals, the largest, infinities and NaN, each alone in its column; a power of two loses nothing."""
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    values = np.zeros((8, 65536), np.float16)
    values[np.arange(65536) % 8, np.arange(65536)] = every
    with np.errstate(all="ignore"):
        want = np.tile(every.astype(np.float32) * np.float32(2.0**20), (2, 1))
    for device in (gpu, plain_gpu, native_gpu):
        a, b = device.full((2, 8), 2.0**20), device.tensor(values.T.copy() if transpose_b else values)
        np.testing.assert_array_equal(gc.KERNELS[name](a, b, transpose_b=transpose_b).numpy(), want)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2_200_000), (1, 600_001), (3, 40_000)])
def test_long_sums_are_complete(gpu, shape):
    """Rows longer than the rounds that a software driver grants to one loop."""
    ones = gpu.ones(shape)
    assert np.all(ops.matmul(ones, gpu.ones((shape[1],))).numpy() == shape[1])
    assert np.all(ops.matmul(gpu.ones((shape[1],)), ones, transpose_b=True).numpy() == shape[1])


@pytest.mark.parametrize("shape", [(270_000, 4), (270_000, 1), (300_001, 3)])
def test_tall_sums_are_complete(gpu, shape):
    assert np.all(ops.matmul(gpu.ones((shape[0],)), gpu.ones(shape)).numpy() == shape[0])


def test_a_dot_product_runs_along_a_row(gpu, rng):
    x, y = (rng.standard_normal(70_001, np.float32) for _ in range(2))
    with gpu.profile() as profile:
        got = ops.matmul(gpu.tensor(x), gpu.tensor(y)).numpy()
    assert [name for name, _ in profile.samples] == ["gemv"]
    np.testing.assert_allclose(got, x.astype(np.float64) @ y, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_tall_matrix_in_parts(gpu, rng, monkeypatch, dtype):
    monkeypatch.setattr(K, "vecmat_parts", lambda *sizes: 5)
    x, bias = rng.standard_normal(203, np.float32), rng.standard_normal(24, np.float32)
    matrix = gpu.tensor(rng.standard_normal((203, 24), np.float32), dtype)
    got = ops.matmul(gpu.tensor(x), matrix, bias=gpu.tensor(bias), activation="relu").numpy()
    np.testing.assert_allclose(got, np.maximum(x.astype(np.float64) @ matrix.numpy() + bias, 0), rtol=1e-5, atol=1e-5)


def test_parts_by_device_and_shape():
    assert K.vecmat_parts("software", "float32", 151_936, 1024) == 1
    assert K.vecmat_parts("discrete", "float32", 1024, 1024) == 1
    assert K.vecmat_parts("discrete", "float32", 14_336, 4096) == 1
    assert K.vecmat_parts("discrete", "float32", 151_936, 1024) == 32
    assert K.vecmat_parts("discrete", "float16", 151_936, 1024) == 64
    assert K.vecmat_parts("discrete", "float32", 10_000, 1) == 156


def test_candidates_by_device_and_shape():
    assert [_gemv_default("software", 3072, loads) for loads in (1, 256, 1 << 20)] == ["software", "software", "long"]
    found = [_gemv_default("discrete", rows, loads) for rows, loads in ((10**6, 16), (10, 32), (3072, 256), (4096, 1024), (16, 65536))]
    assert found == ["short", "medium", "wide", "wider", "long"]
    assert [_vecmat_default("software", rows, 64, 4, 1) for rows in (1024, 10**6)] == ["software", "deep"]
    shapes = ((16, 9999, 1), (4096, 16_384, 1), (4096, 4096, 1), (4096, 1024, 1), (151_936, 1024, 32))
    found = [_vecmat_default("discrete", rows, cols, 4, parts) for rows, cols, parts in shapes]
    assert found == ["flat", "broad", "deep", "narrow", "split"]


def test_parts_come_without_epilogue(gpu):
    for wrong in (dict(parts=0), dict(parts=2, activation="relu"), dict(parts=2, bias=gpu.ones((3,)))):
        with pytest.raises(gc.errors.ConfigError, match=r"vecmat: parts is .*; wants 1 or more, and bias and activation after the sum"):
            K.vecmat(gpu.ones((4,)), gpu.ones((4, 3)), **wrong)


@pytest.mark.parametrize("shape", [(9, 40), (33, 70), (16, 3)])
def test_a_software_driver_takes_many_rows_at_a_time(gpu, rng, shape):
    x, w, bias = (rng.standard_normal(s, np.float32) for s in (shape[1], shape, shape[0]))
    with gpu.profile() as profile:
        got = ops.linear(gpu.tensor(x[None]), gpu.tensor(w), gpu.tensor(bias), activation="relu").numpy()[0]
    assert [name for name, _ in profile.samples] == ["gemv_direct" if gpu.kind == "software" else "gemv"]
    np.testing.assert_allclose(got, np.maximum(w.astype(np.float64) @ x + bias, 0), rtol=1e-5, atol=1e-5)


def test_who_takes_many_rows_at_a_time():
    assert K.takes_direct("software", "float32", 8, 4)
    assert not K.takes_direct("discrete", "float32", 4096, 4096)
    for storage, rows, cols in (("float16", 4096, 4096), ("float32", 1, 4096), ("float32", 16, 1 << 22)):
        assert not K.takes_direct("software", storage, rows, cols)
