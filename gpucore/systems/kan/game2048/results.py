"""What a training on 2048 leaves in its folder: network, history, games and the picture of both."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....files import write_atomic
from ..pictures import can_draw, save_figure
from .training import LATEST, Result

INK, AGENT, RANDOM, GREEDY, FAINT = "#1b1b1f", "#2563a8", "#9a9aa2", "#d08a2e", "#b9cfe6"


def write_results(result: Result, folder: Path) -> list[Path]:
    """The network, history, games, summary and, where matplotlib is there, the learning curve; returns the files."""
    names = ("network.safetensors", "history.csv", "history.json", "episodes.csv", "result.json")
    files = [folder / name for name in names]
    result.agent.network.save(files[0])
    result.history.to_csv(files[1])
    result.history.to_json(files[2])
    write_atomic(files[3], _episodes(result).encode())
    write_atomic(files[4], json.dumps(result.summary(), indent=1).encode())
    if can_draw():
        files.append(folder / "learning.png")
        draw(result, files[-1])
    return files


def _episodes(result: Result) -> str:
    """A line per finished game of the training."""
    text, games = io.StringIO(), result.episodes
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["training_step", "score", "largest_tile", "moves"])
    writer.writerows(zip(games.steps, games.scores, [1 << e for e in games.largest], games.moves, strict=True))
    return text.getvalue()


def smoothed(values: Sequence[float], width: int = LATEST) -> np.ndarray:
    """The mean of each value and those before it, `width` in all; of fewer at the beginning."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64))])
    ends = np.arange(1, len(total))
    starts = np.maximum(0, ends - width)
    means: np.ndarray = (total[ends] - total[starts]) / (ends - starts)
    return means


def draw(result: Result, path: Path) -> None:
    """The scores over the training steps on the left, the largest tiles of the players on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4.8), layout="constrained", facecolor="white", dpi=130)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    _draw_scores(left, result)
    _draw_tiles(right, result)
    config = result.agent.network.config
    figure.suptitle(f"2048: KAN {list(config.widths)}, head {result.settings.head}, {len(result.episodes):,} games", fontsize=12, color=INK)
    save_figure(figure, path)


def _draw_scores(axes: Any, result: Result) -> None:
    games, history = result.episodes, result.history
    if len(games):
        axes.scatter(games.steps, games.scores, s=6, color=FAINT, linewidths=0, label="a game while learning")
        axes.plot(games.steps, smoothed(games.scores), color=AGENT, linewidth=1.8, label=f"mean of the last {LATEST}")
    if len(history):
        steps, scores = np.array(history["step"]), np.array(history["evaluation"])
        seen = np.isfinite(scores)
        axes.plot(steps[seen], scores[seen], "o", color=INK, markersize=5, label="evaluation, no random moves")
    for mean, color, name in ((result.random.mean, RANDOM, "random player"), (result.greedy.mean, GREEDY, "greedy player")):
        axes.axhline(mean, color=color, linestyle="--", linewidth=1.4, label=f"{name}, {mean:,.0f}")
    axes.set_xlabel("training step")
    axes.set_ylabel("score")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title(f"score, best agent {result.scores.mean:,.0f} = {result.scores.mean / result.random.mean:.1f} times random", fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=9, loc="upper left")


def _draw_tiles(axes: Any, result: Result) -> None:
    players = ((result.random, RANDOM, "random"), (result.greedy, GREEDY, "greedy"), (result.scores, AGENT, "best agent"))
    low = min(int(scores.largest.min()) for scores, _, _ in players)
    high = max(int(scores.largest.max()) for scores, _, _ in players)
    tiles = np.arange(low, high + 1)
    for k, (scores, color, name) in enumerate(players):
        share = np.array([(scores.largest == tile).mean() for tile in tiles])
        bars = axes.bar(np.arange(len(tiles)) + (k - 1) * 0.28, share * 100, width=0.27, color=color, label=name)
        axes.bar_label(bars, [_percent(s) for s in share], fontsize=8, color=INK, padding=1)
    axes.set_xticks(range(len(tiles)), [str(1 << int(tile)) for tile in tiles])
    axes.set_xlabel("largest tile of a game")
    axes.set_ylabel("% of games")
    axes.set_title(f"largest tiles in {len(result.scores.largest)} new games each", fontsize=11)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=9)


def _percent(share: float) -> str:
    return "" if share == 0 else "<1" if share < 0.01 else f"{100 * share:.0f}"
