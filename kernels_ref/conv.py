"""Convolution as the sum over the taps of its kernel: [batch, channels, height, width] images, [out, in, kh, kw] weights."""

from itertools import product

import numpy as np


def _padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))


def _places(image, kernel, stride, padding, dilation):
    """How many windows fit along each axis."""
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(image, kernel, stride, padding, dilation, strict=True))


def _under_tap(u, v, places, stride, dilation):
    """The elements of the padded image that lie under tap (u, v), one per window, as two slices."""
    return (
        slice(u * dilation[0], u * dilation[0] + stride[0] * (places[0] - 1) + 1, stride[0]),
        slice(v * dilation[1], v * dilation[1] + stride[1] * (places[1] - 1) + 1, stride[1]),
    )


def _crop(padded, padding):
    height, width = padded.shape[2] - padding[0], padded.shape[3] - padding[1]
    return padded[:, :, padding[0] : height, padding[1] : width]


def conv2d(x, weight, bias=None, *, stride, padding, dilation, activation, transposed=False, blocks=None, shared=None, split=None):
    """Cross-correlation of zero-padded images, plus bias, then max(·, 0) when activation is "relu".

    transposed: the weight is [in, out, kh, kw] and its taps run backwards.
    """
    if transposed:
        weight = np.swapaxes(weight, 0, 1)[:, :, ::-1, ::-1]
    kernel = weight.shape[2:]
    places = _places(x.shape[2:], kernel, stride, padding, dilation)
    padded = _padded(x, padding)
    out = np.zeros((x.shape[0], weight.shape[0], *places), x.dtype)
    for u, v in product(*map(range, kernel)):
        rows, columns = _under_tap(u, v, places, stride, dilation)
        out += np.moveaxis(np.tensordot(weight[:, :, u, v], padded[:, :, rows, columns], (1, 1)), 0, 1)
    if bias is not None:
        out += bias[:, None, None]
    return np.maximum(out, 0) if activation == "relu" else out


def conv2d_tiled(x, weight, bias=None, *, stride, padding, dilation, activation, flip=False, up=(1, 1), size=None, config=None):
    """conv2d with the weight stored [in, kh, kw, out]; flip turns its taps around.

    up: zeros come between the image's elements and behind them, so that the result has `size`.
    """
    if up != (1, 1):
        kernel = weight.shape[1:3]
        spread = np.zeros((*x.shape[:2], *(n - 2 * p + k - 1 for n, p, k in zip(size, padding, kernel, strict=True))), x.dtype)
        spread[:, :, : (x.shape[2] - 1) * up[0] + 1 : up[0], : (x.shape[3] - 1) * up[1] + 1 : up[1]] = x
        x = spread
    turned = weight[:, ::-1, ::-1] if flip else weight
    return conv2d(x, np.moveaxis(turned, 3, 0), bias, stride=stride, padding=padding, dilation=dilation, activation=activation)


def conv2d_input_gradient(g, weight, *, size, stride, padding, dilation):
    """The transpose of conv2d in its image: each output hands its gradient to the elements under its window."""
    places = g.shape[2:]
    out = np.zeros((g.shape[0], weight.shape[1], size[0] + 2 * padding[0], size[1] + 2 * padding[1]), g.dtype)
    for u, v in product(*map(range, weight.shape[2:])):
        rows, columns = _under_tap(u, v, places, stride, dilation)
        out[:, :, rows, columns] += np.moveaxis(np.tensordot(weight[:, :, u, v], g, (0, 1)), 0, 1)
    return _crop(out, padding)


