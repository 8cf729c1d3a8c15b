"""Rows of what the host pays: per dispatch, for a scalar read back, for transfers, for a cold start."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from gpucore.bench import ceilings
from gpucore.bench.report import cold_start

from .clocks import one_by_one, summary
from .context import Context
from .results import EAGER, Result, Target, Timing
from .rows import Row, attempt, rows

TORCH_COLD_START = """
import time; start = time.perf_counter()
import torch
where = "cuda" if torch.cuda.is_available() else "cpu"
a = torch.ones(64, 64).to(where)
(a @ a).cpu().numpy()
print(time.perf_counter() - start)
"""
OPERATIONS = 500
"""Small operations in a row whose host time is taken."""


@rows("host")
def host(ctx: Context) -> list[Row]:
    """Host time per dispatch, latency of a scalar, transfers, cold start."""
    size = f"{ctx.of(256, 32)} MiB"
    return [
        Row("host", "a small addition, one by one", _eager, [Target("seconds", 30e-6)], quick=True),
        Row("host", "a small addition, replayed", _replayed, [Target("seconds", 2e-6)], quick=True, note="the peer is a CUDA graph"),
        Row("host", "readback of 4 bytes, blocking", _readback, [Target("seconds", 60e-6)], quick=True),
        Row("host", f"upload of {size}", _upload, [Target("rate", 8e9)]),
        Row("host", f"readback of {size}", _download, [Target("rate", 8e9)]),
        Row("host", "cold start: import, device, first product", _cold, [Target("seconds", 2.0)], note="each in a process of its own"),
    ]


def _eager(ctx: Context, result: Result) -> None:
    result.clock = "host"
    result.ours = Timing(ceilings.host_costs(ctx.device, OPERATIONS)[0], 0.0, OPERATIONS, 7)
    if ctx.torch is not None:
        x, y = ctx.on_torch(ctx.normal(64)), ctx.on_torch(ctx.normal(64))

        def body() -> None:
            z = x
            for _ in range(OPERATIONS):
                z = z + y

        attempt(result, EAGER, lambda: _host_time(ctx, body))


def _replayed(ctx: Context, result: Result) -> None:
    result.clock = "host"
    replay = ceilings.host_costs(ctx.device, OPERATIONS)[1]
    if replay is None:
        result.notes.append("the NumPy device replays nothing")
        return
    result.ours = Timing(replay, 0.0, OPERATIONS, 15)
    if ctx.cuda:
        attempt(result, f"{EAGER} CUDA graph", lambda: _cuda_graph(ctx))


def _cuda_graph(ctx: Context) -> Timing:
    torch = ctx.torch
    x, y = ctx.on_torch(ctx.normal(64)), ctx.on_torch(ctx.normal(64))
    for _ in range(3):
        x + y
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        z = x
        for _ in range(OPERATIONS):
            z = z + y
    return _host_time(ctx, graph.replay)


def _host_time(ctx: Context, body: Callable[[], Any]) -> Timing:
    """Host seconds per operation of a body that starts OPERATIONS of them and does not wait."""
    times = []
    for _ in range(12):
        ctx.torch_wait()
        start = time.perf_counter()
        body()
        times.append((time.perf_counter() - start) / OPERATIONS)
        ctx.torch_wait()
    return summary(times[2:], OPERATIONS)


def _readback(ctx: Context, result: Result) -> None:
    result.clock = "wall"
    x = ctx.device.tensor(ctx.normal(1))
    result.ours = one_by_one(x.numpy, 100)
    if ctx.torch is not None:
        t = ctx.on_torch(ctx.normal(1))
        attempt(result, EAGER, lambda: one_by_one(t.item, 100))


def _sizes(ctx: Context, result: Result) -> tuple[Any, Any]:
    result.clock = "wall"
    host_array = ctx.normal(ctx.of(256, 32) << 18)
    result.bytes = float(host_array.nbytes)
    return host_array, ctx.device.tensor(host_array)


def _upload(ctx: Context, result: Result) -> None:
    host_array, target = _sizes(ctx, result)

    def ours() -> None:
        target.assign(host_array)
        ctx.device.synchronize()

    result.ours = one_by_one(ours, 4)
    result.correct, result.checked = bool((target.numpy() == host_array).all()), "the host's copy, bit for bit"
    if ctx.cuda:
        there, source = ctx.on_torch(host_array), ctx.torch.from_numpy(host_array)
        pinned = source.pin_memory()
        for name, given in ((EAGER, source), (f"{EAGER} pinned", pinned)):
            attempt(result, name, lambda given=given: one_by_one(lambda: (there.copy_(given), ctx.torch_wait()), 4))


def _download(ctx: Context, result: Result) -> None:
    host_array, target = _sizes(ctx, result)
    result.correct, result.checked = bool((target.numpy() == host_array).all()), "the host's copy, bit for bit"
    result.ours = one_by_one(target.numpy, 4)
    if ctx.cuda:
        there = ctx.on_torch(host_array)
        pinned = ctx.torch.empty(host_array.shape, pin_memory=True)
        attempt(result, EAGER, lambda: one_by_one(there.cpu, 4))
        attempt(result, f"{EAGER} pinned", lambda: one_by_one(lambda: (pinned.copy_(there), ctx.torch_wait()), 4))


def _cold(ctx: Context, result: Result) -> None:
    result.clock = "wall"
    times = [t for t in (cold_start(ctx.device) for _ in range(1 if ctx.quick else 2)) if t is not None]
    if not times:
        raise RuntimeError("the process printed no time")
    result.ours = Timing(statistics.median(times), 0.0, 1, len(times))
    if ctx.torch is not None:
        attempt(result, EAGER, _torch_cold)


def _torch_cold() -> Timing:
    command = [sys.executable, "-c", TORCH_COLD_START]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=120, check=True)
    return Timing(float(done.stdout.split()[-1]))
