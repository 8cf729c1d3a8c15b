"""Which function an edge looks like, and putting it in the place of the spline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, log2, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import ConfigError
from .affine import fit_affine
from .edges import HostLayer, check_edge, node_values
from .inputs import host_numbers
from .library import LIBRARY, Function, find

if TYPE_CHECKING:
    from .network import KanNetwork

POINTS = 201
"""Where there are no samples, an edge is looked at on so many points, evenly over its grid."""
BEST = 1e-5
"""Unexplained shares below this count as this when functions are compared: splines are not nearer to the truth."""
SIMPLICITY = 2.0
"""A function that is more complex by 1 must leave so many halvings less unexplained: a quarter."""


class Suggestion(NamedTuple):
    """c·f(a·x + b) + d for an edge: R² on its samples, and the score by which suggestions are ranked (less is better)."""

    name: str
    r2: float
    a: float
    b: float
    c: float
    d: float
    complexity: int
    score: float

    @property
    def affine(self) -> tuple[float, float, float, float]:
        """(a, b, c, d)."""
        return self.a, self.b, self.c, self.d


class Suggestions(list[Suggestion]):
    """Suggestions from the best to the worst; as text, a table."""

    def __repr__(self) -> str:
        head = "function         R²  complexity           a           b           c           d"
        rows = [f"{s.name:<9}{s.r2:>10.6f}{s.complexity:>12}" + "".join(f"{v:>12.5g}" for v in s.affine) for s in self]
        return "\n".join([head, *rows])

    __str__ = __repr__


class EdgeFit(NamedTuple):
    """What `auto_symbolic` found for an edge: the function, its R², and whether it is now in the spline's place."""

    layer: int
    i: int
    j: int
    name: str
    r2: float
    fixed: bool


def suggest(
    network: KanNetwork, layer: int, i: int, j: int, samples: Any = None, *, functions: Iterable[str] | None = None,
    simplicity: float = SIMPLICITY,
) -> Suggestions:  # fmt: skip
    """See `KanNetwork.suggest_symbolic`."""
    who = "KanNetwork.suggest_symbolic"
    found = check_edge(who, network, layer, i, j)
    _check_live(who, network, layer, i, j)
    library = _library(who, functions, simplicity)
    z = _points(network, layer, i, None if samples is None else node_values(who, network, samples))
    y = HostLayer(found).edge(i, j, z)
    if not np.isfinite(y).all():
        raise ConfigError(f"{who}: the edge from {i} to {j} in layer {layer} has values that are not finite; wants finite parameters")
    return _ranked(library, z, y, simplicity)


def _ranked(library: Sequence[Function], z: np.ndarray, y: np.ndarray, simplicity: float) -> Suggestions:
    made = []
    for function in library:
        a, b, c, d, r2 = fit_affine(function, z, y)
        score = log2(max(1 - r2, 0.0) + BEST) + simplicity * function.complexity
        made.append(Suggestion(function.name, r2, a, b, c, d, function.complexity, score))
    return Suggestions(sorted(made, key=lambda s: (s.score, -s.r2)))


def fix(
    network: KanNetwork, layer: int, i: int, j: int, name: str, samples: Any = None, *, affine: Sequence[float] | None = None
) -> Suggestion:
    """See `KanNetwork.fix_symbolic`."""
    who = "KanNetwork.fix_symbolic"
    function = find(who, name)
    check_edge(who, network, layer, i, j)
    _check_live(who, network, layer, i, j)
    if affine is None:
        made = suggest(network, layer, i, j, samples, functions=[function.name])[0]
    else:
        a, b, c, d = _four(who, affine)
        made = Suggestion(function.name, nan, a, b, c, d, function.complexity, nan)
    _place(network, [(layer, i, j, made)])
    return made


