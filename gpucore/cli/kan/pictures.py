"""Pictures that tasks share. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...data import ArrayDataset
from ...systems.kan import KanNetwork
from ...systems.kan.explaining import r2_of_targets
from ...systems.kan.pictures import save_figure
from ...systems.kan.prediction import predict

COLOURS = {"train": "#b9bec9", "test": "#2f6db5"}


def draw_predictions(network: KanNetwork, parts: Mapping[str, ArrayDataset], targets: Sequence[str], path: Path) -> None:
    """What the network says against what the table says, a panel per target, training rows grey and test rows blue."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(targets), 5.2), layout="constrained", facecolor="white", dpi=110)
    said = {name: predict(network, rows.x) for name, rows in parts.items()}
    for k, target in enumerate(targets):
        axes = figure.add_subplot(1, len(targets), k + 1)
        for name, rows in parts.items():
            r2 = r2_of_targets(said[name], rows.y)[k]
            axes.scatter(rows.y[:, k], said[name][:, k], s=9, color=COLOURS[name], label=f"{name}, {len(rows):,} rows, R² {r2:.4f}")
        ends = [min(rows.y[:, k].min() for rows in parts.values()), max(rows.y[:, k].max() for rows in parts.values())]
        axes.plot(ends, ends, color="#1b1b1f", linewidth=0.8)
        axes.set_xlabel(f"{target} in the table")
        axes.set_ylabel(f"{target} by the network")
        axes.legend(frameon=False, loc="upper left")
    save_figure(figure, path)
