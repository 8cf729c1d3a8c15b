"""Gradients of convolution and pooling: finite differences in float64, and the GPU against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc

ops = gc.ops
GEOMETRIES = [dict(), dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2)), dict(stride=3, padding=1)]


@pytest.mark.parametrize("options", GEOMETRIES)
def test_conv2d(gpu, rng, options):
    arrays = rng.standard_normal((2, 2, 5, 6)), rng.standard_normal((3, 2, 2, 3)), rng.standard_normal(3)
    check_gradient(gpu, lambda x, w, b: ops.conv2d(x, w, b, **options), *arrays)


def test_conv2d_with_relu(gpu, rng):
    x, w = rng.standard_normal((2, 2, 4, 5)), rng.standard_normal((3, 2, 2, 2))
    bias = np.array([0.3, -0.2, 0.1])
    check_gradient(gpu, lambda x, w, b: ops.conv2d(x, w, b, activation="relu"), x, w, bias)


@pytest.mark.parametrize("options", [dict(), dict(stride=2, padding=3, dilation=2)])
def test_conv1d(gpu, rng, options):
    arrays = rng.standard_normal((2, 2, 9)), rng.standard_normal((3, 2, 3)), rng.standard_normal(3)
    check_gradient(gpu, lambda x, w, b: ops.conv1d(x, w, b, **options), *arrays)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_second_derivatives_of_conv2d(gpu, rng, which):
    def inner(x, w, b, weights):
        with gc.GradientTape() as tape:
            y = ops.conv2d(x, w, b, stride=(2, 1), padding=(0, 1))
            y = ops.sum(ops.multiply(ops.multiply(y, y), weights))
        return tape.gradient(y, [(x, w, b)[which]])[0]

    arrays = rng.standard_normal((1, 2, 4, 3)), rng.standard_normal((2, 2, 2, 2)), rng.standard_normal(2), rng.standard_normal((1, 2, 2, 4))
    check_gradient(gpu, inner, *arrays)


@pytest.mark.parametrize("options", GEOMETRIES)
def test_im2col_and_col2im(gpu, rng, options):
    x = rng.standard_normal((2, 2, 5, 6))
    check_gradient(gpu, lambda x: ops.im2col(x, kernel_size=(2, 3), **options), x)
    shape = ops.im2col(gc.device("cpu").tensor(x), kernel_size=(2, 3), **options).shape
    check_gradient(gpu, lambda c: ops.col2im(c, size=(5, 6), kernel_size=(2, 3), **options), rng.standard_normal(shape))


@pytest.mark.parametrize("options", [dict(kernel_size=2), dict(kernel_size=(3, 2), stride=(1, 2), padding=1)])
def test_pooling(gpu, rng, options):
    x = rng.permutation(2 * 2 * 5 * 6).reshape(2, 2, 5, 6) / 10.0  # no ties, and gaps above the step
    check_gradient(gpu, lambda x: ops.max_pool2d(x, **options), x)
    check_gradient(gpu, lambda x: ops.avg_pool2d(x, **options), x)


def test_pooling_with_relu(gpu, rng):
    x = (rng.permutation(2 * 2 * 5 * 6).reshape(2, 2, 5, 6) - 60.5) / 10.0
    check_gradient(gpu, lambda x: ops.max_pool2d(x, kernel_size=2, activation="relu"), x)
    check_gradient(gpu, lambda x: ops.max_pool2d(x, kernel_size=(3, 2), stride=(1, 2), padding=1, activation="relu"), x)


def test_global_average(gpu, rng):
    check_gradient(gpu, lambda x: ops.global_avg_pool2d(x), rng.standard_normal((2, 3, 4, 5)))


def _max_pool_relu(x, **options):
    return ops.max_pool2d(x, activation="relu", **options)


@pytest.mark.parametrize("pool", [ops.max_pool2d, ops.avg_pool2d, _max_pool_relu])
def test_second_derivatives_of_pooling(gpu, rng, pool):
    def inner(x):
        with gc.GradientTape() as tape:
            y = pool(x, kernel_size=3, stride=2, padding=1)
            y = ops.sum(ops.multiply(ops.multiply(y, y), y))
        return tape.gradient(y, [x])[0]

    check_gradient(gpu, inner, (rng.permutation(30).reshape(1, 1, 5, 6) - 9.5) / 10.0)
