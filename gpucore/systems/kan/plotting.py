"""Pictures of a network and of its edges, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import ConfigError
from .edges import HostLayer, attribution, check_edge, grid_samples, node_values, spreads
from .library import function_text

if TYPE_CHECKING:
    from .network import KanNetwork

MOST_IN_LAYER, MOST_IN_ALL = 40, 200
"""More edges than these, in one layer or in all, would be too small to see: they are refused."""
MOST_LABELLED = 8
"""Layers of up to so many edges have the whole formula at their symbolic edges, others the function's name."""
POINTS = 161
SPLINE, SYMBOLIC, GRID = "#1f4e79", "#c0392b", "#eef2f6"
FAINTEST = 0.15
BOX, TALL, MARGIN, FOOT, FLOOR = 1.25, 2.3, 0.45, 0.6, 0.6  # inches: of a box with its room, of a layer, around, below and above


class _Edge(NamedTuple):
    """An edge to draw: its function on points, the ends of its grid, its share of the greatest score, its formula or "".

    label: that of a symbolic edge."""

    layer: int
    i: int
    j: int
    z: np.ndarray
    y: np.ndarray
    ends: tuple[float, float]
    strength: float
    label: str


def _figure(who: str, **options: Any) -> Any:
    """A new figure; one sentence when matplotlib is missing."""
    try:
        return import_module("matplotlib.figure").Figure(**options)
    except ImportError:
        raise ConfigError(f"{who}: matplotlib is not installed; install gpucore[plots] or matplotlib") from None


