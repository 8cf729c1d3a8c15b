"""Derivatives of outputs to single inputs, of any order, by nested tapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ... import ops
from ...autograd import GradientTape


class Jet(NamedTuple):
    """A function's values at points x [n, in] and its derivatives to each input: ∂y_o/∂x_i and ∂²y_o/∂x_i²."""

    x: Any
    value: Any
    first: Any
    second: Any


def jet(function: Callable[[Any], Any], x: Any, outputs: int) -> Jet:
    """The Jet of a function of rows by nested tapes: value [n, outputs], first and second [n, outputs, in]."""
    return Jet(x, function(x), pure_derivatives(function, x, outputs, 1), pure_derivatives(function, x, outputs, 2))


def pure_derivatives(function: Callable[[Any], Any], x: Any, outputs: int, order: int) -> Any:
    """d^order y_o / d x_i^order of a function of rows: x [n, in] to [n, outputs, in], differentiable itself."""
    rows = []
    for o in range(outputs):

        def output(z: Any, o: int = o) -> Any:
            return function(z)[:, o]

        first = order == 1
        rows.append(_slopes(output, x) if first else ops.stack([_nth(output, x, i, order) for i in range(x.shape[1])], axis=1))
    return ops.stack(rows, axis=1)


def _slopes(function: Callable[[Any], Any], x: Any) -> Any:
    """d f / d x_i for a function [n, in] to [n]: [n, in]."""
    with GradientTape() as tape:
        value = function(x)
    return tape.gradient(value, [x], seed=ops.ones_like(value))[0]


def _nth(function: Callable[[Any], Any], x: Any, i: int, order: int) -> Any:
    """d^order f / d x_i^order: [n]."""
    if order == 0:
        return function(x)
    return _slopes(lambda z: _nth(function, z, i, order - 1), x)[:, i]
