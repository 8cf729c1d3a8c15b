"""Softmax and normalisations on both devices: axes, masks, extremes, running statistics, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import gpucore as gc
from gpucore.errors import ConfigError

ops = gc.ops
INF = np.inf


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_softmax_along_any_axis(gpu, cpu, rng, axis):
    x = (rng.standard_normal((5, 7, 10)) * 10).astype(np.float32)
    for device in (gpu, cpu):
        t = device.tensor(x)
        np.testing.assert_allclose(ops.softmax(t, axis=axis).numpy(), special.softmax(x.astype(float), axis=axis), rtol=2e-6, atol=1e-9)
        want = special.log_softmax(x.astype(float), axis=axis)
        np.testing.assert_allclose(ops.log_softmax(t, axis=axis).numpy(), want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("shape", "axis"), [((520, 9, 33), 1), ((3, 20_000), 0), ((512, 5, 2, 1), 1)], ids=str)
def test_softmax_along_an_axis_of_many_columns(gpu, cpu, rng, shape, axis):
    x, g = (rng.standard_normal(shape) * 10).astype(np.float32), rng.standard_normal(shape, np.float32)
    for name, known in (("softmax", special.softmax), ("log_softmax", special.log_softmax)):
        found = []
        for device, dtype in ((gpu, "float32"), (cpu, "float64")):
            t = device.tensor(x, dtype)
            with gc.GradientTape() as tape:
                y = getattr(ops, name)(t, axis=axis)
            np.testing.assert_allclose(y.numpy(), known(x.astype(float), axis=axis), rtol=2e-6, atol=2e-6)
            found.append(tape.gradient(y, [t], seed=device.tensor(g, dtype))[0].numpy())
        np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("row", "want"),
    [
        ([0, -INF, 0, -INF], [0.5, 0, 0.5, 0]),
        ([1e30, 1e30, 0, -1e30], [0.5, 0.5, 0, 0]),
        ([7, 7, 7, 7], [0.25] * 4),
        ([-INF] * 4, [np.nan] * 4),
        ([INF, 0, 0, 0], [np.nan] * 4),
        ([np.nan, 0, 0, 0], [np.nan] * 4),
    ],
    ids=str,
)
def test_softmax_of_extreme_rows(gpu, cpu, row, want):
    for device in (gpu, cpu):
        np.testing.assert_array_equal(ops.softmax(device.tensor([row, [0.0] * 4])).numpy(), [want, [0.25] * 4])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(5, 7, 10), (7, 1), (10,), (5, 1, 1), ()], ids=str)
def test_masked_softmax(gpu, cpu, rng, axis, shape):
    x = rng.standard_normal((5, 7, 10)).astype(np.float32)
    mask = np.asarray(rng.random(shape) < 0.5)
    spread = np.broadcast_to(mask, x.shape)
    powers = np.where(spread, np.exp(x.astype(float)), 0)
    total = powers.sum(axis, keepdims=True)
    want = np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)
    for device in (gpu, cpu):
        got = ops.masked_softmax(device.tensor(x), device.tensor(mask), axis=axis).numpy()
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


def test_what_masks_hide_has_no_effect(gpu, cpu):
    for device in (gpu, cpu):
        x = device.tensor([[np.nan, INF, 1.0, 1.0], [np.nan, np.nan, INF, -INF]])
        mask = device.tensor([[False, False, True, True], [False] * 4])
        assert ops.masked_softmax(x, mask).numpy().tolist() == [[0, 0, 0.5, 0.5], [0, 0, 0, 0]]


def test_layer_norm_of_a_large_mean(gpu, rng):
    x = (rng.standard_normal((3, 4096)) + 100_000).astype(np.float32)
    wide = x.astype(np.float64)
    want = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + 1e-5)
    got = ops.layer_norm(gpu.tensor(x)).numpy()
    assert np.linalg.norm(got - want) <= 1e-6 * np.linalg.norm(want)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_norms_of_any_size(gpu, cpu, rng, size):
    x = (rng.standard_normal((4, 300)) * size).astype(np.float32)
    wide = cpu.tensor(x, "float64")
    for norm in (ops.layer_norm, ops.rms_norm):
        want = norm(wide).numpy()
        assert np.linalg.norm(norm(gpu.tensor(x)).numpy() - want) <= 1e-6 * np.linalg.norm(want)


@pytest.mark.parametrize("value", [0.1, 1e30, -3.7e-30])
@pytest.mark.parametrize("cols", [1, 1000])
def test_equal_rows_have_layer_norm_zero(gpu, value, cols):
    assert not ops.layer_norm(gpu.full((3, cols), value)).numpy().any()


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 50), (20_000, 3), (2, 3, 30_000)], ids=str)
def test_batch_norm_trains_and_then_infers(gpu, cpu, rng, shape):
    x = (rng.standard_normal(shape) * 3 + 50).astype(np.float32)
    weight, bias = rng.standard_normal(3), rng.standard_normal(3)
    wide = x.astype(np.float64)
    axes = (0, 2)[: len(shape) - 1]
    mean, var, count = wide.mean(axes), wide.var(axes), x.size // 3
    running_mean, running_var = 0.1 * mean, 0.9 + 0.1 * var * count / (count - 1)

    def apply(mean, var):
        spread = [np.reshape(v, (3,) + (1,) * (len(shape) - 2)) for v in (mean, var, weight, bias)]
        return (wide - spread[0]) / np.sqrt(spread[1] + 1e-5) * spread[2] + spread[3]

    for device in (gpu, cpu):
        t, w, b, m, v = [device.tensor(a) for a in (x, weight, bias, np.zeros(3), np.ones(3))]
        got = ops.batch_norm1d(t, w, b, m, v, training=True).numpy()
        np.testing.assert_allclose(got, apply(mean, var), rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(m.numpy(), running_mean, rtol=1e-5)
        np.testing.assert_allclose(v.numpy(), running_var, rtol=1e-5)
        got = ops.batch_norm1d(t, w, b, m, v, training=False).numpy()
        want = apply(running_mean, running_var)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 2), (1, 2, 1)], ids=str)
def test_batch_norm_cannot_train_on_one_sample(gpu, cpu, shape):
    """One value has no variance: refused in training, before the running statistics move."""
    for device in (gpu, cpu):
        x, mean, var = device.ones(shape), device.zeros((2,)), device.ones((2,))
        with pytest.raises(gc.errors.ShapeError, match=r"batch_norm1d: x of shape .* has one element per channel .* wants two or more"):
            ops.batch_norm1d(x, None, None, mean, var, training=True)
        assert mean.numpy().tolist() == [0, 0]
        assert var.numpy().tolist() == [1, 1]
        y = ops.batch_norm1d(x, None, device.tensor([1.0, 2.0]), mean, var, training=False, eps=0.0)
        assert y.numpy().reshape(-1).tolist() == [2, 3]


@pytest.mark.parametrize("shape", [(5, 10), (3, 4, 257), (2, 1024)], ids=str)
def test_norms_of_a_sum_are_the_norm_and_the_sum(gpu, cpu, rng, shape):
    x, residual = rng.standard_normal(shape, np.float32), rng.standard_normal(shape, np.float32)
    weight, bias = rng.standard_normal(shape[-1], np.float32), rng.standard_normal(shape[-1], np.float32)
    wide = [cpu.tensor(a, "float64") for a in (x.astype(float) + residual, weight, bias)]
    for device in (gpu, cpu):
        a, b, w, c = [device.tensor(v) for v in (x, residual, weight, bias)]
        for got, want in ((ops.add_layer_norm(a, b, w, c), ops.layer_norm(*wide)), (ops.add_rms_norm(a, b, w), ops.rms_norm(*wide[:2]))):
            np.testing.assert_allclose(got[0].numpy(), want.numpy(), rtol=1e-5, atol=2e-6)
            np.testing.assert_array_equal(got[1].numpy(), x + residual)


def test_batch_norm_in_a_pipeline(gpu, rng):
    mean, var = gpu.zeros((3,)), gpu.ones((3,))
    step = gc.Pipeline(lambda x: ops.batch_norm1d(x, None, None, mean, var, training=True, momentum=0.5))
    x = gpu.tensor(rng.standard_normal((16, 3)) + 4)
    assert all(d.relative_l2 <= 1e-5 for d in step.verify(x))
    before = mean.numpy()
    step(x)
    batch = x.numpy().mean(0)
    np.testing.assert_allclose(mean.numpy(), before / 2 + batch / 2, rtol=1e-5)


def test_what_is_refused(gpu):
    x = gpu.zeros((2, 3))
    three, four = gpu.zeros((3,)), gpu.zeros((4,))
    refused = [
        (r"^softmax: axis 2 ", lambda: ops.softmax(x, axis=2)),
        (r"^softmax: x has no axes", lambda: ops.softmax(gpu.tensor(1.0))),
        (r"^masked_softmax: mask \(2, 4\) |^masked_softmax: shapes", lambda: ops.masked_softmax(x, gpu.zeros((2, 4), "bool"))),
        (r"^masked_softmax: mask \(1, 2, 3\) has more axes", lambda: ops.masked_softmax(x, gpu.zeros((1, 2, 3), "bool"))),
        (r"^layer_norm: weight \(4,\) does not match the last axis of x \(2, 3\)$", lambda: ops.layer_norm(x, four)),
        (r"^layer_norm: bias \(4,\) does not match", lambda: ops.layer_norm(x, None, four)),
        (r"^rms_norm: weight \(4,\) does not match", lambda: ops.rms_norm(x, four)),
        (r"^add_layer_norm: residual is \(3,\) and x \(2, 3\)", lambda: ops.add_layer_norm(x, three)),
        (r"^add_rms_norm: weight \(4,\) does not match", lambda: ops.add_rms_norm(x, x, four)),
        (r"^layer_norm: x of shape \(2, 0\) has an empty last axis", lambda: ops.layer_norm(gpu.zeros((2, 0)))),
        (r"^batch_norm1d: x has shape \(3,\); wants \(N, C\)", lambda: ops.batch_norm1d(three, None, None, three, three, training=True)),
        (r"^batch_norm1d: running_var \(4,\) does not match the 3", lambda: ops.batch_norm1d(x, None, None, three, four, training=True)),
        (r"^batch_norm1d: x of shape \(0, 3\) has no elements",
         lambda: ops.batch_norm1d(gpu.zeros((0, 3)), None, None, three, three, training=True)),
    ]  # fmt: skip
    for sentence, call in refused:
        with pytest.raises(gc.errors.ShapeError, match=sentence):
            call()
    with pytest.raises(gc.errors.DTypeError, match="mask is float32; wants"):
        ops.masked_softmax(x, x)


@pytest.mark.parametrize("eps", [-1.0, float("nan"), float("inf")])
def test_an_eps_without_a_root_is_refused(gpu, eps):
    x, w = gpu.ones((2, 3)), gpu.ones(3)
    for call in (
        lambda: gc.ops.layer_norm(x, w, w, eps=eps),
        lambda: gc.ops.rms_norm(x, w, eps=eps),
        lambda: gc.ops.batch_norm1d(x, w, w, w, w, training=False, eps=eps),
    ):
        with pytest.raises(ConfigError, match="wants a finite number of 0 or more"):
            call()
    with pytest.raises(ConfigError, match=r"momentum is 1\.5; wants 0 to 1"):
        gc.ops.batch_norm1d(x, w, w, w, w, training=True, momentum=1.5)
