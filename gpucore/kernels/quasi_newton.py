"""Quasi-Newton methods: the kernels over a matrix of flat vectors. All work in place.

The matrix `vectors` holds one vector per row: s of each slot, y of each slot, then two gradients, which take turns in being
the latest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels_ref import optim as ref

from ..array import Array
from ..kernel import Launch, ceil_div, expect, kernel
from .optim import WORKGROUP


def _rows(slots: int) -> int:
    return 2 * slots + 2


def _unset(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


def _check_flat(who: str, size: int, **flats: Array | None) -> None:
    expect(size % 4 == 0, f"{who}: rows of {size} elements; wants a multiple of 4")
    for name, t in flats.items():
        if t is not None:
            expect(t.shape == (size,), f"{who}: {name} has shape {t.shape}; wants ({size},)")


def _picked(who: str, vectors: Array, slot: int, row: int) -> dict[str, int]:
    """The rows of s, y, the gradient and the one before it, as Params."""
    rows = vectors.shape[0]
    slots = rows // 2 - 1
    expect(rows % 2 == 0 and slots > 0, f"{who}: vectors has {rows} rows; wants two for each slot and two more")
    expect(0 <= slot < slots and row in (0, 1), f"{who}: slot {slot} and row {row}; wants less than {slots} and 2")
    return dict(s=slot, y=slots + slot, g=2 * slots + row, before=2 * slots + 1 - row)


def _combined(rows: int, size: int, *, origin: bool = False) -> dict[str, Any]:
    case = dict(flat=_unset(size), rows=(rows, size), coefficients=(rows,), id=f"{rows} rows of {size}{', origin' if origin else ''}")
    return case | (dict(origin=(size,)) if origin else {})


def _spoilt_rows() -> dict[str, Any]:
    rows = np.stack([np.full(68, x, np.float32) for x in (np.nan, 1.0, np.inf, -2.0)])
    return dict(flat=_unset(68), rows=rows, coefficients=np.array([0, 0.5, 0, -1], np.float32), id="rows left out")


@kernel(
    "optim/combine_rows", ref=ref.combine_rows, flops=lambda flat, rows, coefficients, origin=None: 2 * rows.size,
    bench=dict(flat=(1 << 20,), rows=(24, 1 << 20), coefficients=(24,)), atol=1e-5,
    cases=[_combined(r, n) for r, n in ((1, 4), (3, 1028), (24, 1024), (2, 0), (24, 4036))]
    + [_combined(r, n, origin=True) for r, n in ((1, 4), (1, 1028), (24, 4036), (2, 0))]
    + [dict(flat=_unset(68), rows=(2, 68), coefficients=np.zeros(2, np.float32), id="zeros"), _spoilt_rows()],
)  # fmt: skip
def combine_rows(flat: Array, rows: Array, coefficients: Array, origin: Array | None = None) -> Launch:
    """flat = origin + Σ_r coefficients[r]·rows[r]; a coefficient of 0 leaves its row out."""
    count, size = rows.shape
    _check_flat("combine_rows", size, flat=flat, origin=origin)
    expect(coefficients.shape == (count,), f"combine_rows: coefficients have shape {coefficients.shape}; wants ({count},)")
    groups = ceil_div(size // 4, WORKGROUP)
    return Launch(None, groups=groups, params=dict(vectors=size // 4, count=count), constants=dict(HAS_ORIGIN=int(origin is not None)))


def _pair(slots: int, size: int, blocks: int = 1, slot: int = 0, row: int = 0) -> dict[str, Any]:
    def vectors(rng: np.random.Generator) -> np.ndarray:
        made = rng.standard_normal((_rows(slots), size)).astype(np.float32)
        made[[slot, slots + slot, 2 * slots + row]] = np.nan
        return made

    flats = dict.fromkeys(("theta", "origin", "gradient"), (size,))
    return dict(vectors=vectors, measures=_unset(blocks, 4), **flats, slot=slot, row=row, id=f"{slots} slots of {size}, {blocks} blocks")


def _pair_specials(theta: list[float], gradient: list[float]) -> dict[str, Any]:
    flats = dict(theta=np.array(theta, np.float32), gradient=np.array(gradient, np.float32), origin=np.ones(4, np.float32))
    return dict(vectors=np.zeros((4, 4), np.float32), measures=_unset(1, 4), **flats, slot=0, row=1, id=f"specials {theta} {gradient}")


@kernel(
    "optim/secant_pair", ref=ref.secant_pair, flops=lambda vectors, measures, theta, *_, **__: 6 * theta.size,
    bytes=lambda vectors, measures, theta, *_, **__: 7 * theta.nbytes,
    bench=_pair(11, 1 << 20, 256, 3), cases=[
        _pair(1, 4), _pair(2, 1028, 1, 1, 1), _pair(3, 4100, 2, 1), _pair(11, 5000, 3, 10, 1), _pair(2, 9004, 2), _pair(1, 0),
        _pair_specials([np.nan, 0, 1, 2], [1, -np.inf, 0, 3]), _pair_specials([np.inf, 0, 1, -9], [1, np.nan, 1e30, 0]),
    ],
)  # fmt: skip
def secant_pair(vectors: Array, measures: Array, theta: Array, origin: Array, gradient: Array, *, slot: int, row: int) -> Launch:
    """s = θ - θ0, the gradient g and y = g - g0 into their rows of `vectors`; g0 is the other one of the two gradients.

    measures [blocks, 4] = (Σ|s|, max|s|, Σ|g|, max|g|), block by block; a maximum is NaN where its sum is.
    """
    size = vectors.shape[1]
    _check_flat("secant_pair", size, theta=theta, origin=origin, gradient=gradient)
    blocks = measures.shape[0]
    expect(measures.shape == (blocks, 4) and blocks > 0, f"secant_pair: measures have shape {measures.shape}; wants (blocks, 4)")
    params = dict(vectors=size // 4, blocks=blocks) | _picked("secant_pair", vectors, slot, row)
    return Launch(None, groups=blocks, params=params)


def _products(slots: int, size: int, blocks: int = 1, slot: int = 0, row: int = 0, scale: float = 1.0) -> dict[str, Any]:
    def vectors(rng: np.random.Generator) -> np.ndarray:  # around 1: long sums that cancel have no relative error
        return (scale * (1 + rng.standard_normal((_rows(slots), size)))).astype(np.float32)

    label = f"{slots} slots of {size}, {blocks} blocks, scale {scale:g}"
    partials = _unset(blocks, _rows(slots), 4)
    return dict(vectors=vectors, direction=lambda rng: vectors(rng)[0], partials=partials, slot=slot, row=row, id=label)


def _product_specials(rng: np.random.Generator) -> dict[str, Any]:
    vectors = rng.standard_normal((6, 64)).astype(np.float32)
    vectors[1, 3], vectors[3, 5] = np.nan, np.inf
    return dict(vectors=vectors, direction=np.ones(64, np.float32), partials=_unset(1, 6, 4), slot=0, row=0)


@kernel(
    "optim/dot_rows", ref=ref.dot_rows, flops=lambda vectors, *_, **__: 8 * vectors.size,
    bytes=lambda vectors, *_, **__: vectors.nbytes + vectors.nbytes // vectors.shape[0],
    bench=_products(11, 1 << 20, 32, 3), cases=[
        _products(1, 4), _products(2, 1028, 1, 1, 1), _products(3, 4100, 2, 1), _products(11, 5000, 3, 10, 1), _products(2, 9004, 2),
        _products(1, 0), _products(1, 1 << 18, 4), _products(2, 2052, 2, 1, 0, 1e15), _products(2, 2052, 1, 0, 1, 1e-10), _product_specials,
    ], atol=1e-30,
)  # fmt: skip
def dot_rows(vectors: Array, direction: Array, partials: Array, *, slot: int, row: int) -> Launch:
    """partials[b, r] = vectors[r]·(s, y, g, direction) over block b: [rows, size] → [blocks, rows, 4], to be added up on the host."""
    count, size = vectors.shape
    _check_flat("dot_rows", size, direction=direction)
    blocks = partials.shape[0]
    expect(
        partials.shape == (blocks, count, 4) and blocks > 0, f"dot_rows: partials have shape {partials.shape}; wants (blocks, {count}, 4)"
    )
    picked = _picked("dot_rows", vectors, slot, row)
    del picked["before"]
    tiles = ceil_div(count, 4)
    return Launch(None, groups=blocks * tiles, params=dict(vectors=size // 4, count=count, tiles=tiles, blocks=blocks) | picked)
