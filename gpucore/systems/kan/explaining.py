"""From a trained network and samples to a formula: prune, fix what can be fixed, and say what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from .edges import checked_samples, node_values
from .formula import check_digits, check_names
from .inputs import host_targets
from .pruning import Pruned, check_score
from .symbolic import EdgeFit, check_simplicity, check_threshold

if TYPE_CHECKING:
    from .network import KanNetwork

WHO = "explain"
HEAD = ("layer", "input", "output", "function", "R²", "now")


@dataclass(frozen=True)
class Explanation:
    """What `explain` found.

    expressions: one sympy expression per output, with φ_layer_output_input for edges that are still splines; empty where
                 sympy is missing, and `note` says so.
    edges:       every edge with the best function for it, that function's R², and whether it took the spline's place.
    r2:          of the whole network on the samples, for each output, with the functions in place; NaN without targets,
                 and for targets without spread.
    """

    expressions: tuple[Any, ...]
    edges: tuple[EdgeFit, ...]
    pruned: Pruned | None
    r2: tuple[float, ...]
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether every edge that is left is a function."""
        return all(edge.fixed for edge in self.edges)

    def rows(self) -> list[tuple[str, ...]]:
        """The edges as rows of a table under HEAD."""
        now = {True: "fixed", False: "spline"}
        return [(str(e.layer), str(e.i), str(e.j), e.name, "-" if np.isnan(e.r2) else f"{e.r2:.6f}", now[e.fixed]) for e in self.edges]


def explain(
    network: KanNetwork, samples: Any, targets: Any = None, *, prune: float | None = 3e-2, threshold: float = 0.99,
    digits: int | None = 3, names: Sequence[str] | None = None, train: Callable[[], Any] | None = None, simplicity: float | None = None,
) -> Explanation:  # fmt: skip
    """Prunes a trained network, fixes its edges as functions where R² ≥ threshold, and gives the formulas of its outputs.

    samples, targets: [n, input_dim] and, for R² of the whole, [n, output_dim]. prune: the threshold, None for no pruning.
    train:            called after pruning and again after fixing, to train the network on with what is left; the optimizer
                      must be made inside it. digits, names: see `KanNetwork.formula`. The network is changed; save it before.
    Edges that look like no function stay splines, and the formula holds them as φ. Errors as the methods have them, before
    anything is changed.
    """
    _check(network, samples, targets, prune, threshold, digits, names, simplicity)
    pruned = None if prune is None else network.prune(samples, threshold=prune)
    if train is not None and pruned is not None and pruned.edges:
        train()
    options = {} if simplicity is None else {"simplicity": simplicity}
    edges = tuple(network.auto_symbolic(samples, threshold=threshold, **options))
    if train is not None and any(edge.fixed for edge in edges):
        train()
    if find_spec("sympy") is None:
        expressions, note = (), "the formula needs sympy: pip install 'gpucore[symbolic]'"
    else:
        expressions, note = network.formula(digits=digits, splines=True, names=names), ""
    return Explanation(expressions, edges, pruned, _r2(network, samples, targets), note)


def _check(
    network: KanNetwork, samples: Any, targets: Any, prune: Any, threshold: Any, digits: Any, names: Any, simplicity: Any
) -> None:  # fmt: skip
    """What the later steps would refuse, when the earlier ones had changed the network."""
    rows = len(checked_samples(WHO, network, samples))
    if targets is not None:
        host_targets(WHO, targets, rows, network.config.output_dim, classes=False)
    check_options(WHO, prune, threshold, digits=digits)
    check_names(WHO, names, network.config.input_dim)
    if simplicity is not None:
        check_simplicity(WHO, simplicity)


def check_options(who: str, prune: Any, threshold: Any, *, digits: Any = None, significant: Any = None) -> None:
    """ConfigError for what `explain` would refuse, to be known before the training that goes before it."""
    if prune is not None:
        check_score(who, "prune", prune)
    check_threshold(who, threshold)
    check_digits(who, digits, significant)


def _r2(network: KanNetwork, samples: Any, targets: Any) -> tuple[float, ...]:
    if targets is None:
        return (float("nan"),) * network.config.output_dim
    y = node_values(WHO, network, samples)[-1]
    return r2_of_targets(y, np.asarray(targets).reshape(y.shape))


def r2_of_targets(y: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
    """1 - Σ (t - y)² / Σ (t - mean t)² of each column of [n, m]; NaN where the targets have no spread."""
    t = targets.astype(np.float64)
    rest, spread = ((t - y) ** 2).sum(axis=0), ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    return tuple(1 - float(r) / float(s) if s > 0 else float("nan") for r, s in zip(rest, spread, strict=True))
