"""Convolution and pooling operations on a device: sizes, repeatability, a LeNet, errors."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError, ShapeError

ops = gc.ops


def test_numbers_and_pairs_are_the_same(gpu, rng):
    x, w = gpu.tensor(rng.standard_normal((2, 3, 9, 8))), gpu.tensor(rng.standard_normal((4, 3, 3, 3)))
    assert np.array_equal(
        ops.conv2d(x, w, stride=2, padding=1, dilation=2).numpy(), ops.conv2d(x, w, stride=(2, 2), padding=(1, 1), dilation=[2, 2]).numpy()
    )
    assert np.array_equal(ops.max_pool2d(x, kernel_size=2).numpy(), ops.max_pool2d(x, kernel_size=(2, 2), stride=(2, 2)).numpy())


def test_conv1d_equals_numpy(gpu, rng):
    x, w = rng.standard_normal((1, 1, 20)).astype(np.float32), rng.standard_normal((1, 1, 4)).astype(np.float32)
    got = ops.conv1d(gpu.tensor(x), gpu.tensor(w)).numpy()[0, 0]
    assert np.allclose(got, np.correlate(x[0, 0], w[0, 0], "valid"), atol=1e-5)


def test_pooling_gives_places_that_take_finds(gpu, rng):
    x = rng.integers(-3, 4, (2, 3, 6, 7)).astype(np.float32)
    values, places = ops.max_pool2d(gpu.tensor(x), kernel_size=3, stride=2, padding=1, return_indices=True)
    assert places.dtype == "int32"
    assert np.array_equal(
        np.take_along_axis(x.reshape(2, 3, -1), places.numpy().reshape(2, 3, -1), 2).reshape(values.shape), values.numpy()
    )


def test_gradient_through_values_when_places_are_returned(gpu):
    x = gpu.tensor(np.arange(16.0).reshape(1, 1, 4, 4))
    with gc.GradientTape() as tape:
        values, _ = ops.max_pool2d(x, kernel_size=2, return_indices=True)
    grad = tape.gradient(values, [x], seed=gpu.ones(values.shape))[0].numpy()[0, 0]
    assert grad.tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1]]


def test_global_average_of_a_plane(gpu, rng):
    x = rng.standard_normal((2, 3, 5, 7)).astype(np.float32)
    got = ops.global_avg_pool2d(gpu.tensor(x)).numpy()
    assert got.shape == (2, 3)
    assert np.allclose(got, x.mean(axis=(2, 3)), atol=1e-6)


def test_empty_batch(gpu):
    x, w, b = gpu.zeros((0, 3, 8, 8)), gpu.ones((4, 3, 3, 3)), gpu.ones((4,))
    with gc.GradientTape() as tape:
        y = ops.max_pool2d(ops.conv2d(x, w, b), kernel_size=2)
    grads = tape.gradient(y, [x, w, b], seed=gpu.zeros(y.shape))
    assert y.shape == (0, 4, 3, 3)
    assert [g.shape for g in grads] == [x.shape, w.shape, b.shape]
    assert all((g.numpy() == 0).all() for g in grads)


def lenet(x, w1, b1, w2, b2):
    """The convolutional part of LeNet-5."""
    x = ops.max_pool2d(ops.conv2d(x, w1, b1, padding=2, activation="relu"), kernel_size=2)
    return ops.max_pool2d(ops.conv2d(x, w2, b2, activation="relu"), kernel_size=2)


def lenet_inputs(device, batch):
    rng = np.random.default_rng(5)
    shapes = (batch, 1, 28, 28), (6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,)
    return [
        device.tensor(rng.standard_normal(s).astype(np.float32) / (s[1] * 25 if len(s) > 1 and s[2] == 5 else 1) ** 0.5) for s in shapes
    ]


def lenet_gradients(tensors, seed):
    with gc.GradientTape() as tape:
        y = lenet(*tensors)
    return y, *tape.gradient(y, tensors, seed=seed)


def test_lenet_equals_the_reference_and_repeats(gpu):
    tensors = lenet_inputs(gpu, 8)
    seed = gpu.tensor(np.random.default_rng(6).standard_normal((8, 16, 5, 5)))
    step = gc.Pipeline(lambda seed: lenet_gradients(tensors, seed))
    assert max(d.relative_l2 for d in step.verify(seed)) < 1e-5
    assert [t.numpy().tobytes() for t in step(seed)] == [t.numpy().tobytes() for t in lenet_gradients(tensors, seed)]


def test_pooling_with_relu_is_relu_before_pooling(gpu, rng):
    for size in (8, 9, 10):
        x = gpu.tensor(rng.standard_normal((2, 3, size, size)))
        seed = gpu.tensor(rng.standard_normal((2, 3, size // 2, size // 2)))
        found = []
        for pool in (
            lambda x: ops.max_pool2d(x, kernel_size=2, activation="relu"),
            lambda x: ops.max_pool2d(ops.relu(x), kernel_size=2),
        ):
            with gc.GradientTape() as tape:
                y = pool(x)
            found.append((y.numpy(), tape.gradient(y, [x], seed=seed)[0].numpy()))
        assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_first_layer_gets_no_gradient_to_the_images(gpu):
    tensors = lenet_inputs(gpu, 2)
    with gc.GradientTape() as tape:
        y = lenet(*tensors)
    seed = gpu.ones(y.shape)
    with gpu.profile() as profile:
        tape.gradient(y, tensors[1:], seed=seed)
    found = profile.by_kernel["conv2d"]
    assert found.calls == 1, "only the second convolution hands a gradient on"


@pytest.mark.parametrize("options", [dict(padding=1, dilation=(1, 2)), dict(stride=2, padding=(1, 0)), dict(stride=(1, 3), dilation=2)])
def test_tiled_convolution_equals_the_direct_one(gpu, rng, monkeypatch, options):
    """What hardware runs for many channels, here on any adapter."""
    from gpucore.ops import conv

    arrays = rng.standard_normal((2, 5, 9, 8)), rng.standard_normal((7, 5, 3, 2)), rng.standard_normal(7)
    found = []
    for tiles in (False, True):
        for choice in ("_in_tiles", "_weight_in_tiles"):
            monkeypatch.setattr(conv, choice, lambda *a, tiles=tiles: tiles)
        x, w, b = (gpu.tensor(a) for a in arrays)
        with gc.GradientTape() as tape:
            y = ops.conv2d(x, w, b, activation="relu", **options)
        found.append([t.numpy() for t in (y, *tape.gradient(y, [x, w, b], seed=gpu.ones(y.shape)))])
    for direct, tiled in zip(*found, strict=True):
        assert np.allclose(direct, tiled, rtol=1e-5, atol=1e-5)


def test_weight_gradient_of_many_places(gpu):
    x, w = gpu.ones((64, 1, 40, 40)), gpu.zeros((2, 1, 1, 1))
    with gc.GradientTape() as tape:
        y = ops.conv2d(x, w)
    grad = tape.gradient(y, [w], seed=gpu.ones(y.shape))[0]
    assert (grad.numpy() == 64 * 1600).all()


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda d: ops.conv2d(d.ones((3, 8, 8)), d.ones((4, 3, 3, 3))), ShapeError, r"conv2d: x has shape \(3, 8, 8\); wants four axes"),
        (lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3))), ShapeError, r"conv2d: weight has shape \(4, 3\); wants four axes"),
        (lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 2, 3, 3))), ShapeError, r"has 3 channels and weight \(4, 2, 3, 3\) wants 2"),
        (
            lambda d: ops.conv2d(d.ones((1, 3, 4, 8)), d.ones((4, 3, 7, 3)), padding=1),
            ShapeError,
            r"kernel \(7, 3\) .* larger than the image \(4, 8\)",
        ),
        (lambda d: ops.conv2d(d.ones((1, 3, 4, 8)), d.ones((4, 3, 3, 3)), dilation=4), ShapeError, r"with dilation \(4, 4\) is larger"),
        (
            lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3, 3, 3)), d.ones((3,))),
            ShapeError,
            r"bias has shape \(3,\); wants \(4,\)",
        ),
        (lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3, 3, 3)), stride=0), ConfigError, r"stride \(0, 0\) .* at least 1"),
        (lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3, 3, 3)), padding=-1), ConfigError, r"padding \(-1, -1\) is negative"),
        (
            lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3, 3, 3)), stride=1.5),
            ConfigError,
            r"1.5 is neither a whole number nor a pair",
        ),
        (
            lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3, 3, 3)), stride=(1, 2, 3)),
            ConfigError,
            r"neither a whole number nor a pair",
        ),
        (lambda d: ops.conv2d(d.ones((1, 3, 8, 8)), d.ones((4, 3, 3, 3)), activation="gelu"), ConfigError, r"activation 'gelu' is unknown"),
        (lambda d: ops.max_pool2d(d.ones((1, 1, 4, 4)), kernel_size=2, activation="gelu"), ConfigError, r"max_pool2d: activation 'gelu'"),
        (lambda d: ops.conv1d(d.ones((3, 8)), d.ones((4, 3, 3))), ShapeError, r"conv1d: x has shape \(3, 8\); wants three axes"),
        (lambda d: ops.conv1d(d.ones((1, 3, 8)), d.ones((4, 2, 3))), ShapeError, r"conv1d: x .* has 3 channels"),
        (
            lambda d: ops.conv1d(d.ones((1, 3, 8)), d.ones((4, 3, 5)), dilation=2),
            ShapeError,
            r"conv1d: the kernel spans 9 and the padded signal only 8",
        ),
        (lambda d: ops.max_pool2d(d.ones((1, 3, 8)), kernel_size=2), ShapeError, r"max_pool2d: x has shape \(1, 3, 8\); wants four axes"),
        (
            lambda d: ops.max_pool2d(d.ones((1, 1, 2, 2)), kernel_size=3),
            ShapeError,
            r"max_pool2d: the kernel \(3, 3\) .* larger than the image",
        ),
        (
            lambda d: ops.max_pool2d(d.ones((1, 1, 8, 8)), kernel_size=2, padding=2),
            ConfigError,
            r"padding \(2, 2\) is more than half the kernel",
        ),
        (
            lambda d: ops.avg_pool2d(d.ones((1, 1, 2, 2)), kernel_size=3),
            ShapeError,
            r"avg_pool2d: the kernel \(3, 3\) .* larger than the image",
        ),
        (lambda d: ops.global_avg_pool2d(d.ones((2, 3))), ShapeError, r"global_avg_pool2d: x has shape \(2, 3\); wants four axes"),
        (lambda d: ops.im2col(d.ones((2, 3)), kernel_size=2), ShapeError, r"im2col: x has shape \(2, 3\); wants four axes"),
        (lambda d: ops.col2im(d.ones((1, 8, 3)), size=(3, 3), kernel_size=2), ShapeError, r"col2im: columns has shape \(1, 8, 3\); wants"),
    ],
)
def test_errors_are_sentences_on_both_devices(gpu, cpu, call, error, sentence):
    for device in (gpu, cpu):
        with pytest.raises(error, match=sentence):
            call(device)
