"""Random numbers: the operations. Each takes a generator's state, draws from its counter and moves the counter on.

The state is a uint32 tensor (seed low, seed high, counter low, counter high) on the device, so that a recording that
is replayed draws new numbers each time. `gpucore.random.Generator` holds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..kernel import Kernel
from ..kernels import random as K

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["dropout", "random_bits", "random_normal", "random_uniform"]


def random_bits(state: Array, *, shape: Sequence[int]) -> Tensor:
    """Uniform 32-bit words (uint32) by Philox4x32-10: the same bits on every device."""
    return _draw(K.random_bits, state, shape)


def random_uniform(state: Array, *, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform numbers in [low, high), 24 random bits each; for 0 and 1 the same bits on every device.

    Rounding of low + (high - low)·u may reach `high`. ConfigError for bounds that are not finite or low > high.
    """
    return _draw(K.random_uniform, state, shape, low=low, high=high)


def random_normal(state: Array, *, shape: Sequence[int], mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal numbers (Box and Muller); devices agree to float rounding. ConfigError for std < 0 or not finite."""
    return _draw(K.random_normal, state, shape, mean=mean, std=std)


def dropout(x: Array, state: Array, *, p: float) -> Tensor:
    """x / (1 - p) with probability 1 - p, else 0, drawn anew at each call; p = 0 gives x itself.

    ConfigError unless 0 ≤ p < 1. Hinton et al. 2012, in the scaled form that needs nothing at inference.
    """
    K.check_dropout(p)
    if p == 0:
        return x  # type: ignore[return-value]
    return _masked(x, _take(state, x.shape), p=float(p))  # type: ignore[no-any-return]


@differentiable
def _masked(x: Any, before: Any, *, p: float) -> tuple[Any, Backward]:
    """Dropout by a state that no longer moves: linear in x, and the gradient passes through the same mask."""
    return K.dropout(x, before, p=p), lambda g: (lambda: _masked(g, before, p=p), None)


def _draw(kernel: Kernel, state: Array, shape: Sequence[int], **options: float) -> Tensor:
    """Draws and then moves the counter on, so that a refused draw leaves it alone."""
    wanted = tuple(shape)
    drawn = kernel(state, shape=wanted, **options)
    _take(state, wanted)
    return drawn  # type: ignore[no-any-return]


def _take(state: Array, shape: tuple[int, ...]) -> Array:
    """The state before a draw of this shape; the state itself moves past it."""
    return K.advance_generator(state, blocks=K.block_count(shape))  # type: ignore[no-any-return]
