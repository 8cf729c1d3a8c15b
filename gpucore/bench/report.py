"""A whole benchmark run: ceilings, every kernel's bench cases, the systems, the cold start."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..device.base import Device
from ..device.info import DeviceInfo
from ..kernel import Kernel
from ..report import environment
from .ceilings import Ceilings, measure_ceilings, remeasure
from .measure import KernelTiming, measure_kernel
from .peers import peer_versions
from .sizes import PooledGenerator
from .systems import SystemTiming, measure_systems

COLD_START = """
import time; start = time.perf_counter()
import numpy as np, warnings; warnings.simplefilter("ignore")
import gpucore as gc
dev = gc.device()
a = dev.tensor(np.ones((64, 64), np.float32))
gc.ops.matmul(a, a).numpy()
print(time.perf_counter() - start)
"""


@dataclass
class BenchReport:
    """What one run on one device measured. cold_start: seconds from import to the first product on the host."""

    info: DeviceInfo
    ceilings: Ceilings
    timings: list[KernelTiming]
    systems: list[SystemTiming]
    cold_start: float | None
    peers: dict[str, str] = field(default_factory=peer_versions)
    environment: dict[str, str] = field(default_factory=environment)

    @property
    def failures(self) -> list[KernelTiming]:
        """Cases that raised or gave a wrong result."""
        return [t for t in self.timings if t.error or not t.correct]

    @property
    def passed(self) -> bool:
        """True when something ran and nothing failed."""
        return bool(self.timings) and not self.failures and not any(s.error for s in self.systems)

    @property
    def reduced(self) -> bool:
        """True when sizes were cut down, as on a software driver."""
        return any(t.reduced > 1 for t in self.timings)

    def median_share(self) -> float:
        """The median share of the ceiling over the cases that ran."""
        shares = [t.share for t in self.timings if t.seconds]
        return statistics.median(shares) if shares else 0.0


def run_bench(
    device: Device,
    kernels: Sequence[Kernel],
    *,
    quick: bool = False,
    peers: bool = True,
    systems: bool = True,
    seed: int = 0,
    progress: Callable[[str], None] = lambda what: None,
) -> BenchReport:
    """Measures the ceilings, every bench case of these kernels, the ceilings again (the better count), training steps.

    `quick` takes one case per kernel and fewer runs, and leaves the systems out. `progress` is called with what comes next.
    """
    rng = PooledGenerator(seed)
    ceilings = measure_ceilings(device, rng, progress)
    timings = []
    for kernel in sorted((k for k in kernels if k.runs_on(device)), key=lambda k: k.family):
        for case in kernel.bench[:1] if quick else kernel.bench:
            progress(f"{kernel.name}")
            timings.append(measure_kernel(device, kernel, case, ceilings, rng, quick=quick, peers=peers))
        _forget(device)
    progress("ceilings again")
    _raise_ceilings(ceilings, timings, remeasure(device, rng))
    measured = measure_systems(device, progress) if systems and not quick else []
    progress("cold start")
    return BenchReport(device.info, ceilings, timings, measured, cold_start(device))


def _raise_ceilings(ceilings: Ceilings, timings: Sequence[KernelTiming], later: tuple[float, float]) -> None:
    """Keeps the better of two measurements: other work on the machine only ever lowers a ceiling."""
    ceilings.copy_gb, ceilings.fma_gflop = max(ceilings.copy_gb, later[0]), max(ceilings.fma_gflop, later[1])
    for t in timings:
        if t.seconds:
            t.share, t.bound = ceilings.least_seconds(t.flops, t.bytes) / t.seconds, ceilings.bound(t.flops, t.bytes)


def steps(kernels: Sequence[Kernel], quick: bool) -> int:
    """How often a run calls `progress`, about."""
    return 6 + sum(1 if quick else len(k.bench) for k in kernels)


def _forget(device: Device) -> None:
    """Gives pooled buffers back, so that the large inputs of many kernels do not pile up."""
    trim: Any = getattr(device, "trim", None)
    if trim is not None:
        trim()


def cold_start(device: Device) -> float | None:
    """Seconds that a fresh Python needs to import gpucore, open this device and multiply two matrices."""
    environ = dict(os.environ, GPUCORE_DEVICE=str(device.info.index))
    environ["PYTHONPATH"] = os.pathsep.join([p for p in sys.path if p])
    done = subprocess.run([sys.executable, "-c", COLD_START], env=environ, capture_output=True, text=True, timeout=120, check=False)
    try:
        return float(done.stdout.split()[-1])
    except (IndexError, ValueError):
        return None
