"""Reductions over any axes on both devices, long axes, empty axes, accuracy, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

import gpucore as gc
from gpucore.ops.reduce_axes import column_part, part_of

ops = gc.ops
AXES = [None, 0, 1, -1, (0, 1), (0, 2), (1, 3), (0, 2, 3), (-1, 0), ()]
NUMPY = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "var": np.var, "logsumexp": special.logsumexp}


@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_any_axes(gpu, cpu, rng, name, axis, keepdims):
    x = rng.standard_normal((3, 4, 1, 5)).astype(np.float32)
    if name == "logsumexp" and axis == ():
        want = x
    else:
        want = NUMPY[name](x.astype(np.float64), axis=axis, keepdims=keepdims)
    for device in (gpu, cpu):
        got = getattr(ops, name)(device.tensor(x), axis=axis, keepdims=keepdims).numpy()
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1 << 20,), (3, 200_003), (200_003, 3), (70_000, 33), (2, 9000, 2), (5, 3, 20_000)], ids=str)
@pytest.mark.parametrize("axis", [0, -1, (0, -1), None], ids=str)
def test_long_axes_are_accurate(gpu, rng, shape, axis):
    x = rng.random(shape, np.float32)
    for name in ("sum", "mean", "max", "logsumexp"):
        if len(shape) == 1 and axis == (0, -1):
            continue
        want = NUMPY[name](x.astype(np.float64), axis=axis)
        got = getattr(ops, name)(gpu.tensor(x), axis=axis).numpy()
        assert np.linalg.norm(got - want) <= 1e-6 * np.linalg.norm(want), name


def test_sum_of_millions_of_noise(gpu, rng):
    x = rng.standard_normal(1 << 22, np.float32)
    want = x.astype(np.float64).sum()
    assert abs(ops.sum(gpu.tensor(x)).item() - want) <= 1e-6 * abs(want)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), (1, 2)], ids=str)
def test_var_of_a_large_mean(gpu, rng, axis):
    x = (rng.standard_normal((30, 40, 50)) + 10_000).astype(np.float32)
    want = np.var(x.astype(np.float64), axis=axis, ddof=1)
    got = ops.var(gpu.tensor(x), axis=axis, correction=1).numpy()
    assert np.linalg.norm(got - want) <= 1e-6 * np.linalg.norm(want)


def test_var_without_freedom(gpu, cpu):
    for device in (gpu, cpu):
        x = device.tensor([[1.0, 4.0]])
        assert np.isnan(ops.var(x, axis=0, correction=1).numpy()).all()
        assert ops.var(x, axis=1, correction=2).numpy().tolist() == [np.inf]
        assert ops.var(x, axis=0).numpy().tolist() == [0, 0]


def test_empty_axes(gpu, cpu):
    for device in (gpu, cpu):
        x = device.zeros((0, 3))
        assert ops.sum(x, axis=0).numpy().tolist() == [0, 0, 0]
        assert ops.sum(x, axis=1).shape == (0,)
        assert np.isnan(ops.mean(x, axis=0).numpy()).all()
        assert np.isnan(ops.mean(x).numpy())
        assert np.isnan(ops.var(x, axis=0).numpy()).all()
        assert ops.logsumexp(x, axis=0).numpy().tolist() == [-np.inf] * 3
        assert ops.max(x, axis=1).shape == (0,)
        assert ops.cumulative_sum(x, axis=0).shape == (0, 3)
        for name in ("max", "min", "argmax", "argmin"):
            with pytest.raises(gc.errors.ShapeError, match=rf"^{name}: x of shape \(0, 3\) is empty along axis 0; wants one"):
                getattr(ops, name)(x, axis=0)


def test_scalars(gpu):
    x = gpu.tensor(3.0)
    assert ops.sum(x).item() == 3
    assert ops.mean(x, keepdims=True).shape == ()
    assert ops.argmax(x).item() == 0


@pytest.mark.parametrize("dtype", [np.int32, np.bool_])
def test_integers(gpu, cpu, rng, dtype):
    x = rng.integers(0, 2, (3, 500, 7)).astype(dtype) if dtype == np.bool_ else rng.integers(-1000, 1000, (3, 500, 7)).astype(dtype)
    for device in (gpu, cpu):
        for axis in (None, 0, 1, (0, 2)):
            got = ops.sum(device.tensor(x), axis=axis)
            assert got.dtype == "int32"
            np.testing.assert_array_equal(got.numpy(), x.sum(axis=axis))
            np.testing.assert_array_equal(ops.max(device.tensor(x), axis=axis).numpy(), x.max(axis=axis).astype(np.int32))
    long = np.arange(1 << 17, dtype=np.int32)
    assert ops.min(gpu.tensor(-long)).item() == -(1 << 17) + 1


@pytest.mark.parametrize(("name", "function"), [("argmax", np.argmax), ("argmin", np.argmin)])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_arguments(gpu, cpu, rng, name, function, axis):
    x = rng.integers(-5, 5, (7, 40, 6)).astype(np.float32)
    x[3, 20, 2] = np.nan
    for device in (gpu, cpu):
        for keepdims in (False, True):
            got = getattr(ops, name)(device.tensor(x), axis=axis, keepdims=keepdims)
            assert got.dtype == "int32"
            np.testing.assert_array_equal(got.numpy(), function(x, axis=axis, keepdims=keepdims))


def test_argument_of_a_long_axis(gpu, rng):
    x = rng.integers(0, 1000, (2, 150_001)).astype(np.float32)
    np.testing.assert_array_equal(ops.argmax(gpu.tensor(x), axis=1).numpy(), np.argmax(x, axis=1))
    np.testing.assert_array_equal(ops.argmin(gpu.tensor(x.T.copy()), axis=0).numpy(), np.argmin(x, axis=1))


@pytest.mark.parametrize("shape", [(1_000_003,), (3, 20_001), (20_001, 3), (2, 5000, 4), (300, 10)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_sum_of_long_axes(gpu, rng, shape, reverse):
    x = rng.random(shape, np.float32)
    for axis in range(len(shape)):
        turned = np.flip(x, axis) if reverse else x
        want = np.cumsum(turned.astype(np.float64), axis=axis)
        want = np.flip(want, axis) if reverse else want
        got = ops.cumulative_sum(gpu.tensor(x), axis=axis, reverse=reverse).numpy()
        assert np.linalg.norm(got - want) <= 1e-6 * np.linalg.norm(want)


def test_sum_to(gpu, rng):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    t = gpu.tensor(x)
    assert ops.sum_to(t, (2, 3, 4)) is t
    np.testing.assert_allclose(ops.sum_to(t, (3, 1)).numpy(), x.sum(axis=(0, 2))[:, None], rtol=1e-5, atol=1e-6)
    assert ops.sum_to(gpu.zeros((0, 3)), (1, 3)).numpy().tolist() == [[0, 0, 0]]
    with pytest.raises(gc.errors.ShapeError, match=r"^sum_to: \(2, 2\) does not broadcast to \(2, 3, 4\)$"):
        ops.sum_to(t, (2, 2))


def test_what_is_refused(gpu):
    x = gpu.zeros((2, 3))
    whole = gpu.zeros((2, 3), "int32")
    with pytest.raises(gc.errors.ShapeError, match=r"^sum: axis 2 is outside x of shape \(2, 3\); wants -2 to 1$"):
        ops.sum(x, axis=2)
    with pytest.raises(gc.errors.ShapeError, match=r"^var: axis \(0, -2\) names an axis of x of shape \(2, 3\) twice$"):
        ops.var(x, axis=(0, -2))
    for name in ("mean", "var", "logsumexp", "argmax", "cumulative_sum"):
        with pytest.raises(gc.errors.DTypeError, match=f"^{name}: x is int32; wants float32"):
            getattr(ops, name)(whole)
    with pytest.raises(gc.errors.ShapeError, match=r"^cumulative_sum: x has no axes"):
        ops.cumulative_sum(gpu.tensor(1.0))


def test_kernels_refuse_what_does_not_fit(gpu):
    from gpucore.kernels import reduce as K

    with pytest.raises(gc.errors.ShapeError, match=r"^reduce_rows: center \(4,\) does not repeat over 3 results"):
        K.reduce_rows(gpu.zeros((3, 5)), gpu.zeros((4,)), op="sum")
    with pytest.raises(gc.errors.ShapeError, match=r"^cumulative_rows: start has shape \(3, 2\); wants \(3, 3\)"):
        K.cumulative_rows(gpu.zeros((3, 5)), gpu.zeros((3, 2)), chunk=2)
    with pytest.raises(gc.errors.ShapeError, match=r"^argmax: candidates \(1, 2, 1\) do not match x \(3, 5, 1\)"):
        K.argument(gpu.zeros((3, 5, 1)), gpu.zeros((1, 2, 1), "int32"), op="argmax")


@pytest.mark.parametrize(
    ("shape", "axis"), [((520, 9, 33), 1), ((3, 20_000), 0), ((5, 7000), 1), ((40, 3, 50), (0, 2)), ((70_001,), None)], ids=str
)
def test_var_far_from_zero_by_each_kernel(gpu, rng, shape, axis):
    x = (rng.standard_normal(shape) + 1e4).astype(np.float32)
    want = x.astype(np.float64).var(axis=axis)
    np.testing.assert_allclose(gc.ops.var(gpu.tensor(x), axis=axis).numpy(), want, rtol=5e-6)


def test_columns_are_reduced_in_one_step_where_a_second_launch_would_cost_more():
    def part(kind, outer, reduced, inner):
        return column_part(SimpleNamespace(device=SimpleNamespace(kind=kind)), outer, reduced, inner)

    assert part("discrete", 1, 1024, 10) is None
    assert part("discrete", 1, 16384, 64) == 64
    assert part("discrete", 1, 4096, 4096) is None  # many columns keep the device busy
    assert part("discrete", 1, 4097, 4096) is not None  # a lane's chain of additions stays short
    assert part("software", 1, 1024, 10) == part_of(1, 1024, 10) == 64
