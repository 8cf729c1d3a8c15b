"""Elementwise kernels. Each invocation makes four elements."""

from __future__ import annotations

import struct
from math import inf, prod
from typing import Any

import numpy as np

from kernels_ref import elementwise as ref

from ..array import Array
from ..dtypes import DType, as_dtype, bool_, float32, float64, int32
from ..errors import DTypeError
from ..kernel import ANY32, Launch, Out, expect, kernel
from .broadcast import MAX_RANK, STRIDED, broadcast_shapes, broadcast_strides, joint_walk, reading, vec4_pair
from .spread import groups_for

__all__ = [
    "BINARY", "COMPARISONS", "MAX_RANK", "UNARY", "UNARY_BACKWARD", "binary", "binary_scalar", "broadcast_shapes", "broadcast_strides",
    "cast", "fill", "unary", "unary_backward", "vec4_pair", "where",
]  # fmt: skip

UNARY = tuple(ref.UNARY)
UNARY_BACKWARD = tuple(ref.UNARY_BACKWARD)
BINARY = tuple(ref.BINARY)
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
FLOAT_ONLY = ("divide", "power", "greater_share")
CAST = ("float32", "int32", "uint32", "bool", "float16", "bfloat16")

_SHAPES = [(1,), (257,), (3, 5, 7), (0,), (1009,)]


def _code(dtype: DType) -> int:
    return 0 if dtype.is_float else 1 if dtype is int32 else 2


def bits_of(value: float, dtype: DType) -> int:
    """The 32 bits of a number in a dtype; DTypeError where it does not fit."""
    if dtype.is_float:
        with np.errstate(over="ignore"):
            return int(np.float32(value).view(np.uint32))
    if dtype is bool_:
        return int(bool(value))
    try:
        return int.from_bytes(struct.pack("<i" if dtype is int32 else "<I", int(value)), "little")
    except (struct.error, OverflowError, ValueError):
        raise DTypeError(f"the number {value} does not fit {dtype}") from None


def _extremes(op: str) -> np.ndarray:
    """Arguments where overflow, underflow and cancellation show; within the domain of op."""
    size = np.array([0, 1e-30, 1e-7, 1e-3, 0.1, 0.5, 0.9, 1, 1.1, 2, 3, 5, 9, 10, 20, 50, 88, 100, 1e4, 1e30, np.inf, np.nan], np.float32)
    if op in ("exp", "gelu", "gelu_tanh", "silu"):
        size = size[np.isnan(size) | (size <= 80)]
    values = np.concatenate([size, -size])
    if op == "rsqrt":
        values = values[(values != 0) & ~np.isinf(values)]
    return values


def _far(rng: np.random.Generator) -> np.ndarray:
    """Numbers of every size, on both sides of 1024, where the reduction to a quarter turn changes."""
    sizes = np.concatenate([np.exp(rng.uniform(np.log(1e-38), np.log(3.4e38), 4000)), rng.uniform(1000, 1050, 1000), [1024, 3.4e38]])
    signed: np.ndarray = (sizes * rng.choice([-1, 1], len(sizes))).astype(np.float32)
    return signed


@kernel(
    "elementwise/unary", ref=ref.unary, flops=1, bench=[dict(x=(1 << 24,), op=op) for op in ("exp", "gelu", "relu", "tanh")],
    rtol=3e-6, atol=1e-7, l2=1e-6,
    cases=[dict(x=shape, op=op, low=-0.5, high=0.75, id=f"{op} {shape}") for op in UNARY for shape in _SHAPES]
    + [dict(x=_extremes(op), op=op, low=-0.5, high=20.0, id=f"{op} extremes") for op in UNARY]
    + [dict(x=_extremes("clip"), op="clip", low=low, high=high) for low, high in ((-inf, 2.0), (0.1, inf), (3.0, -1.0))]
    + [dict(x=lambda rng: (20 * rng.standard_normal(4001)).astype(np.float32), op=op, low=0.1, id=f"{op} wide")
       for op in UNARY if op not in ("exp", "log", "sqrt", "rsqrt")]
    + [dict(x=_far, op=op, id=f"{op} far") for op in ("sin", "cos", "atan")] + [dict(x=(65537 * 1024 + 3,), op="relu", large=True)],
)  # fmt: skip
def unary(x: Array, *, op: str, low: float = 0.0, high: float = 0.0) -> Launch:
    """op(x), elementwise; `low` is the slope of leaky_relu, `low` and `high` the ends of clip."""
    params = dict(size=x.size, low=low, high=high)
    return Launch(x.shape, groups=groups_for(x.size), params=params, constants=dict(OP=UNARY.index(op)))


