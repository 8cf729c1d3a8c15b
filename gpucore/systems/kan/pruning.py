"""Taking edges and nodes out of a network that do little."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import ConfigError
from .edges import attribution, check_edge, checked_samples, spreads

if TYPE_CHECKING:
    from .network import KanNetwork


class PrunedEdge(NamedTuple):
    """An edge that was taken out, and its score."""

    layer: int
    i: int
    j: int
    score: float


class PrunedNode(NamedTuple):
    """A hidden node that has no edges any more: output `node` of layer `layer`."""

    layer: int
    node: int


class Pruned(NamedTuple):
    """What was taken out, and how many edges are left of how many there were before."""

    edges: tuple[PrunedEdge, ...]
    nodes: tuple[PrunedNode, ...]
    left: int
    before: int

    def __str__(self) -> str:
        head = f"{len(self.edges)} of {self.before} edges pruned, {self.left} left, {len(self.nodes)} hidden nodes without edges"
        lines = [f"  layer {e.layer}: {e.i} to {e.j}, score {e.score:.2g}" for e in self.edges[:20]]
        more = [f"  and {len(self.edges) - 20} more"] if len(self.edges) > 20 else []
        return "\n".join([head, *lines, *more])


def prune(
    network: KanNetwork, samples: Any, *, threshold: float = 3e-2, node_threshold: float | None = None, measure: str = "std"
) -> Pruned:
    """See `KanNetwork.prune`."""
    who = "KanNetwork.prune"
    node_threshold = threshold if node_threshold is None else node_threshold
    for name, value in (("threshold", threshold), ("node_threshold", node_threshold)):
        check_score(who, name, value)
    found = spreads(who, network, samples, measure)
    scores, live = attribution(found), [layer.live() for layer in network.layers]
    kept = [alive & (score >= threshold) for alive, score in zip(live, scores, strict=True)]
    for k in range(len(kept) - 1):
        through = found[k].shares().max(axis=1) * scores[k + 1].max(axis=0)
        kept[k][through < node_threshold] = False
        kept[k + 1][:, through < node_threshold] = False
    return _cut(network, kept, [f.mean for f in found], scores)


def check_score(who: str, name: str, value: Any) -> None:
    """ConfigError for a threshold that is no number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ConfigError(f"{who}: {name} is {value!r}; wants a number of 0 or more")


def remove_edge(network: KanNetwork, layer: int, i: int, j: int, samples: Any = None) -> Pruned:
    """See `KanNetwork.remove_edge`."""
    who = "KanNetwork.remove_edge"
    check_edge(who, network, layer, i, j)
    kept = [found.live() for found in network.layers]
    if not kept[layer][j, i]:
        raise ConfigError(f"{who}: there is no edge from {i} to {j} in layer {layer}; it was pruned before")
    kept[layer][j, i] = False
    zeros = [np.zeros(alive.shape) for alive in kept]
    if samples is None:
        return _cut(network, kept, zeros, zeros)
    found = spreads(who, network, checked_samples(who, network, samples))
    return _cut(network, kept, [f.mean for f in found], attribution(found))


def _cut(network: KanNetwork, kept: list[np.ndarray], means: list[np.ndarray], scores: list[np.ndarray]) -> Pruned:
    """Takes out all edges that are not kept and those that lead nowhere or come from nowhere; their means go to the biases."""
    live = [layer.live() for layer in network.layers]
    _drop_loose_ends(kept)
    edges = []
    for k, (layer, alive, left) in enumerate(zip(network.layers, live, kept, strict=True)):
        gone = alive & ~left
        edges += [PrunedEdge(k, int(i), int(j), float(scores[k][j, i])) for j, i in np.argwhere(gone)]
        if gone.any():
            shift = np.where(gone, means[k], 0.0).sum(axis=1)
            layer.bias.assign((layer.bias.numpy() + shift).astype(layer.bias.dtype.host))
            layer.remove_edges(gone)
    nodes = [
        PrunedNode(k, int(j))
        for k in range(len(kept) - 1)
        for j in np.flatnonzero(live[k].any(axis=1) & live[k + 1].any(axis=0) & ~kept[k].any(axis=1))
    ]
    if edges:
        network.outdate()
    return Pruned(tuple(edges), tuple(nodes), sum(int(left.sum()) for left in kept), sum(int(alive.sum()) for alive in live))


def _drop_loose_ends(kept: list[np.ndarray]) -> None:
    """Hidden nodes need edges on both sides: without one into them they are constant, without one out of them useless."""
    changed = True
    while changed:
        changed = False
        for before, after in pairwise(kept):
            dead = before.any(axis=1) != after.any(axis=0)
            if dead.any():
                before[dead], after[:, dead] = False, False
                changed = True
