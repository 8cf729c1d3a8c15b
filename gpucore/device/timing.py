"""Submissions whose every dispatch is timed on the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import native as n

if TYPE_CHECKING:
    from ..profile import Profile
    from .transfer import Staging

PER_SET = 2048


class Timing:
    """Submits commands in chunks with two timestamps per dispatch, waits, and adds the times to a profile."""

    def __init__(self, native: n.Native, profile: Profile) -> None:
        self._native, self._profile = native, profile

    def submit(self, items: list[tuple[Any, ...]], staging: Staging) -> int:
        """Runs the commands; returns the last submission's index."""
        index = 0
        for start in range(0, len(items), PER_SET) or [0]:
            index = self._chunk(items[start : start + PER_SET])
        staging.submitted()
        return index

    def _chunk(self, items: list[tuple[Any, ...]]) -> int:
        timed = [item[7] for item in items if item[0] is not None]
        if not timed:
            return self._native.submit(items)
        ticks, index = run_timed(self._native, items, 2 * len(timed), whole=False)
        for prepared, time in zip(timed, ticks[1::2] - ticks[::2], strict=True):
            if prepared is not None:
                self._profile.add(prepared.kernel, prepared.specs, prepared.launch, prepared.options, max(float(time), 0.0))
        return index


def run_timed(native: n.Native, items: list[tuple[Any, ...]], count: int, *, whole: bool) -> tuple[np.ndarray, int]:
    """Submits commands with `count` timestamps and waits: (the times in seconds, the submission's index)."""
    size = 8 * count
    queries = native.create_query_set(count)
    resolve = native.create_buffer(size, n.QUERY_RESOLVE | n.COPY_SRC)
    native.submit(items, queries, resolve, whole=whole)
    host = native.create_buffer(size, n.MAP_READ | n.COPY_DST)
    index = native.submit([(None, resolve, 0, host, 0, size)])
    failed: list[str | None] = []
    native.map_buffer(host, 1, size, failed.append)
    while not failed:
        native.poll(index, wait=True)
    ticks = np.array(native.mapped_array(host, size, write=False)).view(np.uint64).astype(np.int64)
    native.unmap(host)
    return (ticks - ticks[0]) * (native.timestamp_period * 1e-9), index


class Span:
    """GPU seconds of all the work that is queued in the context, one dispatch after the other as a program runs it.

    Two timestamps stand around the whole, so what a single dispatch costs to start counts as it does in a program.
    Nothing may be read or uploaded inside. `seconds` holds the time afterwards.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self.seconds = 0.0

    def __enter__(self) -> Span:
        self._device.flush()
        self._device._span = self
        return self

    def __exit__(self, kind: Any, *exc: object) -> None:
        self._device._span = None
        items = self._device._take_pending()
        if kind is None and items:
            ticks, _ = run_timed(self._device.native, items, 4, whole=True)
            self.seconds = float(ticks[2] - ticks[1])