def _away_from_zero(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.1, 3.0, 1009).astype(np.float32)


@kernel(
    "elementwise/unary_backward", ref=ref.unary_backward, flops=1, bench=dict(g=(1 << 24,), t=(1 << 24,), op="gelu"),
    rtol=4e-6, atol=5e-7,
    cases=[dict(g=s, t=s, op=op, low=-0.5, high=0.75, id=f"{op} {s}")
       for op in UNARY_BACKWARD for s in _SHAPES if op not in ("sqrt", "rsqrt")]
    + [dict(g=(1009,), t=_away_from_zero, op=op) for op in UNARY_BACKWARD]
    + [dict(g=(101,), t=np.linspace(-1e4, 1e4, 101, dtype=np.float32), op=op, low=0.1, high=5.0, id=f"{op} far")
       for op in UNARY_BACKWARD if op not in ("tanh", "sigmoid", "sqrt", "rsqrt", "gelu_tanh")],
)  # fmt: skip
def unary_backward(g: Array, t: Array, *, op: str, low: float = 0.0, high: float = 0.0) -> Launch:
    """g · op'(x); t is op(x) for sqrt, rsqrt, tanh and sigmoid, and x for the others."""
    expect(g.shape == t.shape, f"gradient of {op}: it has shape {g.shape} and the result {t.shape}")
    params = dict(size=t.size, low=low, high=high)
    return Launch(t.shape, groups=groups_for(t.size), params=params, constants=dict(OP=UNARY_BACKWARD.index(op)))


def _result_dtype(op: str, dtype: DType) -> DType:
    if op in COMPARISONS:
        return bool_
    if op in FLOAT_ONLY and not dtype.is_float:
        raise DTypeError(f"{op}: the operands are {dtype}; wants float32")
    if dtype is bool_:
        raise DTypeError(f"{op}: the operands are bool; wants float32, int32 or uint32")
    return float32 if dtype is float64 else dtype


def _ints(*shape: int) -> Any:
    return lambda rng: rng.integers(-(2**31), 2**31, shape).astype(np.int32)


def _uints(*shape: int) -> Any:
    return lambda rng: rng.integers(0, 2**32, shape).astype(np.uint32)


def _specials(rng: np.random.Generator) -> dict[str, Any]:
    some = np.array([np.nan, np.inf, -np.inf, 0, 1, -1, 2.5, -2.5, 1e30, -1e-30], np.float32)
    return dict(a=some[:, None], b=some[None, :])


def _special_case(op: str) -> Any:
    def make(rng: np.random.Generator) -> dict[str, Any]:
        return _specials(rng) | dict(op=op)

    make.__name__ = f"{op} specials"
    return make


def _wide_powers(rng: np.random.Generator) -> dict[str, Any]:
    """Results over the whole range of float32."""
    a = np.exp(rng.uniform(-20, 20, 4000)).astype(np.float32)
    b = (rng.uniform(-80, 80, 4000) / np.log(a)).astype(np.float32)
    return dict(a=np.concatenate([a, 1 + 1e-3 * rng.standard_normal(999)]).astype(np.float32), b=np.concatenate([b, b[:999]]), op="power")


def _whole_powers(rng: np.random.Generator) -> dict[str, Any]:
    a = rng.uniform(-3, 3, (1, 501)).astype(np.float32)
    return dict(a=a, b=np.arange(-20, 21, dtype=np.float32)[:, None], op="power")


