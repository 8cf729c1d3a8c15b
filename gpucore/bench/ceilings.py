"""What the adapter can do at best, and what each step of the runtime costs, measured with kernels of their own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import ops
from ..array import Array
from ..device.base import Device
from ..kernel import Kernel, Launch, Tolerance, ceil_div
from ..pipeline import Pipeline
from ..shader import Shader
from .measure import gpu_times
from .sizes import PooledGenerator

WORKGROUP = 256
SCALE, SHIFT = 0.999, 0.001
STEPS, VECTORS = 4, 8
"""Of shaders/bench/fma.wgsl: steps per round of the loop, and independent vectors of four."""


def _copy(x: Array, *, per: int) -> Launch:
    """out = x."""
    vectors = x.size // 4
    return Launch(x.shape, groups=ceil_div(vectors, WORKGROUP * per), params=dict(vectors=vectors), constants=dict(PER=per))


def _fma(x: Array, *, rounds: int) -> Launch:
    """The sum of eight chains v·scale + shift, each `rounds` · 4 steps long."""
    params = dict(vectors=x.size // 4, rounds=rounds, scale=SCALE, shift=SHIFT)
    return Launch(x.shape, groups=ceil_div(x.size // 4, WORKGROUP), params=params)


def _fma_reference(x: np.ndarray, *, rounds: int) -> np.ndarray:
    """The chains, step by step."""
    total = np.zeros_like(x)
    for chain in range(VECTORS):
        v = x + chain * SHIFT
        for _ in range(rounds * STEPS):
            v = v * SCALE + SHIFT
        total += v
    return total


def _tick(x: Array) -> Launch:
    """x + 1."""
    return Launch(x.shape, groups=1)


def _kernel(name: str, rule: Any, reference: Any, case: dict[str, Any], flops: Any) -> Kernel:
    return Kernel(name, rule, Shader(name), reference, [case], [case], flops, None, Tolerance(), {})


COPY = _kernel("bench/copy", _copy, lambda x, *, per: x.copy(), dict(x=(4100,), per=4), 0)
FMA = _kernel("bench/fma", _fma, _fma_reference, dict(x=(1028,), rounds=3), lambda x, *, rounds: 2.0 * x.size * VECTORS * STEPS * rounds)
TICK = _kernel("bench/tick", _tick, lambda x: x + 1, dict(x=(1,)), 1)


@dataclass
class Ceilings:
    """Measured on one device in one run; None where it was not measured.

    copy_gb, fma_gflop: the bandwidth of a large copy (bytes read and written) in GB/s and of multiply-adds in registers
    in GFLOP/s. dispatch_dependent, dispatch_independent: seconds of GPU time per tiny dispatch in one submission, where
    each reads what the one before wrote, and where none does. host_eager, host_replay: seconds of host time per small
    operation, called one by one and replayed by a Pipeline. readback: seconds to fetch 4 bytes, blocking.
    upload_gb, readback_gb: GB/s between host and device, on `transfer_bytes`.
    """

    copy_gb: float
    fma_gflop: float
    copy_bytes: int
    dispatch_dependent: float | None = None
    dispatch_independent: float | None = None
    host_eager: float | None = None
    host_replay: float | None = None
    readback: float | None = None
    upload_gb: float | None = None
    readback_gb: float | None = None
    transfer_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def least_seconds(self, flops: float, moved: float) -> float:
        """The time that this work needs at the ceilings: of memory or of arithmetic, whichever is longer."""
        return max(moved / (self.copy_gb * 1e9), flops / (self.fma_gflop * 1e9))

    def bound(self, flops: float, moved: float) -> str:
        """Which ceiling that is: "memory" or "arithmetic"."""
        return "memory" if moved / self.copy_gb >= flops / self.fma_gflop else "arithmetic"


def measure_ceilings(device: Device, rng: PooledGenerator, progress: Callable[[str], None] = lambda what: None) -> Ceilings:
    """Measures everything; a second on hardware, some seconds on a software driver."""
    size = copy_size(device)
    progress("copy bandwidth")
    copy_gb = _copy_bandwidth(device, rng, size)
    progress("multiply-add rate")
    found = Ceilings(copy_gb, _fma_rate(device, rng), size)
    progress("dispatches")
    found.dispatch_dependent, found.dispatch_independent = _dispatch_times(device)
    found.host_eager, found.host_replay = host_costs(device)
    progress("transfers")
    found.readback = _readback_latency(device)
    found.transfer_bytes = min(256 << 20, size)
    found.upload_gb, found.readback_gb = _transfers(device, rng, found.transfer_bytes)
    return found


def remeasure(device: Device, rng: PooledGenerator) -> tuple[float, float]:
    """Copy bandwidth and multiply-add rate once more."""
    return _copy_bandwidth(device, rng, copy_size(device)), _fma_rate(device, rng)


def copy_size(device: Device) -> int:
    """Bytes of the large copy: several times any cache on hardware, what a software driver moves quickly elsewhere."""
    limit = device.info.limits.get("max_storage_binding", 0) or 1 << 27
    return min(512 << 20 if device.kind in ("discrete", "unknown") else 64 << 20, limit)


def _copy_bandwidth(device: Device, rng: PooledGenerator, size: int) -> float:
    x = device.tensor(rng.standard_normal(size // 4, np.float32))
    best = min(statistics.median(gpu_times(device, COPY, [x], dict(per=per), 0.2)) for per in (1, 2, 4))
    return 2 * size / best / 1e9


def _fma_rate(device: Device, rng: PooledGenerator) -> float:
    vectors = 1 << 20 if device.kind in ("discrete", "integrated", "unknown") else 1 << 12
    x = device.tensor(rng.standard_normal(4 * vectors, np.float32))
    rounds = 16
    while True:
        seconds = statistics.median(gpu_times(device, FMA, [x], dict(rounds=rounds), 0.1))
        if seconds > 0.01 or rounds >= 4096:
            return 2.0 * x.size * VECTORS * STEPS * rounds / seconds / 1e9
        rounds *= 4


def _chain(count: int) -> Callable[[Any], Any]:
    def dependent(x: Any) -> Any:
        for _ in range(count):
            x = TICK(x)
        return x

    return dependent


def _fan(count: int) -> Callable[[Any], Any]:
    def independent(x: Any) -> Any:
        held = [TICK(x) for _ in range(count)]  # all alive at once, so that no two share a buffer
        return held[-1]

    return independent


def _dispatch_times(device: Device) -> tuple[float | None, float | None]:
    """GPU seconds per dispatch: how the wait after a replay grows with the number of dispatches in it."""
    if device.is_cpu:
        return None, None
    x = device.tensor(np.ones(1, np.float32))
    few, many = (500, 4000) if device.kind != "software" else (200, 1000)
    found = []
    for build in (_chain, _fan):
        waits = []
        for count in (few, many):
            replay = Pipeline(build(count))
            waits.append(_median_wait(device, replay, x))
        found.append(max(0.0, (waits[1] - waits[0]) / (many - few)))
    return found[0], found[1]


def _median_wait(device: Device, replay: Pipeline, x: Any) -> float:
    for _ in range(3):
        replay(x)
        device.synchronize()
    waits = []
    for _ in range(9):
        replay(x)
        device.flush()
        start = time.perf_counter()
        device.synchronize()
        waits.append(time.perf_counter() - start)
    return statistics.median(waits)


def host_costs(device: Device, count: int = 500) -> tuple[float, float | None]:
    """Host seconds per small operation: called one by one, and in a replay of a Pipeline."""
    x, y = device.tensor(np.ones(64, np.float32)), device.tensor(np.full(64, 1e-3, np.float32))

    def body(x: Any) -> Any:
        for _ in range(count):
            x = ops.add(x, y)
        return x

    eager = statistics.median(_host_time(device, body, x) for _ in range(7)) / count
    if device.is_cpu:
        return eager, None
    replay = Pipeline(body)
    replay(x)
    return eager, statistics.median(_host_time(device, replay, x) for _ in range(15)) / count


def _host_time(device: Device, call: Callable[[Any], Any], x: Any) -> float:
    device.synchronize()
    start = time.perf_counter()
    call(x)
    device.flush()
    seconds = time.perf_counter() - start
    device.synchronize()
    return seconds


def _readback_latency(device: Device) -> float:
    x = device.tensor(np.ones(1, np.float32))
    times = []
    for _ in range(120):
        start = time.perf_counter()
        x.numpy()
        times.append(time.perf_counter() - start)
    return statistics.median(times[20:])


def _transfers(device: Device, rng: PooledGenerator, nbytes: int) -> tuple[float, float]:
    host = rng.standard_normal(nbytes // 4, np.float32)
    target = device.tensor(host)
    up, down = [], []
    for _ in range(4):
        device.synchronize()
        start = time.perf_counter()
        target.assign(host)
        device.synchronize()
        up.append(time.perf_counter() - start)
        start = time.perf_counter()
        target.numpy()
        down.append(time.perf_counter() - start)
    return nbytes / statistics.median(up[1:]) / 1e9, nbytes / statistics.median(down[1:]) / 1e9
