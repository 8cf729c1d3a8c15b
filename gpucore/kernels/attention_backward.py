"""The gradients of attention, from weights computed again: tile by tile, and a simple form for software adapters."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from kernels_ref import attention as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, ceil_div, expect, kernel
from ..tuning import Choices, bucket
from .attention import TILE
from .heads import (
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
    check_attention,
    more,
    settings,
    shapes,
    tile,
    tile_constants,
)

OF = ("q", "k", "v")
STATS_WORKGROUP = 256
LSE_USUAL, LSE_SPREAD = np.array([6, 0], np.float32), np.array([0.1, 1], np.float32)


_ROWS = [((1,), 1), ((3, 5), 7), ((257,), 4), ((2, 0), 3), ((65537 * 64,), 1)]


@kernel(
    "attention/attention_stats", ref=ref.attention_stats, flops=1, atol=1e-5,
    cases=[dict(g=(*r, d), result=(*r, d), lse=r, **({"large": True} if r[0] > 65537 else {})) for r, d in _ROWS],
    bench=dict(g=(1, 16, 4096, 128), result=(1, 16, 4096, 128), lse=(1, 16, 4096)),
)  # fmt: skip
def attention_stats(g: Array, result: Array, lse: Array) -> Launch:
    """(lse, Σ g·result) of each row of a result of attention."""
    if g.shape != result.shape or lse.shape != g.shape[:-1]:
        raise ShapeError(f"attention_stats: g is {g.shape}, result is {result.shape}, lse is {lse.shape}; wants [..., d] twice and [...]")
    dim = g.shape[-1]
    segment = min(8, bucket(ceil_div(dim, 4)))
    constants = dict(SEGMENT=segment, VECTOR=dim % 4 == 0)
    return Launch(
        (*lse.shape, 2), groups=ceil_div(lse.size * segment, STATS_WORKGROUP), params=dict(rows=lse.size, dim=dim), constants=constants
    )


def _backward_case(of: str | None, forward: Any) -> Any:
    """A case of the backward kernel: lse and delta as the forward gives them."""

    def case(rng: np.random.Generator) -> Mapping[str, Any]:
        values = dict(forward(rng) if callable(forward) else forward)
        for name, value in values.items():
            value = value(rng) if callable(value) else value
            values[name] = rng.standard_normal(value, np.float32) if isinstance(value, tuple) else value
        values.pop("id", None)
        options = {name: values[name] for name in ("mask", "cache_length", "causal", "scale") if name in values}
        g = rng.standard_normal(values["q"].shape, np.float32)
        with np.errstate(all="ignore"):
            result, lse = ref.attention(*(values[n].astype(np.float64) for n in "qkv"), **options)
        values |= dict(g=g, stats=ref.attention_stats(g, result, lse).astype(np.float32))
        return values | dict(of=of) if of else values

    case.__name__ = (f"d{of} " if of else "") + (forward.__name__ if callable(forward) else forward["id"])
    return case


def _simple_flops(q: Any, k: Any, *rest: Any, of: str, causal: bool = False, **options: Any) -> float:
    return attention_flops(q, k, causal=causal) * (1.0 if of == "v" else 1.5)


@kernel(
    "attention/attention_backward", ref=ref.attention_backward, flops=_simple_flops, dtypes=MASKS, rtol=3e-5, atol=2e-6, l2=2e-6,
    cases=[_backward_case(of, case) for of in OF for case in CASES]
    + [_backward_case("q", case) for case in WIDE] + [MANY | dict(g=MANY["q"], stats=(65537, 1, 1, 2), of="q")],
    bench=[_backward_case(of, more(shapes(1, 16, 8, 512, 512, 128), "causal", causal=True)) for of in OF],
)  # fmt: skip
def attention_backward(
    q: Array, k: Array, v: Array, g: Array, stats: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    of: str, causal: bool = False, scale: float | None = None,
) -> Launch:  # fmt: skip
    """The gradient of attention towards q, k or v, with the scores computed again from stats (lse, delta)."""
    check_attention("attention_backward", q, k, v, mask, cache_length)
    expect(g.shape == q.shape, f"attention_backward: g is {g.shape}; wants q's {q.shape}")
    expect(stats.shape == (*q.shape[:3], 2), f"attention_backward: stats are {stats.shape}; wants {(*q.shape[:3], 2)}")
    if of not in OF:
        raise ConfigError(f"attention_backward: of is {of!r}; wants q, k or v")
    params, constants = settings(q, k, mask, cache_length, causal, scale)
    shape = q.shape if of == "q" else k.shape
    groups = prod(shape[:2]) * ceil_div(shape[2], TILE)
    return Launch(shape, groups=groups, params=params, constants=constants | dict(OF=OF.index(of), GROUPS=ceil_div(q.shape[3], TILE)))


def _with_any_stats(case: dict[str, Any]) -> dict[str, Any]:
    """A case with lse and delta that no forward gave, of the size that some hundred keys give."""
    shape = (*case["q"][:3], 2)
    return case | dict(g=case["q"], stats=lambda rng: rng.standard_normal(shape, np.float32) * LSE_SPREAD + LSE_USUAL)


BACKWARD = Choices(
    "attention_backward_tiled",
    {
        "64x64": tile(8, 16, 64, NARROW),
        "32x128": tile(4, 32, 128, MAX_DIM),
        "64x128": tile(8, 32, 128, MAX_DIM),
    },
)
"""Rows that a workgroup owns by columns that it walks."""
_TILED_CASES = [
    shapes(1, 1, 1, 1, 1, 1), more(shapes(1, 4, 2, 70, 131, 100), "causal", causal=True),
    shapes(0, 1, 1, 4, 4, 8), shapes(1, 1, 1, 4, 0, 8), more(shapes(1, 2, 2, 131, 70, 64), "causal", causal=True),
]  # fmt: skip
_MORE_CASES: list[Any] = [
    *[CASES[i] for i in (1, 15, 16, 19, 20)], shapes(1, 1, 1, 40, 70, 256), shapes(1, 1, 1, 0, 4, 8), shapes(1, 1, 1, 5, 7, 3),
    SLOPING,
]  # fmt: skip
_BACKWARD_CASES = [
    *[_backward_case(None, case) for case in _MORE_CASES],
    *BACKWARD.across(_with_any_stats(case) for case in _TILED_CASES),
    _with_any_stats(SPARSE),
]
_BACKWARD_BENCH = [
    _backward_case(None, case) for case in (more(shapes(1, 16, 8, 512, 512, 128), "causal", causal=True), shapes(1, 16, 16, 2048, 2048, 64))
]


def _tiled(
    who: str, q: Array, k: Array, v: Array, g: Array, stats: Array, mask: Array | None, cache_length: Array | None,
    causal: bool, scale: float | None, config: str | None,
) -> tuple[dict[str, Any], dict[str, Any], int]:  # fmt: skip
    """(params, constants, rows of a tile) of the kernels that go tile by tile."""
    check_attention(who, q, k, v, mask, cache_length)
    expect(g.shape == q.shape, f"{who}: g is {g.shape}; wants q's {q.shape}")
    expect(stats.shape == (*q.shape[:3], 2), f"{who}: stats are {stats.shape}; wants {(*q.shape[:3], 2)}")
    dim = q.shape[3]
    owned = k if who == "attention_backward_kv" else q
    few = prod(owned.shape[:2]) * ceil_div(owned.shape[2], 64) < FEW_TILES
    default = "64x64" if dim <= 64 or (dim <= NARROW and owned is q and not few) else "32x128" if few else "64x128"
    name = BACKWARD.pick(q.device, config, (who, q.shape[2], k.shape[2], dim), default)
    if dim > NARROW and name == "64x64":
        raise ConfigError(f"{who}: heads have {dim} elements; config {name!r} takes up to {NARROW}")
    params, constants = settings(q, k, mask, cache_length, causal, scale)
    constants |= tile_constants(BACKWARD[name], dim)
    return params, constants, 8 * constants["DOWN"]


@kernel(
    "attention/attention_backward_q", ref=ref.attention_backward_q, dtypes=MASKS, rtol=3e-5, atol=2e-6, l2=2e-6, choices=BACKWARD,
    cases=_BACKWARD_CASES, bench=_BACKWARD_BENCH,
    flops=lambda q, k, *rest, causal=False, **options: 1.5 * attention_flops(q, k, causal=causal),
)  # fmt: skip
def attention_backward_q(
    q: Array, k: Array, v: Array, g: Array, stats: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    causal: bool = False, scale: float | None = None, config: str | None = None,
) -> Launch:  # fmt: skip
    """The gradient of attention towards q, tile by tile. Dao et al., FlashAttention (2022), algorithm 4, with sums in registers."""
    params, constants, rows = _tiled("attention_backward_q", q, k, v, g, stats, mask, cache_length, causal, scale, config)
    return Launch(q.shape, groups=prod(q.shape[:2]) * ceil_div(q.shape[2], rows), params=params, constants=constants)


@kernel(
    "attention/attention_backward_kv", ref=ref.attention_backward_kv, dtypes=MASKS, rtol=3e-5, atol=2e-6, l2=2e-6, choices=BACKWARD,
    cases=_BACKWARD_CASES, bench=_BACKWARD_BENCH,
    flops=lambda q, k, *rest, causal=False, **options: 2 * attention_flops(q, k, causal=causal),
)  # fmt: skip
def attention_backward_kv(
    q: Array, k: Array, v: Array, g: Array, stats: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    causal: bool = False, scale: float | None = None, config: str | None = None,
) -> Launch:  # fmt: skip
    """The gradients of attention towards k and v, one behind the other [2, batch, kv_heads, k_len, d], tile by tile."""
    params, constants, rows = _tiled("attention_backward_kv", q, k, v, g, stats, mask, cache_length, causal, scale, config)
    return Launch((2, *k.shape), groups=prod(k.shape[:2]) * ceil_div(k.shape[2], rows), params=params, constants=constants)
