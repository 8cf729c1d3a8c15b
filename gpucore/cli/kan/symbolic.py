"""`gpucore run kan symbolic`: finds a formula in samples of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ...data import write_atomic
from ...device import Device
from ...systems.kan import KanNetwork
from ...systems.kan.discovery import TARGETS, Found, discover
from ...systems.kan.explaining import HEAD
from ...systems.kan.pictures import can_draw, save_figure
from ..output import Output, json_text

EXAMPLES = """\
examples:
  gpucore run kan symbolic                      sqrt(x_1² + x_2²)
  gpucore run kan symbolic exp-sin --digits 4   exp(sin(π·x_1) + x_2²), its numbers to four digits
  gpucore run kan symbolic bell --device cpu    on NumPy

The formula needs sympy (pip install 'gpucore[symbolic]'), the pictures need matplotlib (gpucore[plots]).
"""


def add_parser(subparsers: Any) -> None:
    """Names the task and its options."""
    known = "; ".join(f"{name}: {target.text}" for name, target in TARGETS.items())
    parser = subparsers.add_parser(
        "symbolic",
        help="find a formula in samples of it",
        description="Trains a small network on samples of a formula, prunes it, puts functions in the place of its splines, trains "
        "on, and prints the formula that it has become.",
        epilog=EXAMPLES,
    )
    parser.add_argument("function", nargs="?", choices=tuple(TARGETS), default="norm", help=f"{known} (default: norm)")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="points drawn from the square (default: 1000)")
    parser.add_argument("--iterations", type=int, default=100, metavar="N", help="of L-BFGS on each grid (default: 100)")
    parser.add_argument("--tries", type=int, default=5, metavar="N", help="first weights to try at most (default: 5)")
    parser.add_argument("--prune", type=float, default=3e-2, metavar="SCORE", help="edges below this score go (default: 0.03)")
    parser.add_argument("--threshold", type=float, default=0.99, metavar="R2", help="R² from which an edge is fixed (default: 0.99)")
    parser.add_argument("--digits", type=int, default=3, metavar="N", help="digits after the point in the formula (default: 3)")
    parser.add_argument("--out", default="runs/kan-symbolic", metavar="DIR", help="folder for the results (default: runs/kan-symbolic)")


def run(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Finds the formula; 1 when an edge is left that is none."""
    target, folder, files = TARGETS[args.function], Path(args.out), list[Path]()
    drawn = can_draw()

    def draw(network: KanNetwork, x: np.ndarray, name: str) -> None:
        if drawn:
            files.append(folder / name)
            save_figure(network.plot(x), files[-1])

    out.say(f"{target.text}, {args.samples:,} samples, a network {list(target.widths)}, on {device.name}")
    found = discover(
        target, device, seed=args.seed, samples=args.samples, iterations=args.iterations, tries=args.tries, prune=args.prune,
        threshold=args.threshold, digits=args.digits, show=lambda what, rmse: out.say(f"  {what:<18} root mean square error {rmse:.2e}"),
        before=lambda network, x: draw(network, x, "splines.png"),
    )  # fmt: skip
    draw(found.network, found.x, "functions.png")
    if not drawn:
        out.note("the pictures need matplotlib: pip install 'gpucore[plots]'")
    _tell(out, found)
    files += write_results(args.function, found, folder)
    out.say(f"wrote {', '.join(f.name for f in files)} to {folder}")
    out.result(summary(args.function, found) | {"device": device.name, "files": [str(f) for f in files]})
    if found.explanation.complete:
        return 0
    left = sum(not edge.fixed for edge in found.explanation.edges)
    return out.failed(f"kan symbolic: {left} edges look like no function with R² of {args.threshold:g} or more and are still splines")


def _tell(out: Output, found: Found) -> None:
    explanation = found.explanation
    if explanation.pruned is not None:
        out.say(str(explanation.pruned))
    out.table(HEAD, explanation.rows(), "rrr r")
    if explanation.note:
        out.note(explanation.note)
    for k, (expression, r2) in enumerate(zip(explanation.expressions, explanation.r2, strict=False)):
        out.say(f"y_{k + 1} = {expression}    (1 - R² of the network: {1 - r2:.1e})")


def summary(name: str, found: Found) -> dict[str, Any]:
    """What was found as plain values."""
    explanation = found.explanation
    return {
        "function": name, "target": TARGETS[name].text, "formula": [str(e) for e in explanation.expressions], "r2": list(explanation.r2),
        "complete": explanation.complete, "edges": [edge._asdict() for edge in explanation.edges], "rmse": found.rmse,
    }  # fmt: skip


def write_results(name: str, found: Found, folder: Path) -> list[Path]:
    """The network and what was found; returns the files."""
    files = [folder / "network.safetensors", folder / "result.json"]
    found.network.save(files[0])
    write_atomic(files[1], json_text(summary(name, found)).encode())
    return files
