"""Layer, RMS and batch normalisation: values against float64, running statistics, special rows, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import DTypeError, GradientError, ShapeError

SHAPES = [(1, 1), (3, 31), (2, 257), (5, 1000), (2, 4099), (2, 3, 64), (70000, 3), (7,)]


def layer_norm(x, weight=1.0, bias=0.0, eps=1e-5):
    x = x.astype(np.float64)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias


def rms_norm(x, weight, eps=1e-6):
    x = x.astype(np.float64)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def per_channel(values, x):
    return np.asarray(values, np.float64).reshape(1, -1, *[1] * (x.ndim - 2))


def batch_norm(x, mean, variance, weight, bias, eps=1e-5):
    mean, variance, weight, bias = (per_channel(v, x) for v in (mean, variance, weight, bias))
    return (x.astype(np.float64) - mean) / np.sqrt(variance + eps) * weight + bias


def close(got, want, rtol=1e-6, atol=1e-6):
    """Relative L2, with a floor for elements around zero."""
    assert np.shape(got) == np.shape(want)
    gap = np.linalg.norm(np.asarray(got, np.float64) - want)
    assert gap <= rtol * np.linalg.norm(want) + atol * np.sqrt(max(want.size, 1))


def noise(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


# ---- over the last axis


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_norm_is_the_formula(gpu, rng, shape):
    x, w, b = noise(rng, *shape), noise(rng, shape[-1]), noise(rng, shape[-1])
    close(gc.ops.layer_norm(gpu.tensor(x)).numpy(), layer_norm(x))
    close(gc.ops.layer_norm(gpu.tensor(x), gpu.tensor(w)).numpy(), layer_norm(x, w))
    close(gc.ops.layer_norm(gpu.tensor(x), None, gpu.tensor(b), eps=0.5).numpy(), layer_norm(x, 1, b, eps=0.5))
    close(gc.ops.layer_norm(gpu.tensor(x), gpu.tensor(w), gpu.tensor(b)).numpy(), layer_norm(x, w, b))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rms_norm_is_the_formula(gpu, rng, shape):
    x, w = noise(rng, *shape), noise(rng, shape[-1])
    close(gc.ops.rms_norm(gpu.tensor(x), gpu.tensor(w)).numpy(), rms_norm(x, w))
    close(gc.ops.rms_norm(gpu.tensor(x), gpu.tensor(w), eps=0.5).numpy(), rms_norm(x, w, eps=0.5))


@pytest.mark.parametrize("mean", [0, 1e4, -1e6])
@pytest.mark.parametrize("cols", [31, 1000, 4099])
def test_layer_norm_far_from_zero_loses_no_digits(gpu, rng, mean, cols):
    x = (noise(rng, 3, cols) + np.float32(mean)).astype(np.float32)
    got = gc.ops.layer_norm(gpu.tensor(x)).numpy()
    close(got, layer_norm(x), rtol=3e-6, atol=0)
    assert np.abs(got.mean(-1, dtype=np.float64)).max() < 2e-6
    assert np.abs(got.var(-1, dtype=np.float64) - 1).max() < 1e-3


@pytest.mark.parametrize("at", [0, 7, 999])
@pytest.mark.parametrize("far", [1e4, 1e6])
def test_layer_norm_with_one_element_far_from_the_others(gpu, rng, at, far):
    x = noise(rng, 3, 1000)
    x[:, at] = far
    got, want = gc.ops.layer_norm(gpu.tensor(x)).numpy(), layer_norm(x)
    assert np.abs(got - want).max() < 5e-6  # of √1000, the outlier's own value


def test_the_gradient_of_layer_norm_far_from_zero(gpu, cpu, rng):
    x, g = (noise(rng, 3, 1000) + np.float32(1e4)).astype(np.float32), noise(rng, 3, 1000)
    found = []
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        tensors = [device.tensor(a, dtype) for a in (x, np.ones(1000), np.zeros(1000))]
        with gc.GradientTape() as tape:
            y = gc.ops.layer_norm(*tensors)
        found.append([d.numpy() for d in tape.gradient(y, tensors, seed=device.tensor(g, dtype))])
    for got, want in zip(*found, strict=True):
        close(got, want, rtol=5e-6, atol=0)


def test_equal_elements_give_the_bias(gpu):
    x = np.repeat(np.array([[0], [3], [-1e4], [1 / 3]], np.float32), 257, axis=1)
    bias = np.linspace(-1, 1, 257, dtype=np.float32)
    got = gc.ops.layer_norm(gpu.tensor(x), gpu.full((257,), 2.0), gpu.tensor(bias)).numpy()
    assert np.array_equal(got, np.tile(bias, (4, 1)))
    ones = gc.ops.rms_norm(gpu.tensor(x), gpu.ones((257,)), eps=0).numpy()[1:]
    np.testing.assert_allclose(ones, np.sign(x[1:]), rtol=1e-6)


def test_a_nan_stays_in_its_row(gpu, rng):
    x = noise(rng, 9, 37)
    x[4, 36] = np.nan
    for y in (gc.ops.layer_norm(gpu.tensor(x)).numpy(), gc.ops.rms_norm(gpu.tensor(x), gpu.ones((37,))).numpy()):
        assert np.isnan(y[4]).all()
        assert np.isfinite(np.delete(y, 4, axis=0)).all()


def test_layer_norm_does_not_see_shift_and_scale(gpu, rng):
    x = noise(rng, 5, 130)
    y = gc.ops.layer_norm(gpu.tensor(x), eps=1e-12).numpy()
    close(gc.ops.layer_norm(gpu.tensor(x * 8 + 4), eps=1e-12).numpy(), y.astype(np.float64), rtol=2e-6)
    close(gc.ops.rms_norm(gpu.tensor(x * -8), gpu.ones((130,)), eps=1e-12).numpy(), -rms_norm(x, 1, eps=1e-12), rtol=2e-6)


def test_no_rows(gpu):
    x, w = gpu.zeros((0, 5)), gpu.ones((5,))
    with gc.GradientTape() as tape:
        y = gc.ops.add(gc.ops.layer_norm(x, w, w), gc.ops.rms_norm(x, w))
    dx, dw = tape.gradient(y, [x, w], seed=gpu.zeros((0, 5)))
    assert y.shape == dx.shape == (0, 5)
    assert np.array_equal(dw.numpy(), np.zeros(5))


@pytest.mark.parametrize("rows", [1, 300, 70000])
def test_weight_gradients_over_many_rows(gpu, rng, rows):
    x, g = noise(rng, rows, 3), noise(rng, rows, 3)
    w, b = gpu.ones((3,)), gpu.zeros((3,))
    with gc.GradientTape(persistent=True) as tape:
        layer, rms = gc.ops.layer_norm(gpu.tensor(x), w, b), gc.ops.rms_norm(gpu.tensor(x), w)
    dw, db = (t.numpy() for t in tape.gradient(layer, [w, b], seed=gpu.tensor(g)))
    close(dw, (g * layer_norm(x)).sum(0), rtol=3e-6)
    close(db, g.sum(0, dtype=np.float64), rtol=3e-6)
    (dw,) = (t.numpy() for t in tape.gradient(rms, [w], seed=gpu.tensor(g)))
    close(dw, (g * rms_norm(x, 1)).sum(0), rtol=3e-6)


def test_the_same_bits_every_time(gpu, rng):
    x, w, b = noise(rng, 999, 65), noise(rng, 65), noise(rng, 65)

    def run():
        tensors = [gpu.tensor(a) for a in (x, w, b)]
        with gc.GradientTape() as tape:
            y = gc.ops.layer_norm(gc.ops.batch_norm1d(*tensors, gpu.zeros((65,)), gpu.ones((65,)), training=True), *tensors[1:])
        return [t.numpy().tobytes() for t in (y, *tape.gradient(y, tensors, seed=gpu.tensor(x)))]

    assert run() == run()


# ---- over the batch


@pytest.mark.parametrize(
    "shape", [(2, 1), (8, 5), (257, 3), (1009, 33), (4, 3, 31), (3, 40, 7), (2, 2, 4099), (70000, 2), (3, 5, 1)], ids=str
)
def test_batch_norm_in_training(gpu, rng, shape):
    x, c = noise(rng, *shape) * 2 + 3, shape[1]
    w, b, mean, var = noise(rng, c), noise(rng, c), noise(rng, c), rng.random(c).astype(np.float32)
    running_mean, running_var = gpu.tensor(mean), gpu.tensor(var)
    y = gc.ops.batch_norm1d(gpu.tensor(x), gpu.tensor(w), gpu.tensor(b), running_mean, running_var, training=True, momentum=0.3)
    wide, axes = x.astype(np.float64), (0, *range(2, x.ndim))
    close(y.numpy(), batch_norm(x, wide.mean(axes), wide.var(axes), w, b), rtol=3e-6)
    close(running_mean.numpy(), 0.7 * mean + 0.3 * wide.mean(axes))
    close(running_var.numpy(), 0.7 * var + 0.3 * wide.var(axes, ddof=1))


def test_batch_norm_gives_mean_zero_and_variance_one(gpu, rng):
    x = noise(rng, 64, 5, 33) * np.float32(7) + np.float32(100)
    y = gc.ops.batch_norm1d(gpu.tensor(x), gpu.ones((5,)), gpu.zeros((5,)), gpu.zeros((5,)), gpu.ones((5,)), training=True).numpy()
    assert np.abs(y.mean((0, 2), dtype=np.float64)).max() < 2e-6
    np.testing.assert_allclose(y.var((0, 2), dtype=np.float64), 1, rtol=1e-5)


@pytest.mark.parametrize("mean", [0, 1e3, 1e4, -1e6])
@pytest.mark.parametrize("shape", [(2000, 4), (50, 4, 31), (50, 4, 32), (3, 4)], ids=str)
def test_batch_norm_far_from_zero_loses_no_digits(gpu, rng, mean, shape):
    """Everything counts from the channel's first element: float32 has steps of 0.001 at 10,000, but differences there are exact."""
    x = (noise(rng, *shape) + np.float32(mean)).astype(np.float32)
    wide, axes = x.astype(np.float64), (0, 2)[: len(shape) - 1]
    running_mean, running_var = gpu.zeros((4,)), gpu.zeros((4,))
    y = gc.ops.batch_norm1d(gpu.tensor(x), None, None, running_mean, running_var, training=True, momentum=1.0)
    close(running_var.numpy(), wide.var(axes, ddof=1), rtol=3e-6, atol=0)
    close(running_mean.numpy(), wide.mean(axes), rtol=1e-7)
    close(y.numpy(), batch_norm(x, wide.mean(axes), wide.var(axes), [1] * 4, [0] * 4), rtol=3e-6, atol=0)


