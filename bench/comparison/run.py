"""A whole run: the ceilings, the rows, the ceilings again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from gpucore.bench.peers import peer_versions
from gpucore.report import environment, slug
from gpucore.report.environment import adapter_facts

from . import adam, attention, convolution, host, kan, products, streaming, training  # noqa: F401  each registers its rows
from .context import Context
from .page import Report
from .results import Result
from .rows import Row, run_row

COMPILE_UNTIL = 90.0
"""Seconds into a run after which rows that compile are left out, unless they are asked for."""


def load() -> str:
    """How busy the processor was in the last minute, and a warning where other work must have disturbed the times."""
    if not hasattr(os, "getloadavg"):
        return "not known"
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    disturbed = ": other work disturbs what runs on the processor" if busy > 1.5 * cores + 1 else ""
    return f"{busy:.1f} on {cores} cores{disturbed}"


def chosen(rows: Sequence[Row], only: Sequence[str], *, quick: bool = False) -> list[Row]:
    """The rows that fit one of the patterns, all without one; of a quick run only the ones for it."""
    found = [row for row in rows if not only or any(row.fits(pattern) for pattern in only)]
    return [row for row in found if row.quick] if quick and not only else found


def run(
    ctx: Context, wanted: Sequence[Row], *, compiles: bool | None = None, progress: Callable[[str], Any] = lambda what: None,
    done: Callable[[Result], Any] = lambda result: None, kind: str = "compare",
) -> Report:  # fmt: skip
    """Measures these rows. compiles: whether rows with torch.compile run; None: while time allows. kind: of the report."""
    start = time.perf_counter()
    progress("warm-up, ceilings")
    ctx.warm_up()
    ctx.measure_ceilings()
    results = []
    for row in wanted:
        if row.compiles and (compiles is False or (compiles is None and time.perf_counter() - start > COMPILE_UNTIL)):
            progress(f"{row.group}: {row.name} left out")
            continue
        progress(f"{row.group}: {row.name}")
        results.append(run_row(ctx, row))
        done(results[-1])
    progress("ceilings again")
    ctx.measure_ceilings()
    for r in results:
        if r.ours is not None and r.clock == "GPU":
            r.share, r.bound = ctx.share(r.ours.seconds, r.flops, r.bytes)
    info = ctx.device.info
    facts = environment() | {k: str(v) for k, v in adapter_facts(info).items()} | peer_versions()
    tuned = len(ctx.device.tuned)
    facts["tuning"] = f"{tuned} measured choices of this adapter" if tuned else "none: the defaults run (gpucore tune measures)"
    facts["load"] = load()
    if ctx.where == "cpu":
        facts["PyTorch's threads"] = str(ctx.torch.get_num_threads())
    if ctx.torch is None:
        facts["PyTorch"] = "not installed: its columns are empty"
    return Report(info.name, slug(info), facts, ctx.copy_gb, ctx.fma_gflop, results, time.perf_counter() - start, kind)