def unfix(network: KanNetwork, layer: int, i: int, j: int) -> None:
    """See `KanNetwork.unfix_symbolic`."""
    who = "KanNetwork.unfix_symbolic"
    found = check_edge(who, network, layer, i, j)
    functions = found.functions()
    if functions.pop((i, j), None) is None:
        raise ConfigError(f"{who}: the edge from {i} to {j} in layer {layer} is no function")
    mask = found.host_mask().copy()
    mask[j, i] = True
    found.set_edges(mask, functions)
    network.outdate()


def fix_all(
    network: KanNetwork, samples: Any = None, *, threshold: float = 0.99, functions: Iterable[str] | None = None,
    simplicity: float = SIMPLICITY,
) -> list[EdgeFit]:  # fmt: skip
    """See `KanNetwork.auto_symbolic`."""
    who = "KanNetwork.auto_symbolic"
    check_threshold(who, threshold)
    library = _library(who, functions, simplicity)
    values = None if samples is None else node_values(who, network, samples)
    table, chosen = [], []
    for k, layer in enumerate(network.layers):
        host, held = HostLayer(layer), layer.functions()
        for j, i in np.argwhere(host.live & layer.host_mask()):
            z = _points(network, k, int(i), values)
            best = _ranked(library, z, host.edge(int(i), int(j), z), simplicity)[0]
            table.append(EdgeFit(k, int(i), int(j), best.name, best.r2, best.r2 >= threshold))
            if best.r2 >= threshold:
                chosen.append((k, int(i), int(j), best))
        table += [EdgeFit(k, i, j, name, float("nan"), True) for (i, j), (name, _) in held.items()]
    if chosen:
        _place(network, chosen)
    return sorted(table)


def check_threshold(who: str, threshold: Any) -> None:
    """ConfigError for an R² that no function can reach, or that is none."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold <= 1:
        raise ConfigError(f"{who}: threshold is {threshold!r}; wants a number of at most 1")


def check_simplicity(who: str, simplicity: Any) -> None:
    """ConfigError unless it is a finite number of 0 or more."""
    if isinstance(simplicity, bool) or not isinstance(simplicity, int | float) or not isfinite(simplicity) or simplicity < 0:
        raise ConfigError(f"{who}: simplicity is {simplicity!r}; wants a number of 0 or more")


def _place(network: KanNetwork, chosen: Sequence[tuple[int, int, int, Suggestion]]) -> None:
    """Puts functions in the place of edges, all at once."""
    for k, layer in enumerate(network.layers):
        mine = [(i, j, s) for at, i, j, s in chosen if at == k]
        if not mine:
            continue
        mask, functions = layer.host_mask().copy(), layer.functions()
        for i, j, s in mine:
            mask[j, i] = False
            functions[i, j] = (s.name, s.affine)
        layer.set_edges(mask, functions)
    network.outdate()


def _points(network: KanNetwork, layer: int, i: int, values: list[np.ndarray] | None) -> np.ndarray:
    """Where the edges from an input of a layer are looked at: its samples, or points over its grid."""
    if values is not None:
        return values[layer][:, i]
    low, high = network.layers[layer].grid.of_input(i).range
    return np.linspace(low, high, POINTS)


def _library(who: str, functions: Iterable[str] | None, simplicity: float) -> list[Function]:
    check_simplicity(who, simplicity)
    names = list(LIBRARY) if functions is None else [functions] if isinstance(functions, str) else list(functions)
    if not names:
        raise ConfigError(f"{who}: functions is empty; wants some of {', '.join(LIBRARY)}")
    return [find(who, name) for name in names]


def _four(who: str, affine: Sequence[float]) -> list[float]:
    """(a, b, c, d), which float32 holds."""
    values = host_numbers(who, "affine", affine).astype(np.float64).reshape(-1)
    if len(values) != 4 or not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise ConfigError(f"{who}: affine is {affine!r}; wants four finite numbers of float32, a, b, c and d of c·f(a·x + b) + d")
    return [float(v) for v in values]


def _check_live(who: str, network: KanNetwork, layer: int, i: int, j: int) -> None:
    if not network.layers[layer].live()[j, i]:
        raise ConfigError(f"{who}: the edge from {i} to {j} in layer {layer} was pruned; wants one that is there")
