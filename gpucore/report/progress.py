"""One line of progress on standard error: rewritten on a terminal, now and then a new line in a log."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Counts steps towards a total and says what is running.

    On a terminal one line is rewritten; elsewhere a line appears at most every `every` seconds.
    """

    def __init__(self, total: int, *, stream: TextIO | None = None, quiet: bool = False, every: float = 10.0) -> None:
        self.total, self.done, self._quiet, self._every = total, 0, quiet, every
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._start = self._last = time.monotonic()

    def step(self, what: str, count: int = 1) -> None:
        """Says what has been done."""
        self.done += count
        now = time.monotonic()
        if self._quiet or (now - self._last < (0.1 if self._live else self._every) and self.done < self.total):
            return
        self._last = now
        line = f"[{self.done}/{self.total}] {now - self._start:5.0f} s  {what}"
        self._stream.write(f"\r\x1b[K{line[:110]}" if self._live else line + "\n")
        self._stream.flush()

    def finish(self) -> None:
        """Clears the line."""
        if self._live and not self._quiet:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