@pytest.mark.parametrize("shape", [(1000, 3), (20, 3, 52)], ids=str)
def test_the_gradient_of_batch_norm_far_from_zero(gpu, cpu, rng, shape):
    x, g = (noise(rng, *shape) + np.float32(1e4)).astype(np.float32), noise(rng, *shape)
    found = []
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        tensors = [device.tensor(a, dtype) for a in (x, np.ones(3), np.zeros(3))]
        running = [device.tensor(a, dtype) for a in (np.zeros(3), np.ones(3))]
        with gc.GradientTape() as tape:
            y = gc.ops.batch_norm1d(*tensors, *running, training=True)
        found.append([d.numpy() for d in tape.gradient(y, tensors, seed=device.tensor(g, dtype))])
    for got, want in zip(*found, strict=True):
        close(got, want, rtol=5e-6, atol=0)


def test_batch_norm_in_evaluation_uses_and_keeps_the_running_statistics(gpu, rng):
    for shape in ((9, 4), (3, 4, 31), (1, 4)):
        x, w, b, mean, var = noise(rng, *shape), noise(rng, 4), noise(rng, 4), noise(rng, 4), rng.random(4).astype(np.float32)
        running = gpu.tensor(mean), gpu.tensor(var)
        y = gc.ops.batch_norm1d(gpu.tensor(x), gpu.tensor(w), gpu.tensor(b), *running, training=False, eps=0.25)
        close(y.numpy(), batch_norm(x, mean, var, w, b, eps=0.25))
        assert np.array_equal(running[0].numpy(), mean)
        assert np.array_equal(running[1].numpy(), var)


