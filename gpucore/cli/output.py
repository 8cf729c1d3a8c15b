"""Where a command's words go: prose to stdout, or with --json to stderr, so that stdout holds the result alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from ..report import plain


class Output:
    """A command's output. `say` is for people, `result` for machines and silent without --json."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    @property
    def stream(self) -> TextIO:
        """Where prose goes."""
        return sys.stderr if self.as_json else sys.stdout

    def say(self, text: str = "") -> None:
        """One line or several, shown at once."""
        print(text, file=self.stream, flush=True)

    def note(self, text: str) -> None:
        """Something to know that is no result, on stderr."""
        print(f"note: {text}", file=sys.stderr, flush=True)

    def failed(self, sentence: str) -> int:
        """Says on stderr what failed; returns the exit code 1."""
        print(f"gpucore: {sentence}", file=sys.stderr, flush=True)
        return 1

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]], right: str = "") -> None:
        """An aligned table; `right` has an r for each column that is set to the right."""
        for line in table_lines(head, rows, right):
            self.say(line)

    def result(self, value: Any) -> None:
        """The result as one JSON document."""
        if self.as_json:
            print(json_text(value))


def json_text(value: Any) -> str:
    """One JSON document of plain values, arrays and tuples included; numbers with nine digits."""
    return json.dumps(plain(value, 9), indent=2, ensure_ascii=False)


def table_lines(head: Sequence[str], rows: Sequence[Sequence[Any]], right: str = "") -> list[str]:
    """The lines of an aligned table with a rule under its head."""
    cells = [[str(c) for c in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    sides = right.ljust(len(head))

    def line(row: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if s == "r" else c.ljust(w) for c, w, s in zip(row, widths, sides, strict=True)).rstrip()

    return [line(cells[0]), "  ".join("-" * w for w in widths), *(line(row) for row in cells[1:])]


class Progress:
    """A bar on one line of a terminal; nothing where the output is not a terminal."""

    def __init__(self, stream: TextIO, total: int, label: str) -> None:
        self._stream, self._total, self._label = stream, max(1, total), label
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""

    def show(self, done: int, note: str = "") -> None:
        """Draws the bar at `done` of the total, with a note behind it."""
        if self._live:
            filled = min(24, 24 * done // self._total)
            text = f"{self._label} [{'=' * filled}{' ' * (24 - filled)}] {done}/{self._total} {note}"
            if text != self._shown:
                self._stream.write("\r\x1b[K" + text)
                self._stream.flush()
                self._shown = text

    def clear(self) -> None:
        """Removes the bar, so that a line can be printed in its place."""
        if self._live and self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = ""
