"""Elementwise operations on both devices: results against NumPy, dtypes, numbers, error sentences."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore import ops
from gpucore.errors import ConfigError, DTypeError, ShapeError


@pytest.fixture(params=["gpu", "cpu"])
def dev(request):
    return request.getfixturevalue(request.param)


A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]], np.float32)
B = np.array([2.0, -2.0, 4.0], np.float32)


@pytest.mark.parametrize(
    ("name", "known"),
    [("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("divide", np.divide), ("power", np.power),
    ("minimum", np.minimum),
     ("maximum", np.maximum), ("equal", np.equal), ("not_equal", np.not_equal), ("less", np.less), ("less_equal", np.less_equal),
     ("greater", np.greater), ("greater_equal", np.greater_equal)],
)  # fmt: skip
def test_binary_like_numpy_with_tensors_numbers_and_arrays(dev, name, known):
    op, a, b = getattr(ops, name), dev.tensor(A), dev.tensor(B)
    known = np.errstate(invalid="ignore")(known)
    for got, want in (
        (op(a, b), known(A, B)), (op(b, a), known(B, A)), (op(a, 2), known(A, np.float32(2))), (op(2.0, b), known(np.float32(2), B)),
        (op(a, B), known(A, B)), (op(B, a), known(B, A)), (op(a, np.float64(0.5)), known(A, np.float32(0.5))),
    ):  # fmt: skip
        assert got.dtype == ("bool" if known(1, 1).dtype == bool else "float32")
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)


def test_how_dtypes_meet(dev):
    f, i, u, t = dev.tensor([1.5]), dev.tensor([3]), dev.tensor(np.array([3], np.uint32)), dev.tensor([True])
    half, brain = dev.tensor([1.5], "float16"), dev.tensor([1.5], "bfloat16")
    for got, dtype, value in (
        (i + i, "int32", 6), (i * 2, "int32", 6), (2 - i, "int32", -1), (i + 0.5, "float32", 3.5), (i / 2, "float32", 1.5),
        (i**2, "float32", 9),
        (i + f, "float32", 4.5), (t + t, "int32", 2), (t * 5, "int32", 5), (t * f, "float32", 1.5), (u + u, "uint32", 6),
        (u + t, "uint32", 4),
        (half + half, "float32", 3), (half * 2, "float32", 3), (brain + f, "float32", 3), (-i, "int32", -3), (abs(-i), "int32", 3),
        (-t, "int32", -1),
        (ops.exp(i * 0), "float32", 1), (ops.sign(i), "int32", 1), (ops.relu(-i), "int32", 0), (ops.clip(i, max=2), "int32", 2),
        (ops.clip(i, max=2.5), "float32", 2.5), (ops.where(t, i, f), "float32", 3), (ops.where(t, i, 0), "int32", 3),
        (ops.where(t, 1, 2), "int32", 1),
        (ops.where(t, 1.0, 2), "float32", 1), (ops.where(t, True, False), "bool", 1), (ops.where(t, t, False), "bool", 1),
        (t == t, "bool", 1),
        (t == 1, "bool", 1), (u > 2, "bool", 1), (ops.abs(u), "uint32", 3), (ops.sign(u), "uint32", 1),
    ):  # fmt: skip
        assert (got.dtype, got.numpy().tolist()) == (dtype, [value])
    with pytest.raises(DTypeError, match=r"^add: a is int32 and b is uint32; cast one with astype$"):
        i + u


def test_whole_numbers_wrap_and_must_fit(dev):
    i = dev.tensor([2**31 - 1, -(2**31)])
    assert (i + 1).numpy().tolist() == [-(2**31), -(2**31) + 1]
    assert (i * i).numpy().tolist() == [1, 0]
    with pytest.raises(DTypeError, match=r"^the number 4294967296 does not fit int32$"):
        i + 2**32


def test_numbers_travel_without_an_upload(gpu):
    x = gpu.tensor(np.ones(1000, np.float32))
    (x + 1.25).numpy()
    before = gpu.memory.allocations + gpu.memory.reused
    y = 1.25 + x
    assert gpu.memory.allocations + gpu.memory.reused - before == 1  # the result alone
    assert y.numpy()[0] == 2.25


def test_special_numbers_as_operands(dev):
    x = dev.tensor([1.0, -1.0])
    np.testing.assert_array_equal((x / 0.0).numpy(), [np.inf, -np.inf])
    np.testing.assert_array_equal((x / -0.0).numpy(), [-np.inf, np.inf])
    np.testing.assert_array_equal((x * float("nan")).numpy(), [np.nan, np.nan])
    np.testing.assert_array_equal(ops.minimum(x, float("inf")).numpy(), [1, -1])
    np.testing.assert_array_equal(ops.where(x > 0, x, float("-inf")).numpy(), [1, -np.inf])


def test_not_a_number_spreads_as_in_numpy(dev):
    x = np.array([np.nan, 1.0, -1.0], np.float32)
    t = dev.tensor(x)
    for name in ["relu", "abs", "sign", "tanh", "sigmoid", "softplus", "gelu", "silu", "leaky_relu", "sin", "cos", "atan"]:
        op = getattr(ops, name)
        assert np.isnan(op(t).numpy()).tolist() == [True, False, False]
    assert np.isnan(ops.clip(t, min=0.0, max=0.5).numpy()).tolist() == [True, False, False]
    assert np.isnan(ops.maximum(t, 0.0).numpy()).tolist() == [True, False, False]
    assert (t == t).numpy().tolist() == [False, True, True]
    assert (t != t).numpy().tolist() == [True, False, False]


def test_functions_far_from_zero(dev):
    x = dev.tensor([-1e4, 1e4])
    for op, want in ((ops.tanh, [-1, 1]), (ops.sigmoid, [0, 1]), (ops.softplus, [0, 1e4]), (ops.gelu, [0, 1e4]), (ops.silu, [0, 1e4])):
        np.testing.assert_array_equal(op(x).numpy(), want)
    np.testing.assert_array_equal(ops.gelu(x, approximate="tanh").numpy(), [0, 1e4])


def test_gelu_keeps_its_relative_accuracy_in_the_tail(gpu):
    x = np.linspace(-9, -1, 200, dtype=np.float32)
    from scipy.special import ndtr

    np.testing.assert_allclose(ops.gelu(gpu.tensor(x)).numpy(), x * ndtr(x.astype(np.float64)), rtol=2e-6)


def test_power_keeps_its_relative_accuracy_over_the_range(gpu, rng):
    x = np.exp(rng.uniform(-30, 30, 20000)).astype(np.float32)
    y = (rng.uniform(-85, 85, 20000) / np.log(x)).astype(np.float32)
    want = x.astype(np.float64) ** y.astype(np.float64)
    np.testing.assert_allclose((gpu.tensor(x) ** gpu.tensor(y)).numpy(), want, rtol=1e-6)


def test_half_types_round_trip(gpu, cpu, rng):
    x = np.concatenate([rng.standard_normal(1001), [np.inf, -np.inf, np.nan, 0.0, -0.0, 6e-8, 65519.0, 65520.0]]).astype(np.float32)
    for dtype in ("float16", "bfloat16"):
        results = [ops.astype(ops.astype(d.tensor(x), dtype), "float32").numpy() for d in (gpu, cpu)]
        np.testing.assert_array_equal(*results)
        for target in ("int32", "bool", "float16", "bfloat16"):
            finite = [ops.astype(d.tensor(x[:1001], dtype), target).numpy() for d in (gpu, cpu)]
            np.testing.assert_array_equal(*finite)


def test_constants_and_copies(dev):
    x = dev.tensor(A)
    assert ops.zeros_like(x).numpy().tolist() == [[0] * 3] * 2
    assert ops.ones_like(x).numpy().tolist() == [[1] * 3] * 2
    assert ops.full_like(x, -2.5).numpy().tolist() == [[-2.5] * 3] * 2
    for dtype in ("int32", "uint32", "bool", "float16", "bfloat16"):
        y = ops.full_like(ops.astype(x, dtype), 1)
        assert y.dtype == dtype
        assert y.numpy().all()
    y = ops.copy(x)
    y.assign(np.zeros_like(A))
    np.testing.assert_array_equal(x.numpy(), A)
    assert ops.astype(x, "float32") is x


def test_empty_tensors(dev):
    x = dev.tensor(np.zeros((0, 3), np.float32))
    assert (x + 1).shape == (x * x).shape == ops.where(x > 0, x, 0.0).shape == (0, 3)
    assert (x + dev.tensor(np.ones((1, 3)))).shape == (0, 3)


def test_as_tensor(dev):
    x = dev.tensor([1, 2])
    assert ops.as_tensor(x, x) is x
    assert ops.as_tensor(3, x).dtype == "int32"
    assert ops.as_tensor(2.5, x).item() == 2.5
    assert ops.as_tensor([1, 2], dev.tensor([0.5])).dtype == "float32"


def test_error_sentences(dev):
    x = dev.tensor(A)
    with pytest.raises(ShapeError, match=r"^add: shapes \(2, 3\) and \(2,\) do not broadcast$"):
        x + dev.tensor([1.0, 2.0])
    with pytest.raises(DTypeError, match=r"^where: condition is float32; wants bool$"):
        ops.where(x, x, x)
    with pytest.raises(DTypeError, match=r"^where: the condition is ndarray; wants a bool tensor$"):
        ops.where(A > 0, x, x)
    with pytest.raises(ConfigError, match=r"^gelu: approximate is 'fast'; wants 'none' or 'tanh'$"):
        ops.gelu(x, approximate="fast")
    with pytest.raises(DTypeError, match=r"^add: got str and float; wants a tensor on at least one side$"):
        ops.add("x", 1.0)
    with pytest.raises(DTypeError, match="cannot hold values of type"):
        ops.add(x, "x")
    with pytest.raises(ShapeError, match=r"^multiply: broadcasting over 7 axes; wants at most 6$"):
        dev.tensor(np.ones((1,) * 7)) * x
    np.testing.assert_array_equal((x + 0).numpy(), A)


def test_float64_is_for_the_numpy_device(gpu, cpu):
    with pytest.raises(DTypeError, match=r"^astype: float64 is held by the NumPy device only; use float32 on a GPU$"):
        ops.astype(gpu.tensor(A), "float64")
    wide = ops.astype(cpu.tensor(A), "float64")
    assert (wide + np.array([1e-12])).dtype == "float64"


def test_different_devices_do_not_meet(gpu, cpu):
    with pytest.raises(gc.errors.DeviceMismatchError):
        gpu.tensor(A) + cpu.tensor(A)


def test_a_reference_run_meets_captured_tensors(gpu):
    held, counts = gpu.tensor(A), gpu.tensor([1, 2, 3])

    def fn(x):
        y = ops.exp(x)
        return ops.where(y > held, y + held, held) * counts + y**held + ops.maximum(counts, y)

    step = gc.Pipeline(fn)
    assert all(d.relative_l2 < 1e-6 for d in step.verify(gpu.tensor(np.abs(A))))
