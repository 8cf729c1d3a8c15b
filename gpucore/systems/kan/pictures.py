"""Pictures of what a race reached: errors over grids, prediction against target, the field of an equation. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...files import atomic_file
from .functions import Regression
from .poisson import Poisson, mesh, solution
from .prediction import predict
from .refinement import Attempt

OURS, SECOND, OTHERS, LIMIT = "#2f6db5", "#8fb4dd", "#d17a22", "#b3261e"


def can_draw() -> bool:
    """True when matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_regression(problem: Regression, attempts: Sequence[Attempt], folder: Path) -> list[Path]:
    """errors.png and prediction.png of the best attempt."""
    case, best = problem.case, attempts[0]
    files = [folder / name for name in ("errors.png", "prediction.png")]
    curves = {"test points": ("test", OURS, "o-"), "training points": ("train", SECOND, "o--")}
    title = f"{case.formula}, KAN {list(case.widths)}"
    draw_over_grids(
        best, curves, files[0], title=title, ylabel="root mean square error", lines=case.lines, published=case.published,
        source=case.source,
    )  # fmt: skip
    x, wanted = problem.test
    draw_prediction(wanted.ravel(), predict(best.network, x).ravel(), files[1], title)
    return files


def draw_poisson(problem: Poisson, attempts: Sequence[Attempt], lines: Mapping[int, float], folder: Path) -> list[Path]:
    """errors.png and solution.png of the best attempt."""
    files = [folder / name for name in ("errors.png", "solution.png")]
    curves = {"squared L2 error": ("squared L2", OURS, "o-")}
    title = f"Δu = f on [-1, 1]², KAN {list(problem.config.widths)}"
    draw_over_grids(attempts[0], curves, files[0], title=title, ylabel="squared L2 error", lines=lines)
    draw_field(problem, attempts[0], files[1], title)
    return files


def draw_over_grids(
    attempt: Attempt, curves: Mapping[str, tuple[str, str, str]], path: Path, *, title: str, ylabel: str,
    lines: Mapping[int, float], published: Mapping[int, float] | None = None, source: str = "",
) -> None:  # fmt: skip
    """Errors over the number of cells, both logarithmic, beside what must be reached and what others have published."""
    figure = _figure(6.4, 4.6)
    axes = figure.add_subplot()
    sizes = [stage.grid_size for stage in attempt.stages]
    for label, (name, colour, style) in curves.items():
        axes.loglog(sizes, [stage.errors[name] for stage in attempt.stages], style, color=colour, label=label)
    if published:
        axes.loglog(*_points(published), "s:", color=OTHERS, label=source)
    if lines:
        axes.loglog(*_points(lines), ls="", marker="_", ms=22, mew=2, color=LIMIT, label="must reach")
    ticks = sorted({*sizes, *lines})
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("cells of each grid")
    axes.set_ylabel(ylabel)
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    save_figure(figure, path)


def draw_prediction(wanted: np.ndarray, got: np.ndarray, path: Path, title: str) -> None:
    """The network's values over the true ones, and their differences, at test points."""
    figure = _figure(9.6, 4.4)
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2)
    ends = [float(wanted.min()), float(wanted.max())]
    left.plot(ends, ends, color="#b9bec9", lw=1)
    left.plot(wanted, got, ".", ms=3, color=OURS)
    left.set_ylabel("network")
    right.axhline(0, color="#b9bec9", lw=1)
    right.plot(wanted, got - wanted, ".", ms=3, color=OURS)
    right.set_ylabel("network - target")
    right.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    for axes in (left, right):
        axes.set_xlabel("target, at test points")
        axes.grid(alpha=0.3)
    save_figure(figure, path)


def draw_field(problem: Poisson, attempt: Attempt, path: Path, title: str) -> None:
    """The network's solution, the exact one and their difference as maps."""
    got = problem.predict(attempt.network)
    wanted = solution(mesh(len(got))).reshape(got.shape)
    figure = _figure(10.6, 7.6)
    figure.suptitle(f"{title}, grid {attempt.stages[-1].grid_size}", fontsize=11)
    places = figure.subplots(2, 2)
    panels = (("network", got, 1.0), ("exact, sin(πx)·sin(πy)", wanted, 1.0), ("network - exact", got - wanted, None))
    for axes, (name, values, most) in zip(places.flat, panels, strict=False):
        most = most or float(np.abs(values).max())
        shown = axes.imshow(values.T, origin="lower", extent=(-1, 1, -1, 1), cmap="RdBu_r", vmin=-most, vmax=most)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("x")
        axes.set_ylabel("y")
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03, format="%.1e" if most < 0.1 else None)
    _draw_trace(places[1, 1], attempt)
    save_figure(figure, path)


def _draw_trace(axes: Any, attempt: Attempt) -> None:
    """The loss over the iterations, with a line where a grid was refined."""
    iterations, losses = zip(*attempt.trace, strict=True)
    axes.semilogy(iterations, losses, "o-", ms=3, color=OURS)
    ends = np.cumsum([stage.iterations for stage in attempt.stages])
    for stage, start in zip(attempt.stages[1:], ends, strict=False):
        axes.axvline(start, color="#b9bec9", lw=1)
        axes.annotate(f" grid {stage.grid_size}", (start, 1), xycoords=("data", "axes fraction"), va="top", fontsize=9)
    axes.set_xlabel("iterations of L-BFGS")
    axes.set_ylabel("loss")
    axes.set_title("convergence", fontsize=10)
    axes.grid(alpha=0.3)


def _points(values: Mapping[int, float]) -> tuple[list[int], list[float]]:
    return list(values), list(values.values())


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white", dpi=110)


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all."""
    with atomic_file(path) as file:
        figure.savefig(file, format="png")
