"""Matrix times vector and vector times matrix, with weights in 32 or 16 bits: limited by memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels_ref import linalg as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Case, Kernel, Launch, ceil_div, kernel
from ..tuning import Candidate, Choices
from .product_cases import nan_starts
from .products import ACTIVATIONS, STORAGE, activation_index, stored

_ROUNDS = 65535
"""Rounds after which a software driver ends a loop."""
DIRECT_ROWS = 16
"""Rows per workgroup of gemv_direct."""


def _gemv(lanes: int, segment: int, rows: int, steps: int) -> Candidate:
    return Candidate(dict(WORKGROUP=lanes, SEGMENT=segment, ROWS=rows, STEPS=steps), workgroup=lanes, memory=16 * lanes)


def _vecmat(lanes: int, across: int, steps: int) -> Candidate:
    return Candidate(dict(WORKGROUP=lanes, ACROSS=across, STEPS=steps), workgroup=lanes, memory=32 * lanes)


GEMV_CHOICES = Choices(
    "gemv",
    {
        "medium": _gemv(128, 32, 2, 2),
        "software": _gemv(32, 8, 4, 1),  # one subgroup per four rows, no shared memory
        "short": _gemv(128, 8, 4, 1),
        "wide": _gemv(256, 128, 2, 2),
        "wider": _gemv(256, 256, 2, 2),
        "long": _gemv(1024, 1024, 1, 4),
    },
)
"""By the length of the rows: lanes per workgroup and per row, rows per segment, loads of each row under way."""

VECMAT_CHOICES = Choices(
    "vecmat",
    {
        "split": _vecmat(256, 16, 8),
        "software": _vecmat(8, 2, 4),  # many rows under way, because their pages are far apart
        "flat": _vecmat(128, 32, 4),
        "broad": _vecmat(1024, 16, 4),
        "deep": _vecmat(1024, 8, 8),
        "narrow": _vecmat(1024, 4, 8),
    },
)
"""By rows and columns: lanes per workgroup, of them along the columns, rows under way per lane."""


_SIZES = [(1, 1), (5, 4), (3, 8), (257, 12), (64, 1000), (7, 131), (2, 1536), (0, 4), (4, 0), (0, 0)]
_BENCH = [dict(a=(4096,), b=(4096, 4096)), dict(a=(1024,), b=(3072, 1024)), dict(a=(4096,), b=(14336, 4096))]
_VECMAT_BENCH = [dict(a=(4096,), b=(4096, 4096)), dict(a=(1024,), b=(1024, 3072)), dict(a=(14336,), b=(14336, 4096))]


def _specials(rng: np.random.Generator) -> np.ndarray:
    x = rng.standard_normal((24, 16), np.float32)
    x[3, 5], x[9, 0], x[9, 7], x[17, 11] = np.nan, np.inf, np.inf, -np.inf
    x[20, 2] = 65504
    return x


def _float16_values(axis: int) -> dict[str, Any]:
    """Every float16 once, each alone in its row (axis 1) or column among zeros; 2^20 lifts the least above the tolerance."""
    values = np.zeros((65536, 8), np.float16)
    values[np.arange(65536), np.arange(65536) % 8] = np.arange(65536, dtype=np.uint16).view(np.float16)
    vector = np.full(8, 2.0**20, np.float32)
    return dict(a=vector, b=values if axis else np.ascontiguousarray(values.T), id="every float16")


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


def load_width(storage: str, cols: int) -> int:
    """Elements of a 16-byte load where rows are made of whole ones; else 1."""
    wide = 8 if STORAGE[storage] else 4
    return wide if cols % wide == 0 else 1


def _native(b: Array, wanted: bool | None) -> bool:
    """Whether a product with a vector loads b as f16: as `wanted`, else on hardware where it is loaded one by one.

    On an H200 that is 5 to 15 % faster. With eight elements to a load it is up to 15 % slower than pairs in a u32, declared as
    a matrix, a struct or an array alike; and software drivers gather each element alone and take half as long again.
    """
    if b.dtype.name != "float16" or wanted is False:
        return False
    return bool(wanted) or (b.device.kind != "software" and load_width("float16", b.shape[1]) == 1)


def _gemv_default(kind: str, rows: int, loads: int) -> str:
    """The candidate for rows of this many loads each: on an H200 within 5 % of the best of 25 at each of 12 shapes.

    On an H100, where "wider" is up to a tenth behind at some thousand rows of 512 loads and ahead with more or fewer, within 3 % of
    the candidates at each of 16 more.
    """
    if kind in ("software", "cpu"):
        return "software" if loads <= _ROUNDS * 8 else "long"
    if loads <= 32 and rows >= 4096:
        return "short"
    if rows <= 128 and loads >= 2048:
        return "long"
    if loads < 128:
        return "medium"
    return "wide" if loads < 512 or (loads < 640 and 2048 <= rows <= 4096) else "wider"


def _declare_gemv(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(
        a: Array, b: Array, bias: Array | None = None, *,
        activation: str | None = None, native: bool | None = None, config: str | None = None,
    ) -> Launch:  # fmt: skip
        """activation(b·a + bias): matrix b [rows, cols], vector a [cols]. native: load float16 as such; None chooses."""
        size = _check(name, a, b, bias, 1)
        rows, cols = b.shape
        width = load_width(b.dtype.name, cols)
        default = _gemv_default(a.device.kind, rows, cols // width)
        constants = dict(GEMV_CHOICES[GEMV_CHOICES.pick(a.device, config, (rows, cols, storage), default)].constants)
        per_group = constants["WORKGROUP"] // constants["SEGMENT"] * constants["ROWS"]
        constants |= dict(
            WIDTH=width, STORAGE=STORAGE[b.dtype.name], HAS_BIAS=bias is not None, ACTIVATION=activation_index(name, activation)
        )
        groups, params = ceil_div(rows, per_group), dict(rows=rows, cols=cols)
        return Launch((size,), groups=groups, params=params, constants=constants, half=_native(b, native))

    rule.__name__ = name
    return kernel(
        "linalg/gemv", ref=getattr(ref, name), flops=_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=_stored(cases, storage, 1), bench=stored(_BENCH, storage), choices=GEMV_CHOICES,
    )(rule)  # fmt: skip


def _stored(cases: Sequence[Case], storage: str, axis: int) -> list[Case]:
    """The cases in this storage, one with infinities and NaN, and for float16 every value."""
    special: dict[str, Any] = dict(a=(16 if axis else 24,), b=_specials, id="inf and NaN")
    if storage == "float16":
        half = [*stored(cases, storage), special | {"b": lambda rng: _specials(rng).astype(np.float16)}, _float16_values(axis)]
        return half + [{**case, "native": True, "id": f"{case['id']} native"} for case in half if isinstance(case, dict)]
    return [*cases, special]


def _vecmat_default(kind: str, rows: int, cols: int, width: int, parts: int) -> str:
    """The candidate for these sizes: on an H200 within 7 % of the best of 20 at each of 12 shapes."""
    if kind in ("software", "cpu"):
        return "software" if rows <= _ROUNDS * 4 else "deep"
    if parts > 1:
        return "split"
    if rows <= 64:
        return "flat"
    groups = ceil_div(cols * 4, 32 * max(4, width))  # workgroups of "deep"
    return "broad" if groups > 200 else "deep" if groups >= 40 else "narrow"


def vecmat_parts(kind: str, storage: str, rows: int, cols: int) -> int:
    """Blocks of rows to sum apart, so that a tall matrix of few columns keeps a whole GPU busy; 1: none.

    A second launch for the sum of the blocks costs about 3 µs, as much as one workgroup needs for some thousand rows.
    """
    groups = ceil_div(cols, 16 if load_width(storage, cols) < 8 else 32)  # workgroups of "narrow"
    if kind in ("software", "cpu") or groups >= 80 or rows * (80 - groups) < 250_000:
        return 1
    return min(ceil_div(512, ceil_div(groups, 4)), rows // 64)


def _declare_vecmat(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(
        a: Array, b: Array, bias: Array | None = None, *,
        activation: str | None = None, parts: int | None = None, native: bool | None = None, config: str | None = None,
    ) -> Launch:  # fmt: skip
        """activation(a·b + bias): vector a [rows], matrix b [rows, cols]. parts: a·b for so many blocks of rows, [parts, cols]."""
        size = _check(name, a, b, bias, 0)
        if parts is not None and (parts < 1 or bias is not None or activation is not None):
            raise ConfigError(f"{name}: parts is {parts}; wants 1 or more, and bias and activation after the sum of the parts")
        rows, cols = b.shape
        width, count = load_width(storage, cols), parts or 1
        default = _vecmat_default(a.device.kind, rows, cols, width, count)
        constants = dict(VECMAT_CHOICES[VECMAT_CHOICES.pick(a.device, config, (rows, cols, count, storage), default)].constants)
        if width == 1:  # as many bytes along a row as with whole loads
            constants["ACROSS"] = min(4 * constants["ACROSS"], constants["WORKGROUP"])
        groups = ceil_div(cols, constants["ACROSS"] * width) * count
        constants |= dict(
            WIDTH=width, SLOTS=constants["WORKGROUP"] * (2 if width == 8 else 1), STORAGE=STORAGE[b.dtype.name],
            HAS_BIAS=bias is not None, ACTIVATION=activation_index(name, activation),
        )  # fmt: skip
        shape = (size,) if parts is None else (parts, size)
        params = dict(rows=rows, cols=cols, parts=count)
        return Launch(shape, groups=groups, params=params, constants=constants, half=_native(b, native))

    rule.__name__ = name
    return kernel(
        "linalg/vecmat", ref=getattr(ref, name), flops=_flops, atol=2e-5, dtypes={"b": (storage,)},
        cases=_stored(cases, storage, 0), bench=stored(_VECMAT_BENCH, storage), choices=VECMAT_CHOICES,
    )(rule)  # fmt: skip


_GEMV_CASES: list[Case] = [dict(a=(k,), b=(m, k)) for m, k in _SIZES]
_GEMV_CASES += GEMV_CHOICES.across([dict(a=(24,), b=(11, 24), bias=(11,), id="11 of 24"), dict(a=(4200,), b=(5, 4200), id="5 of 4200")])
_GEMV_MORE: list[Case] = [dict(a=(9,), b=(6, 9), bias=(6,), activation=name, id=f"{name}") for name in ACTIVATIONS]
_GEMV_MORE += [dict(a=(4,), b=(65537 * 16 + 1, 4), config="software", large=True), dict(a=(3,), b=(70001, 3))]
_GEMV_MORE += GEMV_CHOICES.across([dict(a=(643,), b=(9, 643), id="odd rows")])
_VECMAT_CASES: list[Case] = [dict(a=(m,), b=(m, k)) for m, k in [*_SIZES, (1000, 68), (33, 257)]]
_VECMAT_CASES += [dict(a=(m,), b=(m, k), parts=parts) for m, k, parts in [(100, 72, 3), (37, 6, 5), (2, 8, 4), (0, 4, 2), (65, 3, 1)]]
_VECMAT_CASES += VECMAT_CHOICES.across(
    [dict(a=(11,), b=(11, 24), bias=(24,), id="11 by 24"), dict(a=(2300,), b=(2300, 40), parts=2, id="2 parts")]
)
_VECMAT_MORE: list[Case] = [dict(a=(9,), b=(9, 6), bias=(6,), activation=name, id=f"{name}") for name in ACTIVATIONS]
_VECMAT_MORE += [dict(a=(1,), b=(1, 65537 * 8 + 4), config="software", large=True)]
_VECMAT_MORE += VECMAT_CHOICES.across([dict(a=(70,), b=(70, 131), id="odd columns")])

_DIRECT_CASES: list[Case] = [*_GEMV_CASES[: len(_SIZES)], *_GEMV_MORE[: len(ACTIVATIONS)]]
_DIRECT_CASES += [dict(a=(16,), b=_specials, id="inf and NaN"), dict(a=(70,), b=(33, 70), bias=(33,)), dict(a=(3,), b=(70001, 3))]
_DIRECT_CASES += [dict(a=(k,), b=nan_starts(20, k), id=f"NaN behind rows of {k}") for k in (5, 9, 19)]


@kernel("linalg/gemv_direct", ref=ref.gemv_direct, flops=_flops, atol=2e-5, cases=_DIRECT_CASES, bench=_BENCH,
        dtypes={"a": ("float32",), "b": ("float32",)})  # fmt: skip
def gemv_direct(a: Array, b: Array, bias: Array | None = None, *, activation: str | None = None) -> Launch:
    """activation(b·a + bias): matrix b [rows, cols] in float32, vector a [cols]; 16 rows per workgroup, for software drivers."""
    size = _check("gemv_direct", a, b, bias, 1)
    constants = dict(VECTOR=b.shape[1] % 4 == 0, HAS_BIAS=bias is not None, ACTIVATION=activation_index("gemv_direct", activation))
    return Launch((size,), groups=ceil_div(size, DIRECT_ROWS), params=dict(rows=size, cols=b.shape[1]), constants=constants)


def takes_direct(kind: str, storage: str, rows: int, cols: int) -> bool:
    """Whether gemv_direct multiplies this matrix: on a software driver, with enough rows, and not too long for its loop."""
    return kind in ("software", "cpu") and STORAGE[storage] == 0 and rows >= DIRECT_ROWS // 2 and cols <= _ROUNDS * 32


gemv = _declare_gemv("gemv", "float32", _GEMV_CASES + _GEMV_MORE)
gemv_f16 = _declare_gemv("gemv_f16", "float16", _GEMV_CASES)
gemv_bf16 = _declare_gemv("gemv_bf16", "bfloat16", _GEMV_CASES)
vecmat = _declare_vecmat("vecmat", "float32", _VECMAT_CASES + _VECMAT_MORE)
vecmat_f16 = _declare_vecmat("vecmat_f16", "float16", _VECMAT_CASES)
vecmat_bf16 = _declare_vecmat("vecmat_bf16", "bfloat16", _VECMAT_CASES)

GEMV = {"float32": gemv, "float64": gemv, "float16": gemv_f16, "bfloat16": gemv_bf16}
VECMAT = {"float32": vecmat, "float64": vecmat, "float16": vecmat_f16, "bfloat16": vecmat_bf16}
