"""`gpucore run kan TASK`: networks of learned splines at work, one module per task in this folder.

A task is a module with `add_parser(subparsers)`, which names the task and its options, and
`run(args, out, device) -> int`, which does the work and returns the exit code.
"""

from __future__ import annotations

import argparse
from typing import Any

from ...errors import ConfigError
from ..common import add_modules, open_device
from ..output import Output
from . import table

TASKS = ("mnist", "function", "poisson", "symbolic", "2048")
"""The tasks, in the order of `gpucore run kan --help`; each is a module beside this one, called like it."""
MODULES = {"2048": "game2048"}
"""The modules of tasks whose names Python could not import."""

EXAMPLES = """\
examples:
  gpucore run kan --csv houses.csv --target price --drop address
                                     a table of your own: R² and a formula
  gpucore run kan mnist              a network [784, 64, 10] learns handwritten digits
  gpucore run kan function           exp(sin(πx) + y²), from a grid of 3 cells to one of 100
  gpucore run kan poisson            solves a differential equation
  gpucore run kan symbolic           finds the formula sqrt(x_1² + x_2²) in samples of it
  gpucore run kan 2048               plays the game 2048 and learns it by deep Q-learning
"""


def add_parser(subparsers: Any) -> None:
    """Names the system, and the tasks below it."""
    parser = subparsers.add_parser(
        "kan",
        help="networks of learned splines (KAN)",
        description="Kolmogorov-Arnold networks: every edge carries a spline that is learned. Runs a task, or fits a table of your own.",
        epilog=EXAMPLES,
    )
    table.add_options(parser)
    tasks = parser.add_subparsers(title="tasks", metavar="TASK")
    add_modules(tasks, __name__, [MODULES.get(name, name) for name in TASKS], "run_task")


def run(args: argparse.Namespace) -> int:
    """Opens the device and runs the task that was named, or fits the table."""
    task = getattr(args, "run_task", None)
    if (task is None) == (args.csv is None):
        given = "neither" if task is None else "both"
        raise ConfigError(f"kan: got {given} of a task and --csv FILE; wants one of them (tasks: {', '.join(TASKS)})")
    if args.seed < 0:
        raise ConfigError(f"kan: seed is {args.seed}; wants 0 or more")
    out = Output(args.json)
    code: int = (task or table.run)(args, out, open_device(args))
    return code
