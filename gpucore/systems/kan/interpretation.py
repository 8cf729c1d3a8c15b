"""What a network can be asked about its edges: the part of KanNetwork that prunes, plots and finds formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from .network import KanNetwork
    from .pruning import Pruned
    from .symbolic import EdgeFit, Suggestion, Suggestions


def _whole(network: Interpretation) -> KanNetwork:
    """The network whose part this is."""
    return network  # type: ignore[return-value]


class Interpretation:
    """Methods of `KanNetwork`; an edge is named by its layer, its input i and its output j, each from 0."""

    def prune(self, samples: Any, *, threshold: float = 3e-2, node_threshold: float | None = None, measure: str = "std") -> Pruned:
        """Takes out edges that do little to the outputs over these samples [n, input_dim]; says which.

        threshold:      edges with a lower score go. The score is the share of the outputs' spread that goes through an edge,
                        passed back from the outputs as in KAN 2.0 (see `edges.attribution`).
        node_threshold: hidden nodes go, with all their edges, where the strongest edge into them (its spread relative to the
                        node's) times the score of the strongest out of them is lower. None: as `threshold`.
        measure:        of the spread: "std", or "l1", the mean distance from the mean.

        A pruned edge is exactly 0 from then on, through training, refining and saving; its mean goes into the bias, so that
        the function moves as little as it can. Edges that lead nowhere, or come from a node without edges, go as well; an
        output without any is its bias. The widths stay. Nothing is changed when something is wrong.
        """
        from .pruning import prune

        return prune(_whole(self), samples, threshold=threshold, node_threshold=node_threshold, measure=measure)

    def remove_edge(self, layer: int, i: int, j: int, samples: Any = None) -> Pruned:
        """Prunes the edge from input i to output j of a layer; with samples its mean goes into the bias."""
        from .pruning import remove_edge

        return remove_edge(_whole(self), layer, i, j, samples)

    def edge_values(self, layer: int, i: int, j: int, points: Any) -> np.ndarray:
        """The function from input i to output j of a layer at any points, in float64 on the host.

        The edges to an output and its bias add up to what the layer computes, but for float32's rounding.
        """
        from .edges import edge_values

        return edge_values(_whole(self), layer, i, j, points)

    def suggest_symbolic(self, layer: int, i: int, j: int, samples: Any = None, **options: Any) -> Suggestions:
        """Functions of the library as c·f(a·x + b) + d for an edge, the best first: a list that reads as a table.

        samples:    of the network's input [n, input_dim]; the edge is looked at where they take it. None: over its grid.
        functions:  names to choose from, see `library.LIBRARY`; all by default.
        simplicity: how many halvings of 1 - R² one more of complexity must be worth; 0 ranks by R² alone.
        """
        from .symbolic import suggest

        return suggest(_whole(self), layer, i, j, samples, **options)

    def fix_symbolic(self, layer: int, i: int, j: int, name: str, samples: Any = None, *, affine: Any = None) -> Suggestion:
        """Puts c·f(a·x + b) + d in the place of an edge's spline; a, b, c and d are parameters and train on.

        They are fitted to the edge (see `suggest_symbolic`), or given as affine=(a, b, c, d). Its input is not clamped to
        the grid any more. An optimizer of your own must be made anew. Returns the fit with its R².
        """
        from .symbolic import fix

        return fix(_whole(self), layer, i, j, name, samples, affine=affine)

    def unfix_symbolic(self, layer: int, i: int, j: int) -> None:
        """Gives an edge its spline back, as it was when it was fixed."""
        from .symbolic import unfix

        unfix(_whole(self), layer, i, j)

    def auto_symbolic(self, samples: Any = None, *, threshold: float = 0.99, **options: Any) -> list[EdgeFit]:
        """Fixes every edge whose best suggestion has R² ≥ threshold; returns what was found for each edge.

        Options: functions and simplicity, as for `suggest_symbolic`. All edges are looked at before any is changed.
        """
        from .symbolic import fix_all

        return fix_all(_whole(self), samples, threshold=threshold, **options)

    def formula(
        self, *, digits: int | None = None, significant: int | None = None, splines: bool = False, names: Sequence[str] | None = None
    ) -> tuple[Any, ...]:
        """The outputs as sympy expressions of x_1, x_2, ..., or of `names`, standardisation included; needs sympy.

        digits, significant: numbers are rounded to so many digits after the point, to so many significant digits; None: as they are.
        splines: edges that are still splines become φ_layer_output_input of their input, counted from 1; otherwise they
                 are a ConfigError that names them.
        """
        from .formula import formula

        return formula(_whole(self), digits=digits, significant=significant, splines=splines, names=names)

    def plot(self, samples: Any = None, **options: Any) -> Any:
        """The network with the function of every edge as a matplotlib figure; see `plotting.plot`."""
        from .plotting import plot

        return plot(_whole(self), samples, **options)

    def plot_edge(self, layer: int, i: int, j: int, samples: Any = None) -> Any:
        """One edge's function over its grid as a matplotlib figure; see `plotting.plot_edge`."""
        from .plotting import plot_edge

        return plot_edge(_whole(self), layer, i, j, samples)