def test_one_sample_is_refused_in_training_and_normal_in_evaluation(gpu, rng):
    x, w, b = gpu.tensor(noise(rng, 1, 3)), gpu.full((3,), 2.0), gpu.tensor([1.0, 2.0, 3.0])
    running_mean, running_var = gpu.zeros((3,)), gpu.ones((3,))
    with pytest.raises(ShapeError, match=r"batch_norm1d: x of shape \(1, 3\) has one element per channel"):
        gc.ops.batch_norm1d(x, w, b, running_mean, running_var, training=True)
    assert not running_mean.numpy().any()
    assert (running_var.numpy() == 1).all()
    with gc.GradientTape() as tape:
        y = gc.ops.batch_norm1d(x, w, b, running_mean, running_var, training=False, eps=0.0)
    dx, dw, db = tape.gradient(y, [x, w, b], seed=gpu.full((1, 3), 5.0))
    np.testing.assert_allclose(y.numpy(), 2 * x.numpy() + [1, 2, 3], rtol=1e-6)
    for got, want in ((dx, 10), (dw, 5 * x.numpy()[0]), (db, 5)):
        np.testing.assert_allclose(got.numpy(), np.broadcast_to(want, got.shape), rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 5), (2, 3, 0)], ids=str)
def test_an_empty_batch(gpu, shape):
    """In training it has no statistics and is refused before anything changes; in evaluation it gives an empty result."""
    running = gpu.full((3,), 2.0), gpu.full((3,), 4.0)
    x, w, b = gpu.zeros(shape), gpu.ones((3,)), gpu.zeros((3,))
    with pytest.raises(ShapeError, match=r"batch_norm1d: x of shape .* has no elements"):
        gc.ops.batch_norm1d(x, w, b, *running, training=True)
    with gc.GradientTape() as tape:
        y = gc.ops.batch_norm1d(x, w, b, *running, training=False)
    grads = tape.gradient(y, [x, w, b], seed=gpu.zeros(shape))
    assert y.shape == shape
    assert [g.shape for g in grads] == [shape, (3,), (3,)]
    assert not any(g.numpy().any() for g in grads)
    assert running[0].numpy().tolist() == [2, 2, 2]
    assert running[1].numpy().tolist() == [4, 4, 4]


