"""The functions on the edges of a network, one by one, on the host in float64: what plots, pruning and formulas look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...autograd import no_grad
from ...device import device as open_device
from ...errors import ConfigError
from .inputs import check_finite, check_width, host_numbers
from .layer import KanLayer
from .library import LIBRARY, edge_value

if TYPE_CHECKING:
    from .network import KanNetwork

MEASURES = ("std", "l1")
"""How the strength of an edge is measured over samples: the standard deviation of its values, or their mean distance
from their mean."""
LEAST_NODE = 1e-6
"""A node's spread counts as at least this times that of its strongest edge, which others may cancel."""


class HostLayer:
    """A copy of a layer's edges on the host, as the layer computes with them now."""

    def __init__(self, layer: KanLayer) -> None:
        coefficients, bias, base = layer.splines()
        self.coefficients = coefficients.numpy().astype(np.float64)
        self.bias = bias.numpy().astype(np.float64)
        self.base = None if base is None else base.numpy().astype(np.float64)
        self.grid, self.functions, self.live = layer.grid, layer.functions(), layer.live()
        self.outputs, self.inputs = self.live.shape

    def from_input(self, i: int, z: np.ndarray) -> np.ndarray:
        """[n, out]: the values of all edges from input i at the points z [n]."""
        z = np.asarray(z, np.float64)
        values = np.asarray(self.grid.of_input(i).functions(z) @ self.coefficients[:, i].T)
        if self.base is not None:
            values = values + _silu(z)[:, None] * self.base[:, i]
        for (source, j), (name, affine) in self.functions.items():
            if source == i:
                values[:, j] += function_values(name, z, affine)
        return values

    def edge(self, i: int, j: int, z: np.ndarray) -> np.ndarray:
        """[n]: the values of the edge from input i to output j at the points z [n]."""
        values: np.ndarray = self.from_input(i, z)[:, j]
        return values


def function_values(name: str, z: np.ndarray, affine: Any) -> np.ndarray:
    """c·f(a·z + b) + d in float64, by the operations of the network."""
    points = open_device("cpu").tensor(np.ascontiguousarray(z, np.float64), "float64")
    return np.asarray(edge_value(LIBRARY[name], points, *affine).numpy())


def _silu(z: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(z))
    return np.asarray(z * np.where(z < 0, e, 1.0) / (1 + e))


class EdgeSpreads(NamedTuple):
    """Of one layer over samples: the mean and the spread of every edge's values [out, in], and the spread of every output [out]."""

    mean: np.ndarray
    spread: np.ndarray
    node: np.ndarray

    def shares(self) -> np.ndarray:
        """[out, in]: the spread of each edge relative to that of its output; 0 where there is none."""
        floor = np.maximum(self.node, LEAST_NODE * self.spread.max(axis=1))[:, None]
        shares: np.ndarray = np.divide(self.spread, floor, out=np.zeros_like(self.spread), where=floor > 0)
        return shares


def checked_samples(who: str, network: KanNetwork, samples: Any) -> np.ndarray:
    """Samples [n, input_dim] as finite host numbers."""
    values = host_numbers(who, "samples", samples.numpy() if hasattr(samples, "storage") else samples)
    check_width(who, values.shape, network.config.input_dim, name="samples")
    check_finite(who, "samples", values)
    return values


def grid_samples(network: KanNetwork, count: int = 1024) -> np.ndarray:
    """Inputs [count, input_dim] that fall evenly on the first grid, the same every time."""
    config, first = network.config, network.layers[0]
    ends = np.array([first.grid.of_input(i).range for i in range(config.input_dim)])
    z = np.random.default_rng(0).uniform(ends[:, 0], ends[:, 1], (count, config.input_dim))
    z = z if network.std is None else z * network.std.numpy()
    return z if network.mean is None else z + network.mean.numpy()


def node_values(who: str, network: KanNetwork, samples: Any) -> list[np.ndarray]:
    """What each layer gets from the samples, [n, in] each, and the output at the end; ConfigError where it is not finite."""
    values = checked_samples(who, network, samples)
    with no_grad():
        found = [t.numpy().astype(np.float64) for t in network.layer_inputs(values)]
    for k, z in enumerate(found):
        if not np.isfinite(z).all():
            raise ConfigError(f"{who}: the network's values before layer {k} are not finite; wants finite parameters")
    return found


def spreads(who: str, network: KanNetwork, samples: Any, measure: str = "std") -> list[EdgeSpreads]:
    """The spreads of all edges and nodes over the samples; measure: see MEASURES."""
    if measure not in MEASURES:
        raise ConfigError(f"{who}: measure is {measure!r}; wants one of {', '.join(MEASURES)}")
    values = node_values(who, network, samples)
    found = []
    for layer, z, y in zip(network.layers, values[:-1], values[1:], strict=True):
        host = HostLayer(layer)
        mean, spread = np.zeros((2, layer.outputs, layer.inputs))
        for i in range(layer.inputs):
            edges = host.from_input(i, z[:, i])
            mean[:, i], spread[:, i] = edges.mean(axis=0), _spread(edges, measure)
        spread[~host.live] = 0
        found.append(EdgeSpreads(mean, spread, _spread(y, measure)))
    return found


def _spread(values: np.ndarray, measure: str) -> np.ndarray:
    """[m] of values [n, m]."""
    away = values - values.mean(axis=0)
    spread: np.ndarray = np.sqrt((away * away).mean(axis=0)) if measure == "std" else np.abs(away).mean(axis=0)
    return spread


def attribution(found: list[EdgeSpreads]) -> list[np.ndarray]:
    """The score [out, in] of every edge of every layer: how much of the outputs' spread goes through it.

    From the outputs, each with score A = 1, backwards: B_ji = A_j·E_ji / N_j for an edge with spread E to a node with
    spread N, and A_i = Σ_j B_ji for the nodes before (Liu et al., KAN 2.0, arXiv 2408.10205, section 4.1).
    """
    scores: list[np.ndarray] = []
    node = np.ones(len(found[-1].node))
    for layer in reversed(found):
        edges = node[:, None] * layer.shares()
        scores.insert(0, edges)
        node = edges.sum(axis=0)
    return scores


def check_edge(who: str, network: KanNetwork, layer: int, i: int, j: int) -> KanLayer:
    """The layer of an edge; ConfigError for one that the network does not have."""
    if not _index(layer, len(network.layers)):
        raise ConfigError(f"{who}: layer is {layer!r}; wants a whole number from 0 to {len(network.layers) - 1}")
    found = network.layers[layer]
    for name, value, count in (("i", i, found.inputs), ("j", j, found.outputs)):
        if not _index(value, count):
            raise ConfigError(f"{who}: {name} is {value!r}; wants a whole number from 0 to {count - 1} in layer {layer}")
    return found


def _index(value: Any, count: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(0 <= value < count)


def edge_values(network: KanNetwork, layer: int, i: int, j: int, points: Any) -> np.ndarray:
    """See `KanNetwork.edge_values`."""
    who = "KanNetwork.edge_values"
    found = check_edge(who, network, layer, i, j)
    values = host_numbers(who, "points", points)
    return HostLayer(found).edge(i, j, values.reshape(-1)).reshape(values.shape)
