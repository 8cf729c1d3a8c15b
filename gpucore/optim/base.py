"""What all optimizers share: flat parameters, the learning rate, checked gradients and states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf
from typing import Any

import numpy as np

from ..errors import ConfigError, DTypeError, ShapeError
from .flat import FlatParameters, Order


class Optimizer(ABC):
    """Changes parameters in place, whose values it keeps in one flat storage.

    params: tensors of one device. They are moved into that storage and stay the same objects, now views of it:
        make the optimizer before recording a pipeline over them, and make no second one while this one is used.
        Parameters with a true attribute `frozen` at this moment are left alone.
    lr: the learning rate.
    """

    def __init__(self, params: Sequence[Any], lr: float, order: Order) -> None:
        who = type(self).__name__
        self._lr_value = check_rate(who, lr)
        self.params = list(params)
        self._trained = [i for i, p in enumerate(self.params) if not getattr(p, "frozen", False)]
        self._flat = FlatParameters([self.params[i] for i in self._trained], who, order)

    @abstractmethod
    def step(self, *args: Any) -> Any:
        """One step of the method."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps taken."""

    @abstractmethod
    def state_dict(self) -> dict[str, np.ndarray]:
        """What the next step depends on beside the parameters, as host arrays."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave. ConfigError, and nothing is changed, when an entry is missing, foreign or misshapen."""

    @property
    def lr(self) -> float:
        """The learning rate, a number of 0 or more; it can be set."""
        return self._lr_value

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr_value = check_rate(type(self).__name__, value)

    def _check_grads(self, grads: Sequence[Any]) -> None:
        who = type(self).__name__
        if len(grads) != len(self.params):
            raise ShapeError(f"{who}.step: got {len(grads)} gradients for {len(self.params)} parameters; wants one each")
        for i in self._trained:
            g, p = grads[i], self.params[i]
            if g is not None and g.shape != p.shape:
                raise ShapeError(f"{who}.step: gradient {i} has shape {g.shape} and its parameter {p.describe()}; wants the same shape")
            if g is not None and not g.dtype.is_float:
                raise DTypeError(f"{who}.step: gradient {i} is {g.dtype}; wants {p.dtype}")
        moved = self._flat.moved()
        if moved is not None:
            raise ConfigError(f"{who}.step: {moved.describe()} was taken over by another optimizer; use that one")


def checked_state(who: str, state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The entries as arrays; ConfigError unless they are exactly those of `shapes`, of these shapes, and numbers."""
    differ = sorted(set(state) ^ set(shapes))
    if differ:
        raise ConfigError(f"{who}: entries {', '.join(differ)} are missing or foreign; wants {', '.join(shapes)}")
    arrays = {name: np.asarray(value) for name, value in state.items()}
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise ConfigError(f"{who}: {name} has shape {array.shape}; wants {shapes[name]}")
        if array.dtype.kind not in "fiu":
            raise ConfigError(f"{who}: {name} holds {array.dtype}; wants numbers")
    return arrays


def check_range(who: str, name: str, value: float, low: float = -inf, below: float = inf) -> float:
    """The value as a float; ConfigError unless it is a finite number with low ≤ value < below."""
    if not (isinstance(value, int | float | np.number) and isfinite(value) and low <= value < below):
        upper = "" if isinf(below) else f" and less than {below:g}"
        raise ConfigError(f"{who}: {name} is {value!r}; wants a number of {low:g} or more{upper}")
    return float(value)


def check_rate(who: str, lr: float) -> float:
    """The learning rate as a float; ConfigError unless it is a finite number of 0 or more."""
    return check_range(who, "lr", lr, low=0.0)
