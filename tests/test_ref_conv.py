"""The convolution and pooling references against scipy, loops written out, hand cases and identities."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.signal import correlate

from kernels_ref import conv as ref

PLAIN = dict(stride=(1, 1), padding=(0, 0), dilation=(1, 1))
ODD = dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2))
SPREAD = dict(stride=(3, 2), padding=(0, 1), dilation=(2, 1))
GEOMETRIES = [PLAIN, ODD, SPREAD]


def looped(x, weight, bias, stride, padding, dilation):
    """The sum over c, u, v at every place, element by element."""
    n, c, h, w = x.shape
    o, _, kh, kw = weight.shape
    rows = (h + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (w + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    out = np.zeros((n, o, rows, columns))
    for b, k, y, z in np.ndindex(*out.shape):
        total = bias[k]
        for i, u, v in product(range(c), range(kh), range(kw)):
            row, column = y * stride[0] - padding[0] + u * dilation[0], z * stride[1] - padding[1] + v * dilation[1]
            if 0 <= row < h and 0 <= column < w:
                total += weight[k, i, u, v] * x[b, i, row, column]
        out[b, k, y, z] = total
    return out


@pytest.mark.parametrize("options", GEOMETRIES)
def test_conv2d_equals_loops(rng, options):
    x, w, b = rng.standard_normal((2, 3, 7, 8)), rng.standard_normal((4, 3, 2, 3)), rng.standard_normal(4)
    want = looped(x, w, b, **options)
    assert np.allclose(ref.conv2d(x, w, b, activation="none", **options), want)
    assert np.allclose(ref.conv2d(x, w, b, activation="relu", **options), np.maximum(want, 0))


def test_conv2d_equals_scipy(rng):
    x, w = rng.standard_normal((1, 1, 9, 11)), rng.standard_normal((1, 1, 3, 4))
    assert np.allclose(ref.conv2d(x, w, activation="none", **PLAIN)[0, 0], correlate(x[0, 0], w[0, 0], "valid"))


def test_conv2d_by_hand():
    x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    assert (ref.conv2d(x, w, np.array([10.0]), activation="none", **PLAIN) == 6).all()


@pytest.mark.parametrize("options", GEOMETRIES)
def test_gradients_are_the_transposes(rng, options):
    x, w = rng.standard_normal((2, 3, 7, 8)), rng.standard_normal((4, 3, 2, 3))
    y = ref.conv2d(x, w, activation="none", **options)
    g = rng.standard_normal(y.shape)
    paired = (g * y).sum()
    assert (ref.conv2d_input_gradient(g, w, size=(7, 8), **options) * x).sum() == pytest.approx(paired)
    for chunk in (1, 5, 1000):
        partial = ref.conv2d_weight_gradient(x, g, kernel_size=(2, 3), chunk=chunk, **options)
        to_weight, to_bias = ref.conv2d_weight_fold(partial)
        assert (to_weight.reshape(w.shape) * w).sum() == pytest.approx(paired)
        assert np.allclose(to_bias, g.sum(axis=(0, 2, 3)))


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_gradient_to_the_image_is_a_convolution_of_the_spread_gradient(rng, stride):
    g, w = rng.standard_normal((2, 4, 3, 3)), rng.standard_normal((4, 5, 3, 4))
    size, padding = (3 * stride[0], 2 * stride[1] + 2), (1, 1)
    want = ref.conv2d_input_gradient(g, w, size=size, stride=stride, padding=padding, dilation=(1, 1))
    options = dict(stride=(1, 1), padding=(1, 2), dilation=(1, 1), activation="none")
    turned = np.transpose(w, (0, 2, 3, 1))
    assert np.allclose(ref.conv2d_tiled(g, turned, flip=True, up=stride, size=size, **options), want)
    if stride == (1, 1):
        assert np.allclose(ref.conv2d(g, w, transposed=True, **options), want)


@pytest.mark.parametrize("options", GEOMETRIES)
def test_columns_times_weights_are_the_convolution(rng, options):
    x, w = rng.standard_normal((2, 3, 7, 8)), rng.standard_normal((4, 3, 2, 3))
    y = ref.conv2d(x, w, activation="none", **options)
    columns = ref.im2col(x, kernel_size=(2, 3), **options)
    assert np.allclose((w.reshape(4, -1) @ columns).reshape(y.shape), y)
    other = rng.standard_normal(columns.shape)
    back = ref.col2im(other, size=(7, 8), kernel_size=(2, 3), **options)
    assert (back * x).sum() == pytest.approx((other * columns).sum())


def test_col2im_counts_the_windows():
    columns = ref.im2col(np.ones((1, 1, 3, 3)), kernel_size=(2, 2), **PLAIN)
    assert ref.col2im(columns, size=(3, 3), kernel_size=(2, 2), **PLAIN)[0, 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def pooled(x, kernel, stride, padding):
    """Maximum and first place of every window, element by element."""
    rows, columns = ((n + 2 * p - k) // s + 1 for n, k, s, p in zip(x.shape, kernel, stride, padding, strict=True))
    values, places = np.zeros((rows, columns)), np.zeros((rows, columns), int)
    for y, z in np.ndindex(rows, columns):
        inside = [
            (r, c)
            for r in range(y * stride[0] - padding[0], y * stride[0] - padding[0] + kernel[0])
            for c in range(z * stride[1] - padding[1], z * stride[1] - padding[1] + kernel[1])
            if 0 <= r < x.shape[0] and 0 <= c < x.shape[1]
        ]
        found = [x[at] for at in inside]
        first = int(np.argmax(found))  # NumPy's argmax: the first maximum, the first NaN above all
        values[y, z], places[y, z] = found[first], inside[first][0] * x.shape[1] + inside[first][1]
    return values, places


@pytest.mark.parametrize(
    "options",
    [
        dict(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)),
        dict(kernel_size=(3, 2), stride=(1, 2), padding=(1, 1)),
        dict(kernel_size=(2, 3), stride=(3, 4), padding=(0, 1)),
    ],
)
def test_max_pool_values_and_places(rng, options):
    x = rng.choice([np.nan, -np.inf, -2.0, -2.0, 0.0, 1.0], (2, 3, 8, 9))
    values, indices = ref.max_pool2d(x, **options)
    assert indices.dtype == np.int32
    for n, c in np.ndindex(2, 3):
        want, places = pooled(x[n, c], options["kernel_size"], options["stride"], options["padding"])
        assert np.array_equal(values[n, c], want, equal_nan=True)
        assert np.array_equal(indices[n, c], places)
    assert np.array_equal(ref.take_in_plane(x, indices), values, equal_nan=True)


@pytest.mark.parametrize(
    "options", [dict(kernel_size=(3, 2), stride=(1, 2), padding=(1, 1)), dict(kernel_size=(2, 2), stride=(3, 3), padding=(0, 0))]
)
def test_pool_gradients_are_the_transposes(rng, options):
    x = rng.standard_normal((2, 3, 8, 9))
    values, indices = ref.max_pool2d(x, **options)
    g = rng.standard_normal(values.shape)
    assert (ref.max_pool2d_gradient(g, indices, size=(8, 9), **options) * x).sum() == pytest.approx((g * values).sum())
    mean = ref.avg_pool2d(x, **options)
    assert (ref.avg_pool2d_gradient(g, size=(8, 9), **options) * x).sum() == pytest.approx((g * mean).sum())


def test_average_pool_counts_the_padding():
    out = ref.avg_pool2d(np.ones((1, 1, 2, 2)), kernel_size=(2, 2), stride=(1, 1), padding=(1, 1))
    assert out[0, 0].tolist() == [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]
