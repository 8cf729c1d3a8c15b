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
        size = 16 * len(timed)
        queries = self._native.create_query_set(2 * len(timed))
        resolve = self._native.create_buffer(size, n.QUERY_RESOLVE | n.COPY_SRC)
        self._native.submit(items, queries, resolve)
        host = self._native.create_buffer(size, n.MAP_READ | n.COPY_DST)
        index = self._native.submit([(None, resolve, 0, host, 0, size)])
        failed: list[str | None] = []
        self._native.map_buffer(host, 1, size, failed.append)
        while not failed:
            self._native.poll(index, wait=True)
        ticks = np.array(self._native.mapped_array(host, size, write=False)).view(np.uint64).reshape(-1, 2)
        self._native.unmap(host)
        seconds = (ticks[:, 1].astype(np.int64) - ticks[:, 0].astype(np.int64)) * self._native.timestamp_period * 1e-9
        for prepared, time in zip(timed, seconds, strict=True):
            if prepared is not None:
                self._profile.add(prepared.kernel, prepared.specs, prepared.launch, prepared.options, max(float(time), 0.0))
        return index
