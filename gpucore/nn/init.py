"""First values of weights, drawn on the host so that they are the same on every device."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from ..errors import ConfigError

Rng = int | np.random.Generator | None
"""Where random numbers come from: a seed, a NumPy generator that several layers share, or None for fresh ones."""


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Normal with variance 2 / fan_in, for layers before a ReLU. Source: He et al., 2015."""
    return rng.standard_normal(shape, np.float32) * np.float32(sqrt(2 / fan_in))


def he_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Uniform in ±√(6 / fan_in): the same variance as `he_normal`."""
    return _uniform(rng, shape, sqrt(6 / fan_in))


def xavier_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Normal with variance 2 / (fan_in + fan_out), the same as `xavier_uniform`."""
    return rng.standard_normal(shape, np.float32) * np.float32(sqrt(2 / (fan_in + fan_out)))


def xavier_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Uniform in ±√(6 / (fan_in + fan_out)), for layers before a tanh or none. Source: Glorot and Bengio, 2010."""
    return _uniform(rng, shape, sqrt(6 / (fan_in + fan_out)))


def fan_in_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Uniform in ±1 / √fan_in, variance 1 / (3 fan_in): small first outputs, so calm first steps; PyTorch's default."""
    return _uniform(rng, shape, sqrt(1 / fan_in))


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], limit: float) -> np.ndarray:
    return (2 * rng.random(shape, np.float32) - 1) * np.float32(limit)


INITS: dict[str, Callable[[np.random.Generator, tuple[int, ...], int, int], np.ndarray]] = {
    "he": he_normal, "he_normal": he_normal, "he_uniform": he_uniform,
    "xavier": xavier_uniform, "xavier_normal": xavier_normal, "xavier_uniform": xavier_uniform,
    "fan_in_uniform": fan_in_uniform,
}  # fmt: skip
"""The initialisations by name; "he" and "xavier" are those of their papers."""


def draw(who: str, init: str, shape: tuple[int, ...], rng: Rng) -> np.ndarray:
    """First values of a weight [out, in, ...kernel]; ConfigError for a name that is not in INITS."""
    if init not in INITS:
        raise ConfigError(f"{who}: init is {init!r}; wants one of {', '.join(INITS)}")
    receptive = prod(shape[2:])
    return INITS[init](np.random.default_rng(rng), shape, shape[1] * receptive, shape[0] * receptive)


def sizes(who: str, **values: int) -> None:
    """ConfigError for the first size that is not a whole number of 1 or more."""
    for name, value in values.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{who}: {name} is {value!r}; wants a whole number of 1 or more")
