"""Matrix products through tiles in shared memory, for hardware adapters, whole or in parts of the inner axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

from kernels_ref import linalg as ref

from ..array import Array
from ..device.base import Device
from ..errors import ConfigError
from ..kernel import Case, Kernel, Launch, ceil_div, expect, kernel
from ..tuning import Candidate, Choices
from .product_cases import BENCH, FOLD_CASES, HALF_CASES, PARTS_CASES, TILE_CASES, TILED_CASES
from .products import activation_index, matmul_flops, matmul_launch, stored

LANES = 32
DEPTH = 16
"""Inner indices of a slice in shared memory; parts of the inner axis are multiples of it."""


def _tile(row_quads: int, col_quads: int, lanes_down: int, patches_down: int, patches_across: int) -> Candidate:
    """4·row_quads × 4·col_quads sums per invocation, in patches of 32 invocations."""
    workgroup = LANES * patches_down * patches_across
    constants = dict(
        ROW_QUADS=row_quads, COL_QUADS=col_quads, LANES_DOWN=lanes_down,
        PATCHES_DOWN=patches_down, PATCHES_ACROSS=patches_across, WORKGROUP=workgroup,
    )  # fmt: skip
    quads = (row_quads * lanes_down * patches_down, col_quads * LANES // lanes_down * patches_across)
    memory = sum(33 * DEPTH + 17 if n > 16 else 17 * DEPTH + 33 for n in quads)  # vec4s: a slice of the width, and one row of the other
    return Candidate(constants, workgroup, 16 * memory)


CHOICES = Choices(
    "matmul_tiled",
    {
        "64x64": _tile(2, 2, 4, 2, 1),
        "128x128": _tile(2, 4, 8, 2, 2),
        "32x32": _tile(1, 1, 4, 2, 1),
        "128x16": _tile(2, 1, 8, 2, 1),
        "16x128": _tile(1, 2, 4, 1, 2),
    },
)
"""Tiles by rows and columns; the first keeps to what every adapter has: 16 KiB of shared memory."""


def tile_shape(config: str) -> tuple[int, int]:
    """(rows, columns) of a candidate's tile."""
    c = CHOICES[config].constants
    rows: int = 4 * c["ROW_QUADS"] * c["LANES_DOWN"] * c["PATCHES_DOWN"]
    cols: int = 4 * c["COL_QUADS"] * (LANES // c["LANES_DOWN"]) * c["PATCHES_ACROSS"]
    return rows, cols


class Pace(NamedTuple):
    """How a tile runs on one multiprocessor: workgroups at a time, and µs per slice, alone and for each workgroup more."""

    resident: int
    alone: float
    each: float


PACES = {
    "64x64": Pace(4, 0.5, 0.28), "128x128": Pace(2, 2.4, 0.35), "32x32": Pace(5, 0.33, 0.12),
    "128x16": Pace(3, 1.0, 0.25), "16x128": Pace(3, 1.0, 0.25),
}  # fmt: skip
"""Measured on an H200. What counts is how the candidates compare, so they serve other hardware too until `tune` has run."""
MULTIPROCESSORS = 132
START = 4
"""What a workgroup needs besides its slices, in slices: the first load and the results."""
FOLD, FOLD_BYTES = 3.0, 2.5e6
"""µs of one more dispatch, and bytes per µs that it adds up."""
PARTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def estimate(config: str, batch: int, rows: int, cols: int, inner: int, parts: int) -> float:
    """µs that a product should take with this tile and this many parts of the inner axis."""
    tile, pace = tile_shape(config), PACES[config]
    groups = parts * batch * ceil_div(rows, tile[0]) * ceil_div(cols, tile[1])
    most = ceil_div(groups, MULTIPROCESSORS)  # that one multiprocessor gets
    full, rest = divmod(most, pace.resident)
    rest = max(rest, 2) if full and rest else rest  # the last few are spread unevenly
    per_slice = full * (pace.alone + pace.each * pace.resident) + (pace.alone + pace.each * rest if rest else 0.0)
    fold = FOLD + 4 * (parts + 1) * batch * rows * cols / FOLD_BYTES if parts > 1 else 0.0
    return (ceil_div(inner, parts * DEPTH) + START) * per_slice + fold


@lru_cache(maxsize=4096)
def best(batch: int, rows: int, cols: int, inner: int, config: str | None, whole: bool) -> tuple[str, int]:
    """(candidate, parts) with the least estimate: of this candidate or of all, in parts or whole."""
    parts = [p for p in PARTS if p == 1 or (not whole and inner >= 2 * DEPTH * p)]
    choices = [(c, p) for c in (CHOICES.candidates if config is None else [config]) for p in parts]
    return min(choices, key=lambda choice: estimate(choice[0], batch, rows, cols, inner, choice[1]))


def _key(batch: int, rows: int, cols: int, inner: int, transpose_a: bool, transpose_b: bool) -> tuple[int | str, ...]:
    return rows, cols, inner, f"{'t' if transpose_a else 'n'}{'t' if transpose_b else 'n'}", batch


def plan(device: Device, batch: int, rows: int, cols: int, inner: int, transpose_a: bool, transpose_b: bool) -> tuple[str, int | None]:
    """(candidate, inner indices per part) for a product on this device; None in place of the second does it whole."""
    config, _ = best(batch, rows, cols, inner, None, False)
    config = CHOICES.pick(device, None, _key(batch, rows, cols, inner, transpose_a, transpose_b), config)
    _, parts = best(batch, rows, cols, inner, config, False)
    return config, _chunk(inner, parts) if parts > 1 else None


def _chunk(inner: int, parts: int) -> int:
    return ceil_div(inner, parts * DEPTH) * DEPTH


def usual_parts(rows: int, cols: int, inner: int) -> int:
    """Parts of the inner axis in which one product is summed up where nothing was measured; 1: whole."""
    _, parts = best(1, rows, cols, inner, None, False)
    return ceil_div(inner, _chunk(inner, parts)) if parts > 1 else 1


def _launch(
    who: str, a: Array, b: Array, bias: Array | None, transpose_a: bool, transpose_b: bool, activation: str | None,
    config: str | None, chunk: int | None,
) -> Launch:  # fmt: skip
    launch = matmul_launch(who, a, b, bias, transpose_a, transpose_b, activation, (1, 1))
    *batch, rows, cols = launch.outputs["out"].shape
    inner = launch.params["inner"]
    sizes = (prod(batch), rows, cols, inner)
    config = CHOICES.pick(a.device, config, _key(*sizes, transpose_a, transpose_b), best(*sizes, None, True)[0])
    tile = tile_shape(config)
    parts = 1 if chunk is None else max(1, ceil_div(inner, chunk))
    params = launch.params | dict(parts=parts, chunk=inner if chunk is None else chunk)
    groups = parts * prod(batch) * ceil_div(rows, tile[0]) * ceil_div(cols, tile[1])
    shape = (*batch, rows, cols) if chunk is None else (parts, *batch, rows, cols)
    constants = launch.constants | dict(CHOICES[config].constants)
    return Launch(shape, groups=groups, params=params, constants=constants, half=launch.half)


def _declare_tiled(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(
        a: Array, b: Array, bias: Array | None = None, *, transpose_a: bool = False, transpose_b: bool = False,
        activation: str | None = None, chunk: int | None = None, config: str | None = None,
    ) -> Launch:  # fmt: skip
        """activation(A·B + bias) with A = a or aᵀ and B = b or bᵀ, batch axes broadcast; a workgroup per tile, through shared memory.

        chunk: gives one product per `chunk` inner indices, [parts, ..., m, n], to be added up by matmul_fold.
        """
        if chunk is not None and (chunk <= 0 or chunk % DEPTH):
            raise ConfigError(f"{name}: chunk is {chunk}; wants a positive multiple of {DEPTH}")
        if chunk is not None and (bias is not None or activation is not None):
            raise ConfigError(f"{name}: parts of the inner axis take no bias and no activation; give them to matmul_fold")
        return _launch(name, a, b, bias, transpose_a, transpose_b, activation, config, chunk)

    rule.__name__ = name
    return kernel(
        "linalg/matmul_tiled", ref=getattr(ref, name), flops=matmul_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=stored(cases, storage), bench=stored([*BENCH, dict(a=(128, 4096), b=(4096, 128), chunk=256)], storage), choices=CHOICES,
    )(rule)  # fmt: skip


matmul_tiled = _declare_tiled("matmul_tiled", "float32", [*TILED_CASES, *PARTS_CASES, *CHOICES.across(TILE_CASES)])
matmul_tiled_f16 = _declare_tiled("matmul_tiled_f16", "float16", [*HALF_CASES, *PARTS_CASES[:1], *CHOICES.across(TILE_CASES[:1])])
matmul_tiled_bf16 = _declare_tiled("matmul_tiled_bf16", "bfloat16", [*HALF_CASES, *PARTS_CASES[:1], *CHOICES.across(TILE_CASES[:1])])

FOLD_WORKGROUP = 64


@kernel("linalg/matmul_fold", ref=ref.matmul_fold, cases=FOLD_CASES, bench=dict(partial=(8, 1024, 1024)), atol=2e-5,
        flops=lambda partial, *rest, **options: float(partial.size))  # fmt: skip
def matmul_fold(partial: Array, bias: Array | None = None, *, activation: str | None = None) -> Launch:
    """activation(Σ_p partial[p] + bias): partial [parts, ..., n], bias [n]; the parts are added in order."""
    expect(partial.ndim >= 2, f"matmul_fold: partial is {partial.shape}; wants the parts and at least one more axis")
    parts, *shape = partial.shape
    if bias is not None:
        expect(bias.shape == (shape[-1],), f"matmul_fold: bias is {bias.shape}; wants ({shape[-1]},), one per column")
    constants = dict(WORKGROUP=FOLD_WORKGROUP, HAS_BIAS=bias is not None, ACTIVATION=activation_index("matmul_fold", activation))
    params = dict(size=prod(shape), cols=shape[-1], parts=parts)
    return Launch(tuple(shape), groups=ceil_div(prod(shape), FOLD_WORKGROUP), params=params, constants=constants)


TILED = {"float32": matmul_tiled, "float64": matmul_tiled, "float16": matmul_tiled_f16, "bfloat16": matmul_tiled_bf16}
