"""Optimizers over flattened parameters; all work in place.

`steps` counts the steps taken, once per workgroup of the shader, so all its entries are alike. `partials` add up to the
square of the gradient's norm. `decay` has one multiplier of the weight decay per 64 elements. `config` says how a GPU walks.
"""

import numpy as np

DECAY_BLOCK = 64
STRETCH = 1024
"""Elements that stay together when sums of squares are dealt out to the partials."""


def _dealt_squares(values, partials):
    """partials[b] = Σ v² over every stretch of elements whose number is b modulo the number of partials."""
    turns = -(-values.size // (STRETCH * partials.size))
    padded = np.zeros(turns * partials.size * STRETCH, values.dtype)
    padded[: values.size] = values
    partials[...] = (padded.reshape(turns, partials.size, STRETCH) ** 2).sum(axis=(0, 2))


def pack(flat, partials, source0=None, source1=None, source2=None, source3=None, source4=None, source5=None, *, spans, squares=False):
    """flat = the sources one after another, each followed by zeros up to its span; a missing one is all zeros."""
    flat[...] = 0
    start = 0
    for source, span in zip((source0, source1, source2, source3, source4, source5), spans, strict=False):
        if source is not None:
            flat[start : start + source.size] = source.reshape(-1)
        start += span
    if squares:
        _dealt_squares(flat, partials)


def square_sums(gradient, partials):
    """partials[b] = Σ gradient² over the stretches of block b."""
    _dealt_squares(gradient, partials)


def _begin(steps, partials, max_norm):
    """Counts the step; (t, the factor that keeps the gradient's norm below max_norm: Pascanu et al. 2013)."""
    steps += 1
    t = int(steps[0]) if steps.size else 0
    return t, 1.0 if max_norm is None else np.minimum(1.0, max_norm / (np.sqrt(partials.sum()) + 1e-6))


def _clipped(gradient, scale, clip_value):
    g = gradient * scale
    return g if clip_value is None else np.clip(g, -clip_value, clip_value)


def _strength(theta, weight_decay, decay):
    return weight_decay if decay is None else weight_decay * np.repeat(decay, DECAY_BLOCK)[: theta.size]


def adam(
    theta, m, v, gradient, steps, lr, partials=None, decay=None, *, beta1, beta2, eps, max_norm=None, weight_decay=0.0, decoupled=False,
    clip_value=None, config=None,
):  # fmt: skip
    """Adam (Kingma & Ba 2015); weight decay in the gradient, or decoupled from it (Loshchilov & Hutter 2019)."""
    t, scale = _begin(steps, partials, max_norm)
    g = _clipped(gradient, scale, clip_value)
    strength = _strength(theta, weight_decay, decay)
    if decoupled:
        theta[...] = theta * (1 - lr * strength)
    else:
        g = g + strength * theta
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g**2
    theta[...] = theta - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)


def sgd(theta, gradient, steps, lr, partials=None, decay=None, *, max_norm=None, weight_decay=0.0, clip_value=None, config=None):
    """theta -= lr·(g + weight_decay·theta)."""
    _, scale = _begin(steps, partials, max_norm)
    g = _clipped(gradient, scale, clip_value) + _strength(theta, weight_decay, decay) * theta
    theta[...] = theta - lr * g


def sgd_momentum(
    theta, velocity, gradient, steps, lr, partials=None, decay=None, *, momentum, nesterov=False, max_norm=None, weight_decay=0.0,
    clip_value=None, config=None,
):  # fmt: skip
    """Momentum as a running sum of gradients, Nesterov's variant one step ahead (Sutskever et al. 2013, as PyTorch has it)."""
    _, scale = _begin(steps, partials, max_norm)
    g = _clipped(gradient, scale, clip_value) + _strength(theta, weight_decay, decay) * theta
    velocity[...] = momentum * velocity + g
    theta[...] = theta - lr * (g + momentum * velocity if nesterov else velocity)


def combine_rows(flat, rows, coefficients, origin=None):
    """flat = origin + Σ_r coefficients[r]·rows[r] over the rows whose coefficient is not 0."""
    used = np.flatnonzero(coefficients)
    flat[...] = coefficients[used] @ rows[used] + (0 if origin is None else origin)


def _picked(vectors, slot, row):
    """The rows s, y, g and that of the gradient before: [s of each slot, y of each slot, two gradients]."""
    slots = vectors.shape[0] // 2 - 1
    return slot, slots + slot, 2 * slots + row, 2 * slots + 1 - row


def _dealt(values, blocks):
    """[rows, size] → [blocks, rows, elements]: stretches of STRETCH elements dealt out in turn, zeros at the end."""
    rows, size = values.shape
    turns = max(1, -(-size // (STRETCH * blocks)))
    padded = np.zeros((rows, turns * blocks * STRETCH), values.dtype)
    padded[:, :size] = values
    return padded.reshape(rows, turns, blocks, STRETCH).transpose(2, 0, 1, 3).reshape(blocks, rows, turns * STRETCH)


def secant_pair(vectors, measures, theta, origin, gradient, *, slot, row):
    """s = θ - θ0, y = g - g0 and g into their rows; measures = (Σ|s|, max|s|, Σ|g|, max|g|) of each block."""
    s, y, g, before = _picked(vectors, slot, row)
    vectors[s] = theta - origin
    vectors[y] = gradient - vectors[before]
    vectors[g] = gradient
    dealt = np.abs(_dealt(vectors[[s, g]], measures.shape[0]))
    measures[...] = np.stack([dealt.sum(axis=2), dealt.max(axis=2)], axis=2).reshape(-1, 4)


def dot_rows(vectors, direction, partials, *, slot, row):
    """partials[b, r] = vectors[r]·(s, y, g, direction) over block b: what a step adds to the Gram matrix."""
    picked = np.stack([*(vectors[r] for r in _picked(vectors, slot, row)[:3]), direction])
    blocks = partials.shape[0]
    partials[...] = _dealt(vectors, blocks) @ _dealt(picked, blocks).swapaxes(1, 2)
