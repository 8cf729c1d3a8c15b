"""Rotary embedding and attention."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any

import numpy as np

from kernels_ref import attention as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Case, Launch, Out, ceil_div, expect, kernel

WORKGROUP = 256
TILE = 32
MAX_DIM = 256
CHUNK = 128
FEW_QUERIES = 4
OF = ("q", "k", "v")
MASKS = {"mask": ("float32", "bool")}


def rope_turns(dim: int, base: float) -> np.ndarray:
    """Turns per position of each plane, base^(-2i/dim) / 2π, as 64-bit fixed-point fractions [dim/2, 2], upper word first."""
    fractions = [base ** (-2 * i / dim) / (2 * np.pi) % 1.0 for i in range(dim // 2)]
    fixed = [int(f * 2**64) % 2**64 for f in fractions]
    return np.array([(f >> 32, f & 0xFFFFFFFF) for f in fixed], np.uint32).reshape(-1, 2)


def _rope_case(shape: tuple[int, ...], positions: Any, base: float = 10000.0, **options: Any) -> dict[str, Any]:
    values = np.asarray(positions, np.int32)
    return dict(
        x=shape, positions=values, turns=rope_turns(shape[-1], base), id=f"{shape} positions {values.shape} {options or ''}", **options
    )


def _far(rng: np.random.Generator) -> Mapping[str, Any]:
    positions = rng.integers(-(2**31) + 1, 2**31, (2, 31), np.int64).astype(np.int32)
    return dict(x=(2, 3, 31, 64), positions=positions, turns=rope_turns(64, 1e6))


_ROPE_CASES: list[Case] = [
    _rope_case((1, 1, 1, 2), [3]), _rope_case((2, 3, 5, 8), range(5)), _rope_case((1, 2, 7, 6), range(7), inverse=True),
    _rope_case((2, 2, 3, 64), [[0, 1, 2], [40000, 32767, 131071]]), _rope_case((3, 130), [1, 2, 3]), _rope_case((2, 0, 4), []),
    _rope_case((65537, 2), range(65537), 2.0), _rope_case((2, 1, 4, 128), np.arange(8).reshape(2, 4) * 9999, 500000.0), _far,
]  # fmt: skip


@kernel(
    "attention/rope", ref=ref.rope, flops=3, cases=_ROPE_CASES, rtol=1e-6, atol=1e-6,
    bench=[_rope_case((1, 16, 4096, 128), range(4096)), _rope_case((8, 16, 1, 128), [[i] for i in range(8)])],
)  # fmt: skip
def rope(x: Array, positions: Array, turns: Array, *, inverse: bool = False) -> Launch:
    """Rotates elements i and i + d/2 of each row of x [..., seq, d] by position · turns[i] full turns; inverse: back."""
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(f"rope: x is {x.shape}; wants [..., seq, d] with an even d")
    seq, dim = x.shape[-2:]
    per_batch = positions.ndim == 2
    if positions.shape != ((x.shape[0], seq) if per_batch and x.ndim > 2 else (seq,)):
        raise ShapeError(f"rope: x is {x.shape} and positions are {positions.shape}; wants positions [seq] or [batch, seq]")
    expect(turns.shape == (dim // 2, 2), f"rope: turns are {turns.shape}; wants {(dim // 2, 2)}")
    params = dict(size=x.size // 2, planes=dim // 2, seq=seq, between=prod(x.shape[1:-2]))
    constants = dict(PER_BATCH=per_batch, INVERSE=inverse)
    return Launch(x.shape, groups=ceil_div(x.size // 2, WORKGROUP), params=params, constants=constants)


def check_attention(who: str, q: Array, k: Array, v: Array, mask: Array | None, cache_length: Array | None) -> None:
    """ShapeError where the inputs of attention do not fit together."""
    if q.ndim != 4 or k.ndim != 4 or k.shape != v.shape or q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ShapeError(
            f"{who}: q is {q.shape}, k is {k.shape}, v is {v.shape}; wants q [batch, heads, q_len, d], k and v [batch, kv_heads, k_len, d]"
        )
    batch, heads, q_len, dim = q.shape
    if heads % max(1, k.shape[1]) or (heads and not k.shape[1]):
        raise ShapeError(f"{who}: {heads} query heads are not a multiple of {k.shape[1]} key heads")
    if not 1 <= dim <= MAX_DIM:
        raise ShapeError(f"{who}: heads have {dim} elements; wants 1 to {MAX_DIM}")
    full = (batch, heads, q_len, k.shape[2])
    if mask is not None and (mask.ndim > 4 or any(n not in (1, m) for n, m in zip(mask.shape[::-1], full[::-1], strict=False))):
        raise ShapeError(f"{who}: mask {mask.shape} does not broadcast to [batch, heads, q_len, k_len] = {full}")
    if cache_length is not None and cache_length.shape not in ((1,), (batch,)):
        raise ShapeError(f"{who}: cache_length is {cache_length.shape}; wants (1,) or ({batch},)")


def _mask_strides(mask: Array | None) -> tuple[int, ...]:
    if mask is None:
        return (0, 0, 0, 0)
    axes = (1,) * (4 - mask.ndim) + mask.shape
    return tuple(0 if n == 1 else prod(axes[i + 1 :]) for i, n in enumerate(axes))


def _settings(
    q: Array, k: Array, mask: Array | None, cache_length: Array | None, causal: bool, scale: float | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(params, constants) of lib/tile_attention.wgsl."""
    batch, heads, q_len, dim = q.shape
    params = dict(
        mask_strides=_mask_strides(mask), batch=batch, heads=heads, kv_heads=k.shape[1], q_len=q_len, k_len=k.shape[2], dim=dim,
        scale=1 / sqrt(dim) if scale is None else float(scale),
    )  # fmt: skip
    lengths = 0 if cache_length is None else 2 if cache_length.shape[0] > 1 else 1
    kind = 0 if mask is None else 1 if mask.dtype.name == "bool" else 2
    constants = dict(CAUSAL=bool(causal), MASK=kind, LENGTHS=lengths, VECTOR=dim % 4 == 0)
    return params, constants


