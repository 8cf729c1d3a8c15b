"""Derivatives of outputs to single inputs, of any order, by nested tapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ... import ops
from ...autograd import GradientTape

if TYPE_CHECKING:
    from .network import KanNetwork


class Jet(NamedTuple):
    """A function's values at points x [n, in] and its derivatives to each input: ∂y_o/∂x_i and ∂²y_o/∂x_i²."""

    x: Any
    value: Any
    first: Any
    second: Any


def jet(network: KanNetwork, x: Any) -> Jet:
    """The Jet of a network at x [n, in], carried from layer to layer by the chain rule; by nested tapes where an edge is no spline."""
    if any(layer.symbolic is not None for layer in network.layers):
        found = [pure_derivatives(network.forward, x, network.config.output_dim, order) for order in (1, 2)]
        return Jet(x, network(x), *found)
    n, inputs = x.shape
    z, second = network.standardize(x), None
    first = _directions(n, inputs, x.device, x.dtype)
    first = first if network.std is None else first / network.std
    for layer in network.layers:
        grid = layer.grid
        options: dict[str, Any] = dict(degree=grid.degree, grid_size=grid.size, grid_range=grid.range, knots=layer.knots)
        z, first, second = ops.kan_jet(z, first, second, *layer.splines(), **options)
    return Jet(x, z, _by_input(first, n), _by_input(second, n))


def _directions(n: int, inputs: int, device: Any, dtype: Any) -> Any:
    """[inputs·n, inputs]: n rows of each unit vector, one after another. The device keeps one row of each, whatever n."""
    key = ("unit directions", inputs, dtype)
    if key not in device.cache:
        device.cache[key] = device.tensor(np.eye(inputs)[:, None], dtype)
    return ops.reshape(ops.broadcast_to(device.cache[key], (inputs, n, inputs)), (inputs * n, inputs))


def _by_input(values: Any, n: int) -> Any:
    """[in·n, out] as [n, out, in]."""
    inputs, outputs = values.shape[0] // n, values.shape[1]
    return ops.permute_dims(ops.reshape(values, (inputs, n, outputs)), (1, 2, 0))


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