def conv2d_weight_gradient(x, g, *, kernel_size, stride, padding, dilation, chunk):
    """Per chunk of places, in the order (sample, row, column): Σ g · (elements under each tap, then a 1 for the bias)."""
    taps = im2col(x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    seen = np.concatenate([np.moveaxis(taps, 1, 2).reshape(-1, taps.shape[1]), np.ones((g[:, 0].size, 1), g.dtype)], axis=1)
    arriving = np.moveaxis(g, 1, 3).reshape(-1, g.shape[1])
    starts = range(0, len(seen), chunk)
    return np.stack([arriving[i : i + chunk].T @ seen[i : i + chunk] for i in starts])


def conv2d_weight_gradient_tiled(x, g, *, kernel_size, stride, padding, dilation, chunk, config=None):
    """The same sums; the candidate only says in which tiles."""
    return conv2d_weight_gradient(x, g, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, chunk=chunk)


def conv2d_weight_fold(partial, *, walkers=None):
    """The sum over chunks, split into the weight's taps and the bias."""
    total = partial.sum(axis=0)
    return total[:, :-1], total[:, -1]


def im2col(x, *, kernel_size, stride, padding, dilation):
    """[batch, channels · taps, places]: the elements under every tap of every window."""
    batch, channels = x.shape[:2]
    places = _places(x.shape[2:], kernel_size, stride, padding, dilation)
    padded = _padded(x, padding)
    out = np.zeros((batch, channels, *kernel_size, *places), x.dtype)
    for u, v in product(*map(range, kernel_size)):
        out[:, :, u, v] = padded[(slice(None), slice(None), *_under_tap(u, v, places, stride, dilation))]
    return out.reshape(batch, channels * kernel_size[0] * kernel_size[1], places[0] * places[1])


def col2im(columns, *, size, kernel_size, stride, padding, dilation):
    """The transpose of im2col: every element of the image is the sum of the columns that came from it."""
    places = _places(size, kernel_size, stride, padding, dilation)
    taps = columns.reshape(columns.shape[0], columns.shape[1] // (kernel_size[0] * kernel_size[1]), *kernel_size, *places)
    out = np.zeros((*taps.shape[:2], size[0] + 2 * padding[0], size[1] + 2 * padding[1]), columns.dtype)
    for u, v in product(*map(range, kernel_size)):
        out[(slice(None), slice(None), *_under_tap(u, v, places, stride, dilation))] += taps[:, :, u, v]
    return _crop(out, padding)


def max_pool2d(x, *, kernel_size, stride, padding, activation="none"):
    """The maximum of each window and its flat place in the plane: the first on ties, the first NaN above all.

    activation: "relu" makes it max(·, 0); the places are those before it.
    """
    places = _places(x.shape[2:], kernel_size, stride, padding, (1, 1))
    padded = _padded(x, padding)
    flat = np.arange(x.shape[2] * x.shape[3]).reshape(1, 1, *x.shape[2:])
    numbers = np.pad(flat, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2), constant_values=-1)
    best = np.zeros((*x.shape[:2], *places), x.dtype)
    indices = np.full(best.shape, -1, np.int32)
    for u, v in product(*map(range, kernel_size)):
        rows, columns = _under_tap(u, v, places, stride, (1, 1))
        value, number = padded[:, :, rows, columns], numbers[:, :, rows, columns]
        better = (number >= 0) & ((indices < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best)))
        best, indices = np.where(better, value, best), np.where(better, number, indices).astype(np.int32)
    return np.maximum(best, 0) if activation == "relu" else best, indices


def max_pool2d_gradient(g, indices, values=None, *, size, kernel_size, stride, padding):
    """Each window's gradient goes to the place of its maximum; with values of a ReLU, where they are above 0."""
    if values is not None:
        g = np.where(values > 0, g, 0)
    out = np.zeros((*g.shape[:2], size[0] * size[1]), g.dtype)
    sample, channel = np.indices(g.shape)[:2]
    np.add.at(out, (sample, channel, indices), g)
    return out.reshape(*g.shape[:2], *size)


def take_in_plane(x, indices):
    """x at flat places of its planes."""
    sample, channel = np.indices(indices.shape)[:2]
    return x[sample, channel, indices // x.shape[3], indices % x.shape[3]]


def avg_pool2d(x, *, kernel_size, stride, padding):
    """The mean of each window of the zero-padded image."""
    places = _places(x.shape[2:], kernel_size, stride, padding, (1, 1))
    padded = _padded(x, padding)
    taps = product(*map(range, kernel_size))
    return sum(padded[(slice(None), slice(None), *_under_tap(u, v, places, stride, (1, 1)))] for u, v in taps) / (
        kernel_size[0] * kernel_size[1]
    )


def avg_pool2d_gradient(g, *, size, kernel_size, stride, padding):
    """Each window hands an equal share of its gradient to every element it holds."""
    out = np.zeros((*g.shape[:2], size[0] + 2 * padding[0], size[1] + 2 * padding[1]), g.dtype)
    for u, v in product(*map(range, kernel_size)):
        out[(slice(None), slice(None), *_under_tap(u, v, g.shape[2:], stride, (1, 1)))] += g
    return _crop(out, padding) / (kernel_size[0] * kernel_size[1])