_PAIRS = (
    ((1,), (1,)), ((257,), (257,)), ((3, 1, 5), (4, 1)), ((0, 3), (3,)), ((), (7, 3)), ((17, 31), (31,)),
    ((17, 32), (32,)), ((17, 31), (17, 1)),
    ((5, 1), (5, 12)), ((2, 3, 4, 5), (3, 1, 1)), ((2, 1, 3, 1, 2, 1), (1, 2, 1, 3, 1, 5)), ((1, 1, 3), (2, 1, 1)),
)  # fmt: skip


def _positive_left(a: tuple[int, ...]) -> Any:
    return lambda rng: rng.uniform(0.1, 3.0, a).astype(np.float32)


@kernel(
    "elementwise/binary", ref=ref.binary, flops=1, rtol=2e-6, atol=1e-30, dtypes=dict(a=ANY32, b=ANY32),
    bench=[dict(a=(1 << 24,), b=(1 << 24,), op="add"), dict(a=(1 << 14, 1 << 10), b=(1 << 10,), op="add"),
    dict(a=(1 << 24,), b=(1 << 24,), op="power")],
    cases=[dict(a=a, b=b, op=op, id=f"{op} {a} {b}") for op in ("add", "divide", "less") for a, b in _PAIRS]
    + [dict(a=_positive_left(a), b=b, op=op, id=f"{op} {a} {b}")
       for op in BINARY for a, b in (((1,), (1,)), ((257,), (257,)), ((3, 1, 5), (4, 1)))]
    + [_special_case(op) for op in BINARY] + [_wide_powers, _whole_powers]
    + [dict(a=_ints(5, 7), b=_ints(7), op=op, id=f"{op} int32") for op in BINARY if op not in FLOAT_ONLY]
    + [dict(a=_uints(5, 7), b=_uints(5, 1), op=op, id=f"{op} uint32") for op in BINARY if op not in FLOAT_ONLY]
    + [dict(a=np.array([True, False, True]), b=np.array([True, True, False]), op=op, id=f"{op} bool") for op in COMPARISONS],
)  # fmt: skip
def binary(a: Array, b: Array, *, op: str) -> Launch:
    """a op b, elementwise, with NumPy broadcasting over up to six axes; both of one dtype. Comparisons give bool."""
    kinds = [float32 if t.dtype is float64 else t.dtype for t in (a, b)]
    if kinds[0] is not kinds[1]:
        raise DTypeError(f"{op}: a is {a.dtype} and b is {b.dtype}; wants one dtype")
    shape = broadcast_shapes(op, a.shape, b.shape)
    how_a, how_b = reading(a.shape, shape), reading(b.shape, shape)
    walk = joint_walk(shape, *[t.shape if how.mode == STRIDED else () for t, how in ((a, how_a), (b, how_b))])
    params: dict[str, Any] = dict(size=prod(shape), a_inner=how_a.inner, a_period=how_a.period, b_inner=how_b.inner, b_period=how_b.period)
    params |= vec4_pair("n", walk.sizes) | vec4_pair("a", walk.strides[0]) | vec4_pair("b", walk.strides[1])
    constants = dict(OP=BINARY.index(op), DTYPE=_code(kinds[0]), A_MODE=how_a.mode, B_MODE=how_b.mode, RANK=walk.rank)
    return Launch(Out(shape, _result_dtype(op, kinds[0])), groups=groups_for(prod(shape)), params=params, constants=constants)


