"""`gpucore run kan poisson`: a network of splines solves a differential equation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...device import Device
from ...errors import ConfigError
from ...systems.kan import pictures
from ...systems.kan.poisson import LINES, SIDE, Poisson
from ..output import Output
from . import racing

EXAMPLES = """\
examples:
  gpucore run kan poisson                      51 x 51 points, grids of 5, 10 and 20 cells
  gpucore run kan poisson --side 21 --keep 1   a coarser mesh, and one network to the end

The network never sees the solution: its loss is that of the equation at points inside and of the zeros on the boundary.
Errors are measured on a finer mesh. Fails when a line of the table is not reached.
"""


def add_parser(subparsers: Any) -> None:
    """Names the task and its options."""
    parser = subparsers.add_parser(
        "poisson",
        help="solve Poisson's equation on a square",
        description="Δu = -2π²·sin(πx)·sin(πy) on [-1, 1]² with u = 0 on the boundary, by a KAN [2, 2, 1] and L-BFGS.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--side", type=int, default=SIDE, metavar="N", help=f"points along a side of the square (default: {SIDE})")
    parser.add_argument("--weight", type=float, default=0.01, metavar="W", help="of the equation beside the boundary (default: 0.01)")
    parser.add_argument("--base", choices=("silu", "none"), default="none", help="a SiLU beside every spline, or not (default: none)")
    racing.add_options(parser, "poisson", ",".join(map(str, LINES)), seeds=8, keep=1)


def run(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Trains, writes network, table and pictures; 1 when a line is missed."""
    if args.side < 5:
        raise ConfigError(f"kan poisson: --side is {args.side}; wants 5 points or more")
    grids = racing.grids_of(args, "poisson", tuple(LINES))
    problem = Poisson(side=args.side, base=None if args.base == "none" else args.base, weight=args.weight)
    out.say(f"Δu = f at {len(problem.inside):,} points inside, u = 0 at {len(problem.edge)} on the boundary")
    attempts = racing.run_race(args, out, device, problem, "poisson", grids)
    best = attempts[0]
    out.say(f"seed {best.seed} has the least loss; squared L2 and largest error against the exact solution:")
    racing.show_best(out, best, LINES)
    folder = Path(args.out or "runs/kan-poisson")
    found = racing.summary(attempts, LINES, device)
    files = racing.write(attempts, found, folder)
    if pictures.can_draw():
        files += pictures.draw_poisson(problem, attempts, LINES, folder)
    else:
        out.note("the pictures need matplotlib: pip install 'gpucore[plots]'")
    out.say(f"wrote {', '.join(f.name for f in files)} to {folder}")
    out.result(found | {"files": [str(f) for f in files]})
    wrong = racing.missed(best, LINES)
    return out.failed(f"kan poisson: {'; '.join(wrong)}") if wrong else 0
