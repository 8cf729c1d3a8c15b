"""What the rules of all attention kernels share: shapes, masks, tiles, cases."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any

import numpy as np

from ..array import Array
from ..device.base import Device
from ..errors import ShapeError
from ..kernel import ceil_div
from ..tuning import Candidate

MAX_DIM = 256
NARROW = 128
"""Elements of a head up to which the tiled kernels need only the shared memory that every adapter has."""
MASKS = {"mask": ("float32", "bool")}

FEW_TILES = 256
"""Below so many tiles of 64 rows a large GPU is not full, and tiles of 32 are faster."""


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


def settings(
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


def attention_flops(q: Any, k: Any, *inputs: Any, causal: bool = False, **options: Any) -> float:
    """4·d per query and visible key."""
    pairs: int = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    return 4.0 * int(q.shape[3]) * pairs * (0.5 if causal and q.shape[2] == k.shape[2] else 1.0)


def tile(down: int, across: int, columns: int, width: int) -> Candidate:
    """A candidate of the tiled kernels: 8·down rows by columns, for heads of up to `width` elements (a multiple of 4·across)."""
    vectors = max(16, across) * 2 * down + 4 * max(columns, width)  # LEFT and the right slice in lib/attention_tiles.wgsl
    return Candidate(dict(DOWN=down, ACROSS=across, COLUMNS=columns), workgroup=down * across, memory=16 * vectors)


def tile_constants(candidate: Candidate, dim: int) -> dict[str, Any]:
    """The constants of lib/attention_tiles.wgsl for heads of `dim` elements."""
    width = 4 * candidate.constants["ACROSS"]
    padded = ceil_div(dim, width) * width
    return dict(candidate.constants) | dict(WIDTH=padded, WHOLE=padded == dim)


def tiles_fit(device: Device, dim: int) -> bool:
    """Whether the tiled kernels can run and are the better choice: on a software adapter shared memory is no faster than the rest."""
    needed = tile(4, 32, 128, MAX_DIM) if dim > NARROW else tile(8, 16, 64, NARROW)
    return device.kind != "software" and needed.fits(device)


def shapes(batch: int, heads: int, kv_heads: int, q_len: int, k_len: int, dim: int) -> dict[str, Any]:
    """A case by its sizes."""
    kv = (batch, kv_heads, k_len, dim)
    return dict(q=(batch, heads, q_len, dim), k=kv, v=kv, id=f"b{batch} h{heads}/{kv_heads} q{q_len} k{k_len} d{dim}")


def more(case: dict[str, Any], label: str, **extra: Any) -> dict[str, Any]:
    """A case with more inputs or options."""
    return case | extra | {"id": f"{case['id']} {label}"}


def bools(*shape: int) -> Any:
    """A mask of this shape that lets six in ten pass."""
    return lambda rng: rng.random(shape) < 0.6


def steep(rng: np.random.Generator, spread: float = 12.0) -> np.ndarray:
    """A mask with large differences, masked rows and very low scores."""
    x = rng.standard_normal((1, 1, 40, 40), np.float32) * np.float32(spread)
    x[0, 0, 3], x[0, 0, 5, ::2], x[0, 0, 7] = -np.inf, np.finfo(np.float32).min, np.finfo(np.float32).min
    return x


def unwritten(rng: np.random.Generator) -> Mapping[str, Any]:
    """A cache with room: what lies behind its length must not matter, even NaN."""
    k, v = (rng.standard_normal((3, 2, 50, 16), np.float32) for _ in range(2))
    lengths = np.array([7, 50, 0], np.int32)
    for b, n in enumerate(lengths):
        k[b, :, n:], v[b, :, n:] = np.nan, np.nan
    return dict(q=rng.standard_normal((3, 4, 5, 16), np.float32), k=k, v=v, cache_length=lengths, causal=True)


CASES: list[Any] = [
    shapes(1, 1, 1, 1, 1, 1), shapes(2, 3, 3, 33, 65, 20), shapes(1, 2, 1, 7, 7, 3), shapes(1, 1, 1, 40, 70, 256),
    shapes(1, 8, 2, 5, 40, 64), shapes(1, 1, 1, 0, 4, 8), shapes(1, 1, 1, 4, 0, 8), shapes(0, 1, 1, 4, 4, 8),
    shapes(1, 1, 1, 35, 36, 100),
    *[more(shapes(2, 4, 2, n, m, 12), "causal", causal=True) for n, m in ((40, 40), (3, 70), (70, 40), (1, 33))],
    more(shapes(2, 2, 1, 9, 37, 8), "bool mask", mask=bools(2, 1, 9, 37)),
    more(shapes(2, 2, 2, 9, 37, 8), "key mask", mask=bools(2, 1, 1, 37)),
    more(shapes(2, 2, 2, 9, 37, 8), "2-d mask", mask=bools(9, 37), causal=True),
    more(shapes(2, 2, 1, 9, 37, 8), "float mask", mask=(2, 9, 37)),
    more(shapes(1, 2, 1, 40, 40, 8), "steep mask", mask=steep, scale=2.0),
    more(shapes(2, 2, 1, 4, 40, 8), "length", cache_length=np.array([17], np.int32), causal=True),
    more(shapes(2, 2, 1, 9, 40, 8), "short length", cache_length=np.array([3, 90], np.int32), causal=True), unwritten,
]  # fmt: skip
SLOPING = more(shapes(1, 2, 1, 40, 40, 8), "sloping mask", mask=lambda rng: steep(rng, 6.0), scale=2.0)
"""The steep mask at half its size: float32 rounds a score of 50 to 2e-6, and its weight by as much, which a sum in another
order may bring above the gate."""
WIDE = [shapes(1, 1, 1, 3, 5, d) for d in (33, 65, 97, 129, 161, 193, 225)]
MANY = shapes(65537, 1, 1, 1, 2, 1) | {"large": True}
_FEW_FULL = np.zeros(65537, np.int32)
_FEW_FULL[[0, 65535, 65536]] = 1
SPARSE = more(MANY, "few full", cache_length=_FEW_FULL)
"""As many workgroups, of which few have work."""
BENCH = [
    more(shapes(1, 16, 8, 2048, 2048, 128), "causal", causal=True),
    shapes(4, 12, 12, 1024, 1024, 64),
    shapes(1, 16, 8, 1, 4096, 128),
]
