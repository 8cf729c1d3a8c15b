"""The comparison as a table in a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gpucore.memory import format_bytes
from gpucore.report import markdown_table, number, si, to_json

from .results import Result
from .texts import TEXTS, Texts

HEAD = ["row", "clock", "ours", "theirs", "ratio", "rate", "share", "target", "met", "memory, ours and theirs"]
RIGHT = ("ours", "theirs", "ratio", "rate", "share", "memory, ours and theirs")


@dataclass
class Report:
    """A whole run: who measured, the ceilings, the rows. facts: label to value; seconds: how long all of it took.

    kind: of TEXTS, and the name of its files.
    """

    device: str
    slug: str
    facts: dict[str, Any]
    copy_gb: float
    fma_gflop: float
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    kind: str = "compare"

    @property
    def texts(self) -> Texts:
        """What it says around its numbers."""
        return TEXTS[self.kind]

    @property
    def wrong(self) -> list[Result]:
        """Rows with a wrong result."""
        return [r for r in self.results if r.wrong]

    @property
    def failed(self) -> list[Result]:
        """Rows that gave no time of ours."""
        return [r for r in self.results if r.failure]

    def verdict(self) -> str:
        """One sentence."""
        judged = [r.met() for r in self.results if r.met() is not None]
        ratios = [x for r in self.results if (x := r.ratio()) is not None]
        ahead = sum(x > 1 for x in ratios)
        return (
            f"{len(self.results)} rows on {self.device}: {len(self.wrong)} wrong, {len(self.failed)} failed; "
            f"faster than its first peer in {ahead} of {len(ratios)}; targets met {sum(judged)} of {len(judged)}"
        )

    def as_json(self) -> str:
        """Everything, one row a line."""
        return to_json(
            {
                "report": self.kind, "verdict": self.verdict(), "device": self.device, "slug": self.slug, "facts": self.facts,
                "notes": self.texts.how, "copy_gb": self.copy_gb, "fma_gflop": self.fma_gflop, "seconds": self.seconds,
                "rows": [r.as_dict() for r in self.results],
            }
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The opposite of `as_json`."""
        data = json.loads(text)
        results = [Result.from_dict(r) for r in data["rows"]]
        numbers = data["copy_gb"], data["fma_gflop"], results, data["seconds"]
        return cls(data["device"], data["slug"], data["facts"], *numbers, kind=data["report"])

    def groups(self) -> dict[str, list[Result]]:
        """The rows by group."""
        found: dict[str, list[Result]] = {}
        for r in self.results:
            found.setdefault(r.group, []).append(r)
        return found

    def as_markdown(self) -> str:
        """The head, a table per group, and what is to be said of single rows."""
        facts = [*self.facts.items(), ("copy", f"{number(self.copy_gb)} GB/s, bytes read and written")]
        facts.append(("multiply-add in registers", f"{number(self.fma_gflop / 1e3)} TFLOP/s"))
        parts = [f"# {self.texts.title}", f"**{self.verdict()}.**", self.texts.how, f"![Ratios of all rows]({self.kind}.png)"]
        if self.in_short():
            parts += ["## In short", self.in_short()]
        parts.append(markdown_table(["", ""], facts))
        columns = [*self.columns(), len(HEAD)]
        head = [[*HEAD, "other peers"][i] for i in columns]
        right = [i for i, name in enumerate(head) if name in RIGHT]
        for group, results in self.groups().items():
            lines = [[[*cells(r), others(r)][i] for i in columns] for r in results]
            parts += [f"## {group}", markdown_table(head, lines, right=right)]
        said = [f"- {r.group}, {r.name}: {line}" for r in self.results for line in remarks(r)]
        if said:
            parts += ["## Remarks", "\n".join(said)]
        return "\n\n".join(parts) + "\n"

    def columns(self) -> list[int]:
        """Those of HEAD in which any row has something to say."""
        shown = [cells(r) for r in self.results]
        return [i for i in range(len(HEAD)) if i < 2 or any(row[i] != "-" for row in shown)]

    def in_short(self) -> str:
        """A table of the rows that say most, for a README; empty when none of them ran."""
        rows = []
        for title, group, start in self.texts.short:
            found = next((r for r in self.results if r.group == group and r.name.startswith(start) and r.counts), None)
            theirs = found.peers.get(found.main) if found else None
            if found is None or found.ours is None:
                continue
            share = "" if found.share is None else f"{found.share:.0%} of the {found.bound} rate"
            rows.append([title, si(found.ours.seconds, "s"), si(theirs.seconds, "s") if theirs else "-", ratio_text(found.ratio()), share])
        peer = next((r.main for r in self.results if r.main), "").split(" ")[0]
        head = ["work", "gpucore", peer, "ratio", "share of the ceiling"]
        shown = 5 if any(row[4] for row in rows) else 4
        return markdown_table(head[:shown], [row[:shown] for row in rows], right=(1, 2, 3)) if rows else ""


