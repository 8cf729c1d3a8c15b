"""Tables of numbers from CSV files, with one sentence about the first cell that is none."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from ..errors import ConfigError, FormatError

DELIMITERS = ",;\t|"
"""What may part the cells; the one that the first line has most of is taken."""


@dataclass(frozen=True)
class Table:
    """Columns by name: values [rows, columns] in float64."""

    names: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """[rows, len(names)] in this order. ConfigError for a name that is not there."""
        return self.values[:, [find_column("Table", name, self.names) for name in names]]


def read_table(path: str | os.PathLike[str], *, drop: Collection[str] = (), only: Sequence[str] | None = None) -> Table:
    """A CSV file as numbers; the first line names the columns, unless all of its cells are numbers (then: x1, x2, ...).

    Cells are parted by commas, semicolons, tabs or bars, decimals written with a point. drop: columns that are left out,
    as dates and texts; only: those that are kept. FormatError for a file that is no table, an empty one, a line of
    another length, and a cell that is empty, text, NaN or infinite: it names line and column. ConfigError for a column
    that is not there.
    """
    rows = _rows(path)
    head = [cell.strip() for cell in rows[0][1]]
    named = not all(_number(cell) is not None for cell in head)
    names = _names(path, head) if named else [f"x{i + 1}" for i in range(len(head))]
    rows = rows[named:]
    if not rows:
        raise FormatError(f"{path}: has a line of names and no rows; wants at least one")
    kept = _kept(path, names, drop, only)
    values = np.empty((len(rows), len(kept)))
    for k, (line, cells) in enumerate(rows):
        if len(cells) != len(names):
            raise FormatError(f"{path}: line {line} has {len(cells)} cells; wants {len(names)}, as the first line has")
        for m, column in enumerate(kept):
            values[k, m] = _cell(path, line, names[column], cells[column].strip())
    return Table(tuple(names[column] for column in kept), values)


def find_column(who: str, name: str, names: Sequence[str]) -> int:
    """The place of a column's name. ConfigError, with the names that there are, when it is not among them."""
    if name not in names:
        raise ConfigError(f"{who}: there is no column {name!r}; wants one of {', '.join(names)}")
    return list(names).index(name)


def _rows(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not empty."""
    if not Path(path).is_file():
        raise FormatError(f"{path}: there is no such file")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{path}: is no UTF-8 text; wants a CSV file") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first or "\0" in text:
        raise FormatError(f"{path}: {'is no text' if first else 'is empty'}; wants a CSV file")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise FormatError(f"{path}: line {reader.line_num} cannot be read ({error})") from None


def _names(path: str | os.PathLike[str], head: list[str]) -> list[str]:
    for i, name in enumerate(head):
        if not name:
            raise FormatError(f"{path}: column {i + 1} has no name; wants one in the first line")
        if name in head[:i]:
            raise FormatError(f"{path}: two columns have the name {name!r}; wants names of their own")
    return head


def _kept(path: str | os.PathLike[str], names: list[str], drop: Collection[str], only: Sequence[str] | None) -> list[int]:
    dropped = {find_column(str(path), name, names) for name in drop}
    wanted = range(len(names)) if only is None else [find_column(str(path), name, names) for name in only]
    kept = [i for i in wanted if i not in dropped]
    if not kept:
        raise ConfigError(f"{path}: every column is left out; wants at least one")
    return kept


def _cell(path: str | os.PathLike[str], line: int, column: str, cell: str) -> float:
    value = _number(cell)
    if value is None or not isfinite(value):
        held = f"holds {cell!r}" if cell else "is empty"
        raise FormatError(f"{path}: line {line}, column {column!r} {held}; wants a finite number, or leave the line or the column out")
    return value


def _number(cell: str) -> float | None:
    if "_" in cell:  # Python would read 1_000 as a number
        return None
    try:
        return float(cell)
    except ValueError:
        return None
