"""What the scripts of a comparison share: their options, the run, the files they write, what they say meanwhile."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gpucore as gc
from gpucore.report.progress import Progress

from . import page, picture
from .context import Context, open_context
from .results import Result
from .rows import Row
from .run import chosen, run

REPORTS = Path(__file__).resolve().parents[1] / "reports"


@dataclass(frozen=True)
class Script:
    """One script: `kind` of its report and name of its files, what --help says, and the rows it measures."""

    kind: str
    description: str
    examples: str
    rows: Callable[[Context], list[Row]]

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Runs the comparison; 0 when everything ran and nothing was wrong."""
        args = self.parser().parse_args(arguments)
        if args.redraw:
            report = page.Report.from_json(Path(args.redraw).read_text())
            print("\n".join(page.terminal_lines(report)))
            save(report, Path(args.out or REPORTS))
            return 0
        warnings.simplefilter("ignore")  # of PyTorch's and its compiler's many
        ctx = open_context(gc.device(args.device), quick=args.quick, seed=args.seed, peers=not args.no_peers, small=args.small or None)
        wanted = chosen(self.rows(ctx), args.only, quick=args.quick)
        if not wanted:
            print(f"{self.kind}.py: no row fits {' '.join(args.only)}; --list names them", file=sys.stderr)
            return 2
        if args.list:
            for row in wanted:
                targets = row.software if ctx.small else row.hardware
                print(f"{row.group}: {row.name:<44} {', '.join(t.text() for t in targets) or '-'}")
            return 0
        with Line(len(wanted) + 2) as line:
            report = run(ctx, wanted, compiles=args.compiles, progress=line.next, done=line.say, kind=self.kind)
        print("\n".join(page.terminal_lines(report)))
        if not args.no_save and (args.out or not (args.only or args.quick or args.small)):
            save(report, Path(args.out or REPORTS))
        return 1 if report.wrong or report.failed else 0

    def parser(self) -> argparse.ArgumentParser:
        """The options."""
        found = argparse.ArgumentParser(
            prog=f"{self.kind}.py", description=self.description, epilog=self.examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        add = found.add_argument
        add("--only", action="append", default=[], metavar="PATTERN", help="only rows that fit; may be repeated")
        add("--quick", action="store_true", help="one row of each kind, fewer repeats")
        add("--list", action="store_true", help="name the rows and their targets, measure nothing")
        add("--device", metavar="NAME", help="index or part of the name (default: $GPUCORE_DEVICE, else the best)")
        add("--out", metavar="FOLDER", help=f"where <adapter>/{self.kind}.{{json,md,png}} go (default: bench/reports)")
        add("--no-save", action="store_true", help="write no files (the default with --only, --quick and --small, unless --out is given)")
        add("--no-peers", action="store_true", help="leave PyTorch out")
        add("--small", action="store_true", help="the sizes of a software driver, on any adapter")
        add("--seed", type=int, default=0, metavar="N", help="start of every random number (default: 0)")
        add("--redraw", metavar="FILE", help="no measuring: show and write the report of this JSON file anew")
        compiles = found.add_mutually_exclusive_group()
        compiles.add_argument(
            "--compile", action="store_true", default=None, dest="compiles", help="the rows with torch.compile in any case"
        )
        compiles.add_argument("--no-compile", action="store_false", dest="compiles", help="never (default: last, while time allows)")
        return found


def save(report: page.Report, folder: Path) -> None:
    """Writes the three files."""
    folder = folder / report.slug
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{report.kind}.json").write_text(report.as_json())
    (folder / f"{report.kind}.md").write_text(report.as_markdown())
    written = [f"{report.kind}.json", f"{report.kind}.md"]
    try:
        (folder / f"{report.kind}.png").write_bytes(picture.as_png(report))
        written.append(f"{report.kind}.png")
    except ImportError:
        print("note: the picture needs matplotlib (pip install 'gpucore[plots]')", file=sys.stderr)
    print(f"wrote {', '.join(written)} to {os.path.relpath(folder)}")


class Line:
    """What runs: rich's bar on a terminal where rich is installed, else a line per row."""

    def __init__(self, total: int) -> None:
        self._bar = self._plain = None
        if sys.stderr.isatty():
            try:
                from rich.console import Console
                from rich.progress import Progress as Bar

                self._bar = Bar(console=Console(stderr=True), transient=True)
                self._task = self._bar.add_task("", total=total)
            except ImportError:
                self._plain = Progress(total)

    def __enter__(self) -> Line:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar:
            self._bar.stop()
        if self._plain:
            self._plain.finish()

    def next(self, what: str) -> None:
        """Says what comes next."""
        if self._bar:
            self._bar.update(self._task, advance=1, description=f"{what:<48}")
        elif self._plain:
            self._plain.step(what)

    def say(self, r: Result) -> None:
        """A row's outcome, as it happens, where there is no bar."""
        if self._bar or self._plain:
            return
        _, _, ours, theirs, ratio, rate, share, _, met, _ = page.cells(r)
        error = "" if r.error is None else f"error {r.error:.1e}"
        more = page.others(r) or r.failure or "; ".join(r.peer_failures.values())
        took = next((n for n in r.notes if n.startswith("row took")), "")[9:]
        found = (f"{r.group}: {r.name}", ours, theirs, ratio, rate, share, met, error, more, took)
        print(" | ".join(found), flush=True)
