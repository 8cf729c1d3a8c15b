"""The heat map of a parity report as a PNG; needs matplotlib."""

from __future__ import annotations

import io

from .check import CaseResult
from .matrix import ParityReport

COLUMNS = 64
EDGES = (0.001, 0.03, 0.2, 0.5)
SHADES = ("#e3eefa", "#b9d7f2", "#82b6e3", "#4a8fcb", "#1f5a96")
FAILED = "#c62828"
NAMES = ("≤ 0.1 %", "≤ 3 %", "≤ 20 %", "≤ 50 %", "≤ 100 %")


def shade(result: CaseResult) -> str:
    """The colour of a comparison: darker is nearer to the tolerance, red is over it."""
    return SHADES[sum(result.headroom > edge for edge in EDGES)] if result.passed else FAILED


def as_png(report: ParityReport, number: int = 0) -> bytes:
    """One square per case of a pass, a line or several per kernel."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    rows: dict[str, list[CaseResult]] = {}
    for i, r in report.rows:
        if i == number:
            rows.setdefault(r.kernel, []).append(r)
    lines = sum(-(-len(found) // COLUMNS) for found in rows.values())
    figure = Figure(figsize=(12.5, 1.3 + 0.165 * lines), dpi=110, layout="constrained")
    axes = figure.subplots()
    y = 0
    for name, found in rows.items():
        axes.text(-1.0, y + 0.5, name, ha="right", va="center", fontsize=7)
        for k, r in enumerate(found):
            axes.add_patch(Rectangle((k % COLUMNS + 0.06, y + k // COLUMNS + 0.06), 0.88, 0.88, color=shade(r), linewidth=0))
            if not r.passed:
                axes.text(k % COLUMNS + 0.5, y + k // COLUMNS + 0.5, "×", ha="center", va="center", fontsize=7, color="white")
        y += -(-len(found) // COLUMNS)
    axes.set(xlim=(0, COLUMNS), ylim=(y, 0), xticks=[], yticks=[])
    axes.set_frame_on(False)
    failed = sum(not r.passed for found in rows.values() for r in found)
    count = sum(map(len, rows.values()))
    axes.set_title(
        f"{report.passes[number].name}\n{len(rows)} kernels, {count} cases, {failed} failed; one square is one case",
        fontsize=10,
        loc="left",
    )
    key = [Patch(color=c, label=n) for c, n in zip(SHADES, NAMES, strict=True)] + [Patch(color=FAILED, label="× failed")]
    figure.legend(
        handles=key,
        loc="outside lower center",
        ncols=6,
        fontsize=8,
        frameon=False,
        title="error as a share of the tolerance",
        title_fontsize=8,
    )
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