def _attention_flops(q: Any, k: Any, *inputs: Any, causal: bool = False, **options: Any) -> float:
    """4·d per query and visible key."""
    pairs: int = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    return 4.0 * int(q.shape[3]) * pairs * (0.5 if causal and q.shape[2] == k.shape[2] else 1.0)


def _backward_flops(q: Any, k: Any, *inputs: Any, of: str, **options: Any) -> float:
    return _attention_flops(q, k, **options) * (1.0 if of == "v" else 1.5)


def _shapes(batch: int, heads: int, kv_heads: int, q_len: int, k_len: int, dim: int) -> dict[str, Any]:
    kv = (batch, kv_heads, k_len, dim)
    return dict(q=(batch, heads, q_len, dim), k=kv, v=kv, id=f"b{batch} h{heads}/{kv_heads} q{q_len} k{k_len} d{dim}")


def _more(case: dict[str, Any], label: str, **extra: Any) -> dict[str, Any]:
    return case | extra | {"id": f"{case['id']} {label}"}


def _bools(*shape: int) -> Any:
    return lambda rng: rng.random(shape) < 0.6


def _steep(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal((1, 1, 40, 40), np.float32) * 12
    x[0, 0, 3], x[0, 0, 5, ::2], x[0, 0, 7] = -np.inf, np.finfo(np.float32).min, np.finfo(np.float32).min
    return x


def _unwritten(rng: np.random.Generator) -> Mapping[str, Any]:
    """A cache with room: what lies behind its length must not matter, even NaN."""
    k, v = (rng.standard_normal((3, 2, 50, 16), np.float32) for _ in range(2))
    lengths = np.array([7, 50, 0], np.int32)
    for b, n in enumerate(lengths):
        k[b, :, n:], v[b, :, n:] = np.nan, np.nan
    return dict(q=rng.standard_normal((3, 4, 5, 16), np.float32), k=k, v=v, cache_length=lengths, causal=True)


def _chunked(case: Any) -> Any:
    def chunked(rng: np.random.Generator) -> Mapping[str, Any]:
        return dict(case(rng)) | {"chunk": CHUNK}

    return chunked


_CASES: list[Any] = [
    _shapes(1, 1, 1, 1, 1, 1), _shapes(2, 3, 3, 33, 65, 20), _shapes(1, 2, 1, 7, 7, 3), _shapes(1, 1, 1, 40, 70, 256),
    _shapes(1, 8, 2, 5, 40, 64), _shapes(1, 1, 1, 0, 4, 8), _shapes(1, 1, 1, 4, 0, 8), _shapes(0, 1, 1, 4, 4, 8),
    _shapes(1, 1, 1, 35, 36, 100),
    *[_more(_shapes(2, 4, 2, n, m, 12), "causal", causal=True) for n, m in ((40, 40), (3, 70), (70, 40), (1, 33))],
    _more(_shapes(2, 2, 1, 9, 37, 8), "bool mask", mask=_bools(2, 1, 9, 37)),
    _more(_shapes(2, 2, 2, 9, 37, 8), "key mask", mask=_bools(2, 1, 1, 37)),
    _more(_shapes(2, 2, 2, 9, 37, 8), "2-d mask", mask=_bools(9, 37), causal=True),
    _more(_shapes(2, 2, 1, 9, 37, 8), "float mask", mask=(2, 9, 37)),
    _more(_shapes(1, 2, 1, 40, 40, 8), "steep mask", mask=_steep, scale=2.0),
    _more(_shapes(2, 2, 1, 4, 40, 8), "length", cache_length=np.array([17], np.int32), causal=True),
    _more(_shapes(2, 2, 1, 9, 40, 8), "short length", cache_length=np.array([3, 90], np.int32), causal=True), _unwritten,
]  # fmt: skip
_WIDE = [_shapes(1, 1, 1, 3, 5, d) for d in (33, 65, 97, 129, 161, 193, 225)]
_MANY = _shapes(65537, 1, 1, 1, 2, 1) | {"large": True}
_BENCH = [
    _more(_shapes(1, 16, 8, 2048, 2048, 128), "causal", causal=True),
    _shapes(4, 12, 12, 1024, 1024, 64),
    _shapes(1, 16, 8, 1, 4096, 128),
]


@kernel("attention/attention", ref=ref.attention, flops=_attention_flops, dtypes=MASKS, cases=[*_CASES, *_WIDE, _MANY], bench=_BENCH)
def attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    causal: bool = False, scale: float | None = None,
) -> Launch:  # fmt: skip
    """softmax(scale·q·kᵀ + mask)·v and the logsumexp of its scores, without a score matrix (online softmax over key tiles).

    Milakov and Gimelshein, Online normalizer calculation for softmax (2018); Dao et al., FlashAttention (2022).
    """
    check_attention("attention", q, k, v, mask, cache_length)
    params, constants = _settings(q, k, mask, cache_length, causal, scale)
    groups = q.shape[0] * q.shape[1] * ceil_div(q.shape[2], TILE)
    return Launch(
        {"out": Out(q.shape), "lse": Out(q.shape[:3])},
        groups=groups,
        params=params,
        constants=constants | dict(GROUPS=ceil_div(q.shape[3], TILE)),
    )


