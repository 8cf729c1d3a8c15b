"""`gpucore bench`: every kernel's speed against the ceilings of the adapter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..bench import BenchReport, as_html, as_json, as_markdown, run_bench
from ..bench.page import ceiling_lines, verdict
from ..bench.report import steps
from ..errors import ConfigError
from ..parity import choose_kernels
from ..report import Progress, number, si, slug
from .common import open_device
from .output import table_lines
from .parity import REPORTS, add_files, save

EXAMPLES = """\
examples:
  gpucore bench                            everything on the best adapter; reports go to bench/reports
  gpucore bench --kernel 'matmul*' --html page.html
  gpucore bench --quick --device llvmpipe

A software driver gets smaller sizes, and the report says so. Exits with 1 when a result is wrong or a kernel fails.
"""


def add_parser(subparsers: Any) -> None:
    """Names the command and its options."""
    parser = subparsers.add_parser(
        "bench",
        help="measure every kernel against the adapter's ceilings",
        description="Measures the adapter's ceilings, then every kernel at real sizes: time, GB/s, GFLOP/s and the share of the ceiling,\n"
        "beside NumPy and PyTorch where they are installed; then host costs and training steps.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--kernel", action="append", default=[], metavar="NAME", help="only kernels of this name or pattern; may be repeated"
    )
    parser.add_argument("--family", action="append", default=[], metavar="NAME", help="only kernels of this family; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one case per kernel, fewer runs, no training steps")
    parser.add_argument("--no-peers", action="store_true", help="leave NumPy and PyTorch out")
    add_files(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the benchmark; 0 when every kernel ran and gave the right result."""
    kernels = choose_kernels(args.kernel, args.family)
    if not kernels:
        raise ConfigError(f"bench: no kernel fits {' '.join([*args.kernel, *args.family])}")
    device = open_device(args)
    full = not (args.kernel or args.family or args.quick)
    progress = Progress(steps(kernels, args.quick))
    report = run_bench(device, kernels, quick=args.quick, peers=not args.no_peers, systems=full, seed=args.seed, progress=progress.step)
    progress.finish()
    stream = sys.stderr if args.json == "-" else sys.stdout
    say(report, stream)
    for path in write(report, args, full):
        print(f"wrote {path}", file=stream)
    return 0 if report.passed else 1


def say(report: BenchReport, stream: Any) -> None:
    """The ceilings, one line per case, and the verdict."""
    for what, value in ceiling_lines(report.ceilings, report.cold_start):
        print(f"{what:<66}{value:>14}", file=stream)
    print(file=stream)
    rows = [
        [
            t.kernel, t.case[:48], si(t.seconds, "s"), number(t.gb_per_s), number(t.gflop_per_s), f"{t.share:.0%}", t.bound,
            "" if t.correct else "WRONG",
        ]
        for t in report.timings
    ]  # fmt: skip
    for line in table_lines(["kernel", "case", "time", "GB/s", "GFLOP/s", "share", "bound by", ""], rows, "llrrrr"):
        print(line, file=stream)
    for s in report.systems:
        print(f"{s.name}: {s.error or f'{number(s.per_second)} steps per second'}", file=stream)
    for t in report.failures:
        print(f"FAILED: {t.kernel} {t.case}: {t.error}", file=stream)
    print(f"{verdict(report)}", file=stream)


def write(report: BenchReport, args: argparse.Namespace, full: bool) -> list[Path]:
    """Writes the files asked for; a full run that asks for none writes them all to the reports' folder."""
    written = []
    out = args.out or (REPORTS if full and not (args.html or args.markdown or args.json) else None)
    picture = _picture(report) if out or args.html else None
    if args.html:
        written.append(save(Path(args.html), as_html(report, picture)))
    if args.markdown:
        written.append(save(Path(args.markdown), as_markdown(report)))
    if args.json == "-":
        print(as_json(report), end="")
    elif args.json:
        written.append(save(Path(args.json), as_json(report)))
    if out:
        folder = Path(out) / slug(report.info)
        files: list[tuple[str, str | bytes]] = [
            ("bench.json", as_json(report)),
            ("bench.md", as_markdown(report)),
            ("bench.html", as_html(report, picture)),
        ]
        if picture is not None:
            files.append(("roofline.png", picture))
        written += [save(folder / name, content) for name, content in files]
    return written


def _picture(report: BenchReport) -> bytes | None:
    try:
        from ..bench.roofline import as_png

        return as_png(report)
    except ImportError:
        print("note: the roofline needs matplotlib (pip install 'gpucore[plots]')", file=sys.stderr)
        return None
