"""The roofline: what each kernel reaches against what its bytes and operations allow; needs matplotlib."""

from __future__ import annotations

import io
import math
from typing import Any

from .measure import KernelTiming
from .report import BenchReport

COLOURS = ("#1f5a96", "#c2571a", "#2e7d4f", "#8a3f9c", "#a3262f", "#6b5b1e", "#0e7c86", "#555f6e", "#b0508a", "#4b6fd1", "#7a8b2a")


LEAST_BYTES, LEAST_INTENSITY = 1 << 19, 0.01
"""Kernels that move less, or calculate next to nothing, are bookkeeping: they are in the table, not in the picture."""


def best_points(report: BenchReport) -> list[KernelTiming]:
    """One timing per kernel that calculates, by family and name: the one with the greatest share of its ceiling."""
    best: dict[str, KernelTiming] = {}
    for t in report.timings:
        counts = t.seconds and t.correct and t.bytes >= LEAST_BYTES and t.flops / t.bytes >= LEAST_INTENSITY
        if counts and (t.kernel not in best or t.share > best[t.kernel].share):
            best[t.kernel] = t
    return sorted(best.values(), key=lambda t: (t.family, t.kernel))


def as_png(report: BenchReport) -> bytes:
    """Operations per second over operations per byte, both logarithmic, under the two measured ceilings.

    The points are numbered; the key beside the picture names them with their share of the ceiling.
    """
    from matplotlib.figure import Figure

    points = best_points(report)
    figure = Figure(figsize=(13, 7.2), dpi=100)
    axes = figure.add_axes((0.055, 0.08, 0.575, 0.86))
    _draw_ceilings(axes, report, points)
    colours = {family: COLOURS[i % len(COLOURS)] for i, family in enumerate(sorted({t.family for t in points}))}
    for number, t in enumerate(points, 1):
        at = (t.flops / t.bytes, t.gflop_per_s)
        axes.scatter(*at, s=95, color=colours[t.family], edgecolors="white", linewidths=0.6, zorder=3)
        axes.annotate(str(number), at, ha="center", va="center", fontsize=5.5, color="white", zorder=4)
    _draw_key(figure, points, colours)
    axes.set_xlabel("operations per byte moved (FLOP / byte)")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"{report.info.name}: each kernel's best case under the ceilings of the same run", fontsize=10.5, loc="left")
    axes.grid(True, which="major", color="#e2e2e2", linewidth=0.7)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _draw_ceilings(axes: Any, report: BenchReport, points: list[KernelTiming]) -> None:
    copy, top = report.ceilings.copy_gb, report.ceilings.fma_gflop
    ridge = top / copy
    across = [t.flops / t.bytes for t in points] or [ridge]
    low, high = min(*across, ridge) / 2, max(*across, ridge) * 2.5
    axes.loglog([low, ridge, high], [low * copy, top, top], color="#222222", linewidth=1.8)
    axes.axvline(ridge, color="#999999", linewidth=0.8, linestyle=":")
    bottom = min([t.gflop_per_s for t in points] or [top / 100])
    axes.set(xlim=(low, high), ylim=(bottom / 2, top * 2.2))
    axes.text(high * 0.95, top * 1.08, f"multiply-add in registers: {top:,.0f} GFLOP/s", ha="right", va="bottom", fontsize=9)
    at = math.sqrt(low * ridge)
    (x0, y0), (x1, y1) = axes.transData.transform([(at, at * copy), (at * 2, at * 2 * copy)])
    axes.annotate(
        f"copy: {copy:,.0f} GB/s", (at, at * copy), xytext=(-4, 5), textcoords="offset points", fontsize=9, ha="center",
        rotation=math.degrees(math.atan2(y1 - y0, x1 - x0)), rotation_mode="anchor",
    )  # fmt: skip


def _draw_key(figure: Any, points: list[KernelTiming], colours: dict[str, str]) -> None:
    """Two columns: the families as headings, below each its kernels with number and share of the ceiling."""
    lines: list[tuple[str, str, bool]] = []
    family = ""
    for number, t in enumerate(points, 1):
        if t.family != family:
            family = t.family
            lines.append((family, colours[family], True))
        lines.append((f"{number:>2}  {t.kernel}  {t.share:.0%}", colours[family], False))
    rows = max(24, -(-len(lines) // 2))
    for i, (text, colour, heading) in enumerate(lines):
        x, y = 0.65 + 0.18 * (i // rows), 0.93 - 0.86 * (i % rows) / rows
        figure.text(x, y, text, fontsize=7.5, color=colour, weight="bold" if heading else "normal", va="top")


__all__ = ["as_png", "best_points"]