_SPLIT_CASES: list[Any] = [
    _shapes(1, 1, 1, 1, 1, 1), _shapes(2, 4, 2, 1, 129, 64),
    _shapes(1, 2, 1, 4, 257, 33), _shapes(1, 1, 1, 2, 300, 256), _shapes(0, 1, 1, 1, 4, 8),
    _shapes(1, 1, 1, 0, 4, 8), _more(_shapes(2, 2, 1, 3, 300, 20), "causal", causal=True), _shapes(1, 1, 1, 3, 130, 3), _unwritten,
    _more(_shapes(2, 2, 1, 2, 400, 8), "length", cache_length=np.array([130, 0], np.int32), causal=True),
    _more(_shapes(2, 2, 1, 2, 137, 8), "bool mask", mask=_bools(2, 1, 2, 137)),
    _more(_shapes(2, 2, 1, 2, 137, 8), "float mask", mask=(2, 1, 137), scale=3.0), _MANY,
]  # fmt: skip


@kernel(
    "attention/attention_split", ref=ref.attention_split, flops=_attention_flops, dtypes=MASKS, bench=[_BENCH[-1] | {"chunk": CHUNK}],
    cases=[(_chunked(c) if callable(c) else c | {"chunk": CHUNK}) for c in _SPLIT_CASES],
)  # fmt: skip
def attention_split(
    q: Array, k: Array, v: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    chunk: int = CHUNK, causal: bool = False, scale: float | None = None,
) -> Launch:  # fmt: skip
    """Attention over each chunk of 128 keys alone, for few queries: results [..., q_len, chunks, d] and lse [..., q_len, chunks]."""
    check_attention("attention_split", q, k, v, mask, cache_length)
    expect(
        chunk == CHUNK and k.shape[2] > 0, f"attention_split: chunk is {chunk} and k is {k.shape}; wants chunks of {CHUNK} and some keys"
    )
    params, constants = _settings(q, k, mask, cache_length, causal, scale)
    shape = (*q.shape[:3], ceil_div(k.shape[2], CHUNK))
    return Launch({"out": Out((*shape, q.shape[3])), "lse": Out(shape)}, groups=prod(shape), params=params, constants=constants)


