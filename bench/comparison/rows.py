"""A row: what is measured, how it is checked, whom it is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np

from .context import Context
from .results import Result, Target

Measure = Callable[[Context, Result], None]
GROUPS = ("matmul", "GEMV", "memory-bound", "attention", "convolution", "KAN", "training", "host")
"""The groups in the order in which they run."""
ROWS: dict[str, list[Callable[[Context], list[Row]]]] = {}
"""The makers of rows by group."""


class LeftOut(Exception):  # noqa: N818  it is no error: the row does not apply here
    """Why a row is not measured on this device."""


@dataclass
class Row:
    """One row: `measure` fills the result. quick: part of a quick run. hardware, software: its targets there."""

    group: str
    name: str
    measure: Measure
    hardware: Sequence[Target] = ()
    software: Sequence[Target] = ()
    quick: bool = False
    compiles: bool = False
    note: str = ""

    def fits(self, pattern: str) -> bool:
        """Whether a pattern names it: part of "group: name", or a shell pattern of the whole."""
        whole = f"{self.group}: {self.name}".lower()
        return pattern.lower() in whole or fnmatch(whole, pattern.lower())


def rows(group: str) -> Callable[[Callable[[Context], list[Row]]], Callable[[Context], list[Row]]]:
    """Registers a function that makes the rows of a group."""

    def register(make: Callable[[Context], list[Row]]) -> Callable[[Context], list[Row]]:
        ROWS.setdefault(group, []).append(make)
        return make

    return register


def all_rows(ctx: Context) -> list[Row]:
    """Every row, those that compile last."""
    found = [row for group in sorted(ROWS, key=GROUPS.index) for make in ROWS[group] for row in make(ctx)]
    return sorted(found, key=lambda row: row.compiles)


def run_row(ctx: Context, row: Row) -> Result:
    """Measures one row; what it raises becomes its failure, so that the others still run."""
    result = Result(row.group, row.name, targets=list(row.software if ctx.small else row.hardware), notes=[row.note] if row.note else [])
    result.clock = "GPU" if getattr(ctx.device, "has_timestamps", False) else "wall"
    start = time.perf_counter()
    try:
        row.measure(ctx, result)
    except LeftOut as reason:
        result.notes.append(f"left out: {reason}")
    except Exception as error:  # one failed row must not lose the others; it is shown as failed
        result.failure = sentence(error)
    finally:
        ctx.forget()
    if result.ours is not None and result.share is None and result.clock == "GPU":
        result.share, result.bound = ctx.share(result.ours.seconds, result.flops, result.bytes)
    result.main = next(iter(result.peers), "")
    result.notes.append(f"row took {time.perf_counter() - start:.1f} s")
    return result


def sentence(error: BaseException) -> str:
    """The first line of what was raised, with its type."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"


def attempt(result: Result, peer: str, measure: Callable[[], Any]) -> None:
    """Adds a peer's timing; what it raises, or why it is left out, is said and the row goes on."""
    try:
        result.peers[peer] = measure()
    except LeftOut as reason:
        result.peer_failures[peer] = str(reason)
    except Exception as error:  # a peer's failure says nothing of ours
        result.peer_failures[peer] = sentence(error)


@dataclass
class Gate:
    """How near to float64 a result must be: relative L2 norm, and the worst element against the usual magnitude."""

    l2: float = 1e-5
    worst: float = 1e-3


def compare(result: Result, got: Sequence[np.ndarray], want: Sequence[np.ndarray], gate: Gate, checked: str = "") -> None:
    """Sets `correct` and `error`: every output against the reference in float64."""
    result.correct, result.error, result.checked = True, 0.0, checked or result.checked
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        if g.shape != w.shape or not np.array_equal(np.isfinite(g), np.isfinite(w)):
            result.correct, result.error = False, float("inf")
            continue
        scale = float(np.sqrt(np.mean(np.square(w)))) if w.size else 0.0
        gap = np.abs(g - w)
        far = float(np.sqrt(np.mean(np.square(gap)))) / (scale or 1.0) if w.size else 0.0
        result.error = max(result.error, far)
        if not (far <= gate.l2 and float(gap.max(initial=0.0)) <= gate.worst * (scale or 1.0)):
            result.correct = False


__all__ = ["GROUPS", "ROWS", "Gate", "LeftOut", "Row", "all_rows", "attempt", "compare", "rows", "run_row", "sentence"]
