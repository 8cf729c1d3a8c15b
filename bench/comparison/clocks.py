"""Time: the same method for everybody, N calls in a row between two marks, the median of several such runs.

On a GPU the marks are timestamps of the GPU itself (gpucore: `Device.span`, PyTorch: CUDA events) and all N calls are
queued before the first of them runs, so host time counts for neither; what it costs to call is a row of its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .results import Timing

Call = Callable[[int], Any]
"""Starts call number i; inputs rotate with i."""
HIDDEN = 40e-6
"""Seconds of host time that a PyTorch launch may take while the GPU is kept waiting."""

LONG = 5.0
"""Seconds of a first call after which it counts as the measurement."""


def summary(times: Sequence[float], calls: int) -> Timing:
    """The median of these seconds per call, and their spread."""
    middle = statistics.median(times)
    low, high = np.percentile(times, [10, 90])
    return Timing(middle, float(high - low) / 2 / middle if middle > 0 else 0.0, calls, len(times))


def calls_for(seconds: float, budget: float, most: int) -> int:
    """How many calls of this length fill the budget: at least one, at most `most`."""
    return max(1, min(most, int(budget / max(seconds, 1e-7))))


def one_by_one(call: Callable[[], Any], count: int, before: Callable[[], Any] = lambda: None) -> Timing:
    """The median of so many calls, each of which waits for its result; `before` is not counted."""
    times = []
    for _ in range(count + count // 4 + 1):
        before()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return summary(times[count // 4 + 1 :], 1)


class Clock:
    """Measures calls. budget: seconds that one run of N calls should take, at most; repeats: how many runs."""

    def __init__(self, budget: float, repeats: int, most: int = 50) -> None:
        self.budget, self.repeats, self.most = budget, repeats, most

    def wall(self, call: Call, wait: Callable[[], Any], *, most: int | None = None) -> Timing:
        """From the first call until the last one's work is done."""

        def run(n: int) -> float:
            start = time.perf_counter()
            for i in range(n):
                call(i)
            wait()
            return (time.perf_counter() - start) / n

        first = run(1)  # compiles and fills caches
        again = run(1) if first < LONG else first
        return self._repeat(run, calls_for(again, self.budget, most or self.most), again)

    def ours(self, device: Any, call: Call) -> Timing:
        """GPU time of calls on a gpucore device; wall time where the adapter has no timestamps."""
        if not getattr(device, "has_timestamps", False):
            return self.wall(call, device.synchronize)

        def run(n: int) -> float:
            with device.span() as span:
                for i in range(n):
                    call(i)
            return float(span.seconds) / n

        for i in range(2):
            call(i)
        device.synchronize()
        first = run(1)
        return self._repeat(run, calls_for(first, self.budget, self.most), first)

    def cuda(self, torch: Any, call: Call, *, queued: bool = True) -> Timing:
        """GPU time of calls in PyTorch. queued: the GPU is kept busy until all are queued; else it may wait for the host."""

        def run(n: int, ahead: float = 0.0) -> float:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            if ahead:
                torch.cuda._sleep(int(ahead * 2e9))  # cycles, at about 2 GHz
            start.record()
            for i in range(n):
                call(i)
            end.record()
            torch.cuda.synchronize()
            return float(start.elapsed_time(end)) * 1e-3 / n

        for i in range(3):
            call(i)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call(0)
        host = time.perf_counter() - begin
        torch.cuda.synchronize()
        n = calls_for(run(2), self.budget, self.most)
        ahead = min(0.05, 1.5 * n * host + HIDDEN) if queued else 0.0
        return self._repeat(lambda count: run(count, ahead), n, 0.0)

    def _repeat(self, run: Callable[[int], float], n: int, first: float) -> Timing:
        if first > self.budget * 20:
            return summary([first], 1)  # one call takes so long already
        return summary([run(n) for _ in range(self.repeats)], n)