def _merge_case(*shape: int) -> Any:
    def lse(rng: np.random.Generator) -> np.ndarray:
        x = rng.standard_normal(shape[:-1], np.float32) * 20
        x[rng.random(x.shape) < 0.4] = -np.inf
        return x

    return dict(parts=shape, part_lse=lse, id=str(shape))


@kernel(
    "attention/attention_merge", ref=ref.attention_merge, flops=2, bench=_merge_case(64, 16, 1, 32, 128),
    cases=[_merge_case(*s) for s in ((1, 1, 1, 1, 1), (2, 3, 2, 5, 20), (1, 2, 1, 131, 257), (1, 0, 2, 3, 4), (65537, 1, 1, 2, 1))],
)  # fmt: skip
def attention_merge(parts: Array, part_lse: Array) -> Launch:
    """One result and its lse from those of disjoint chunks of the keys: parts [..., chunks, d], part_lse [..., chunks]."""
    if parts.ndim < 2 or parts.shape[:-1] != part_lse.shape or not part_lse.shape[-1]:
        raise ShapeError(
            f"attention_merge: parts are {parts.shape} and part_lse is {part_lse.shape}; wants [..., chunks, d] and [..., chunks]"
        )
    *rows, chunks, dim = parts.shape
    params = dict(rows=prod(rows), chunks=chunks, dim=dim)
    return Launch({"out": Out((*rows, dim)), "lse": Out(tuple(rows))}, groups=prod(rows), params=params)


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
    params = dict(rows=lse.size, dim=g.shape[-1])
    return Launch((*lse.shape, 2), groups=ceil_div(lse.size, 64), params=params)


def _backward_case(of: str, forward: Any) -> Any:
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
        return values | dict(g=g, stats=ref.attention_stats(g, result, lse).astype(np.float32), of=of)

    case.__name__ = f"d{of} " + (forward.__name__ if callable(forward) else forward["id"])
    return case


@kernel(
    "attention/attention_backward", ref=ref.attention_backward, flops=_backward_flops, dtypes=MASKS, rtol=3e-5, atol=2e-6, l2=2e-6,
    cases=[_backward_case(of, case) for of in OF for case in _CASES]
    + [_backward_case("q", case) for case in _WIDE] + [_MANY | dict(g=_MANY["q"], stats=(65537, 1, 1, 2), of="q")],
    bench=[_backward_case(of, _more(_shapes(1, 16, 8, 512, 512, 128), "causal", causal=True)) for of in OF],
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
    params, constants = _settings(q, k, mask, cache_length, causal, scale)
    shape = q.shape if of == "q" else k.shape
    groups = prod(shape[:2]) * ceil_div(shape[2], TILE)
    return Launch(shape, groups=groups, params=params, constants=constants | dict(OF=OF.index(of), GROUPS=ceil_div(q.shape[3], TILE)))
