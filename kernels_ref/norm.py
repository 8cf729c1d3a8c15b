"""Softmax and normalisations."""

import numpy as np


def softmax(x, mask=None, *, log=False, config=None):
    """eˣ / Σ eˣ over the last axis, or its logarithm; masked elements (mask False) take no part and give 0."""
    open_ = np.broadcast_to(True if mask is None else mask, x.shape)
    top = np.max(x, axis=-1, keepdims=True, initial=-np.inf, where=open_)
    powers = np.where(open_, np.exp(x - top), 0)
    total = np.sum(powers, axis=-1, keepdims=True)
    y = x - top - np.log(total) if log else powers / total
    return np.where(open_, y, 0)


def softmax_backward(g, y, *, log=False, config=None):
    """The gradient of softmax (or its logarithm) from its result y: the Jacobian diag(p) - p pᵀ times g."""
    if log:
        return g - np.exp(y) * np.sum(g, axis=-1, keepdims=True)
    return y * (g - np.sum(g * y, axis=-1, keepdims=True))


def softmax_columns(x, *, log=False):
    """softmax over the middle axis of three."""
    return np.swapaxes(softmax(np.swapaxes(x, 1, 2), log=log), 1, 2)


def softmax_columns_backward(g, y, *, log=False):
    """softmax_backward over the middle axis of three."""
    return np.swapaxes(softmax_backward(np.swapaxes(g, 1, 2), np.swapaxes(y, 1, 2), log=log), 1, 2)


def layer_norm(x, weight=None, bias=None, *, eps=1e-5, config=None):
    """((x - μ) / √(σ² + eps) · weight + bias, μ - x₀, 1 / √(σ² + eps)) over the last axis."""
    mean = np.mean(x, axis=-1, keepdims=True)
    rstd = 1 / np.sqrt(np.mean(np.square(x - mean), axis=-1, keepdims=True) + eps)
    y = (x - mean) * rstd * (1 if weight is None else weight) + (0 if bias is None else bias)
    return y, (mean - x[..., :1])[..., 0], rstd[..., 0]


def rms_norm(x, weight=None, *, eps=1e-6, config=None):
    """(x / √(mean(x²) + eps) · weight, 1 / √(mean(x²) + eps)) over the last axis."""
    rstd = 1 / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + eps)
    return x * rstd * (1 if weight is None else weight), rstd[..., 0]


def _normalized(x, rstd, offset):
    centered = x if offset is None else x - x[..., :1] - offset[..., None]
    return centered * rstd[..., None]


def add_layer_norm(x, residual, weight=None, bias=None, *, eps=1e-5, config=None):
    """(layer_norm of the sum, x + residual, μ - the first sum, 1 / √(σ² + eps)) over the last axis."""
    total = x + residual
    y, offset, rstd = layer_norm(total, weight, bias, eps=eps)
    return y, total, offset, rstd


def add_rms_norm(x, residual, weight=None, *, eps=1e-6, config=None):
    """(rms_norm of the sum, x + residual, 1 / √(mean(sum²) + eps)) over the last axis."""
    total = x + residual
    y, rstd = rms_norm(total, weight, eps=eps)
    return y, total, rstd


def norm_backward(g, x, rstd, offset=None, weight=None, more=None, *, config=None):
    """The gradient of layer_norm (with offset) or rms_norm (without) to x, from what they gave besides the result; plus more."""
    z = _normalized(x, rstd, offset)
    h = g if weight is None else g * weight
    through_mean = 0 if offset is None else np.mean(h, axis=-1, keepdims=True)
    to_x = rstd[..., None] * (h - through_mean - z * np.mean(h * z, axis=-1, keepdims=True))
    return to_x if more is None else to_x + more


def norm_weight_backward(g, x, rstd, offset=None, *, chunk=None):
    """(Σ g · z, Σ g) over each part of `chunk` rows, z the normalised x: [parts, cols] twice."""
    cols = x.shape[-1]
    z = _normalized(x, rstd, offset).reshape(-1, cols)
    g = g.reshape(-1, cols)
    starts = range(0, max(len(g), 1), chunk or max(len(g), 1))
    parts = [slice(s, s + (chunk or len(g))) for s in starts]
    return np.stack([np.sum(g[p] * z[p], axis=0) for p in parts]), np.stack([np.sum(g[p], axis=0) for p in parts])