def test_a_nan_stays_in_its_channel(gpu, rng):
    x = noise(rng, 40, 5)
    x[7, 2] = np.nan
    y = gc.ops.batch_norm1d(gpu.tensor(x), gpu.ones((5,)), gpu.zeros((5,)), gpu.zeros((5,)), gpu.ones((5,)), training=True).numpy()
    assert np.isnan(y[:, 2]).all()
    assert np.isfinite(np.delete(y, 2, axis=1)).all()


def test_batch_norm_in_a_pipeline_moves_its_statistics_each_time(gpu, rng):
    w, b, running = gpu.ones((3,)), gpu.zeros((3,)), (gpu.zeros((3,)), gpu.ones((3,)))
    step = gc.Pipeline(lambda x: gc.ops.batch_norm1d(x, w, b, *running, training=True, momentum=0.5))
    want = np.zeros(3)
    for _ in range(3):
        x = noise(rng, 16, 3)
        step(gpu.tensor(x))
        want = 0.5 * want + 0.5 * x.mean(0, dtype=np.float64)
    close(running[0].numpy(), want)


# ---- refusals


def test_shapes_that_do_not_fit_are_refused(gpu):
    x, three, four = gpu.zeros((2, 4)), gpu.ones((3,)), gpu.ones((4,))
    with pytest.raises(ShapeError, match=r"layer_norm: weight \(3,\) .* \(2, 4\)"):
        gc.ops.layer_norm(x, three)
    with pytest.raises(ShapeError, match=r"layer_norm: bias \(3,\) .* \(2, 4\)"):
        gc.ops.layer_norm(x, four, three)
    with pytest.raises(ShapeError, match=r"rms_norm: weight \(3,\) .* \(2, 4\)"):
        gc.ops.rms_norm(x, three)
    with pytest.raises(ShapeError, match="layer_norm: x has no axes"):
        gc.ops.layer_norm(gpu.tensor(1.0))
    for training in (True, False):
        with pytest.raises(ShapeError, match=r"weight \(3,\)"):
            gc.ops.batch_norm1d(x, three, four, four, four, training=training)
        with pytest.raises(ShapeError, match=r"running_var \(3,\)"):
            gc.ops.batch_norm1d(x, four, four, four, three, training=training)
        with pytest.raises(ShapeError, match=r"batch_norm1d: .*\(4,\)"):
            gc.ops.batch_norm1d(four, four, four, four, four, training=training)


def test_whole_numbers_are_refused(gpu):
    with pytest.raises(DTypeError, match="layer_norm: x is int32"):
        gc.ops.layer_norm(gpu.tensor([[1, 2]]))


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm1d"])
def test_a_second_derivative_is_refused_by_name(gpu, rng, name):
    x, w = gpu.tensor(noise(rng, 4, 3)), gpu.ones((3,))
    with gc.GradientTape() as outer:
        with gc.GradientTape() as tape:
            if name == "batch_norm1d":
                y = gc.ops.batch_norm1d(x, w, gpu.zeros((3,)), gpu.zeros((3,)), gpu.ones((3,)), training=True)
            else:
                y = getattr(gc.ops, name)(x, w)
        (dx,) = tape.gradient(y, [x], seed=gpu.tensor(noise(rng, 4, 3)))
        loss = gc.ops.sum(gc.ops.multiply(dx, dx))
    with pytest.raises(GradientError, match=r"norm.*has no gradient"):
        outer.gradient(loss, [x])