def plot(network: KanNetwork, samples: Any = None, *, names: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> Any:
    """The network as a figure, inputs below, outputs above, the function of each edge in a small box on it.

    samples: [n, input_dim]: the boxes then reach over what each edge gets, and their strength is the edge's score over
             them (see `edges.attribution`). None: points drawn evenly from the first grid.
    names, outputs: of the inputs and outputs; x_1, ... and y_1, ... by default.

    The shaded part of a box is its grid, the numbers below it where it begins and ends; a spline is constant beyond.
    Symbolic edges are red, with their formula; pruned edges are not drawn. The axes of an edge are labelled
    "edge LAYER I J", and their line holds its points and values. ConfigError, naming the limit, for a network of too many
    edges to be seen, and where matplotlib is missing.
    """
    who = "KanNetwork.plot"
    config = network.config
    below = _names(who, "names", names, config.input_dim, "x")
    above = _names(who, "outputs", outputs, config.output_dim, "y")
    live = [layer.live() for layer in network.layers]
    _check_size(who, [int(alive.sum()) for alive in live])
    edges = _edges(who, network, samples)
    widest = max([len(e) for e in edges] + [2, *(0.7 * w for w in config.widths)])
    figure = _figure(who, figsize=(2 * MARGIN + BOX * widest, FOOT + TALL * len(edges) + FLOOR), dpi=150)
    _draw(figure, network, edges, live, below, above)
    return figure


def _names(who: str, what: str, given: Sequence[str] | None, count: int, letter: str) -> list[str]:
    if given is None:
        return [f"${letter}_{{{i + 1}}}$" for i in range(count)]
    if isinstance(given, str) or len(given) != count:
        raise ConfigError(f"{who}: {what} is {given!r}; wants {count} names")
    return [str(name) for name in given]


def _check_size(who: str, counts: Sequence[int]) -> None:
    for k, count in enumerate(counts):
        if count > MOST_IN_LAYER:
            raise ConfigError(
                f"{who}: layer {k} has {count:,} edges; draws up to {MOST_IN_LAYER} in a layer: prune first, or use plot_edge"
            )
    if sum(counts) > MOST_IN_ALL:
        raise ConfigError(f"{who}: the network has {sum(counts):,} edges; draws up to {MOST_IN_ALL}: prune first, or use plot_edge")


def _edges(who: str, network: KanNetwork, samples: Any) -> list[list[_Edge]]:
    """What to draw, layer by layer, each from left to right."""
    values = grid_samples(network) if samples is None else samples
    inputs = node_values(who, network, values)
    scores = attribution(spreads(who, network, values))
    found = []
    for k, layer in enumerate(network.layers):
        host, most = HostLayer(layer), float(scores[k].max()) or 1.0
        mine = []
        for i, j in np.argwhere(host.live.T):
            ends = layer.grid.of_input(int(i)).range
            z = _points(ends, None if samples is None else inputs[k][:, i])
            label = _label(host, int(i), int(j), short=int(host.live.sum()) > MOST_LABELLED)
            mine.append(_Edge(k, int(i), int(j), z, host.edge(int(i), int(j), z), ends, float(scores[k][j, i]) / most, label))
        found.append(mine)
    return found


def _points(ends: tuple[float, float], seen: np.ndarray | None) -> np.ndarray:
    """Points over the grid, or over it and what the edge gets."""
    low, high = ends if seen is None else (min(ends[0], float(seen.min())), max(ends[1], float(seen.max())))
    return np.linspace(low, high, POINTS)


def _label(host: HostLayer, i: int, j: int, *, short: bool) -> str:
    """The formula of a symbolic edge, "" for a spline."""
    if (i, j) not in host.functions:
        return ""
    name, affine = host.functions[i, j]
    return name if short else function_text(name, affine)


def _draw(figure: Any, network: KanNetwork, edges: list[list[_Edge]], live: list[np.ndarray], below: list[str], above: list[str]) -> None:
    wide, tall = figure.get_size_inches()
    board = figure.add_axes((0, 0, 1, 1), label="network")
    board.set(xlim=(0, wide), ylim=(0, tall))
    board.axis("off")
    at = [_across(wide, width) for width in network.config.widths]
    for k, mine in enumerate(edges):
        floor = FOOT + TALL * k
        for place, edge in zip(_across(wide, len(mine)), mine, strict=True):
            alpha = FAINTEST + (1 - FAINTEST) * min(1.0, edge.strength)
            colour = SYMBOLIC if edge.label else SPLINE
            middle, half = floor + TALL / 2, BOX * 0.32
            board.plot([at[k][edge.i], place], [floor, middle - half], color=colour, alpha=alpha, lw=1, zorder=1)
            board.plot([place, at[k + 1][edge.j]], [middle + half, floor + TALL], color=colour, alpha=alpha, lw=1, zorder=1)
            _box(figure, edge, (place - half, middle - half, 2 * half), alpha, colour)
    for k, places in enumerate(at):
        hidden = 0 < k < len(live)
        xs = [x for i, x in enumerate(places) if not hidden or live[k][:, i].any()]
        board.scatter(xs, [FOOT + TALL * k] * len(xs), s=28, color="black", zorder=3)
    for x, name in zip(at[0], below, strict=True):
        board.text(x, FOOT - 0.18, name, ha="center", va="top", fontsize=11)
    for x, name in zip(at[-1], above, strict=True):
        board.text(x, FOOT + TALL * len(edges) + 0.18, name, ha="center", va="bottom", fontsize=11)


def _across(wide: float, count: int) -> np.ndarray:
    """The middles of `count` equal parts of the picture's width."""
    return MARGIN + (wide - 2 * MARGIN) * (np.arange(count) + 0.5) / max(1, count)


def _box(figure: Any, edge: _Edge, where: tuple[float, float, float], alpha: float, colour: str) -> None:
    """The small plot of an edge, its left and lower corner and its size in inches."""
    wide, tall = figure.get_size_inches()
    left, low, size = where
    axes = figure.add_axes((left / wide, low / tall, size / wide, size / tall), label=f"edge {edge.layer} {edge.i} {edge.j}")
    axes.axvspan(*edge.ends, color=GRID, lw=0)
    axes.plot(edge.z, edge.y, color=colour, alpha=alpha, lw=1.4)
    axes.set_xlim(edge.z[0], edge.z[-1])
    if np.ptp(edge.y) < 1e-6 * max(1.0, float(np.abs(edge.y).max())):  # a flat edge is drawn flat, not as its rounding
        axes.set_ylim(float(edge.y.mean()) - 1, float(edge.y.mean()) + 1)
    axes.set_xticks(edge.ends, [f"{v:.3g}" for v in edge.ends], fontsize=4.5)
    for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        text.set_ha(side)
    axes.tick_params(axis="x", length=2, width=0.5, pad=1)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(alpha=alpha, linewidth=0.6, color=colour)
    if edge.label:
        axes.set_title(edge.label, fontsize=4.8, color=colour, pad=3, bbox=dict(facecolor="white", edgecolor="none", pad=0.6))


def plot_edge(network: KanNetwork, layer: int, i: int, j: int, samples: Any = None) -> Any:
    """One edge as a figure with labelled axes: its function, its knots, and with samples what it gets.

    ConfigError for an edge that was pruned, and where matplotlib is missing.
    """
    who = "KanNetwork.plot_edge"
    found = check_edge(who, network, layer, i, j)
    if not found.live()[j, i]:
        raise ConfigError(f"{who}: the edge from {i} to {j} in layer {layer} was pruned; wants one that is there")
    seen = None if samples is None else node_values(who, network, samples)[layer][:, i]
    host, ends = HostLayer(found), found.grid.of_input(i).range
    z = _points(ends, seen)
    figure = _figure(who, figsize=(5, 3.6), dpi=150, layout="constrained")
    axes = figure.add_subplot(label=f"edge {layer} {i} {j}")
    axes.axvspan(*ends, color=GRID, lw=0, label=f"grid, {found.grid.size} cells")
    symbolic = _label(host, i, j, short=False)
    axes.plot(z, host.edge(i, j, z), color=SYMBOLIC if symbolic else SPLINE, label=symbolic or "spline")
    if seen is not None:
        axes.plot(seen, host.edge(i, j, seen), ".", color="black", ms=2, alpha=0.4, label=f"{len(seen):,} samples")
    axes.set(xlabel=f"input {i} of layer {layer}", ylabel=f"its part of output {j}", title=f"layer {layer}, from {i} to {j}")
    axes.legend(fontsize=7)
    return figure
