"""What the tasks that race networks over refining grids share: options, the lines on the terminal, the verdict, the files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data import write_atomic
from ...device import Device
from ...errors import ConfigError
from ...systems.kan import KanConfig
from ...systems.kan.refinement import Attempt, Problem, Schedule, race
from ..output import Output, Progress, json_text


def add_options(parser: argparse.ArgumentParser, task: str, grids: str, *, seeds: int = 5, keep: int = 2) -> None:
    """The options of a race."""
    group = parser.add_argument_group("race")
    group.add_argument("--seeds", type=int, default=seeds, metavar="N", help=f"networks that begin, from --seed on (default: {seeds})")
    group.add_argument("--keep", type=int, default=keep, metavar="N", help=f"networks that go on past the first grid (default: {keep})")
    group.add_argument("--grids", metavar="G,G,...", help=f"cells of the grids, growing (default: {grids})")
    group.add_argument("--iterations", type=int, default=Schedule.iterations, metavar="N", help="of L-BFGS on each grid (default: 300)")
    group.add_argument("--out", metavar="DIR", help=f"folder for the results (default: runs/kan-{task})")


def grids_of(args: argparse.Namespace, task: str, usual: Sequence[int]) -> tuple[int, ...]:
    """The grids that were asked for; ConfigError for what is no list of growing whole numbers."""
    if args.grids is None:
        return tuple(usual)
    parts = args.grids.split(",")
    if not all(p.strip().isdigit() for p in parts):
        raise ConfigError(f"kan {task}: --grids is {args.grids!r}; wants whole numbers of cells with commas, such as 3,10,20")
    found = [int(p) for p in parts]
    if sorted(set(found)) != found:
        raise ConfigError(f"kan {task}: --grids is {args.grids!r}; wants growing numbers of cells")
    return tuple(found)


def run_race(args: argparse.Namespace, out: Output, device: Device, problem: Problem, task: str, grids: Sequence[int]) -> list[Attempt]:
    """The race, with a line per network when it begins and after each of its grids."""
    if args.seeds < 1 or args.keep < 1:
        raise ConfigError(f"kan {task}: --seeds is {args.seeds} and --keep {args.keep}; wants 1 or more of both")
    schedule = Schedule(iterations=args.iterations)
    config: KanConfig = problem.config
    out.say(f"KAN {list(config.widths)}, degree {config.degree}, base {config.base or 'none'}, L-BFGS on {device.name}")
    keep = min(args.keep, args.seeds)
    half = max(keep, -(-args.seeds // 2))
    bar = Progress(out.stream, args.seeds + half + keep * (len(grids) - 1), "trainings")
    done = 0

    def show(attempt: Attempt) -> None:
        nonlocal done
        done += 1
        bar.clear()
        out.say(_line(attempt))
        bar.show(done)

    attempts = race(problem, device, range(args.seed, args.seed + args.seeds), grids, keep=keep, schedule=schedule, show=show)
    bar.clear()
    return attempts


def _line(attempt: Attempt) -> str:
    if attempt.failed:
        return f"seed {attempt.seed}: given up, {attempt.failed}"
    if not attempt.stages:
        return f"seed {attempt.seed}: begins with loss {attempt.loss:.2e}"
    stage = attempt.stages[-1]
    errors = ", ".join(f"{name} {value:.2e}" for name, value in stage.errors.items())
    return f"seed {attempt.seed}: grid {stage.grid_size:>3}, {errors}, {stage.evaluations} evaluations in {stage.seconds:.1f} s"


def show_best(out: Output, best: Attempt, lines: Mapping[int, float], published: Mapping[int, float] | None = None) -> None:
    """The table of the best network: a row per grid."""
    names = list(best.stages[0].errors)
    head = ["grid", *names, "must reach", "reached", *(["published"] if published else []), "evaluations", "seconds"]
    rows = []
    for stage in best.stages:
        line = lines.get(stage.grid_size)
        verdict = ["-", "-"] if line is None else [f"{line:.1e}", "yes" if reached(stage.errors, line) else "NO"]
        figure = (published or {}).get(stage.grid_size)
        beside = ["-" if figure is None else f"{figure:.1e}"] if published else []
        errors = [f"{value:.2e}" for value in stage.errors.values()]
        rows.append([stage.grid_size, *errors, *verdict, *beside, stage.evaluations, f"{stage.seconds:.1f}"])
    out.table(head, rows, "r" * (len(names) + 2) + " " + "r" * (len(head) - len(names) - 3))


def reached(errors: Mapping[str, float], line: float) -> bool:
    """Whether the first of the errors is no greater; NaN is not."""
    return next(iter(errors.values())) <= line


def missed(best: Attempt, lines: Mapping[int, float]) -> list[str]:
    """A phrase for every line that was not reached."""
    found = []
    for stage in best.stages:
        line = lines.get(stage.grid_size)
        if line is not None and not reached(stage.errors, line):
            name, value = next(iter(stage.errors.items()))
            found.append(f"grid {stage.grid_size} has a {name} error of {value:.2e} and must reach {line:.2e}")
    return found


def summary(attempts: Sequence[Attempt], lines: Mapping[int, float], device: Device) -> dict[str, Any]:
    """What a race found, as plain data."""
    best = attempts[0]
    runs = [
        {"seed": a.seed, "loss": a.loss, "failed": a.failed, "stages": [stage._asdict() for stage in a.stages]} for a in attempts
    ]  # fmt: skip
    must = {str(size): line for size, line in lines.items() if size in [s.grid_size for s in best.stages]}
    return {"device": device.name, "passed": not missed(best, lines), "best_seed": best.seed, "must_reach": must, "attempts": runs}


def write(attempts: Sequence[Attempt], found: Mapping[str, Any], folder: Path) -> list[Path]:
    """network.safetensors of the best, and result.json."""
    files = [folder / "network.safetensors", folder / "result.json"]
    attempts[0].network.save(files[0])
    write_atomic(files[1], json_text(found).encode())
    return files
