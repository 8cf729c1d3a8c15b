"""`gpucore run kan function`: networks of splines learn known functions, to the accuracy that others have published."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...device import Device
from ...systems.kan import pictures
from ...systems.kan.functions import CASES, Regression, case_named
from ..output import Output
from . import racing

EXAMPLES = """\
examples:
  gpucore run kan function                           exp(sin(πx) + y²) on grids of 3 to 100 cells
  gpucore run kan function --name exp-sin4           of four variables, three layers deep
  gpucore run kan function --name list               the functions by name
  gpucore run kan function --grids 3,10 --seeds 2    less of it

The network is chosen by its error on the training points and judged by that on test points. Fails when a line of the
table is not reached.
"""


def add_parser(subparsers: Any) -> None:
    """Names the task and its options."""
    parser = subparsers.add_parser(
        "function",
        help="learn a known function, grids refined step by step",
        description="Regression of a known function by L-BFGS: networks of several seeds begin on a coarse grid, the best are refined.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--name", choices=(*CASES, "list"), default="exp-sin", metavar="NAME", help=f"{', '.join(CASES)}, or list")
    parser.add_argument("--base", choices=("silu", "none"), default="silu", help="a SiLU beside every spline, or not (default: silu)")
    racing.add_options(parser, "function-NAME", "those of the function")


def run(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Trains, writes network, table and pictures; 1 when a line is missed."""
    if args.name == "list":
        return _list(out)
    case = case_named(args.name)
    grids = racing.grids_of(args, "function", case.grids)
    problem = Regression(case, seed=args.seed, base=None if args.base == "none" else args.base)
    out.say(f"{case.formula}: {case.train:,} training and {case.test:,} test points from {case.span[0]:g} to {case.span[1]:g}")
    attempts = racing.run_race(args, out, device, problem, "function", grids)
    best = attempts[0]
    out.say(f"seed {best.seed} has the least error on the training points; root mean square errors:")
    racing.show_best(out, best, case.lines, case.published)
    folder = Path(args.out or f"runs/kan-function-{case.name}")
    found = {"name": case.name, "formula": case.formula} | racing.summary(attempts, case.lines, device)
    files = racing.write(attempts, found, folder)
    if pictures.can_draw():
        files += pictures.draw_regression(problem, attempts, folder)
    else:
        out.note("the pictures need matplotlib: pip install 'gpucore[plots]'")
    out.say(f"wrote {', '.join(f.name for f in files)} to {folder}")
    out.result(found | {"files": [str(f) for f in files]})
    wrong = racing.missed(best, case.lines)
    return out.failed(f"kan function {case.name}: {'; '.join(wrong)}") if wrong else 0


def _list(out: Output) -> int:
    rows = [(c.name, c.formula, list(c.widths), ", ".join(map(str, c.grids)), c.train, "yes" if c.lines else "no") for c in CASES.values()]
    out.table(("name", "function", "network", "grids", "points", "must reach lines"), rows, "    r")
    out.result([{"name": c.name, "formula": c.formula, "widths": list(c.widths), "grids": list(c.grids)} for c in CASES.values()])
    return 0