@kernel(
    "elementwise/binary_scalar", ref=ref.binary_scalar, flops=1, rtol=2e-6, atol=1e-30, dtypes=dict(x=ANY32),
    bench=dict(x=(1 << 24,), value=3.0, op="multiply"),
    cases=[dict(x=_positive_left((257,)), value=1.5, op=op, swap=swap) for op in BINARY for swap in (False, True)]
    + [dict(x=shape, value=-2.0, op="multiply") for shape in _SHAPES] + [dict(x=(1009,), value=3.0, op="power"),
    dict(x=(1009,), value=2.0, op="power")]
    + [dict(x=_extremes("maximum"), value=value, op=op) for op in ("minimum", "maximum", "less") for value in (1.0, inf)]
    + [dict(x=_ints(257), value=-3, op=op, swap=True) for op in BINARY if op not in FLOAT_ONLY]
    + [dict(x=_uints(257), value=2**32 - 2, op=op) for op in BINARY if op not in FLOAT_ONLY],
)  # fmt: skip
def binary_scalar(x: Array, *, value: float, op: str, swap: bool = False) -> Launch:
    """x op value, or value op x with swap, elementwise; the number is a parameter of the launch, nothing is uploaded."""
    kind = float32 if x.dtype is float64 else x.dtype
    params = dict(size=x.size, value=bits_of(value, kind))
    constants = dict(OP=BINARY.index(op), DTYPE=_code(kind), SWAP=int(swap))
    return Launch(Out(x.shape, _result_dtype(op, kind)), groups=groups_for(x.size), params=params, constants=constants)


AS_IT_LIES, WALKED, NUMBER = range(3)
"""How `where` reads each of its tensors; see shaders/elementwise/where.wgsl."""


def _mask(*shape: int) -> Any:
    return lambda rng: rng.integers(0, 2, shape).astype(bool)


@kernel(
    "elementwise/where", ref=ref.where, flops=0, dtypes=dict(condition=("bool",), a=ANY32, b=ANY32),
    bench=dict(condition=_mask(1 << 24), a=(1 << 24,), b=(1 << 24,)),
    cases=[dict(condition=_mask(*s), a=s, b=s, id=f"same {s}") for s in _SHAPES]
    + [dict(condition=_mask(*c), a=a, b=b, id=f"{c} {a} {b}") for c, a, b in (
        ((3, 1), (1, 5), (3, 5)), ((5,), (4, 1, 1), (3, 1)), ((2, 1, 2, 1, 2, 1), (3, 1, 3, 1, 3), (1,)), ((1,), (257,), ()))]
    + [dict(condition=_mask(9, 7), a=(7,), b_value=-2.5), dict(condition=_mask(257), b=(257,), a_value=1.5),
    dict(condition=_mask(5, 1), a_value=1.0, b_value=3.0)]
    + [dict(condition=_mask(9, 7), a=_ints(9, 7), b=_ints(7), id="int32"), dict(condition=_mask(9), a=_mask(9), b=_mask(9), id="bool")]
    + [dict(condition=np.array([True, False]), a=np.array([np.nan, np.inf], np.float32), b=np.array([-np.inf, np.nan], np.float32))],
)  # fmt: skip
def where(condition: Array, a: Array | None = None, b: Array | None = None, *, a_value: float = 0.0, b_value: float = 0.0) -> Launch:
    """a where condition, else b, with NumPy broadcasting; a tensor that is missing is its number (float32 if both are)."""
    given = [t for t in (a, b) if t is not None]
    kinds = [float32 if t.dtype is float64 else t.dtype for t in given] or [float32]
    if len(kinds) == 2 and kinds[0] is not kinds[1]:
        raise DTypeError(f"where: a is {given[0].dtype} and b is {given[1].dtype}; wants one dtype")
    shape = broadcast_shapes("where", condition.shape, *[t.shape for t in given])
    modes = [NUMBER if t is None else AS_IT_LIES if t.shape == shape else WALKED for t in (condition, a, b)]
    walk = joint_walk(shape, *[t.shape if how == WALKED else () for t, how in zip((condition, a, b), modes, strict=True)])  # type: ignore[union-attr]
    numbers = [*walk.sizes, *walk.strides[0], *walk.strides[1], *walk.strides[2]]
    params: dict[str, Any] = {f"w{i}": tuple(numbers[4 * i : 4 * i + 4]) for i in range(6)}
    params |= dict(size=prod(shape), a_value=bits_of(a_value, kinds[0]), b_value=bits_of(b_value, kinds[0]))
    constants = dict(C_MODE=modes[0], A_MODE=modes[1], B_MODE=modes[2], RANK=walk.rank)
    return Launch(Out(shape, kinds[0]), groups=groups_for(prod(shape)), params=params, constants=constants)


