"""What the rules of all matrix product kernels share: shapes, batch axes, epilogue, storage of the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from kernels_ref import linalg as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Case, Launch, ceil_div

ACTIVATIONS = tuple(ref.ACTIVATIONS)
MAX_BATCH_AXES = 4
STORAGE = {"float32": 0, "float64": 0, "float16": 1, "bfloat16": 2}


def activation_index(who: str, activation: str | None) -> int:
    """The number of an activation in the shaders; ConfigError for an unknown one."""
    if activation not in ACTIVATIONS:
        raise ConfigError(f"{who}: activation is {activation!r}; wants one of {', '.join(map(str, ACTIVATIONS))}")
    return ACTIVATIONS.index(activation)


def product_shape(who: str, a: Array, b: Array, bias: Array | None, transpose_a: bool, transpose_b: bool) -> tuple[tuple[int, ...], int]:
    """(the shape of op(a)·op(b), the length of the inner axis); ShapeError for what does not fit."""
    if a.ndim < 2 or b.ndim < 2:
        raise ShapeError(f"{who}: a is {a.shape} and b is {b.shape}; wants at least two axes each")
    rows, inner = a.shape[-2:][::-1] if transpose_a else a.shape[-2:]
    inner_b, cols = b.shape[-2:][::-1] if transpose_b else b.shape[-2:]
    if inner != inner_b:
        note = " transposed" if transpose_a or transpose_b else ""
        flags = f" (transpose_a={transpose_a}, transpose_b={transpose_b})" if note else ""
        raise ShapeError(f"{who}: inner axes differ, a is {a.shape} and b is {b.shape}{flags}")
    batch = batch_shape(who, a.shape, b.shape)
    if bias is not None and bias.shape != (cols,):
        raise ShapeError(f"{who}: bias is {bias.shape}; wants ({cols},), one per column of the product")
    return (*batch, rows, cols), inner


def batch_shape(who: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The broadcast batch axes of two stacks of matrices; ShapeError names who and the shapes."""
    count = max(len(a), len(b)) - 2
    if count > MAX_BATCH_AXES:
        raise ShapeError(f"{who}: a is {a} and b is {b}, with {count} batch axes; wants at most {MAX_BATCH_AXES}")
    left, right = _padded(a[:-2], count), _padded(b[:-2], count)
    for n, m in zip(left, right, strict=True):
        if n != m and 1 not in (n, m):
            raise ShapeError(f"{who}: batch axes do not broadcast, a is {a} and b is {b}")
    return tuple(m if n == 1 else n for n, m in zip(left, right, strict=True))


def _padded(axes: tuple[int, ...], count: int) -> tuple[int, ...]:
    return (1,) * (count - len(axes)) + axes


def batch_params(a: tuple[int, ...], b: tuple[int, ...], batch: tuple[int, ...]) -> dict[str, Any]:
    """Sizes of four batch axes and the strides (in elements, 0 where broadcast) of both stacks of matrices."""
    params: dict[str, Any] = {"batch": _padded(batch, MAX_BATCH_AXES)}
    for name, shape in (("a_strides", a), ("b_strides", b)):
        axes = _padded(shape[:-2], MAX_BATCH_AXES)
        params[name] = tuple(0 if n == 1 else prod(axes[i + 1 :]) * shape[-2] * shape[-1] for i, n in enumerate(axes))
    return params


def matmul_launch(
    who: str, a: Array, b: Array, bias: Array | None, transpose_a: bool, transpose_b: bool, activation: str | None, tile: tuple[int, int],
    **constants: Any,
) -> Launch:  # fmt: skip
    """The launch that all matrix product kernels share: one workgroup per tile of each product."""
    shape, inner = product_shape(who, a, b, bias, transpose_a, transpose_b)
    *batch, rows, cols = shape
    params = batch_params(a.shape, b.shape, tuple(batch)) | dict(rows=rows, cols=cols, inner=inner)
    groups = prod(batch) * ceil_div(rows, tile[0]) * ceil_div(cols, tile[1])
    constants |= dict(
        TRANSPOSE_A=bool(transpose_a), TRANSPOSE_B=bool(transpose_b), HAS_BIAS=bias is not None,
        VECTOR_A=a.shape[-1] % 4 == 0, VECTOR_B=b.shape[-1] % 4 == 0,
        ACTIVATION=activation_index(who, activation), STORAGE=STORAGE[b.dtype.name],
    )  # fmt: skip
    return Launch(shape, groups=groups, params=params, constants=constants, half=loads_half(b))


def matmul_flops(a: Array, b: Array, bias: Any = None, *, transpose_a: bool = False, **options: Any) -> float:
    """2 · rows · inner · cols per matrix of the broadcast batch."""
    batch = batch_shape("matmul", a.shape, b.shape)
    return 2.0 * prod(batch) * prod(a.shape[-2:]) * prod(b.shape[-2:]) / max(1, a.shape[-2 if transpose_a else -1])


def loads_half(b: Array) -> bool:
    """Whether a product of matrices loads b as f16: float16 on hardware.

    On an H200 6 % faster than pairs in a u32 through shared tiles, and 1.8 times straight from memory where b is
    transposed; a software driver gathers each element alone and takes longer.
    """
    return b.dtype.name == "float16" and b.device.kind != "software"


def stored(cases: Sequence[Case], storage: str) -> list[Case]:
    """The cases with b in 16 bits: float16 arrays (bfloat16 ones come from the kernel's dtypes)."""
    if storage != "float16":
        return list(cases)

    def halves(shape: tuple[int, ...]) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: rng.standard_normal(shape, np.float32).astype(np.float16)

    return [{"id": f"{case['a']} {case['b']}", **case, "b": halves(case["b"])} for case in cases if isinstance(case, dict)]
