"""The parity and bench cases of the matrix product kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .products import ACTIVATIONS

FLAGS: list[dict[str, Any]] = [dict(transpose_a=ta, transpose_b=tb) for ta in (False, True) for tb in (False, True)]


def _stored(rows: int, cols: int, flipped: bool) -> tuple[int, int]:
    return (cols, rows) if flipped else (rows, cols)


def plain(
    m: int, k: int, n: int, bias: bool = False, batch_a: tuple[int, ...] = (), batch_b: tuple[int, ...] = (), **options: Any
) -> dict[str, Any]:
    """A case of op(a) [m, k] times op(b) [k, n]."""
    a = (*batch_a, *_stored(m, k, options.get("transpose_a", False)))
    b = (*batch_b, *_stored(k, n, options.get("transpose_b", False)))
    label = " ".join([f"{a} {b}", *[f"{k}={v}" for k, v in options.items() if v], "bias" * bias])
    return dict(a=a, b=b, id=label, **({"bias": (n,)} if bias else {}), **options)


def _scaled(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    return rng.uniform(0.5, 1.0, shape).astype(np.float32) * np.float32(scale)


def _with_specials(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal((70, 12), np.float32)
    x[3, 5], x[20, 0], x[66, 11] = np.nan, np.inf, -np.inf
    return x


def nan_starts(rows: int, cols: int) -> Any:
    """Every other row starts with NaN: it lies just behind the row before, where a read past the end of that one lands."""

    def make(rng: np.random.Generator) -> np.ndarray:
        x = rng.standard_normal((rows, cols), np.float32)
        x[1::2, 0] = np.nan
        return x

    return make


def _infinite_diagonal(rows: int, cols: int) -> Any:
    """One infinity in each row, at every inner index in turn: times a zero that pads a slice it would be NaN."""

    def make(rng: np.random.Generator) -> np.ndarray:
        x = rng.standard_normal((rows, cols), np.float32)
        x[np.arange(rows), np.arange(rows) % cols] = np.inf
        return x

    return make


_SIZES = [(1, 1, 1), (4, 4, 4), (33, 17, 35), (36, 64, 68), (5, 3, 130), (31, 257, 29)]
_EMPTY = [plain(3, 0, 5, bias=True), plain(3, 0, 5), plain(0, 3, 5), plain(4, 5, 0), plain(2, 3, 2, batch_a=(0,))]
_BATCHED = [
    plain(6, 5, 4, batch_a=(3,), batch_b=(3,)),
    plain(8, 12, 16, batch_a=(2, 1, 3), batch_b=(5, 1), transpose_b=True),
    plain(5, 6, 7, batch_a=(2, 1, 2, 1), batch_b=(3, 1, 2), transpose_a=True, bias=True),
]
_EXTREME = [
    dict(a=lambda rng: _scaled(rng, (9, 40), 1e18), b=lambda rng: _scaled(rng, (40, 5), 1e18), id="large"),
    dict(a=lambda rng: _scaled(rng, (9, 40), 1e-15), b=lambda rng: _scaled(rng, (40, 5), 1e-15), id="small"),
    dict(a=_with_specials, b=(12, 9), id="inf and NaN"),
    *[dict(a=nan_starts(70, k), b=(k, 9), id=f"NaN behind rows of {k}") for k in (5, 9, 19)],
    *[dict(a=(70, k), b=nan_starts(70, k), transpose_b=True, id=f"NaN behind columns of {k}") for k in (5, 9, 19)],
    *[dict(a=_infinite_diagonal(70, k), b=(k, 9), id=f"infinities at {k} indices") for k in (16, 19, 37)],
    *[dict(a=(70, k), b=_infinite_diagonal(9, k), transpose_b=True, id=f"infinities in b at {k} indices") for k in (16, 19, 37)],
]
DIRECT_CASES = [
    *[plain(m, k, n, **f) for m, k, n in _SIZES for f in FLAGS], *_EMPTY, *_BATCHED, *_EXTREME,
    *[plain(7, 9, 21, bias=True, activation=name) for name in ACTIVATIONS],
    plain(65, 100, 130, bias=True, activation="relu"), plain(13, 600, 6), plain(9, 1030, 33, transpose_a=True),
    plain(1, 4, 4, batch_a=(65537,), batch_b=(1,)),
]  # fmt: skip
TILED_CASES = [
    *[plain(m, k, n, **f) for m, k, n in ((1, 1, 1), (132, 36, 196)) for f in FLAGS], *_EMPTY, *_BATCHED, *_EXTREME,
    *[plain(7, 9, 21, bias=True, activation=name) for name in ("gelu", "tanh")], plain(257, 19, 1031, bias=True),
    plain(1, 4, 4, batch_a=(65537,), batch_b=(1,)) | {"large": True},
]  # fmt: skip
TILE_CASES = [plain(130, 37, 67, bias=True), plain(129, 37, 67, transpose_a=True, transpose_b=True), plain(4, 33, 136)]
"""Of every candidate of the tile."""
PARTS_CASES = [
    plain(33, 100, 20, chunk=32), plain(20, 64, 33, transpose_a=True, transpose_b=True, chunk=16), plain(5, 0, 3, chunk=16),
    plain(6, 50, 4, batch_a=(3, 1), batch_b=(2,), chunk=48), plain(3, 1, 2, chunk=16),
]  # fmt: skip
FOLD_CASES: list[dict[str, Any]] = [
    dict(partial=(1, 1)), dict(partial=(3, 5, 13), bias=(13,)), dict(partial=(2, 0, 4)),
    dict(partial=(7, 2, 3, 4)), dict(partial=(0, 2, 3)),
    *[dict(partial=(2, 9, 5), bias=(5,), activation=name) for name in ACTIVATIONS],
    dict(partial=(1, 65536 * 64 + 1), large=True),
]  # fmt: skip
HALF_CASES = [plain(m, k, n, **f) for m, k, n in ((1, 1, 1), (33, 17, 35), (36, 64, 68), (130, 33, 66)) for f in FLAGS]
BENCH = [plain(2048, 2048, 2048), plain(2048, 2048, 2048, transpose_b=True), plain(512, 64, 512, batch_a=(64,), batch_b=(64,))]
