"""What happened in each epoch: a record by name, as CSV, JSON and a picture."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any

from ..errors import ConfigError, FormatError
from ..files import write_atomic

Record = dict[str, float]
PathLike = str | os.PathLike[str]


class History:
    """One record per epoch; `history["val_loss"]` is a list over the epochs, NaN where an epoch has no such value."""

    def __init__(self, records: Iterable[Mapping[str, float]] = ()) -> None:
        self.records: list[Record] = [dict(r) for r in records]

    def add(self, record: Mapping[str, float]) -> None:
        """Appends an epoch."""
        self.records.append(dict(record))

    @property
    def names(self) -> list[str]:
        """Every name in the records, in the order of appearance."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.names:
            raise KeyError(f"the history has no {name!r}; it has {', '.join(self.names) or 'no epochs'}")
        return [record.get(name, nan) for record in self.records]

    def __repr__(self) -> str:
        return f"History({len(self)} epochs: {', '.join(self.names)})"

    # ---- files

    def to_csv(self, path: PathLike) -> None:
        """A table with a line per epoch; numbers with all their digits, empty where there is none."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records)
        write_atomic(path, text.getvalue().encode())

    def to_json(self, path: PathLike) -> None:
        """A list of records; numbers that are not finite become null, since JSON has none."""
        write_atomic(path, json.dumps(self.to_data(), indent=1).encode())

    def to_data(self) -> list[dict[str, float | None]]:
        """The records with None for numbers that are not finite."""
        return [{k: v if isfinite(v) else None for k, v in r.items()} for r in self.records]

    @classmethod
    def from_data(cls, data: Any) -> History:
        """The opposite of `to_data`; FormatError for anything else."""
        if not isinstance(data, list) or not all(isinstance(r, dict) for r in data):
            raise FormatError("History: wants a list of records")
        if not all(v is None or isinstance(v, int | float) for r in data for v in r.values()):
            raise FormatError("History: wants numbers or null in every record")
        return cls({k: nan if v is None else v for k, v in r.items()} for r in data)

    @classmethod
    def from_json(cls, path: PathLike) -> History:
        """Reads what `to_json` wrote; FormatError for anything else."""
        try:
            return cls.from_data(json.loads(Path(path).read_text()))
        except (ValueError, UnicodeDecodeError) as error:
            raise FormatError(f"{path}: is no history ({error})") from None

    # ---- a picture

    def plot(self, path: PathLike, *, title: str = "") -> None:
        """Draws the curves over the epochs: losses on the left, other metrics on the right; the file's ending says how.

        Raises ConfigError when matplotlib is missing or there are no epochs.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError:
            raise ConfigError("History.plot: matplotlib is not installed; install gpucore[plots] or matplotlib") from None
        if not self.records:
            raise ConfigError("History.plot: there are no epochs to draw")
        losses, metrics = self._curves()
        panels = [p for p in (("loss", losses), ("metric", metrics)) if p[1]]
        figure = Figure(figsize=(5.5 * len(panels), 4), layout="constrained")
        for axis, (label, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for name in names:
                axis.plot(self["epoch"], self[name], marker="o", markersize=3, label=_spoken(name))
            axis.set_xlabel("epoch")
            axis.set_ylabel(_spoken(names[0].removeprefix("val_")) if len(names) == 1 else label)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.grid(alpha=0.3)
            axis.legend()
        if title:
            figure.suptitle(title)
        picture = io.BytesIO()
        figure.savefig(picture, format=Path(path).suffix.lstrip(".") or "png", dpi=150)
        write_atomic(path, picture.getvalue())

    def _curves(self) -> tuple[list[str], list[str]]:
        """The names of the losses, and of the other curves."""
        drawn = [n for n in self.names if n not in ("epoch", "step", "lr", "seconds", "samples_per_second")]
        losses = [n for n in drawn if n.endswith("loss")]
        return losses, [n for n in drawn if n not in losses]


def _spoken(name: str) -> str:
    """ "val_loss" as people say it."""
    if name == "loss":
        return "training loss"
    return name.replace("val_", "validation ", 1).replace("_", " ")
