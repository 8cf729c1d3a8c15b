"""`gpucore run SYSTEM ...`: the systems, one module each in this folder."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_modules

SYSTEMS = ("mnist", "kan")
"""The modules beside this one that run a system; each has `add_parser(subparsers)` and `run(args) -> int`."""

EXAMPLES = """\
examples:
  gpucore run mnist --model lenet
  gpucore run mnist sanity
  gpucore run mnist parity --device 0
  gpucore run kan mnist
"""


def add_parser(subparsers: Any) -> None:
    """Names the command and the systems below it."""
    parser = subparsers.add_parser(
        "run", help="train or check one of the systems built on gpucore", description="Runs a system.", epilog=EXAMPLES
    )
    systems = parser.add_subparsers(title="systems", metavar="SYSTEM", required=True)
    add_modules(systems, __package__ or "", SYSTEMS, "run_system")


def run(args: argparse.Namespace) -> int:
    """Runs the system that was named."""
    code: int = args.run_system(args)
    return code
