"""The parity report as JSON, Markdown and one HTML page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..kernel import Kernel, Tolerance
from ..report import escape, markdown_table, number, page, to_json
from ..report.environment import adapter_facts
from ..report.html import facts, table
from .check import CaseResult
from .matrix import ParityReport, Pass, totals

_MEASURES = (
    "Each result is compared with a reference in pure NumPy that runs in float64. «Error» is the worst |got − want| as a share of "
    "atol + rtol·|want|, or of the gate on the relative L2 norm if that is worse; 1 is the limit. ULP counts the representable "
    "values between the result and the rounded reference. «Same bits» says that a second run gave the same bits."
)


def as_json(report: ParityReport) -> str:
    """Everything, one comparison a line."""
    return to_json(
        {
            "report": "parity", "passed": report.passed, "verdict": report.verdict(), "environment": report.environment,
            "passes": [_pass_head(p) | {"selftest": [t.as_dict() for t in p.selftest]} for p in report.passes],
            "kernels": [_kernel_head(k) | asdict(k.tolerance) for k in report.kernels],
            "left_out": [{"pass": i, "kernel": k, "case": c} for i, k, c in report.left_out],
            "rows": [_row(i, r, report.repeated) for i, r in report.rows],
        }
    )  # fmt: skip


def _pass_head(p: Pass) -> dict[str, Any]:
    return {"name": p.name, **adapter_facts(p.info), "subnormals": str(p.subnormals)}


def _kernel_head(kernel: Kernel) -> dict[str, Any]:
    return {
        "name": kernel.name,
        "family": kernel.family,
        "shader": kernel.shader.name,
        "hash": kernel.shader.source_hash(),
        "formula": kernel.shader.formula,
    }


def _row(number_of_pass: int, r: CaseResult, repeated: bool) -> dict[str, Any]:
    row = {
        "pass": number_of_pass, "kernel": r.kernel, "case": r.case, "passed": r.passed, "error_share": r.headroom, "max_abs": r.max_abs,
        "relative_l2": r.relative_l2, "ulp_p50": r.ulp_p50, "ulp_p99": r.ulp_p99, "specials": r.specials,
        "same_bits": r.repeatable if repeated else None, "seconds": r.seconds, "worst": _nine(r.worst),
    }  # fmt: skip
    return row | ({"error": r.error} if r.error else {})


def _nine(worst: dict[str, Any]) -> dict[str, Any]:
    """Values that must tell neighbouring float32 numbers apart, as text with nine digits where six would not."""
    return {k: f"{v:.9g}" if isinstance(v, float) else _nine(v) if isinstance(v, dict) else v for k, v in worst.items()}


# ---- Markdown


def as_markdown(report: ParityReport) -> str:
    """The head, the deliberate faults, one line per kernel and pass, and every failure."""
    parts = ["# Parity matrix", f"**{'Passed' if report.passed else 'FAILED'}.** {report.verdict()}.", _MEASURES]
    parts.append(markdown_table(["", ""], list(report.environment.items())))
    parts.append("## Adapters")
    keys = ["pass", "driver", "subgroup size", "shader modules", "subnormal numbers"]
    parts.append(
        markdown_table(
            keys, [[p.name, p.info.driver, p.info.subgroup_size or "not used", p.info.modules, str(p.subnormals)] for p in report.passes]
        )
    )
    parts.append("## Kernels that are wrong on purpose")
    parts.append(
        markdown_table(
            ["pass", "fault", "caught", "as it must be"],
            [[p.name, t.fault, "yes" if t.caught else "no", "yes" if t.as_expected else "NO"] for p in report.passes for t in p.selftest],
        )
    )
    if report.failures:
        parts.append("## Failures")
        parts.append("\n".join(f"- {p.name}: {r.sentence()}" for p, r in report.failures[:100]))
        if len(report.failures) > 100:
            parts.append(f"and {len(report.failures) - 100} more.")
    if report.left_out:
        parts.append("## Left out: larger than the adapter binds")
        parts.append("\n".join(f"- {report.passes[i].name}: {k} {c}" for i, k, c in report.left_out))
    for i, p in enumerate(report.passes):
        parts.append(f"## {p.name}")
        head = [
            "kernel",
            "cases",
            "passed",
            "error of tolerance",
            "max abs",
            "relative L2",
            "ULP p99",
            "NaN and inf agree",
            "same bits",
            "ms",
        ]
        rows = [
            [
                line["kernel"], line["cases"], line["passed"],
                number(line["headroom"]), number(line["max_abs"]), number(line["l2"]), number(line["ulp_p99"]),
                "yes" if line["specials"] else "NO", ("yes" if line["same"] else "NO") if report.repeated else "not run",
                number(line["seconds"] * 1e3),
            ]
            for line in totals(report) if line["number"] == i
        ]  # fmt: skip
        parts.append(markdown_table(head, rows, right=(1, 2, 3, 4, 5, 6, 9)))
    return "\n\n".join(parts) + "\n"


# ---- HTML

_LEGEND = ((0, "at most 0.1 % of the tolerance"), (1, "to 3 %"), (2, "to 20 %"), (3, "to 50 %"), (4, "to 100 %"))
_HEADS = ("kernel", "case", "result", "error", "max abs", "relative L2", "ULP p50", "ULP p99", "NaN, inf agree", "same bits", "ms")
_KEYS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)


def as_html(report: ParityReport) -> str:
    """One self-contained page: heat map, filters, a sortable table, and the worst element of any comparison."""
    kernels = {k.name: i for i, k in enumerate(report.kernels)}
    labels: dict[str, dict[str, int]] = {k.name: {} for k in report.kernels}
    rows = []
    for i, r in report.rows:
        known = labels[r.kernel]
        case = known.setdefault(r.case, len(known))
        rows.append(_compact(i, kernels[r.kernel], case, r, report.repeated))
    heads = [_kernel_head(k) | {"tolerance": _tolerance(k.tolerance), "cases": list(labels[k.name])} for k in report.kernels]
    data = {"passes": [p.name for p in report.passes], "kernels": heads, "rows": rows}
    return page("gpucore parity matrix", _body(report), scripts=("parity.js",), data=data)


def _tolerance(t: Tolerance) -> str:
    return f"atol {t.atol:g}, rtol {t.rtol:g}, relative L2 {t.l2:g}"


def _compact(i: int, kernel: int, case: int, r: CaseResult, repeated: bool) -> list[Any]:
    w = r.worst
    values = [float(f"{v:.4g}") for v in (r.headroom, r.max_abs, r.relative_l2, r.ulp_p50, r.ulp_p99)]
    worst = [w["output"], w["index"], f"{w['got']:.9g}", f"{w['want']:.9g}", _nine(w["inputs"])] if w else None
    same = int(r.repeatable) if repeated else None
    return [i, kernel, case, int(r.passed), *values, int(r.specials), same, float(f"{r.seconds:.3g}"), worst, r.error[:300]]


def _body(report: ParityReport) -> str:
    tone = "good" if report.passed else "bad"
    passes = "".join(f'<option value="{i}">{escape(p.name)}</option>' for i, p in enumerate(report.passes))
    families = "".join(f"<option>{escape(f)}</option>" for f in sorted({k.family for k in report.kernels}))
    legend = "".join(f'<span><i class="swatch h{i}"></i>{escape(said)}</span>' for i, said in _LEGEND)
    heads = "".join(
        f'<th scope="col" data-key="{k}"{" class=num" if k in (4, 5, 6, 7, 8, 11) else ""}>{h}</th>'
        for h, k in zip(_HEADS, _KEYS, strict=True)
    )
    return f"""<h1>Parity matrix</h1>
