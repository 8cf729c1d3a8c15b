"""The ratios as bars on a logarithmic axis, the line at 1, the targets as marks; needs matplotlib."""

from __future__ import annotations

import io
from typing import Any

from .page import Report, ratio_text
from .results import Result

SHOWN = (0.02, 200.0)
"""The axis ends here at the latest; longer bars run into its ends and say their number."""
MET, MISSED, FREE = "#2e7d4f", "#c2571a", "#7d8794"


def target_ratio(r: Result) -> float | None:
    """The ratio at which the row's targets would just be met: a share or a time, carried over to the axis of ratios."""
    ratio = r.ratio()
    marks = [ratio / v for t in r.targets if ratio is not None and (v := r.reached(t))]
    return max(marks, default=None)


def as_png(report: Report) -> bytes:
    """One bar per row that has a peer, from 1 to its ratio: to the right gpucore is faster."""
    from matplotlib.figure import Figure

    shown = [r for r in report.results if r.ratio() is not None or r.wrong]
    figure = Figure(figsize=(11, max(3.0, 1.5 + 0.2 * (len(shown) + 1.3 * len({r.group for r in shown})))), dpi=110)
    axes = figure.add_subplot()
    mains = [r.main for r in shown if r.main]
    usual = max(mains, key=mains.count, default="nobody")
    labels, low, high = _bars(axes, shown, usual, report.texts.marked)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(max((y for y, _ in labels), default=0) + 0.9, -1.9)
    axes.axvline(1, color="#222222", linewidth=1.2, zorder=3)
    axes.set_yticks([y for y, _ in labels], [text for _, text in labels], fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    ticks = [t for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:g}×" for t in ticks])
    axes.minorticks_off()
    axes.grid(True, axis="x", color="#e4e4e4", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("their time / our time (logarithmic): right of the line gpucore is faster")
    axes.set_title(f"{report.device}: gpucore against {usual}", fontsize=11, loc="left", pad=22)
    _legend(axes, report.texts.marked)
    figure.tight_layout()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _bars(axes: Any, shown: list[Result], usual: str, marked: str) -> tuple[list[tuple[float, str]], float, float]:
    """Draws; returns (y, label) of each row and the axis's range. marked: a further peer, shown as a diamond."""
    values = [x for r in shown for x in (r.ratio(), target_ratio(r), r.ratio(marked) if marked else None) if x]
    low, high = max(SHOWN[0], min([0.7, *values]) / 1.2), min(SHOWN[1], max([1.5, *values]) * 1.2)
    labels: list[tuple[float, str]] = []
    y, group = 0.0, ""
    for r in shown:
        if r.group != group:
            y += 1.3 if group else 0.0
            group = r.group
            axes.text(low, y - 0.95, group, fontsize=8.5, weight="bold", va="center")
        ratio, met = r.ratio(), r.met()
        labels.append((y, _label(r, usual)))
        colour = FREE if met is None else MET if met else MISSED
        shown_ratio = "WRONG" if ratio is None else ratio_text(ratio)
        axes.text(1.005, y, shown_ratio, fontsize=7, va="center", color=colour, transform=axes.get_yaxis_transform())
        if ratio is not None:
            end = max(low, min(high, ratio))
            axes.barh(y, end - 1, left=1, height=0.68, color=colour, zorder=2)
            axes.plot([end], [y], marker="o", markersize=3.4, color=colour, zorder=3)
        second = r.ratio(marked) if marked else None
        if second is not None:
            axes.plot([max(low, min(high, second))], [y], marker="D", markersize=4, color="#2b5c8a", markerfacecolor="white", zorder=4)
        mark = target_ratio(r)
        if mark and low < mark < high:
            axes.plot([mark, mark], [y - 0.45, y + 0.45], color="#111111", linewidth=1.6, zorder=4)
        y += 1.0
    return labels, low, high


def _label(r: Result, usual: str) -> str:
    """The row's name, with its peer where that is not the usual one."""
    return r.name if r.main in ("", usual) or "compiled" in r.name else f"{r.name} ({r.main})"


def _legend(axes: Any, marked: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(color=MET, label="target met"), Patch(color=MISSED, label="target missed"), Patch(color=FREE, label="no target")]
    handles.append(Line2D([], [], color="#111111", linewidth=1.6, marker="|", linestyle="none", markersize=9, label="where the target is"))
    if marked:
        diamond = dict(marker="D", markersize=4, color="#2b5c8a", markerfacecolor="white", linestyle="none")
        handles.append(Line2D([], [], label=f"against {marked}", **diamond))
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, fontsize=8, frameon=False, borderaxespad=0.2)
