"""Optimizers over flattened parameters whose gradients lie in tensors of their own; all work in place.

Row b of `table` is what workgroup b of the shader does: (source, start, at, count), where elements start .. start + count
of the source are the gradient of elements at .. at + count of the flat tensors. A source that is missing is all zeros.
"""

import inspect

import numpy as np

from .optim import DECAY_BLOCK, adam, sgd, sgd_momentum

SOURCES = 24


def named_sources(function):
    """The function with its `*sources` named in its signature: source0 to source23, each None where it is missing."""
    signature = inspect.signature(function)
    parameters = []
    for p in signature.parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            parameters += [inspect.Parameter(f"source{i}", p.POSITIONAL_OR_KEYWORD, default=None) for i in range(SOURCES)]
        else:
            parameters.append(p)
    function.__signature__ = signature.replace(parameters=parameters)
    return function


def _rows(table, sources):
    """(number of the row, its part of the flat tensors, the gradient there) of each row."""
    for b, (source, start, at, count) in enumerate(table.astype(int)):
        gradient = np.zeros(count) if sources[source] is None else sources[source].reshape(-1)[start : start + count]
        yield b, slice(at, at + count), gradient


def _updated(update, flats, steps, lr, table, partials, decay, sources, options):
    for b, here, gradient in _rows(table, sources):
        strengths = None if decay is None else decay[here.start // DECAY_BLOCK :]
        update(*(t[here] for t in flats), gradient, steps[b : b + 1], lr, partials, strengths, **options)


@named_sources
def adam_many(
    theta, m, v, steps, lr, table, partials=None, decay=None, *sources, beta1, beta2, eps, max_norm=None, weight_decay=0.0,
    decoupled=False, clip_value=None,
):  # fmt: skip
    """adam, row by row."""
    options = dict(beta1=beta1, beta2=beta2, eps=eps, decoupled=decoupled)
    options |= dict(max_norm=max_norm, weight_decay=weight_decay, clip_value=clip_value)
    _updated(adam, (theta, m, v), steps, lr, table, partials, decay, sources, options)


@named_sources
def sgd_many(theta, steps, lr, table, partials=None, decay=None, *sources, max_norm=None, weight_decay=0.0, clip_value=None):
    """sgd, row by row."""
    options = dict(max_norm=max_norm, weight_decay=weight_decay, clip_value=clip_value)
    _updated(sgd, (theta,), steps, lr, table, partials, decay, sources, options)


@named_sources
def sgd_momentum_many(
    theta, velocity, steps, lr, table, partials=None, decay=None, *sources, momentum, nesterov=False, max_norm=None,
    weight_decay=0.0, clip_value=None,
):  # fmt: skip
    """sgd_momentum, row by row."""
    options = dict(momentum=momentum, nesterov=nesterov, max_norm=max_norm, weight_decay=weight_decay, clip_value=clip_value)
    _updated(sgd_momentum, (theta, velocity), steps, lr, table, partials, decay, sources, options)


@named_sources
def square_sums_many(partials, table, *sources, most):
    """partials[b] = Σ gradient² over row b."""
    for b, _, gradient in _rows(table, sources):
        partials[b] = (gradient**2).sum()
