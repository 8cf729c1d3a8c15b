"""`gpucore parity`: every kernel against its NumPy reference, on every adapter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..device import device
from ..errors import ConfigError
from ..parity import ParityReport, as_html, as_json, as_markdown, choose_kernels, choose_passes, run_parity
from ..parity.matrix import case_indices, passes_of
from ..report import Progress, slug

EXAMPLES = """\
examples:
  gpucore parity                                  every kernel and case on every adapter; reports go to bench/reports
  gpucore parity --kernel 'soft*' --html page.html
  gpucore parity --family norm --device nvidia --json | jq .verdict

Exits with 1 when a comparison fails, or when the check lets a deliberately wrong kernel through.
"""
REPORTS = "bench/reports"


def add_parser(subparsers: Any) -> None:
    """Names the command and its options."""
    parser = subparsers.add_parser(
        "parity",
        help="compare every kernel with its NumPy reference",
        description="Compares every kernel and case with its float64 NumPy reference on every adapter but OpenGL's,\n"
        "with the adapter's optional features and without. A kernel that is wrong on purpose must be caught.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--kernel", action="append", default=[], metavar="NAME", help="only kernels of this name or pattern; may be repeated"
    )
    parser.add_argument("--family", action="append", default=[], metavar="NAME", help="only kernels of this family; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a few cases per kernel, each run once")
    add_files(parser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """The options that say where a report goes."""
    parser.add_argument("--html", metavar="FILE", help="write one self-contained page")
    parser.add_argument("--markdown", metavar="FILE", help="write Markdown")
    parser.add_argument("--json", nargs="?", const="-", default=None, metavar="FILE", help="write JSON; without a file to stdout")
    parser.add_argument(
        "--out", metavar="DIR", help=f"write all formats to DIR/<adapter>/ (a full run without any of these writes to {REPORTS})"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the matrix; 0 when everything passed and every deliberate fault was caught."""
    kernels = choose_kernels(args.kernel, args.family)
    if not kernels:
        raise ConfigError(f"parity: no kernel fits {' '.join([*args.kernel, *args.family])}")
    on = choose_passes([] if args.device is None else [str(args.device)])
    if not on:
        raise ConfigError("parity: no adapter found to compare with NumPy; install a Vulkan driver (Debian: mesa-vulkan-drivers)")
    if any(d.is_cpu for d in on):
        raise ConfigError("parity: the NumPy device runs the references themselves; choose an adapter")
    total = sum(len(passes_of(k, i, on)) for k in kernels for i in case_indices(k, args.quick))
    progress = Progress(total)
    report = run_parity(on, kernels, quick=args.quick, progress=progress.step)
    progress.finish()
    stream = sys.stderr if args.json == "-" else sys.stdout
    say(report, stream)
    full = not (args.kernel or args.family or args.quick)
    for path in write(report, args, full):
        print(f"wrote {path}", file=stream)
    return 0 if report.passed else 1


def say(report: ParityReport, stream: Any) -> None:
    """The verdict, the deliberate faults and the failures."""
    for p in report.passes:
        print(f"{p.name}: {p.info.driver}; {p.subnormals}", file=stream)
        for t in p.selftest:
            mark = "as it must be" if t.as_expected else "WRONG"
            print(f"  on purpose, {t.fault}: {'caught' if t.caught else 'passed'}, {mark}", file=stream)
    for p, r in report.failures[:40]:
        print(f"FAILED on {p.name}: {r.sentence()}", file=stream)
    if len(report.failures) > 40:
        print(f"and {len(report.failures) - 40} more failures", file=stream)
    print(("Passed: " if report.passed else "FAILED: ") + report.verdict(), file=stream)


def write(report: ParityReport, args: argparse.Namespace, full: bool) -> list[Path]:
    """Writes the files asked for; a full run that asks for none writes them all to the reports' folder."""
    written = []
    for path, text in ((args.html, as_html), (args.markdown, as_markdown)):
        if path:
            written.append(save(Path(path), text(report)))
    if args.json == "-":
        print(as_json(report), end="")
    elif args.json:
        written.append(save(Path(args.json), as_json(report)))
    out = args.out or (REPORTS if full and not (args.html or args.markdown or args.json) else None)
    if out:
        for index in dict.fromkeys(p.info.index for p in report.passes):
            info = device(index).info
            written += _write_all(report.only(info), Path(out) / slug(info))
    return written


def _write_all(report: ParityReport, folder: Path) -> list[Path]:
    written = [save(folder / f"parity.{kind}", text(report)) for kind, text in (("json", as_json), ("md", as_markdown), ("html", as_html))]
    try:
        from ..parity.picture import as_png

        written.append(save(folder / "parity.png", as_png(report)))
    except ImportError:
        print("note: parity.png needs matplotlib (pip install 'gpucore[plots]')", file=sys.stderr)
    return written


def save(path: Path, content: str | bytes) -> Path:
    """Writes a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
