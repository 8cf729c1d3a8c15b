"""Attention of few queries over many keys: the keys are split over workgroups, and their results merged."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from kernels_ref import attention as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, Out, ceil_div, fold_groups, kernel
from .heads import BENCH, MANY, MASKS, attention_flops, bools, check_attention, more, settings, shapes, unwritten

FEW_QUERIES = 4
CHUNKS = (32, 64, 128)
GROUPS = 512
"""Workgroups that fill a large GPU; more parts only make the merging longer."""
MERGED = 32
"""Elements of a head per workgroup of shaders/attention/attention_merge.wgsl."""


def _split_case(case: Any, chunk: int, parts: int) -> Any:
    if not callable(case):
        return case | dict(chunk=chunk, parts=parts, id=f"{case['id']} chunk {chunk} parts {parts}")

    def split(rng: np.random.Generator) -> Mapping[str, Any]:
        return dict(case(rng)) | dict(chunk=chunk, parts=parts)

    return split


_SPLIT_CASES: list[Any] = [
    shapes(1, 1, 1, 1, 1, 1), shapes(2, 4, 2, 1, 129, 64),
    shapes(1, 2, 1, 4, 257, 33), shapes(1, 1, 1, 2, 300, 256), shapes(0, 1, 1, 1, 4, 8),
    shapes(1, 1, 1, 0, 4, 8), more(shapes(2, 2, 1, 3, 300, 20), "causal", causal=True), shapes(1, 1, 1, 3, 130, 3), unwritten,
    more(shapes(2, 2, 1, 2, 400, 8), "length", cache_length=np.array([130, 0], np.int32), causal=True),
    more(shapes(2, 2, 1, 2, 137, 8), "bool mask", mask=bools(2, 1, 2, 137)),
    more(shapes(2, 2, 1, 2, 137, 8), "float mask", mask=(2, 1, 137), scale=3.0), MANY,
]  # fmt: skip


@kernel(
    "attention/attention_split", ref=ref.attention_split, flops=attention_flops, dtypes=MASKS, bench=[BENCH[-1] | dict(chunk=64, parts=64)],
    cases=[_split_case(c, 64, 2) for c in _SPLIT_CASES] + [_split_case(c, n, p) for n, p in ((32, 3), (128, 1)) for c in _SPLIT_CASES[1:3]],
)  # fmt: skip
def attention_split(
    q: Array, k: Array, v: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    chunk: int, parts: int, causal: bool = False, scale: float | None = None,
) -> Launch:  # fmt: skip
    """Attention over every parts-th chunk of the keys alone: results [..., q_len, parts, d] and their lse [..., q_len, parts]."""
    check_attention("attention_split", q, k, v, mask, cache_length)
    if chunk not in CHUNKS or parts < 1:
        raise ConfigError(f"attention_split: chunk is {chunk} and parts is {parts}; wants a chunk of {CHUNKS} and at least one part")
    params, constants = settings(q, k, mask, cache_length, causal, scale)
    batch, heads, q_len, dim = q.shape
    sharing = heads // max(1, k.shape[1]) * q_len
    rows = 4 if sharing > 2 else max(1, sharing)
    y, z, _ = fold_groups(batch * k.shape[1] * ceil_div(sharing, rows))
    constants |= dict(WORKGROUP=2 * chunk, ROWS=rows, QUADS=ceil_div(dim, 4))
    shape = (batch, heads, q_len, parts)
    return Launch({"out": Out((*shape, dim)), "lse": Out(shape)}, groups=(parts, y, z), params=params, constants=constants)


def split_plan(q: Array, k: Array) -> tuple[int, int]:
    """(chunk, parts) for attention_split: enough workgroups to fill a large GPU, from the shapes alone."""
    batch, heads, q_len, _ = q.shape
    sharing = heads // k.shape[1] * q_len
    rows = batch * k.shape[1] * ceil_div(sharing, 4 if sharing > 2 else sharing)
    chunk = 32 if rows * k.shape[2] < GROUPS * 32 else 64
    return chunk, max(1, min(ceil_div(k.shape[2], chunk), GROUPS // rows))


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
    """One result and its lse from those of disjoint sets of the keys: parts [..., parts, d], part_lse [..., parts]."""
    if parts.ndim < 2 or parts.shape[:-1] != part_lse.shape or not part_lse.shape[-1]:
        raise ShapeError(
            f"attention_merge: parts are {parts.shape} and part_lse is {part_lse.shape}; wants [..., parts, d] and [..., parts]"
        )
    *rows, count, dim = parts.shape
    params = dict(rows=prod(rows), parts=count, dim=dim)
    groups = prod(rows) * ceil_div(dim, MERGED)
    return Launch({"out": Out((*rows, dim)), "lse": Out(tuple(rows))}, groups=groups, params=params)
