"""Matrix products: the direct and the tiled kernel, with weights in 32 or 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels_ref import linalg as ref

from ..array import Array
from ..errors import ConfigError
from ..kernel import Case, Kernel, Launch, ceil_div, kernel
from .gemv import GEMV, VECMAT, gemv, gemv_bf16, gemv_f16, vecmat, vecmat_bf16, vecmat_f16, vecmat_parts
from .products import ACTIVATIONS, activation_index, batch_shape, matmul_flops, matmul_launch, product_shape, stored

__all__ = [
    "ACTIVATIONS", "DIRECT", "GEMV", "TILED", "VECMAT", "activation_index", "batch_shape", "choose_tile", "gemv", "gemv_bf16", "gemv_f16",
    "matmul", "matmul_bf16", "matmul_f16", "matmul_tiled", "matmul_tiled_bf16", "matmul_tiled_f16", "product_shape",
    "vecmat", "vecmat_bf16", "vecmat_f16", "vecmat_parts",
]  # fmt: skip

DIRECT_TILE = 32
ENOUGH_TILES = 96


_FLAGS: list[dict[str, Any]] = [dict(transpose_a=ta, transpose_b=tb) for ta in (False, True) for tb in (False, True)]


def _stored(rows: int, cols: int, flipped: bool) -> tuple[int, int]:
    return (cols, rows) if flipped else (rows, cols)


def _plain(
    m: int, k: int, n: int, bias: bool = False, batch_a: tuple[int, ...] = (), batch_b: tuple[int, ...] = (), **options: Any
) -> dict[str, Any]:
    """A case of op(a) [m, k] times op(b) [k, n]."""
    a = (*batch_a, *_stored(m, k, options.get("transpose_a", False)))
    b = (*batch_b, *_stored(k, n, options.get("transpose_b", False)))
    label = " ".join([f"{a} {b}", *[f"{k}={v}" for k, v in options.items() if v], "bias" * bias])
    return dict(a=a, b=b, id=label, **({"bias": (n,)} if bias else {}), **options)


_SIZES = [(1, 1, 1), (4, 4, 4), (33, 17, 35), (36, 64, 68), (5, 3, 130), (31, 257, 29)]
_EMPTY = [_plain(3, 0, 5, bias=True), _plain(3, 0, 5), _plain(0, 3, 5), _plain(4, 5, 0), _plain(2, 3, 2, batch_a=(0,))]
_BATCHED = [
    _plain(6, 5, 4, batch_a=(3,), batch_b=(3,)),
    _plain(8, 12, 16, batch_a=(2, 1, 3), batch_b=(5, 1), transpose_b=True),
    _plain(5, 6, 7, batch_a=(2, 1, 2, 1), batch_b=(3, 1, 2), transpose_a=True, bias=True),
]


def _scaled(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    return rng.uniform(0.5, 1.0, shape).astype(np.float32) * np.float32(scale)


def _with_specials(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal((70, 12), np.float32)
    x[3, 5], x[20, 0], x[66, 11] = np.nan, np.inf, -np.inf
    return x


_EXTREME = [
    dict(a=lambda rng: _scaled(rng, (9, 40), 1e18), b=lambda rng: _scaled(rng, (40, 5), 1e18), id="large"),
    dict(a=lambda rng: _scaled(rng, (9, 40), 1e-15), b=lambda rng: _scaled(rng, (40, 5), 1e-15), id="small"),
    dict(a=_with_specials, b=(12, 9), id="inf and NaN"),
]
_DIRECT_CASES = [
    *[_plain(m, k, n, **f) for m, k, n in _SIZES for f in _FLAGS], *_EMPTY, *_BATCHED, *_EXTREME,
    *[_plain(7, 9, 21, bias=True, activation=name) for name in ACTIVATIONS],
    _plain(65, 100, 130, bias=True, activation="relu"),
    _plain(1, 4, 4, batch_a=(65537,), batch_b=(1,)),
]  # fmt: skip
_TILED_CASES = [
    *[_plain(m, k, n, tile=tile, **f) for m, k, n in ((1, 1, 1), (130, 37, 67), (132, 36, 196)) for f in _FLAGS for tile in (64, 128)],
    *_EMPTY, *_BATCHED, *_EXTREME, _plain(7, 9, 21, bias=True, activation="gelu"), _plain(257, 19, 1031, bias=True, tile=64),
    _plain(1, 4, 4, batch_a=(65537,), batch_b=(1,), tile=64) | {"large": True},
]  # fmt: skip
_HALF_CASES = [_plain(m, k, n, **f) for m, k, n in ((1, 1, 1), (33, 17, 35), (36, 64, 68), (130, 33, 66)) for f in _FLAGS]
PRODUCT_BENCH = [_plain(2048, 2048, 2048), _plain(2048, 2048, 2048, transpose_b=True), _plain(512, 64, 512, batch_a=(64,), batch_b=(64,))]


def _declare_matmul(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(
        a: Array, b: Array, bias: Array | None = None, *,
        transpose_a: bool = False, transpose_b: bool = False, activation: str | None = None,
    ) -> Launch:  # fmt: skip
        """activation(A·B + bias) with A = a or aᵀ and B = b or bᵀ, batch axes broadcast; straight from memory, 4×4 per invocation."""
        return matmul_launch(name, a, b, bias, transpose_a, transpose_b, activation, (DIRECT_TILE, DIRECT_TILE))

    rule.__name__ = name
    return kernel(
        "linalg/matmul", ref=getattr(ref, name), flops=matmul_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=stored(cases, storage), bench=stored(PRODUCT_BENCH, storage),
    )(rule)  # fmt: skip


def _declare_tiled(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(
        a: Array, b: Array, bias: Array | None = None, *,
        transpose_a: bool = False, transpose_b: bool = False, activation: str | None = None, tile: int = 128,
    ) -> Launch:  # fmt: skip
        """The same product through tiles of 128 or 64 in shared memory: for hardware adapters."""
        if tile not in (64, 128):
            raise ConfigError(f"{name}: tile is {tile}; wants 64 or 128")
        return matmul_launch(name, a, b, bias, transpose_a, transpose_b, activation, (tile, tile), TILE=tile)

    rule.__name__ = name
    return kernel(
        "linalg/matmul_tiled", ref=getattr(ref, name), flops=matmul_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=stored(cases, storage), bench=stored(PRODUCT_BENCH, storage),
    )(rule)  # fmt: skip


matmul = _declare_matmul("matmul", "float32", _DIRECT_CASES)
matmul_f16 = _declare_matmul("matmul_f16", "float16", _HALF_CASES)
matmul_bf16 = _declare_matmul("matmul_bf16", "bfloat16", _HALF_CASES)
matmul_tiled = _declare_tiled("matmul_tiled", "float32", _TILED_CASES)
matmul_tiled_f16 = _declare_tiled("matmul_tiled_f16", "float16", _HALF_CASES)
matmul_tiled_bf16 = _declare_tiled("matmul_tiled_bf16", "bfloat16", _HALF_CASES)

DIRECT = {"float32": matmul, "float64": matmul, "float16": matmul_f16, "bfloat16": matmul_bf16}
TILED = {"float32": matmul_tiled, "float64": matmul_tiled, "float16": matmul_tiled_f16, "bfloat16": matmul_tiled_bf16}


def choose_tile(kind: str, batch: int, rows: int, cols: int) -> int:
    """The tile for a product on a device of this kind: 128 or 64 through shared memory, 0 for the direct kernel.

    Software adapters have no fast shared memory; on hardware the large tile wants enough tiles for all multiprocessors.
    """
    if kind in ("software", "cpu") or min(rows, cols) < 16:
        return 0
    return 128 if batch * ceil_div(rows, 128) * ceil_div(cols, 128) >= ENOUGH_TILES and min(rows, cols) > 64 else 64
