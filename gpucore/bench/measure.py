"""One kernel at one size: the result checked, then GPU time by timestamps, median and spread, against the ceilings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device.base import Device
from ..kernel import Case, Kernel
from ..parity.check import CaseData, CaseResult, compare, to_device, with_reference
from . import sizes

if TYPE_CHECKING:
    from .ceilings import Ceilings

WARM_UP, LEAST, MOST = 2, 5, 40
SLOW = ("software", "cpu")
"""Kinds of device that get smaller sizes."""
SOFTWARE_SECONDS = 0.08
"""A run on a software driver is cut down until it should take no longer than this."""
CHECK_FLOPS, CHECK_BYTES = 2e8, 2e7
"""The size at which results are compared with the float64 reference."""


@dataclass
class KernelTiming:
    """What one bench case of a kernel showed.

    seconds: the median of the runs; spread: half the distance between the 10th and 90th percentile, as a share of it.
    reduced: by how much the case was cut to suit a software driver, as a power of two (1: real size). share: the least time that
    the adapter's ceilings allow, over the time it took. bound: the ceiling that counts. checked_at: the size at which
    the result was compared with the reference. peers: seconds of other libraries on the same inputs, by name;
    peer_error: what one of them raised.
    """

    kernel: str
    family: str
    case: str
    seconds: float = 0.0
    spread: float = 0.0
    runs: int = 0
    reduced: int = 1
    flops: float = 0.0
    bytes: float = 0.0
    share: float = 0.0
    bound: str = ""
    correct: bool = False
    checked_at: str = ""
    error: str = ""
    peers: dict[str, float] = field(default_factory=dict)
    peer_error: str = ""

    @property
    def gb_per_s(self) -> float:
        """Bytes of the declared cost per second, in 1e9."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gflop_per_s(self) -> float:
        """Floating-point operations of the declared cost per second, in 1e9."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"gb_per_s": self.gb_per_s, "gflop_per_s": self.gflop_per_s}


def gpu_times(device: Device, kernel: Kernel, tensors: Sequence[Any], options: dict[str, Any], budget: float) -> list[float]:
    """Seconds of each of several runs after warm-up, by the GPU's clock where the adapter has one.

    `budget` bounds the seconds spent; without timestamps a run is timed from its submission to its end.
    """
    for _ in range(WARM_UP):
        device.run(kernel, tensors, options)
        device.synchronize()
    start = time.perf_counter()
    device.run(kernel, tensors, options)
    device.synchronize()
    least = LEAST if device.kind not in SLOW else 3
    runs = int(min(MOST, max(least, budget / max(1e-6, time.perf_counter() - start))))
    if getattr(device, "has_timestamps", device.is_cpu):
        with device.profile() as profile:
            for _ in range(runs):
                device.run(kernel, tensors, options)
        times = [seconds for _, seconds in profile.samples]
        if times and min(times) > 0:
            return times
    return [_wall_time(device, kernel, tensors, options) for _ in range(runs)]


def _wall_time(device: Device, kernel: Kernel, tensors: Sequence[Any], options: dict[str, Any]) -> float:
    start = time.perf_counter()
    device.run(kernel, tensors, options)
    device.synchronize()
    return time.perf_counter() - start


def measure_kernel(
    device: Device, kernel: Kernel, case: Case, ceilings: Ceilings, rng: np.random.Generator, *, quick: bool = False, peers: bool = True
) -> KernelTiming:
    """Checks and times one bench case; what it raises comes back in `error`."""
    found = KernelTiming(kernel.name, kernel.family, str(case.get("id", "")) if not callable(case) else "")
    try:
        arrays, options, found.reduced = sizes.shrink_until(
            kernel, device, *sizes.inputs(kernel, case, rng), lambda flops, moved: isfinite(moved)
        )
        found.case = sizes.shown(kernel, arrays, options)
        seconds = _check(found, device, kernel, arrays, options)
        arrays, options = _for_device(found, device, kernel, arrays, options, seconds, quick)
        _time(found, device, kernel, arrays, options, ceilings, 0.02 if quick else 0.06)
        if peers and found.correct:
            from .peers import time_peers

            found.peers, found.peer_error = time_peers(device, kernel, arrays, options)
    except Exception as error:  # one broken kernel must not end the run; it is reported as failed
        found.error, found.correct = f"{type(error).__name__}: {error}", False
    return found


def _check(found: KernelTiming, device: Device, kernel: Kernel, arrays: sizes.Arrays, options: dict[str, Any]) -> float | None:
    """Compares a cut-down run with the reference; returns the seconds that it takes per unit of cost.

    Cutting can break what an input means (indices that point beyond the end): where the cut case fails, the whole one
    decides, and the result is None: not to be cut.
    """
    small, small_options, factor = sizes.shrink_until(kernel, device, arrays, options, lambda f, b: f <= CHECK_FLOPS and b <= CHECK_BYTES)
    try:
        _compare(found, device, kernel, small, small_options)
    except (IndexError, ValueError) as error:
        found.error = f"{type(error).__name__}: {error}"
    whole = False
    if not found.correct and factor > 1:
        flops, moved = sizes.cost(kernel, device, arrays, options)
        if flops <= 20 * CHECK_FLOPS and moved <= 20 * CHECK_BYTES:
            small, small_options, whole, found.error = arrays, options, True, ""
            _compare(found, device, kernel, arrays, options)
    found.checked_at = "the same size" if whole or factor == 1 else sizes.shown(kernel, small, small_options)
    if whole or device.kind not in SLOW:
        return None
    tensors = to_device(kernel, device, small)
    seconds = min(_wall_time(device, kernel, tensors, small_options) for _ in range(2))
    return seconds / max(1.0, sum(sizes.cost(kernel, device, small, small_options)))


def _compare(found: KernelTiming, device: Device, kernel: Kernel, arrays: sizes.Arrays, options: dict[str, Any]) -> None:
    data = with_reference(kernel, found.case, arrays, options)
    result = compare(data, device, repeat=False)
    found.correct = result.passed or _near(result, data)
    if not found.correct:
        found.error = result.sentence()


def _near(result: CaseResult, data: CaseData) -> bool:
    """The gate for long sums: elements that cancel to nearly nothing are held against the output's usual magnitude.

    The parity cases are short enough for a gate relative to each element; over 10^5 terms float32 cannot keep that.
    """
    usual = max(
        (float(np.sqrt(np.mean(np.square(w[np.isfinite(w)], dtype=np.float64)))) for w in data.want.values() if w.size), default=0.0
    )
    return result.specials and not result.error and result.relative_l2 <= 2 * result.tolerance.l2 and result.max_abs <= 1e-4 * usual


def _for_device(
    found: KernelTiming, device: Device, kernel: Kernel, arrays: sizes.Arrays, options: dict[str, Any], per_cost: float | None, quick: bool
) -> tuple[sizes.Arrays, dict[str, Any]]:
    """The case itself on hardware; on a software driver cut down to a bearable time."""
    if per_cost is None:
        return arrays, options
    allowed = SOFTWARE_SECONDS / (4 if quick else 1) / max(per_cost, 1e-15)
    arrays, options, cuts = sizes.shrink_until(kernel, device, arrays, options, lambda f, b: f + b <= allowed)
    found.reduced *= cuts
    if cuts > 1:
        found.case = sizes.shown(kernel, arrays, options)
    return arrays, options


def _time(
    found: KernelTiming, device: Device, kernel: Kernel, arrays: sizes.Arrays, options: dict[str, Any], ceilings: Ceilings, budget: float
) -> None:
    tensors = to_device(kernel, device, arrays)
    times = gpu_times(device, kernel, tensors, options, budget)
    found.seconds, found.runs = statistics.median(times), len(times)
    low, high = np.percentile(times, [10, 90])
    found.spread = float(high - low) / 2 / found.seconds if found.seconds else 0.0
    found.flops, found.bytes = sizes.cost(kernel, device, arrays, options)
    found.share = ceilings.least_seconds(found.flops, found.bytes) / found.seconds if found.seconds else 0.0
    found.bound = ceilings.bound(found.flops, found.bytes)


__all__ = ["KernelTiming", "gpu_times", "measure_kernel"]
