"""The benchmark report as JSON, Markdown and one HTML page."""

from __future__ import annotations

from typing import Any

from ..report import escape, markdown_table, number, page, png_uri, si, to_json
from ..report.environment import adapter_facts
from ..report.html import bar, facts, table
from .ceilings import Ceilings
from .measure import KernelTiming
from .report import BenchReport

_HOW = (
    "Each time is the median of repeated runs after warm-up, GPU time by timestamps where the adapter has them, on random data; "
    "every result is compared with the float64 reference in the same run, cut down where the reference would take long. "
    "«Share» is the least time that this adapter's ceilings allow for the declared bytes and operations, over the time it took: "
    "the copy bandwidth and the multiply-add rate below, measured in the same run. "
    "Small inputs that stay in a cache can exceed the copy bandwidth."
)
_CUT = (
    "This adapter is a software driver: sizes are halved, axis by axis, until each run takes a fraction of a second; "
    "the column «cut by» says how much."
)


def notes(report: BenchReport) -> str:
    """How it was measured, in words."""
    return f"{_HOW} {_CUT}" if report.reduced or report.info.kind == "software" else _HOW


def verdict(report: BenchReport) -> str:
    """One sentence: how much ran and how near the ceilings it came."""
    kernels = len({t.kernel for t in report.timings})
    return (
        f"{kernels} kernels, {len(report.timings)} cases on {report.info.name}: {len(report.failures)} failed; "
        f"median share of the ceiling {report.median_share():.0%}"
    )


def ceiling_lines(c: Ceilings, cold_start: float | None) -> list[tuple[str, str]]:
    """The ceilings and costs as (what, value)."""
    size = f"{c.transfer_bytes >> 20} MiB"
    lines = [
        (f"copy bandwidth, {c.copy_bytes >> 20} MiB, bytes read and written", f"{number(c.copy_gb)} GB/s"),
        ("multiply-add in registers, float32", f"{number(c.fma_gflop)} GFLOP/s"),
        ("dispatch on the GPU, each reads what the one before wrote", si(c.dispatch_dependent, "s")),
        ("dispatch on the GPU, independent", si(c.dispatch_independent, "s")),
        ("host time per small operation, one by one", si(c.host_eager, "s")),
        ("host time per small operation, replayed by a Pipeline", si(c.host_replay, "s")),
        ("readback of 4 bytes, blocking", si(c.readback, "s")),
        (f"upload of {size}", f"{number(c.upload_gb)} GB/s"),
        (f"readback of {size}", f"{number(c.readback_gb)} GB/s"),
        ("cold start: import, device, first product, values on the host", si(cold_start, "s")),
    ]
    return [(what, value) for what, value in lines if not value.startswith("-")]


def as_json(report: BenchReport) -> str:
    """Everything, one timing a line."""
    return to_json(
        {
            "report": "bench", "passed": report.passed, "verdict": verdict(report), "environment": report.environment,
            "adapter": adapter_facts(report.info), "peers": report.peers, "notes": notes(report),
            "ceilings": report.ceilings.as_dict() | {"cold_start": report.cold_start},
            "systems": [s.as_dict() for s in report.systems],
            "kernels": [t.as_dict() for t in report.timings],
        }
    )  # fmt: skip


_HEAD = ["kernel", "case", "cut by", "time", "spread", "GB/s", "GFLOP/s", "share", "bound by", "correct"]


def _line(t: KernelTiming) -> list[str]:
    spread = f"±{t.spread:.0%}" if t.seconds else "-"
    return [
        t.kernel, t.case, str(t.reduced) if t.reduced > 1 else "", si(t.seconds, "s") if t.seconds else "-", spread, number(t.gb_per_s),
        number(t.gflop_per_s), f"{t.share:.0%}", t.bound, "yes" if t.correct else "NO",
    ]  # fmt: skip


def _peer_ratio(t: KernelTiming, name: str) -> str:
    return f"{si(t.peers[name], 's')} ({t.peers[name] / t.seconds:.2g}×)" if name in t.peers and t.seconds else ""


