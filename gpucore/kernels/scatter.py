"""Kernels that add rows at given indices: the indices are sorted, so that each sum has one order and needs no atomics."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels_ref import shape as ref

from ..array import Array
from ..kernel import Launch, Out, ceil_div, expect, kernel
from ..tuning import bucket
from .spread import groups_for

SORTED, CHUNK = ref.SORTED, ref.CHUNK
_ADD_WORKGROUP = 64
_OUTSIDE = np.array([0, 6, 7, -7, -8, 2**31 - 1, -(2**31)], np.int32)


def _indices(high: int, *shape: int) -> Any:
    return lambda rng: rng.integers(-high, high, shape).astype(np.int32)


@kernel(
    "shape/sort_indices", ref=ref.sort_indices, flops=lambda indices, along: 55 * indices.size,
    bench=dict(indices=_indices(32000, 65536), along=32000),
    cases=[
        dict(indices=_indices(1, 1), along=1), dict(indices=_indices(40, 257), along=40), dict(indices=_indices(5000, 1009), along=5000),
        dict(indices=_indices(300, 3000), along=300), dict(indices=np.concatenate([_OUTSIDE, _OUTSIDE]), along=7, id="outside"),
        dict(indices=np.zeros(1100, np.int32), along=3, id="all the same"), dict(indices=np.zeros(0, np.int32), along=3, id="empty"),
        dict(indices=np.arange(2048, dtype=np.int32)[::-1].copy(), along=2048, id="descending")],
)  # fmt: skip
def sort_indices(indices: Array, *, along: int) -> Launch:
    """Pairs (index, position) in ascending order within blocks of 1024; negative indices count from the end of `along`."""
    expect(indices.ndim == 1, f"sort_indices: indices are {indices.shape}; wants one axis")
    block = min(SORTED, max(64, bucket(indices.size)))
    constants = dict(BLOCK=block, WORKGROUP=min(256, block // 2))
    params = dict(count=indices.size, along=along)
    return Launch(Out((indices.size, 2), "uint32"), groups=ceil_div(indices.size, block), params=params, constants=constants)


def _pairs(indices: np.ndarray, along: int, run: int) -> np.ndarray:
    pairs: np.ndarray = ref.sorted_runs(ref.sort_indices(indices, along=along), run)
    return pairs


def _random(along: int, count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(-along, along, count).astype(np.int32)


def _runs(along: int, count: int, run: int) -> dict[str, Any]:
    return dict(pairs=_pairs(_random(along, count), along, run), run=run, id=f"{count} pairs in runs of {run}")


@kernel(
    "shape/merge_runs", ref=ref.merge_runs, flops=lambda pairs, run: 12 * pairs.size, bench=_runs(32000, 65536, 1024),
    cases=[_runs(9, 1, 1), _runs(9, 1023, 1024), _runs(40, 2048, 1024), _runs(3, 2500, 1024), _runs(5000, 5000, 1024), _runs(7, 5000, 2048),
    _runs(7, 0, 1024)],
)  # fmt: skip
def merge_runs(pairs: Array, *, run: int) -> Launch:
    """Sorted runs of `run` pairs become sorted runs of twice as many."""
    expect(pairs.ndim == 2 and pairs.shape[1] == 2, f"merge_runs: pairs are {pairs.shape}; wants (count, 2)")
    return Launch(Out(pairs.shape, "uint32"), groups=groups_for(pairs.shape[0], 1), params=dict(count=pairs.shape[0], run=run))


def _added(outer: int, along: int, inner: int, indices: np.ndarray, **more: Any) -> dict[str, Any]:
    """x, sorted pairs, updates and what their chunks carry."""
    pairs = _pairs(indices, along, max(1, indices.size))
    updates = np.random.default_rng(indices.size).standard_normal((outer, indices.size, inner), np.float32)
    carried = ref.carried_sums(pairs, updates.astype(np.float64)).astype(np.float32)
    label = f"x {(outer, along, inner)} updates {updates.shape}"
    return dict(x=(outer, along, inner), pairs=pairs, updates=updates, carried=carried, id=label) | more


_SUMS = [
    (1, 1, 1, np.zeros(1, np.int32)), (1, 5, 257, _random(5, 40)), (3, 7, 2, _OUTSIDE), (2, 9, 5, _random(9, 1)),
    (1, 9, 8, _random(9, 100)),
    (1, 3, 4, np.zeros(1009, np.int32)), (1, 4, 3, np.zeros(0, np.int32)), (2, 700, 1, _random(700, 999)), (1, 3, 2, _random(3, 20000)),
    (2, 5, 12, np.repeat(np.arange(5, dtype=np.int32), 32)), (1, 2, 4, np.repeat(np.array([0, 9, 1], np.int32), 64)),
]  # fmt: skip


def _chunk_case(*sizes: Any) -> dict[str, Any]:
    case = _added(*sizes)
    return {name: case[name] for name in ("pairs", "updates", "id")}


def _unit(inner: int) -> int:
    return 4 if inner % 4 == 0 else 1


@kernel(
    "shape/carried_sums", ref=ref.carried_sums, flops=lambda pairs, updates: updates.size, rtol=1e-6, atol=1e-6,
    bench=_chunk_case(1, 100, 1024, _random(100, 8192)), cases=[_chunk_case(*s) for s in _SUMS],
)  # fmt: skip
def carried_sums(pairs: Array, updates: Array) -> Launch:
    """For each chunk of 32 sorted pairs: the sum of the updates at its start that belong to the index of the pair before it."""
    outer, count, inner = updates.shape
    expect(pairs.shape == (count, 2), f"carried_sums: pairs are {pairs.shape}; wants {(count, 2)} for updates {updates.shape}")
    chunks, unit = ceil_div(count, CHUNK), _unit(inner)
    size = outer * chunks * (inner // unit)
    params = dict(size=size, count=count, chunks=chunks, inner=inner // unit, zero=0)
    return Launch((outer, chunks, inner), groups=ceil_div(size, _ADD_WORKGROUP), params=params, constants=dict(UNIT=unit))


@kernel(
    "shape/scatter_add_sorted", ref=ref.scatter_add_sorted, flops=lambda x, pairs, updates, carried: updates.size,
    bytes=lambda x, pairs, updates, carried: 12 * updates.size, bench=_added(1, 32000, 1024, _random(32000, 8192)), rtol=1e-6, atol=1e-6,
    cases=[_added(*s) for s in _SUMS] + [_added(65537, 1, 64, np.zeros(1, np.int32), large=True)],
)  # fmt: skip
def scatter_add_sorted(x: Array, pairs: Array, updates: Array, carried: Array) -> Launch:
    """x[i, index] += updates[i, position] in place for the sorted pairs; `carried` is carried_sums' result."""
    outer, along, inner = x.shape
    count, unit = pairs.shape[0], _unit(inner)
    expect(updates.shape == (outer, count, inner), f"scatter_add: updates are {updates.shape}; wants {(outer, count, inner)}")
    chunks = ceil_div(count, CHUNK)
    expect(carried.shape == (outer, chunks, inner), f"scatter_add: carried sums are {carried.shape}; wants {(outer, chunks, inner)}")
    size = outer * count * (inner // unit)
    params = dict(size=size, count=count, chunks=chunks, inner=inner // unit, along=along, zero=0)
    return Launch(None, groups=ceil_div(size, _ADD_WORKGROUP), params=params, constants=dict(UNIT=unit))
