"""Optimizers over flattened parameters; all work in place.

`rates` are the four numbers of a step: learning rate, 1 - beta1^t, 1 - beta2^t, the factor of the gradient.
`decay` has one multiplier of the weight decay per 64 elements.
"""

import numpy as np

DECAY_BLOCK = 64


def pack(flat, source0=None, source1=None, source2=None, source3=None, source4=None, source5=None, *, spans):
    """flat = the sources one after another, each followed by zeros up to its span; a missing one is all zeros."""
    flat[...] = 0
    start = 0
    for source, span in zip((source0, source1, source2, source3, source4, source5), spans, strict=False):
        if source is not None:
            flat[start : start + source.size] = source.reshape(-1)
        start += span


def square_sums(gradient, partials, *, block=4096):
    """partials[b] = Σ gradient² over consecutive blocks."""
    padded = np.zeros(partials.size * block, gradient.dtype)
    padded[: gradient.size] = gradient
    partials[...] = (padded.reshape(partials.size, block) ** 2).sum(axis=1)


def begin_step(step, rates, norm, lr, partials=None, *, beta1=0.0, beta2=0.0, max_norm=None):
    """Counts the step, measures the gradient's norm and works out the step's rates (Kingma & Ba 2015; Pascanu et al. 2013)."""
    step[0] += 1
    scale = 1.0
    if partials is not None:
        norm[...] = np.sqrt(partials.sum())
        if max_norm is not None:
            scale = np.minimum(1.0, max_norm / (norm.reshape(()) + 1e-6))
    t = int(step[0])
    rates[...] = (lr.reshape(()), 1 - beta1**t, 1 - beta2**t, scale)


def _clipped(gradient, rates, clip_value):
    g = gradient * rates[3]
    return g if clip_value is None else np.clip(g, -clip_value, clip_value)


def _strength(theta, weight_decay, decay):
    return weight_decay if decay is None else weight_decay * np.repeat(decay, DECAY_BLOCK)[: theta.size]


def adam(theta, m, v, gradient, rates, decay=None, *, beta1, beta2, eps, weight_decay=0.0, decoupled=False, clip_value=None):
    """Adam (Kingma & Ba 2015); weight decay in the gradient, or decoupled from it (Loshchilov & Hutter 2019)."""
    lr, correction1, correction2, _ = rates
    g = _clipped(gradient, rates, clip_value)
    strength = _strength(theta, weight_decay, decay)
    if decoupled:
        theta[...] = theta * (1 - lr * strength)
    else:
        g = g + strength * theta
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g**2
    theta[...] = theta - lr * (m / correction1) / (np.sqrt(v / correction2) + eps)


def sgd(theta, gradient, rates, decay=None, *, weight_decay=0.0, clip_value=None):
    """theta -= lr·(g + weight_decay·theta)."""
    g = _clipped(gradient, rates, clip_value) + _strength(theta, weight_decay, decay) * theta
    theta[...] = theta - rates[0] * g


def sgd_momentum(theta, velocity, gradient, rates, decay=None, *, momentum, nesterov=False, weight_decay=0.0, clip_value=None):
    """Momentum as a running sum of gradients, Nesterov's variant one step ahead (Sutskever et al. 2013, as PyTorch has it)."""
    g = _clipped(gradient, rates, clip_value) + _strength(theta, weight_decay, decay) * theta
    velocity[...] = momentum * velocity + g
    theta[...] = theta - rates[0] * (g + momentum * velocity if nesterov else velocity)
