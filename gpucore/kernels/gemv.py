"""Matrix times vector, with weights in 32 or 16 bits: limited by memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernels_ref import linalg as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Case, Kernel, Launch, ceil_div, kernel
from .products import ACTIVATIONS, STORAGE, activation_index, stored

_SIZES = [(1, 1), (5, 4), (3, 8), (257, 12), (64, 1000), (7, 131), (2, 1536), (0, 4), (4, 0), (0, 0)]
_BENCH = [dict(a=(4096,), b=(4096, 4096)), dict(a=(1024,), b=(3072, 1024))]
_VECMAT_BENCH = [dict(a=(4096,), b=(4096, 4096)), dict(a=(1024,), b=(1024, 3072))]


def _flops(a: Array, b: Array, bias: Any = None, **options: Any) -> float:
    return 2.0 * b.shape[0] * b.shape[1]


def _check(who: str, a: Array, b: Array, bias: Array | None, axis: int) -> int:
    """The length of the result; the vector runs along `axis` of the matrix."""
    if a.ndim != 1 or b.ndim != 2 or a.shape[0] != b.shape[axis]:
        want = "[rows, cols] and a vector of cols" if axis else "[rows, cols] and a vector of rows"
        raise ShapeError(f"{who}: matrix {b.shape} and vector {a.shape}; wants {want}")
    size = b.shape[1 - axis]
    if bias is not None and bias.shape != (size,):
        raise ShapeError(f"{who}: bias is {bias.shape}; wants ({size},)")
    return size


def _gemv_constants(kind: str, storage: int, rows: int, cols: int) -> dict[str, int]:
    """Lanes and rows per workgroup, and elements per load."""
    wide = 8 if storage else 4
    lanes = 8 if kind == "software" else 32
    per_group = 4 if rows >= 4096 else 2 if rows >= 1024 else 1
    return dict(WORKGROUP=lanes, ROWS=per_group, WIDTH=wide if cols % wide == 0 else 1)


def _declare_gemv(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(a: Array, b: Array, bias: Array | None = None, *, activation: str | None = None, rows: int | None = None) -> Launch:
        """activation(b·a + bias): matrix b [rows, cols], vector a [cols]. rows: rows per workgroup (1, 2, 4); None chooses."""
        size = _check(name, a, b, bias, 1)
        if rows not in (None, 1, 2, 4):
            raise ConfigError(f"{name}: rows is {rows}; wants 1, 2, 4 or None")
        kind = STORAGE[b.dtype.name]
        constants: dict[str, Any] = _gemv_constants(a.device.kind, kind, size, b.shape[1])
        if rows is not None:
            constants["ROWS"] = rows
        constants |= dict(STORAGE=kind, HAS_BIAS=bias is not None, ACTIVATION=activation_index(name, activation))
        return Launch((size,), groups=ceil_div(size, constants["ROWS"]), params=dict(rows=size, cols=b.shape[1]), constants=constants)

    rule.__name__ = name
    return kernel(
        "linalg/gemv", ref=getattr(ref, name), flops=_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=stored(cases, storage), bench=stored(_BENCH, storage),
    )(rule)  # fmt: skip


def _declare_vecmat(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(a: Array, b: Array, bias: Array | None = None, *, activation: str | None = None) -> Launch:
        """activation(a·b + bias): vector a [rows], matrix b [rows, cols]."""
        size = _check(name, a, b, bias, 0)
        constants = dict(
            STORAGE=STORAGE[b.dtype.name], HAS_BIAS=bias is not None, ACTIVATION=activation_index(name, activation),
            VECTOR_B=size % 4 == 0, WORKGROUP=64 if a.device.kind == "software" else 256,
        )  # fmt: skip
        return Launch((size,), groups=ceil_div(size, 32), params=dict(rows=b.shape[0], cols=size), constants=constants)

    rule.__name__ = name
    return kernel(
        "linalg/vecmat", ref=getattr(ref, name), flops=_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=stored(cases, storage), bench=stored(_VECMAT_BENCH, storage),
    )(rule)  # fmt: skip


_GEMV_CASES: list[Case] = [dict(a=(k,), b=(m, k)) for m, k in _SIZES]
_GEMV_CASES += [dict(a=(24,), b=(11, 24), bias=(11,), rows=rows, id=f"rows {rows}") for rows in (1, 2, 4)]
_GEMV_MORE: list[Case] = [dict(a=(9,), b=(6, 9), bias=(6,), activation=name, id=f"{name}") for name in ACTIVATIONS]
_GEMV_MORE += [dict(a=(4,), b=(65537, 4), rows=1), dict(a=(3,), b=(70001, 3))]
_VECMAT_CASES: list[Case] = [dict(a=(m,), b=(m, k)) for m, k in [*_SIZES, (1000, 68), (33, 257)]]
_VECMAT_MORE: list[Case] = [dict(a=(9,), b=(9, 6), bias=(6,), activation=name, id=f"{name}") for name in ACTIVATIONS]
_VECMAT_MORE += [dict(a=(1,), b=(1, 65537 * 32 + 1), large=True)]

gemv = _declare_gemv("gemv", "float32", _GEMV_CASES + _GEMV_MORE)
gemv_f16 = _declare_gemv("gemv_f16", "float16", _GEMV_CASES)
gemv_bf16 = _declare_gemv("gemv_bf16", "bfloat16", _GEMV_CASES)
vecmat = _declare_vecmat("vecmat", "float32", _VECMAT_CASES + _VECMAT_MORE)
vecmat_f16 = _declare_vecmat("vecmat_f16", "float16", _VECMAT_CASES)
vecmat_bf16 = _declare_vecmat("vecmat_bf16", "bfloat16", _VECMAT_CASES)

GEMV = {"float32": gemv, "float64": gemv, "float16": gemv_f16, "bfloat16": gemv_bf16}
VECMAT = {"float32": vecmat, "float64": vecmat, "float16": vecmat_f16, "bfloat16": vecmat_bf16}
