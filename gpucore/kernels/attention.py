"""Attention in one kernel: tile by tile for many queries, and a simple form for software adapters."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels_ref import attention as ref

from ..array import Array
from ..errors import ConfigError
from ..kernel import Launch, Out, ceil_div, kernel
from ..tuning import Choices
from .heads import (
    BENCH,
    CASES,
    FEW_TILES,
    MANY,
    MASKS,
    MAX_DIM,
    NARROW,
    SLOPING,
    SPARSE,
    WIDE,
    attention_flops,
    bools,
    check_attention,
    more,
    settings,
    shapes,
    tile,
    tile_constants,
    unwritten,
)

TILE = 32
"""Queries of a workgroup, and keys at a time, of the simple kernel."""


@kernel("attention/attention", ref=ref.attention, flops=attention_flops, dtypes=MASKS, cases=[*CASES, *WIDE, MANY], bench=BENCH)
def attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    causal: bool = False, scale: float | None = None,
) -> Launch:  # fmt: skip
    """softmax(scale·q·kᵀ + mask)·v and the logsumexp of its scores, without a score matrix (online softmax over key tiles).

    Milakov and Gimelshein, Online normalizer calculation for softmax (2018); Dao et al., FlashAttention (2022).
    """
    check_attention("attention", q, k, v, mask, cache_length)
    params, constants = settings(q, k, mask, cache_length, causal, scale)
    groups = q.shape[0] * q.shape[1] * ceil_div(q.shape[2], TILE)
    return Launch(
        {"out": Out(q.shape), "lse": Out(q.shape[:3])},
        groups=groups,
        params=params,
        constants=constants | dict(GROUPS=ceil_div(q.shape[3], TILE)),
    )


TILED = Choices(
    "attention_tiled",
    {
        "64x64": tile(8, 16, 64, NARROW),
        "128x64": tile(16, 8, 64, NARROW),
        "32x128": tile(4, 32, 128, MAX_DIM),
    },
)
"""Queries by keys of a tile."""
_TILED_CASES = [
    shapes(1, 1, 1, 1, 1, 1), shapes(1, 2, 1, 70, 131, 100), more(shapes(2, 4, 2, 70, 40, 12), "causal", causal=True),
    shapes(0, 1, 1, 4, 4, 8), shapes(1, 1, 1, 4, 0, 8), more(shapes(1, 2, 2, 130, 270, 64), "causal", causal=True),
]  # fmt: skip
_MORE_CASES: list[Any] = [
    more(shapes(2, 2, 2, 9, 37, 8), "2-d mask", mask=bools(9, 37), causal=True),
    more(shapes(2, 2, 1, 9, 67, 8), "float mask", mask=(2, 9, 67)),
    more(shapes(2, 2, 1, 9, 40, 8), "short length", cache_length=np.array([3, 90], np.int32), causal=True),
    shapes(1, 1, 1, 5, 7, 3), shapes(1, 1, 1, 40, 70, 256), SPARSE, unwritten, SLOPING,
]  # fmt: skip


@kernel(
    "attention/attention_tiled", ref=ref.attention, flops=attention_flops, dtypes=MASKS, bench=BENCH[:2], choices=TILED,
    cases=[*TILED.across(_TILED_CASES), *_MORE_CASES],
)  # fmt: skip
def attention_tiled(
    q: Array, k: Array, v: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    causal: bool = False, scale: float | None = None, config: str | None = None,
) -> Launch:  # fmt: skip
    """What attention gives, from register tiles: both products pass their operands through shared memory."""
    check_attention("attention_tiled", q, k, v, mask, cache_length)
    batch, heads, q_len, dim = q.shape
    few = batch * heads * ceil_div(q_len, 64) < FEW_TILES
    default = "32x128" if dim > NARROW or (few and dim > 64) else "64x64"
    name = TILED.pick(q.device, config, (q_len, k.shape[2], dim), default)
    if dim > NARROW and name != "32x128":
        raise ConfigError(f"attention_tiled: heads have {dim} elements; config {name!r} takes up to {NARROW}")
    params, constants = settings(q, k, mask, cache_length, causal, scale)
    constants |= tile_constants(TILED[name], dim)
    groups = batch * heads * ceil_div(q_len, 8 * constants["DOWN"])
    return Launch({"out": Out(q.shape), "lse": Out(q.shape[:3])}, groups=groups, params=params, constants=constants)
