from __future__ import annotations

import csv
import json
import math
import sys

import numpy as np
import pytest

from gpucore.errors import ConfigError, FormatError
from gpucore.train import History


@pytest.fixture
def history():
    return History(
        {"epoch": i, "step": 10.0 * i, "loss": 1 / i, "val_loss": 1.1 / i, "val_accuracy": 1 - 0.5 / i, "seconds": 0.1}
        for i in range(1, 6)
    )  # fmt: skip


def test_columns(history):
    history.add({"epoch": 6, "loss": 0.1, "extra": 3.0})
    assert history["loss"][-1] == 0.1
    assert math.isnan(history["val_loss"][-1])
    assert math.isnan(history["extra"][0])
    assert history.names[-1] == "extra"
    assert len(history) == 6
    with pytest.raises(KeyError, match="no 'accuracy'; it has epoch, step"):
        history["accuracy"]


def test_csv_keeps_every_digit(history, tmp_path):
    history.to_csv(tmp_path / "h.csv")
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
    assert [float(r["val_accuracy"]) for r in rows] == history["val_accuracy"]
    assert list(rows[0]) == history.names


def test_json_round_trip_with_nan(history, tmp_path):
    history.add({"epoch": 6, "loss": float("inf"), "val_loss": float("nan")})
    history.to_json(tmp_path / "h.json")
    read = json.loads((tmp_path / "h.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert read[5]["val_loss"] is None
    again = History.from_json(tmp_path / "h.json")
    assert again["val_accuracy"][:5] == history["val_accuracy"][:5]
    assert math.isnan(again["loss"][5])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"loss": "low"}]', "\xff"])
def test_foreign_json_is_refused(tmp_path, text):
    (tmp_path / "h.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError):
        History.from_json(tmp_path / "h.json")


def test_plot_draws_every_curve(history, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = {}
    save = Figure.savefig

    def spy(figure, *args, **options):
        for axis in figure.axes:
            drawn[axis.get_ylabel()] = [line.get_label() for line in axis.get_lines()]
            assert axis.get_xlabel() == "epoch"
            assert axis.get_legend() is not None
            assert np.array_equal(axis.get_lines()[0].get_xdata(), history["epoch"])
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    history.plot(tmp_path / "curves.png", title="three clouds")
    assert drawn == {"loss": ["training loss", "validation loss"], "accuracy": ["validation accuracy"]}
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    history.plot(tmp_path / "curves.svg")
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()[:2000]


def test_plot_says_what_is_missing(history, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no epochs"):
        History().plot(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match="matplotlib is not installed"):
        history.plot(tmp_path / "a.png")