def as_markdown(report: BenchReport) -> str:
    """The head, the ceilings, the systems, one line per case, and what failed."""
    names = list(report.peers)
    parts = ["# Benchmark", f"**{verdict(report)}.**", notes(report)]
    parts.append(markdown_table(["", ""], [*report.environment.items(), *adapter_facts(report.info).items(), *report.peers.items()]))
    parts += [
        "## Ceilings and costs",
        markdown_table(["measured in this run", ""], ceiling_lines(report.ceilings, report.cold_start), right=(1,)),
    ]
    if report.systems:
        parts += ["## Training steps", markdown_table(["system", "steps per second", ""], _system_rows(report), right=(1,))]
    parts += ["## Kernels", markdown_table(_HEAD, [_line(t) for t in report.timings], right=(2, 3, 4, 5, 6, 7))]
    compared = [t for t in report.timings if t.peers]
    if compared:
        parts.append("## Beside other libraries, on the same inputs")
        parts.append("The factor is their time over ours.")
        head = ["kernel", "case", "gpucore", *names]
        rows = [[t.kernel, t.case, si(t.seconds, "s"), *(_peer_ratio(t, n) for n in names)] for t in compared]
        parts.append(markdown_table(head, rows, right=tuple(range(2, len(head)))))
    if report.failures:
        parts.append("## Failures")
        parts.append("\n".join(f"- {t.kernel} {t.case}: {t.error or 'wrong result'}" for t in report.failures))
    return "\n\n".join(parts) + "\n"


def _system_rows(report: BenchReport) -> list[list[str]]:
    rows = []
    for s in report.systems:
        beside = "".join(f"; {name} {number(v)}, ours is {s.per_second / v:.2g}×" for name, v in s.peers.items())
        rows.append([s.name, number(s.per_second) if not s.error else "-", s.error or s.note + beside])
    return rows


def as_html(report: BenchReport, roofline: bytes | None = None) -> str:
    """One self-contained page; `roofline` is the picture's PNG."""
    tone = "good" if report.passed else "bad"
    parts = [
        "<h1>Benchmark</h1>",
        f'<p class="verdict {tone}">{escape(verdict(report))}.</p>',
        f'<p class="soft">{escape(notes(report))}</p>',
        facts(adapter_facts(report.info) | report.environment | report.peers),
        "<h2>Ceilings and costs</h2>",
        table(["measured in this run", "value"], ceiling_lines(report.ceilings, report.cold_start), right=(1,)),
    ]
    if report.systems:
        parts += ["<h2>Training steps</h2>", table(["system", "steps per second", ""], _system_rows(report), right=(1,))]
    if roofline is not None:
        said = "Roofline: operations per second over operations per byte for each kernel, under the measured ceilings"
        parts += ["<h2>Roofline</h2>", f'<img alt="{escape(said)}" src="{png_uri(roofline)}">']
    parts += ["<h2>Kernels</h2>", _kernel_table(report)]
    if report.failures:
        parts += [
            "<h2>Failures</h2>",
            table(["kernel", "case", "what happened"], [[t.kernel, t.case, t.error or "wrong result"] for t in report.failures]),
        ]
    return page("gpucore benchmark", "\n".join(parts), scripts=("sort.js",))


def _kernel_table(report: BenchReport) -> str:
    names = list(report.peers)
    rows: list[list[Any]] = []
    for t in report.timings:
        name, case, cut, time, spread, gb, gflop, share, bound, correct = _line(t)
        rows.append(
            [
                (name, t.kernel), case, (cut, t.reduced), (time, t.seconds), (spread, t.spread), (gb, t.gb_per_s), (gflop, t.gflop_per_s),
                bar(t.share, share), bound, correct,
                *((_peer_ratio(t, n), t.peers[n] / t.seconds if n in t.peers and t.seconds else -1) for n in names),
            ]
        )  # fmt: skip
    head = [*_HEAD, *(f"{n} (× ours)" for n in names)]
    return table(head, rows, right=(2, 3, 4, 5, 6, *range(10, len(head))), sortable=True, caption="A click on a column's head sorts by it.")
