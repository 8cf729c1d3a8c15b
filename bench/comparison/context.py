"""What every row gets: the device, the peers that are there, data, clocks and the ceilings of this run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucore.bench.ceilings import COPY, FMA, STEPS, VECTORS, copy_size
from gpucore.bench.peers import torch_device
from gpucore.bench.sizes import PooledGenerator

from .clocks import Clock

CACHE = 160 << 20
"""Bytes that rotating inputs should exceed: three times the largest cache of today's graphics cards."""


@dataclass
class Context:
    """One run. small: sizes for a software driver. quick: fewer repeats.

    torch, where: PyTorch and the device it computes on ("cuda" or "cpu"), or None and "".
    """

    device: Any
    small: bool = False
    quick: bool = False
    seed: int = 0
    torch: Any = None
    where: str = ""
    copy_gb: float = 0.0
    fma_gflop: float = 0.0

    def __post_init__(self) -> None:
        self.rng = PooledGenerator(self.seed)
        slow = self.small or not getattr(self.device, "has_timestamps", False)
        self.clock = Clock(0.03 if slow else 0.004, 3 if self.quick or slow else 5)

    @property
    def cuda(self) -> bool:
        """True when PyTorch computes on a GPU."""
        return self.where == "cuda"

    def of(self, large: Any, small: Any) -> Any:
        """The value for hardware, or that for a software driver."""
        return small if self.small else large

    def normal(self, *shape: int) -> np.ndarray:
        """Normal float32 numbers."""
        return np.asarray(self.rng.standard_normal(shape, np.float32))

    def on_torch(self, array: np.ndarray, dtype: str = "float32") -> Any:
        """The array as a PyTorch tensor on its device."""
        t = self.torch.from_numpy(np.ascontiguousarray(array)).to(self.where)
        return t.to(getattr(self.torch, dtype)) if array.dtype.kind == "f" else t

    def torch_wait(self) -> None:
        """Waits for PyTorch's device."""
        if self.cuda:
            self.torch.cuda.synchronize()

    def forget(self) -> None:
        """Gives memory of finished rows back to the drivers."""
        trim: Callable[[], None] | None = getattr(self.device, "trim", None)
        if trim is not None:
            trim()
        if self.cuda:
            self.torch.cuda.empty_cache()

    def share(self, seconds: float, flops: float, moved: float) -> tuple[float | None, str]:
        """(share of the ceiling, which ceiling) of work that took so long; (None, "") where its cost is not known."""
        times = {"copy": moved / (self.copy_gb * 1e9) if self.copy_gb else 0.0}
        times["multiply-add"] = flops / (self.fma_gflop * 1e9) if self.fma_gflop else 0.0
        bound = max(times, key=lambda name: times[name])
        return (times[bound] / seconds, bound) if seconds > 0 and times[bound] > 0 else (None, "")

    def measure_ceilings(self) -> None:
        """The copy bandwidth and multiply-add rate of the device; done before and after the rows, the better counts."""
        self.copy_gb = max(self.copy_gb, self._copy_gb())
        self.fma_gflop = max(self.fma_gflop, self._fma_gflop())

    def warm_up(self) -> None:
        """Keeps hardware busy until its clocks have risen: an idle card starts at a fraction of its bandwidth."""
        if self.small:
            return
        x = self.device.tensor(self.normal(1 << 24))
        end = time.perf_counter() + (0.7 if self.quick else 2.0)
        while time.perf_counter() < end:
            for _ in range(100):
                COPY(x, per=4)
            self.device.synchronize()

    def _copy_gb(self) -> float:
        size = copy_size(self.device)
        x = self.device.tensor(self.normal(size // 4))
        best = min(self.clock.ours(self.device, lambda i, per=per: COPY(x, per=per)).seconds for per in (1, 2, 4))
        return 2 * size / best / 1e9

    def _fma_gflop(self) -> float:
        count = (1 << 12 if self.small else 1 << 20) * 4
        x = self.device.tensor(self.normal(count))
        rounds = 16 if self.small else 256
        times = [self.clock.ours(self.device, lambda i: FMA(x, rounds=rounds)).seconds for _ in range(2)]
        return 2.0 * count * VECTORS * STEPS * rounds / statistics.median(times) / 1e9


def choose_threads(torch: Any) -> int:
    """Lets PyTorch use one thread of the processor instead of all where that is faster, and returns how many it uses.

    Where other work holds a core, every operation waits for the thread that does not run: a hundred times longer.
    """
    x, times = torch.rand(256, 64, 16), {}
    for count in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(count)
        took = []
        for _ in range(30):
            start = time.perf_counter()
            for _ in range(5):
                ((x * x + x).exp() - x).sum()
            took.append(time.perf_counter() - start)
        times[count] = statistics.median(took)
    best = min(times, key=lambda count: times[count])
    torch.set_num_threads(best)
    return best


def open_context(device: Any, *, quick: bool = False, seed: int = 0, peers: bool = True, small: bool | None = None) -> Context:
    """A context with the peers that are installed; sizes are small on a software driver and on the NumPy device."""
    installed = torch_device() if peers else None
    torch, where = installed if installed is not None else (None, "")
    if where == "cpu":
        choose_threads(torch)
    if small is None:
        small = device.kind in ("software", "cpu")
    return Context(device, small=small, quick=quick, seed=seed, torch=torch, where=where)