def _per_channel(values, x):
    """Values of one per channel, against x of [N, C] or [N, C, L]."""
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def _centred(x, mean, relative):
    """x less the mean of its channel, which with `relative` is counted from the channel's first element."""
    if relative:
        x = x - _per_channel(x.reshape(x.shape[0], x.shape[1], -1)[0, :, 0], x)
    return x - _per_channel(mean, x)


def batch_norm(x, mean, variance, weight=None, bias=None, *, eps=1e-5, relative=False):
    """(x - mean) / √(variance + eps) · weight + bias, per channel (axis 1); relative: mean counts from x[0, c, 0]."""
    if x.size == 0:
        return x.copy()
    y = _centred(x, mean, relative) / np.sqrt(_per_channel(variance, x) + eps)
    y = y if weight is None else y * _per_channel(weight, x)
    return y if bias is None else y + _per_channel(bias, x)


def batch_norm_backward(g, x, mean, variance, weight=None, weight_gradient=None, bias_gradient=None, *, eps=1e-5, relative=False):
    """The gradient of batch_norm to x; with the sums Σ g·z and Σ g also through mean and variance, taken over x itself."""
    if x.size == 0:
        return x.copy()
    rstd = 1 / np.sqrt(_per_channel(variance, x) + eps)
    z = _centred(x, mean, relative) * rstd
    if weight_gradient is not None:
        count = x.size // x.shape[1]
        g = g - _per_channel(bias_gradient, x) / count - z * _per_channel(weight_gradient, x) / count
    return g * rstd * (1 if weight is None else _per_channel(weight, x))


def _channel_parts(x, chunk):
    """Each part of `chunk` elements of the channels, [elements, channels]; at least one."""
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    chunk = chunk or max(len(rows), 1)
    return [rows[start : start + chunk] for start in range(0, max(len(rows), 1), chunk)]


def batch_norm_weight_backward(g, x, mean, variance, *, eps=1e-5, chunk=None, relative=False):
    """(Σ g · z, Σ g) per channel over each part of `chunk` elements, z the normalised x: [parts, channels] twice."""
    z = batch_norm(x, mean, variance, eps=eps, relative=relative)
    return tuple(np.stack([np.sum(part, axis=0) for part in _channel_parts(a, chunk)]) for a in (g * z, g))


def channel_moments(x, *, chunk=None):
    """(μ - the channel's first element, Σ (x - μ)²) per channel over each part of `chunk` elements: [parts, channels] twice."""
    parts = _channel_parts(x, chunk)
    means = np.stack([np.mean(part, axis=0) for part in parts])
    return means - parts[0][0], np.stack([np.sum(np.square(part - mean), axis=0) for part, mean in zip(parts, means, strict=True)])


def fold_moments(x, offsets, squares, *, chunk, divisor=None):
    """(μ - the first element, μ, Σ (x - μ)² / divisor) per channel, of all parts together; divisor: the elements by default."""
    count = x.size // x.shape[1]
    share = np.array([min(chunk, count - start) for start in range(0, count, chunk)])[:, None] / count
    offset = np.sum(share * offsets, axis=0)
    variance = (np.sum(squares, axis=0) + count * np.sum(share * np.square(offsets - offset), axis=0)) / (divisor or count)
    return offset, offset + x.reshape(x.shape[0], x.shape[1], -1)[0, :, 0], variance


def batch_norm_update(running_mean, running_var, mean, variance, *, momentum, count):
    """running = (1 - momentum) · running + momentum · batch, in place; the running variance is unbiased, n / (n - 1)."""
    running_mean[...] = (1 - momentum) * running_mean + momentum * mean
    running_var[...] = (1 - momentum) * running_var + momentum * variance * (count / max(count - 1, 1))