def cells(r: Result) -> list[str]:
    """The columns of HEAD."""
    theirs = r.peers.get(r.main)
    shown = "WRONG" if r.wrong else "failed" if r.failure else f"{si(r.ours.seconds, 's')} ±{r.ours.spread:.0%}" if r.ours else "-"
    met = r.met()
    return [
        r.name, r.clock, shown, f"{si(theirs.seconds, 's')} {_short(r.main)}" if theirs else "-", ratio_text(r.ratio()), rate_text(r),
        "-" if r.share is None or not r.counts else f"{r.share:.0%}", r.target_text(), "-" if met is None else "yes" if met else "NO",
        memory_text(r),
    ]  # fmt: skip


def memory_text(r: Result) -> str:
    """Peak memory of ours and of the first peer."""
    found = [format_bytes(r.memory[name]) if name in r.memory else "-" for name in ("", r.main)]
    return " / ".join(found) if "" in r.memory else "-"


def _short(peer: str) -> str:
    return "" if peer == "PyTorch" else f"({peer})"


def ratio_text(ratio: float | None) -> str:
    """A ratio for people."""
    if ratio is None:
        return "-"
    return f"{ratio:.2g}×" if ratio < 0.095 else f"{ratio:.2f}×" if ratio < 9.95 else f"{ratio:.0f}×"


def rate_text(r: Result) -> str:
    """TFLOP/s where arithmetic bounds the row, else GB/s."""
    if not r.counts or r.ours is None or r.ours.seconds <= 0:
        return "-"
    if r.bound == "multiply-add":
        return f"{number(r.flops / r.ours.seconds / 1e12)} TFLOP/s"
    return f"{number(r.bytes / r.ours.seconds / 1e9)} GB/s" if r.bytes else "-"


def others(r: Result) -> str:
    """The further peers with their ratios."""
    found = []
    for name, t in r.peers.items():
        memory = f", {format_bytes(r.memory[name])}" if name in r.memory else ""
        found.append(f"{name} {si(t.seconds, 's')} ({ratio_text(r.ratio(name))}{memory})")
    return "; ".join(found[1:] if r.main else found)


def remarks(r: Result) -> list[str]:
    """What a reader should know of a row beyond its numbers."""
    found = [r.failure] if r.failure else []
    if r.wrong:
        found.append(f"WRONG: relative L2 distance {number(r.error)} from {r.checked}")
    found += [f"{peer} was not measured: {why}" for peer, why in r.peer_failures.items()]
    if r.ours and r.ours.spread > 0.1:
        found.append(f"spread ±{r.ours.spread:.0%} over {r.ours.repeats} runs of {r.ours.calls}")
    return found + [note for note in r.notes if not note.startswith("row took")]


def terminal_lines(report: Report) -> list[str]:
    """The table of ratios in plain text, groups as headings, then the ceilings and the verdict."""
    from gpucore.cli.output import table_lines

    columns = report.columns()
    rows = [[[f"{r.group}: {r.name}", *cells(r)[1:]][i] for i in columns] for r in report.results]
    head = [HEAD[i] for i in columns]
    lines = table_lines(head, rows, "".join("r" if name in RIGHT else "l" for name in head))
    for r in report.results:
        serious = remarks(r)[: bool(r.failure) + r.wrong + len(r.peer_failures)]
        lines += [f"{r.group}: {r.name}: {text}" for text in serious]
    ceilings = f"copy {number(report.copy_gb)} GB/s, multiply-add {number(report.fma_gflop / 1e3)} TFLOP/s"
    return [*lines, "", f"ceilings of this run: {ceilings}", f"{report.verdict()} ({report.seconds:.0f} s)"]
