"""Rotary position embedding."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from kernels_ref import attention as ref

from ..array import Array
from ..errors import ShapeError
from ..kernel import Case, Launch, ceil_div, expect, kernel

WORKGROUP = 256
LAYERS = 4
"""Of shaders/attention/rope.wgsl: rows that share an angle and an invocation."""


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
    _rope_case((2, 2, 3, 64), [[0, 1, 2], [40000, 32767, 131071]]),
    _rope_case((3, 130), [1, 2, 3]), _rope_case((2, 3, 3, 5, 6), [[0, 1, 2, 3, 4], [9, 8, 7, 6, 5]]),
    _rope_case((2, 0, 4), []),
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
    # Rows at one position share the angle: all of them, or with positions per batch entry those of an entry.
    layers = x.shape[:-2]
    entries, shared = (layers[0], prod(layers[1:])) if per_batch and layers else (1, prod(layers))
    params = dict(planes=dim // 2, seq=seq, layers=shared, entries=entries)
    invocations = entries * ceil_div(shared, LAYERS) * seq * (dim // 2)
    return Launch(x.shape, groups=ceil_div(invocations, WORKGROUP), params=params, constants=dict(PER_BATCH=per_batch, INVERSE=inverse))