<p class="verdict {tone}">{"Passed" if report.passed else "Failed"}: {escape(report.verdict())}.</p>
<p class="soft">{escape(_MEASURES)}</p>
{facts(report.environment)}
<h2>Adapters</h2>
{_adapters(report)}
<h2>Kernels that are wrong on purpose</h2>
<p class="soft">The same comparison must refuse these; a run that lets one through fails.</p>
{_faults(report)}
<h2>Heat map</h2>
<div class="controls">
<label>Pass <select id="pass">{passes}</select></label>
<label>Family <select id="family"><option value="">all</option>{families}</select></label>
<label><input type="checkbox" id="failed"> failed only</label>
<label>Find <input type="search" id="search" placeholder="kernel or case"></label>
<span id="count" class="soft" role="status"></span>
</div>
<div class="legend" aria-label="Colours: error as a share of the tolerance">Error: {legend}
<span><i class="swatch fail">×</i>failed</span></div>
<div id="heat" class="heat"></div>
<noscript><p>The heat map and the table need JavaScript; the same numbers are in parity.json and parity.md.</p></noscript>
<h2>All comparisons</h2>
<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody id="rows"></tbody></table></div>
<p><button class="plain" id="more" hidden></button></p>
<dialog id="detail" aria-labelledby="detail-title"><h2 id="detail-title"></h2><dl class="facts" id="detail-facts"></dl>
<form method="dialog"><button class="plain">Close</button></form></dialog>"""


def _adapters(report: ParityReport) -> str:
    head = ["pass", "driver", "kind", "features", "subgroup size", "shader modules", "subnormal numbers"]
    rows = []
    for p in report.passes:
        f = adapter_facts(p.info)
        rows.append([p.name, f["driver"], f["kind"], f["features"], f["subgroup size"], f["shader modules"], str(p.subnormals)])
    return table(head, rows)


def _faults(report: ParityReport) -> str:
    rows = [
        [p.name, t.fault, "caught" if t.caught else "let through", "as it must be" if t.as_expected else "WRONG", t.said]
        for p in report.passes
        for t in p.selftest
    ]
    return table(["pass", "fault", "the check", "verdict", "what it said"], rows)
