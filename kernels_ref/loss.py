"""Losses and their derivatives by the prediction."""

import numpy as np


def cross_entropy(x, labels, *, config=None):
    """(ln Σ e^x - x[label], (softmax(x) - onehot) / rows) for each row; NaN rows for labels outside the classes."""
    rows, classes = x.shape
    shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    exps = np.exp(shifted)
    total = exps.sum(axis=1, keepdims=True)
    valid = (labels >= 0) & (labels < classes)
    onehot = labels[:, None] == np.arange(classes)
    picked = np.where(onehot, shifted, 0).sum(axis=1)
    loss = np.where(valid, np.log(total[:, 0]) - picked, np.nan)
    gradient = np.where(valid[:, None], (exps / total - onehot) / max(rows, 1), np.nan)
    return loss, gradient


def _mse(x, t, delta):
    return (x - t) ** 2


def _l1(x, t, delta):
    return np.abs(x - t)


def _huber(x, t, delta):
    e = np.abs(x - t)
    return np.where(e <= delta, 0.5 * e**2, delta * (e - delta / 2))


def _bce(x, t, delta):
    return np.logaddexp(0, x) - x * t


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


VALUES = {"mse": _mse, "l1": _l1, "huber": _huber, "bce": _bce}
SLOPES = {
    "mse": lambda x, t, delta: 2 * (x - t),
    "l1": lambda x, t, delta: np.sign(x - t),
    "huber": lambda x, t, delta: np.clip(x - t, -delta, delta),
    "bce": lambda x, t, delta: _sigmoid(x) - t,
}
CURVATURES = {
    "mse": lambda x, t, delta: np.full_like(x, 2),
    "l1": lambda x, t, delta: np.zeros_like(x),
    "huber": lambda x, t, delta: (np.abs(x - t) <= delta) * np.ones_like(x),
    "bce": lambda x, t, delta: _sigmoid(x) * _sigmoid(-x),
}


def pointwise_loss(prediction, target_values, *, kind, delta=1.0, with_slope=False, block=4096):
    """(parts, slope): sums over consecutive blocks of the flattened elements, divided by their number, whose sum is the mean
    loss; and the derivative of the mean by each prediction, or nothing."""
    values = VALUES[kind](prediction, target_values, delta).reshape(-1)
    blocks = -(-values.size // block)
    padded = np.zeros(blocks * block, values.dtype)
    padded[: values.size] = values
    parts = padded.reshape(blocks, block).sum(axis=1) / max(values.size, 1)
    slope = SLOPES[kind](prediction, target_values, delta) / max(values.size, 1) if with_slope else np.zeros(0, values.dtype)
    return parts, slope


def pointwise_loss_derivative(prediction, target_values, g, *, kind, order=1, delta=1.0):
    """g times the first or second derivative of the mean loss by each prediction."""
    table = SLOPES if order == 1 else CURVATURES
    return g.reshape(()) * table[kind](prediction, target_values, delta) / max(prediction.size, 1)
