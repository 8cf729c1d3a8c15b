"""Pictures of a trained classifier: its confusion matrix and its worst errors. Needs matplotlib."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .images import Images
    from .training import Result

TITLES = {"mlp": "MLP 784-128-10", "lenet": "LeNet-5"}
INK, SHADES, WRONG = "#1b1b1f", "Blues", "#b3261e"


def can_draw() -> bool:
    """True when matplotlib is installed."""
    return find_spec("matplotlib") is not None


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int = 10) -> np.ndarray:
    """[classes, classes] counts: row the true class, column the predicted one."""
    return np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def draw_confusion(counts: np.ndarray, path: Path, title: str) -> None:
    """The confusion matrix with its counts; colour by the share of each true class, so that errors stay visible."""
    from matplotlib.colors import PowerNorm

    figure = _figure(7.2, 6.6)
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(share, cmap=SHADES, norm=PowerNorm(0.4, 0.0, 1.0))
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            dark = share[row, column] > 0.2
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=9, color="white" if dark else INK)
    axes.set_xticks(range(len(counts)))
    axes.set_yticks(range(len(counts)))
    axes.set_xlabel("predicted digit")
    axes.set_ylabel("true digit")
    axes.set_title(title, fontsize=11)
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1.0])
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "20 %", "50 %", "100 %"])
    bar.set_label("share of the true digit")
    _save(figure, path)


def worst_errors(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """The places of the wrong answers, the most confident first."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:count]


def draw_errors(images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, path: Path, title: str, columns: int = 6) -> None:
    """A grid of the most confident wrong answers; under each the true and the predicted digit and its probability.

    images: [n, height, width], any range.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = int((predicted != labels).sum())
    places = worst_errors(labels, probabilities, columns * 4)
    rows = max(1, -(-len(places) // columns))
    figure = _figure(1.75 * columns, 1.95 * rows + 0.7)
    figure.suptitle(f"{title}: {_shown(len(places), wrong)} of {len(labels):,} test images", fontsize=11)
    for slot, at in enumerate(places):
        axes = figure.add_subplot(rows, columns, slot + 1)
        axes.imshow(images[at], cmap="gray_r")
        axes.set_axis_off()
        text = f"is {labels[at]}, said {predicted[at]}\n{probabilities[at, predicted[at]]:.1%} sure"
        axes.set_title(text, fontsize=9, color=WRONG)
    if not len(places):
        figure.text(0.5, 0.5, "every test image was right", ha="center", va="center")
    _save(figure, path)


def draw_samples(images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, path: Path, title: str, columns: int = 8) -> None:
    """The first test images with the probability of every digit as bars beside them."""
    count = min(columns * 2, len(images))
    rows = max(1, -(-count // columns))
    figure = _figure(1.5 * columns, 2.9 * rows + 0.5)
    figure.suptitle(title, fontsize=11)
    grid = figure.add_gridspec(rows * 2, columns, height_ratios=[2, 1] * rows)
    digits = np.arange(probabilities.shape[1])
    for k in range(count):
        row, column = divmod(k, columns)
        picture = figure.add_subplot(grid[2 * row, column])
        picture.imshow(images[k], cmap="gray_r")
        picture.set_axis_off()
        said = int(probabilities[k].argmax())
        picture.set_title(f"{said}  ({probabilities[k, said]:.0%})", fontsize=10, color=INK if said == labels[k] else WRONG)
        bars = figure.add_subplot(grid[2 * row + 1, column])
        bars.bar(digits, probabilities[k], color=["#2f6db5" if d == labels[k] else "#b9bec9" for d in digits])
        bars.set_ylim(0, 1)
        bars.set_xticks(digits, [str(d) for d in digits], fontsize=6)
        bars.set_yticks([])
        for side in ("top", "right", "left"):
            bars.spines[side].set_visible(False)
    _save(figure, path)


def _shown(count: int, wrong: int) -> str:
    return f"all {wrong} errors" if count == wrong else f"the {count} most confident of {wrong} errors"


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_all(result: Result, images: Images, out: Path) -> list[Path]:
    """curves.png, confusion.png, errors.png and samples.png of a finished training."""
    labels, probabilities = images.test.y, result.probabilities
    who = f"{TITLES[result.settings.model]} on {images.name}"
    files = [out / f"{name}.png" for name in ("curves", "confusion", "errors", "samples")]
    result.history.plot(files[0], title=f"{who}, {result.settings.optimizer}, batch {result.settings.batch}")
    counts = confusion_matrix(labels, probabilities.argmax(axis=1))
    draw_confusion(counts, files[1], f"{who}: {result.accuracy:.2%} of {len(labels):,} test images right")
    draw_errors(images.pixels(), labels, probabilities, files[2], who)
    title = f"{who}: the first test images, and the probability of each digit (blue: the true one)"
    draw_samples(images.pixels(), labels, probabilities, files[3], title)
    return files
