"""`gpucore run kan TASK`: networks of learned splines at work, one module per task in this folder.

A task is a module with `add_parser(subparsers)`, which names the task and its options, and
`run(args, out, device) -> int`, which does the work and returns the exit code.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from ..common import add_common, open_device
from ..output import Output

TASKS = ("mnist", "symbolic", "2048")
"""The tasks, in the order of `gpucore run kan --help`; each is a module beside this one, called like it."""
MODULES = {"2048": "game2048"}
"""The modules of tasks whose names Python could not import."""

EXAMPLES = """\
examples:
  gpucore run kan mnist              a network [784, 64, 10] learns handwritten digits
  gpucore run kan symbolic           finds the formula sqrt(x_1² + x_2²) in samples of it
  gpucore run kan 2048               plays the game 2048 and learns it by deep Q-learning
"""


def add_parser(subparsers: Any) -> None:
    """Names the system, and the tasks below it."""
    parser = subparsers.add_parser(
        "kan",
        help="networks of learned splines (KAN)",
        description="Kolmogorov-Arnold networks: every edge carries a spline that is learned.",
        epilog=EXAMPLES,
    )
    tasks = parser.add_subparsers(title="tasks", metavar="TASK", required=True)
    for name in TASKS:
        module = import_module(f".{MODULES.get(name, name)}", __name__)
        known = set(tasks.choices)
        module.add_parser(tasks)
        for made in set(tasks.choices) - known:
            add_common(tasks.choices[made])
            tasks.choices[made].set_defaults(run_task=module.run)


def run(args: argparse.Namespace) -> int:
    """Opens the device and runs the task that was named."""
    out = Output(args.json)
    code: int = args.run_task(args, out, open_device(args))
    return code
