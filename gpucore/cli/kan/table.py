"""`gpucore run kan --csv FILE --target COLUMN`: fits a table of one's own and prints the formula."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from ...data import read_table, write_atomic
from ...device import Device
from ...errors import ConfigError
from ...systems.kan import KanNetwork
from ...systems.kan.explaining import HEAD
from ...systems.kan.formula import check_digits
from ...systems.kan.pictures import can_draw, save_figure
from ...systems.kan.tables import TableFit, TableFormula, TableSettings, TableTraining
from ..output import Output, Progress, json_text
from .pictures import draw_predictions
from .widths import hidden_widths

Targets = Sequence[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a table, which belong to the system itself."""
    usual = TableSettings()
    group = parser.add_argument_group("a table of your own (in place of a TASK)")
    group.add_argument("--csv", metavar="FILE", help="a table of numbers; the first line names its columns")
    group.add_argument("--target", action="append", metavar="COLUMN", help="what is to be explained by the other columns; may be repeated")
    group.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="a column to leave out; may be repeated")
    group.add_argument("--hidden", metavar="N,N", help="widths of the hidden layers, 0 for none (default: the simplest that is good)")
    group.add_argument("--grid", type=int, default=usual.grid_size, metavar="G", help=f"cells of the grids (default: {usual.grid_size})")
    group.add_argument("--degree", type=int, default=usual.degree, metavar="P", help=f"of the splines (default: {usual.degree})")
    group.add_argument("--test", type=float, default=usual.test, metavar="SHARE", help=f"of the rows, for R² (default: {usual.test:g})")
    group.add_argument(
        "--iterations", type=int, default=usual.iterations, metavar="N", help=f"of L-BFGS at most (default: {usual.iterations})"
    )
    group.add_argument(
        "--threshold", type=float, default=usual.threshold, metavar="R2", help=f"from which an edge is fixed (default: {usual.threshold:g})"
    )
    group.add_argument(
        "--prune", type=float, default=usual.prune, metavar="SCORE", help=f"edges of a lower score go (default: {usual.prune:g})"
    )
    group.add_argument("--digits", type=int, default=4, metavar="N", help="significant digits of the formula (default: 4)")
    group.add_argument("--no-formula", action="store_true", help="the splines alone")
    group.add_argument("--out", default="runs/kan-table", metavar="DIR", help="folder for the results (default: runs/kan-table)")