@kernel(
    "elementwise/fill", ref=ref.fill, flops=0, dtypes=dict(x=CAST), bytes=lambda x, value, dtype: 4 * x.size,
    bench=dict(x=(1 << 24,), value=1.0, dtype="float32"),
    cases=[dict(x=s, value=v, dtype=d) for s in _SHAPES for v, d in ((-2.5, "float32"), (-7, "int32"))]
    + [dict(x=(5,), value=2**32 - 1, dtype="uint32"), dict(x=(5,), value=True, dtype="bool"), dict(x=(5,), value=inf, dtype="float32")],
)  # fmt: skip
def fill(x: Array, *, value: float, dtype: str) -> Launch:
    """`value` in the shape of x and in a dtype of 32 bits; x is not read."""
    kind = as_dtype(dtype)
    return Launch(Out(x.shape, kind), groups=groups_for(x.size), params=dict(size=x.size, value=bits_of(value, kind)))


def _half_edges(rng: np.random.Generator) -> dict[str, Any]:
    """Ties, overflow and the smallest numbers of both 16-bit floats."""
    bits = rng.integers(0, 2**32, 2000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    halves = np.arange(0, 0x7C00, 37, dtype=np.uint16).view(np.float16).astype(np.float32)
    step = np.spacing(halves.astype(np.float16)).astype(np.float32)
    some = np.array([65504, 65519, 65520, 65536, 1e30, np.inf, np.nan, 5.9e-8, 2.9e-8, 3e-8, 0.0, 3.3e38, 3.4e38, 1e-40], np.float32)
    return dict(x=np.concatenate([bits[~np.isnan(bits)], halves + step / 2, some, -some]))


def _half_case(dtype: str) -> Any:
    def make(rng: np.random.Generator) -> dict[str, Any]:
        return _half_edges(rng) | dict(dtype=dtype)

    make.__name__ = f"edges of {dtype}"
    return make


_TO_INT = np.array([0, 0.9, -0.9, 1.5, -1.5, 2e9, -2e9, 3e9, -3e9, 5e9, 1e30, -1e30, np.inf, -np.inf, np.nan, 2147483520], np.float32)


@kernel(
    "elementwise/cast", ref=ref.cast, flops=1, rtol=0.0, atol=0.0, l2=1e-12, dtypes=dict(x=CAST),
    bench=[dict(x=(1 << 24,), dtype="bfloat16"), dict(x=(1 << 24,), dtype="float16"), dict(x=(1 << 24,), dtype="int32")],
    cases=[dict(x=s, dtype=d) for s in _SHAPES for d in CAST] + [dict(x=_TO_INT, dtype=d) for d in ("int32", "uint32", "bool")]
    + [_half_case("float16"), _half_case("bfloat16")] + [dict(x=_ints(257), dtype=d, id=f"int32 to {d}") for d in CAST]
    + [dict(x=_uints(257), dtype=d, id=f"uint32 to {d}") for d in CAST] + [dict(x=_mask(257), dtype=d, id=f"bool to {d}") for d in CAST]
    + [dict(x=np.arange(0, 0x7C01, 3, dtype=np.uint16).view(np.float16), dtype=d, id=f"float16 to {d}") for d in ("float32", "float16")]
    + [dict(x=np.array([1.5, -2.7, 0, 6e-8], np.float16), dtype=d, id=f"float16 to {d}") for d in CAST],
)  # fmt: skip
def cast(x: Array, *, dtype: str) -> Launch:
    """x in another dtype by NumPy's rules; floats outside an integer type's range become its nearest end, NaN becomes 0."""
    target, source = as_dtype(dtype), float32 if x.dtype is float64 else x.dtype
    code = CAST.index("float32" if target is float64 else target.name)
    elements = 8 if target.itemsize == 2 else 4
    constants = dict(FROM=CAST.index(source.name), TO=code, ELEMENTS=elements)
    return Launch(Out(x.shape, target), groups=groups_for(x.size, elements), params=dict(size=x.size), constants=constants)
