"""The roofline: what each kernel reaches against what its bytes and operations allow; needs matplotlib."""

from __future__ import annotations

import io
import math

from .measure import KernelTiming
from .report import BenchReport

COLOURS = ("#1f5a96", "#c2571a", "#2e7d4f", "#8a3f9c", "#a3262f", "#6b5b1e", "#0e7c86", "#555f6e", "#b0508a", "#4b6fd1", "#7a8b2a")


def best_points(report: BenchReport) -> list[KernelTiming]:
    """One timing per kernel that calculates: the one with the greatest share of its ceiling."""
    best: dict[str, KernelTiming] = {}
    for t in report.timings:
        if t.seconds and t.flops > 0 and t.bytes > 0 and t.correct and (t.kernel not in best or t.share > best[t.kernel].share):
            best[t.kernel] = t
    return list(best.values())


def as_png(report: BenchReport) -> bytes:
    """Operations per second over operations per byte, both logarithmic, under the two measured ceilings."""
    from matplotlib.figure import Figure

    points = best_points(report)
    ceilings = report.ceilings
    figure = Figure(figsize=(11.5, 7), dpi=110, layout="constrained")
    axes = figure.subplots()
    across = [t.flops / t.bytes for t in points] or [1.0]
    ridge = ceilings.fma_gflop / ceilings.copy_gb
    low, high = min([*across, ridge]) / 2.5, max([*across, ridge]) * 4
    axes.loglog([low, ridge, high], [low * ceilings.copy_gb, ceilings.fma_gflop, ceilings.fma_gflop], color="#222222", linewidth=1.8)
    axes.axvline(ridge, color="#999999", linewidth=0.8, linestyle=":")
    axes.text(
        high * 0.95,
        ceilings.fma_gflop * 1.06,
        f"multiply-add in registers: {ceilings.fma_gflop:,.0f} GFLOP/s",
        ha="right",
        va="bottom",
        fontsize=9,
    )
    families = sorted({t.family for t in points})
    for i, family in enumerate(families):
        mine = [t for t in points if t.family == family]
        colour = COLOURS[i % len(COLOURS)]
        axes.scatter([t.flops / t.bytes for t in mine], [t.gflop_per_s for t in mine], s=28, color=colour, label=family, zorder=3)
    bottom = min([t.gflop_per_s for t in points] or [ceilings.fma_gflop / 100])
    axes.set(xlim=(low, high), ylim=(bottom / 3, ceilings.fma_gflop * 2.2))
    figure.draw_without_rendering()  # fixes the axes' place, which slope and labels need
    _name_slope(axes, low, ridge, ceilings.copy_gb)
    _name_points(axes, points)
    axes.set_xlabel("operations per byte moved (FLOP / byte)")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"{report.info.name}: each kernel's best case under the ceilings measured in the same run", fontsize=11, loc="left")
    axes.grid(True, which="major", color="#e2e2e2", linewidth=0.7)
    if families:
        axes.legend(loc="lower right", fontsize=8, ncols=2)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _name_slope(axes: object, low: float, ridge: float, bandwidth: float) -> None:
    """Writes the copy bandwidth along its line."""
    at = math.sqrt(low * 1.3 * ridge)
    to_pixels = axes.transData.transform  # type: ignore[attr-defined]
    (x0, y0), (x1, y1) = to_pixels((at, at * bandwidth)), to_pixels((at * 2, at * 2 * bandwidth))
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    axes.annotate(  # type: ignore[attr-defined]
        f"copy: {bandwidth:,.0f} GB/s", (at, at * bandwidth), xytext=(-6, 6), textcoords="offset points", rotation=angle,
        rotation_mode="anchor", fontsize=9, ha="center",
    )  # fmt: skip


def _name_points(axes: object, points: list[KernelTiming]) -> None:
    """A name beside each point, moved up or down until it covers no other."""
    to_pixels = axes.transData.transform  # type: ignore[attr-defined]
    taken: list[tuple[float, float, float]] = []
    for t in sorted(points, key=lambda t: -t.gflop_per_s):
        x, y = to_pixels((t.flops / t.bytes, t.gflop_per_s))
        width = 6.4 * len(t.kernel) + 8
        shift = next(
            d for d in (0, -13, 13, -26, 26, -39, 39, -52, 52, -65, 65, -78, 78, -91, 91, 104, -104, 117, -117, 1000)
            if d == 1000 or not any(abs(y + d - b) < 13 and x + 8 < right and left < x + 8 + width for left, b, right in taken)
        )  # fmt: skip
        if shift == 1000:
            continue  # no room: the table has it
        taken.append((x + 8, y + shift, x + 8 + width))
        scale = 72 / axes.figure.dpi  # type: ignore[attr-defined]
        axes.annotate(  # type: ignore[attr-defined]
            t.kernel, (t.flops / t.bytes, t.gflop_per_s), xytext=(8 * scale, shift * scale), textcoords="offset points", fontsize=7.5, va="center",
            arrowprops=dict(arrowstyle="-", color="#aaaaaa", linewidth=0.5) if abs(shift) > 13 else None,
        )  # fmt: skip
