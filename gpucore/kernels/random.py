"""Random numbers: the kernels. Each draw reads a generator state (uint32 [4]) and leaves it; `advance_generator` moves it on."""

from __future__ import annotations

from math import ceil, isfinite, prod
from typing import Any

import numpy as np

from kernels_ref import random as ref

from ..array import Array
from ..errors import ConfigError
from ..kernel import Launch, Out, ceil_div, expect, kernel

WORKGROUP = 256
_SHAPES = [(1,), (5,), (1025,), (3, 7, 11), (0,), (10007,)]
_PHILOX = 90
"""Integer operations of one block, counted as the work of four elements."""


def _state(seed: int, counter: int = 0) -> np.ndarray:
    return np.array([seed % 2**32, seed >> 32, counter % 2**32, counter >> 32], np.uint32)


_STATES = [_state(0), _state(2**64 - 1, 2**64 - 2), _state(0x1234_5678_9ABC_DEF0, 2**32 - 1)]
"""Zeros; a counter that wraps at once; a counter whose lower half carries inside the first workgroup."""


def block_count(shape: tuple[int, ...]) -> int:
    """Blocks of four words that a draw of this shape takes."""
    return ceil_div(prod(shape), 4)


def _check_state(who: str, state: Array) -> None:
    expect(state.shape == (4,), f"{who}: the generator state has shape {state.shape}; wants (4,)")


def _check_numbers(who: str, **numbers: float) -> None:
    for name, value in numbers.items():
        if not isfinite(value):
            raise ConfigError(f"{who}: {name} is {value}; wants a finite number")


def _draw(who: str, state: Array, shape: tuple[int, ...], dtype: str, **params: Any) -> Launch:
    _check_state(who, state)
    expect(all(isinstance(n, int) and n >= 0 for n in shape), f"{who}: shape {shape} wants whole numbers of 0 or more")
    blocks = block_count(shape)
    return Launch(Out(shape, dtype), groups=ceil_div(blocks, WORKGROUP), params=dict(blocks=blocks, **params))


@kernel(
    "random/advance_generator", ref=ref.advance_generator, flops=1, bench=dict(state=_state(1), blocks=1),
    cases=[dict(state=s, blocks=b) for s in _STATES for b in (0, 1, 257, 2**31)],
)  # fmt: skip
def advance_generator(state: Array, *, blocks: int) -> Launch:
    """The state as it was; the state's own counter moves on by `blocks`, in place."""
    _check_state("advance_generator", state)
    return Launch(Out((4,), "uint32"), groups=1, params=dict(blocks=blocks))


@kernel(
    "random/random_bits", ref=ref.random_bits, flops=_PHILOX / 4, bench=dict(state=_state(1), shape=(1 << 24,)),
    cases=[dict(state=s, shape=shape) for s in _STATES for shape in _SHAPES],
)  # fmt: skip
def random_bits(state: Array, *, shape: tuple[int, ...]) -> Launch:
    """Uniform 32-bit words, the same on every device."""
    return _draw("random_bits", state, shape, "uint32")


@kernel(
    "random/random_uniform", ref=ref.random_uniform, flops=_PHILOX / 4, bench=dict(state=_state(1), shape=(1 << 24,)),
    cases=[dict(state=s, shape=shape) for s in _STATES for shape in _SHAPES]
    + [dict(state=_STATES[2], shape=(4099,), low=-3.0, high=7.5), dict(state=_STATES[2], shape=(257,), low=2.0, high=2.0)],
)  # fmt: skip
def random_uniform(state: Array, *, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Launch:
    """Uniform numbers in [low, high): multiples of (high - low) / 2^24 above low."""
    _check_numbers("random_uniform", low=low, high=high)
    if low > high:
        raise ConfigError(f"random_uniform: low is {low} and high is {high}; wants low ≤ high")
    return _draw("random_uniform", state, shape, "float32", low=low, width=high - low)


@kernel(
    "random/random_normal", ref=ref.random_normal, flops=_PHILOX / 4 + 30, bench=dict(state=_state(1), shape=(1 << 24,)),
    cases=[dict(state=s, shape=shape) for s in _STATES for shape in _SHAPES]
    + [dict(state=_STATES[2], shape=(100003,), mean=-2.0, std=5.0), dict(state=_STATES[2], shape=(257,), mean=1.5, std=0.0)],
)  # fmt: skip
def random_normal(state: Array, *, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> Launch:
    """Normal numbers by the transform of Box and Muller; the largest possible is 5.77 standard deviations."""
    _check_numbers("random_normal", mean=mean, std=std)
    if std < 0:
        raise ConfigError(f"random_normal: std is {std}; wants 0 or more")
    return _draw("random_normal", state, shape, "float32", mean=mean, deviation=std)


def check_dropout(p: float) -> None:
    """ConfigError unless 0 ≤ p < 1."""
    if not 0 <= p < 1:
        raise ConfigError(f"dropout: p is {p}; wants 0 ≤ p < 1")


@kernel(
    "random/dropout", ref=ref.dropout, flops=_PHILOX / 4 + 1, bench=dict(x=(1 << 24,), state=_state(1), p=0.5),
    cases=[dict(x=shape, state=s, p=0.5) for s in _STATES for shape in _SHAPES]
    + [dict(x=(4099,), state=_STATES[2], p=p) for p in (0.0, 0.1, 0.25, 0.999)]
    + [dict(x=(5,), state=_STATES[0], p=0x6627E8 / 2**24, id="p equal to the first element's number")]
    + [dict(x=np.array([np.nan, np.inf, -np.inf, 3e38, 1e-38] * 60, np.float32), state=_STATES[0], p=0.3, id="specials")],
)  # fmt: skip
def dropout(x: Array, state: Array, *, p: float) -> Launch:
    """x / (1 - p) where an element is kept, 0 where it is dropped, with the words of this state's counter."""
    check_dropout(p)
    _check_state("dropout", state)
    blocks = block_count(x.shape)
    params = dict(blocks=blocks, threshold=ceil(p * 2**24), scale=1 / (1 - p))
    return Launch(x.shape, groups=ceil_div(blocks, WORKGROUP), params=params)