def run(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Fits, judges and explains the table."""
    if not args.target:
        raise ConfigError("kan: --csv wants --target COLUMN, the column to be explained")
    twice = [name for name in args.target if args.target.count(name) > 1]
    if twice:
        raise ConfigError(f"kan: --target names {twice[0]!r} twice; wants each column once")
    check_digits("kan", significant=args.digits)
    table = read_table(args.csv, drop=args.drop)
    y = table.columns(args.target)
    inputs = [name for name in table.names if name not in args.target]
    if not inputs:
        raise ConfigError(f"kan: {args.csv} has no column beside the target; wants at least one to explain it by")
    hidden = None if args.hidden is None else hidden_widths(args.hidden)
    settings = TableSettings(
        hidden=hidden, grid_size=args.grid, degree=args.degree, test=args.test, iterations=args.iterations,
        threshold=args.threshold, prune=args.prune, seed=args.seed,
    )  # fmt: skip
    show = TrainingLines(out)
    training = TableTraining(table.columns(inputs), y, settings, device=device, show=show)
    out.say(f"{args.csv}: {len(table):,} rows, {', '.join(args.target)} by {', '.join(inputs)}")
    out.say(f"{len(training.train):,} rows to train and {len(training.test):,} to judge, on {device.name}")
    fit = training.fit()
    show.close()
    tell_fit(out, fit, args.target)
    formula = None if args.no_formula else training.formula(symbols(inputs), args.digits)
    show.close()
    if formula is not None:
        tell_formula(out, formula, args.target)
    files = write_results(fit, formula, inputs, args.target, Path(args.out))
    out.say(f"wrote {', '.join(f.name for f in files)} to {args.out}")
    if not can_draw():
        out.note("the pictures need matplotlib: pip install 'gpucore[plots]'")
    out.result(summary(fit, formula, args.target) | {"device": device.name, "inputs": inputs, "files": [str(f) for f in files]})
    return 0


class TrainingLines:
    """A bar while a training runs, and a line when it is over, with the last R² that it showed."""

    def __init__(self, out: Output) -> None:
        self._out, self._what, self._line = out, "", ""
        self._bar: Progress | None = None

    def __call__(self, what: str, done: int, allowed: int, fitted: float, held: float) -> None:
        """What a training reports."""
        if what != self._what:
            self.close()
            self._what, self._bar = what, Progress(self._out.stream, allowed, what)
        self._line = f"  {what:<20} {done:>4} iterations, R² {fitted:.5f} fitted, {held:.5f} held back"
        assert self._bar is not None
        self._bar.show(done, f"R² {held:.5f}")

    def close(self) -> None:
        """Prints the line in place of the bar."""
        if self._bar is not None:
            self._bar.clear()
            self._out.say(self._line)
        self._bar, self._what = None, ""


def symbols(names: Sequence[str]) -> list[str]:
    """Column names as they can stand in a formula: letters, digits and underscores, each its own."""
    plain = [re.sub(r"\W+", "_", name).strip("_") or "x" for name in names]
    plain = [f"x_{name}" if name[0].isdigit() else name for name in plain]
    made: list[str] = []
    for k, name in enumerate(plain, 1):
        symbol, count = name, k
        while symbol in made or (symbol != name and symbol in plain):
            symbol, count = f"{name}_{count}", count + 1
        made.append(symbol)
    return made


def tell_fit(out: Output, fit: TableFit, targets: Targets) -> None:
    """R² of the splines beside that of a linear model."""
    widths, count = list(fit.network.config.widths), fit.network.parameter_count()
    out.say(f"\nthe network {widths}, {count:,} parameters; R² is the share of the variance that is explained:")
    rows = [
        (name, *(_share(v) for v in values)) for name, *values in zip(targets, fit.r2_train, fit.r2_test, fit.linear, strict=True)
    ]  # fmt: skip
    out.table(("target", "R² train", "R² test", "linear model, test"), rows, " rrr")


def tell_formula(out: Output, formula: TableFormula, targets: Targets) -> None:
    """What was pruned, what the edges are, and the formula with its own R²."""
    found = formula.explanation
    if found.pruned is not None:
        out.say(f"\n{str(found.pruned).splitlines()[0]}")
    out.table(HEAD, found.rows(), "rrr r")
    if found.note:
        out.note(found.note)
    out.say()
    for name, expression in zip(targets, formula.expressions, strict=False):
        out.say(f"{name} = {expression}")
    parts = [f"{name} {_share(r2)}" for name, r2 in zip(targets, formula.r2_test, strict=True)]
    out.say(f"R² of {'the formula' if found.complete else 'it (φ are edges that are still splines)'} on the test rows: {', '.join(parts)}")


def _share(r2: float) -> str:
    return "-" if isnan(r2) else f"{r2:.5f}"


def summary(fit: TableFit, formula: TableFormula | None, targets: Targets) -> dict[str, Any]:
    """What was found as plain values."""
    found: dict[str, Any] = {
        "targets": list(targets), "rows": [len(fit.train), len(fit.test)], "config": fit.network.config.to_dict(),
        "r2_train": list(fit.r2_train), "r2_test": list(fit.r2_test), "linear_r2_test": list(fit.linear),
    }  # fmt: skip
    if formula is not None:
        found |= {
            "formula": [str(e) for e in formula.expressions], "formula_r2_test": list(formula.r2_test),
            "complete": formula.explanation.complete, "edges": [edge._asdict() for edge in formula.explanation.edges],
        }  # fmt: skip
    return found


def write_results(fit: TableFit, formula: TableFormula | None, inputs: Sequence[str], targets: Targets, folder: Path) -> list[Path]:
    """Networks, summary and, where matplotlib is there, pictures; returns the files."""
    files = [folder / "splines.safetensors", folder / "result.json"]
    fit.network.save(files[0])
    write_atomic(files[1], json_text(summary(fit, formula, targets)).encode())
    if formula is not None:
        files.append(folder / "functions.safetensors")
        formula.network.save(files[-1])
    if not can_draw():
        return files
    networks = {"splines": fit.network} | ({} if formula is None else {"functions": formula.network})
    for name, network in networks.items():
        files += _draw(network, name, fit, inputs, targets, folder)
    return files


def _draw(network: KanNetwork, name: str, fit: TableFit, inputs: Sequence[str], targets: Targets, folder: Path) -> list[Path]:
    """Predictions against targets, and the network where it is small enough to be seen."""
    files = [folder / f"{name}-predictions.png"]
    draw_predictions(network, {"train": fit.train, "test": fit.test}, targets, files[0])
    try:
        figure = network.plot(np.asarray(fit.train.x), names=list(inputs), outputs=list(targets))
    except ConfigError:  # too many edges to be seen
        return files
    files.append(folder / f"{name}.png")
    save_figure(figure, files[-1])
    return files
