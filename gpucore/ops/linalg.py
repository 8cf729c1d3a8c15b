"""Matrix products: the operations."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import autograd
from ..array import Array
from ..autograd import Backward, differentiable
from ..errors import DTypeError, ShapeError
from ..kernels import linalg as K
from . import elementwise, reduce, shape
from .unary import unary_backward

if TYPE_CHECKING:
    from ..device.base import Device
    from ..tensor import Tensor

__all__ = ["linear", "matmul"]

HALVES = ("float16", "bfloat16")
_FROM_OUTPUT = ("relu", "sigmoid", "tanh")
"""Activations whose derivative is known from their result; the others need the sums before the activation."""


def matmul(
    a: Array, b: Array, *, transpose_a: bool = False, transpose_b: bool = False, bias: Array | None = None, activation: str | None = None
) -> Tensor:
    """activation(A·B + bias): A [..., m, k] times B [..., k, n], batch axes broadcast like NumPy (up to four).

    transpose_a, transpose_b: the operand is stored with its last two axes exchanged; nothing is copied. One-dimensional
    operands are a row on the left and a column on the right, and their axis is dropped from the result.
    bias: [n]. activation: relu, gelu (by erf), gelu_tanh, silu, sigmoid, tanh or None, applied as the result is stored.
    b may be float16 or bfloat16 (weights); the sums are float32 and no gradient flows to such an operand.
    An empty inner axis gives zeros (plus bias). Raises ShapeError, DTypeError, ConfigError.
    """
    K.activation_index("matmul", activation)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: a is {a.shape} and b is {b.shape}; wants at least one axis each")
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a, transpose_a = shape.reshape(a, (1, a.shape[0])), False
    if column:
        b, transpose_b = shape.reshape(b, (b.shape[0], 1)), False
    lead = a.shape[:-1]
    flat = b.ndim == 2 and a.ndim > 2 and not transpose_a  # many rows and one matrix: one product, and one for its gradient
    if flat:
        a = shape.reshape(a, (prod(lead), a.shape[-1]))
    result = _activated(a, b, bias, transpose_a, transpose_b, activation)
    kept = (*lead, result.shape[-1]) if flat else result.shape
    if row or column:
        kept = kept[:-2] + (() if row else kept[-2:-1]) + (() if column else kept[-1:])
    return result if kept == result.shape else shape.reshape(result, kept)  # type: ignore[no-any-return]


def linear(x: Array, weight: Array, bias: Array | None = None, *, activation: str | None = None) -> Tensor:
    """activation(x·Wᵀ + bias): x [..., in], weight [out, in] (float32, float16 or bfloat16), bias [out]."""
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(f"linear: x is {x.shape} and weight is {weight.shape}; wants x [..., in] and weight [out, in]")
    return matmul(x, weight, transpose_b=True, bias=bias, activation=activation)


def _activated(a: Array, b: Array, bias: Array | None, transpose_a: bool, transpose_b: bool, activation: str | None) -> Any:
    """Fuses the activation unless a tape needs the sums before it."""
    flags = dict(transpose_a=transpose_a, transpose_b=transpose_b)
    if activation is None or activation in _FROM_OUTPUT or not autograd.is_recording():
        return _matmul(a, b, bias, activation=activation, **flags)
    sums = _matmul(a, b, bias, **flags)
    if activation == "silu":
        return elementwise.silu(sums)
    return elementwise.gelu(sums, approximate="tanh" if activation == "gelu_tanh" else "none")


@differentiable
def _matmul(
    a: Any, b: Any, bias: Any, *, transpose_a: bool = False, transpose_b: bool = False, activation: str | None = None
) -> tuple[Any, Backward]:
    y = _run(a, b, bias, transpose_a, transpose_b, activation)

    def backward(g: Any) -> tuple[Any, Any, Any]:
        g = _through(activation, y, g)

        def grad_a() -> Any:
            if transpose_a:
                return reduce.sum_to(matmul(b, g, transpose_a=transpose_b, transpose_b=True), a.shape)
            return reduce.sum_to(matmul(g, b, transpose_b=not transpose_b), a.shape)

        def grad_b() -> Any:
            if b.dtype.name in HALVES:
                return None
            if transpose_b:
                return reduce.sum_to(matmul(g, a, transpose_a=True, transpose_b=transpose_a), b.shape)
            return reduce.sum_to(matmul(a, g, transpose_a=not transpose_a), b.shape)

        return grad_a, grad_b, None if bias is None else lambda: reduce.sum_to(g, bias.shape)

    return y, backward


def _through(activation: str | None, y: Any, g: Any) -> Any:
    """The gradient before the activation, from the one after it and the result y: one kernel."""
    return g if activation is None else unary_backward(g, y, op=activation)


def _run(a: Array, b: Array, bias: Array | None, transpose_a: bool, transpose_b: bool, activation: str | None) -> Any:
    """Picks the kernel by shapes, storage and device."""
    full, inner = K.product_shape("matmul", a, b, bias, transpose_a, transpose_b)
    _check_dtypes(a, b)
    *batch, rows, cols = full
    storage = b.dtype.name
    plain = a.ndim == b.ndim == 2 and inner > 0
    if plain and rows == 1:  # a's row is the vector, stored either way
        return _with_vector(a, b, not transpose_b, bias, activation).view((1, cols))
    if plain and cols == 1 and bias is None and storage not in HALVES:
        return _with_vector(b, a, transpose_a, None, activation).view((rows, 1))
    flags = dict(transpose_a=transpose_a, transpose_b=transpose_b)
    if a.device.kind in ("software", "cpu"):  # they have no fast shared memory
        return K.DIRECT[storage](a, b, bias, activation=activation, **flags)
    config, chunk = K.plan(a.device, prod(batch), rows, cols, inner, transpose_a, transpose_b)
    if chunk is None:
        return K.TILED[storage](a, b, bias, activation=activation, config=config, **flags)
    return K.matmul_fold(K.TILED[storage](a, b, chunk=chunk, config=config, **flags), bias, activation=activation)


def product_workspace(
    rows: int, cols: int, inner: int, kind: str, *, transpose_a: bool = False, transpose_b: bool = False, bias: bool = False
) -> list[int]:  # fmt: skip
    """Elements of the partial sums that one float32 product [rows, inner]·[inner, cols] writes beside its result.

    On a kind of device, by the rules of `_run` where no kernel was chosen by measuring; empty when it is summed up whole.
    """
    if rows == 1 or (cols == 1 and not bias):
        down, width = (not transpose_b, cols) if rows == 1 else (transpose_a, rows)
        parts = K.vecmat_parts(kind, "float32", inner, width) if down and width > 1 else 1
    elif kind in ("software", "cpu") or inner == 0:
        parts = 1
    else:
        parts = K.usual_parts(rows, cols, inner)
    return [parts * rows * cols] if parts > 1 else []


def _with_vector(vector: Array, matrix: Array, down: bool, bias: Array | None, activation: str | None) -> Any:
    """activation(the matrix times the vector + bias); `down`: the vector runs down its rows, else along them."""
    x, storage = vector.view((vector.size,)), matrix.dtype.name
    if not down or matrix.shape[1] == 1:
        table = matrix if not down else matrix.view((1, x.size))
        if K.takes_direct(x.device.kind, storage, *table.shape):
            return K.gemv_direct(x, table, bias, activation=activation)
        return K.GEMV[storage](x, table, bias, activation=activation)
    parts = K.vecmat_parts(x.device.kind, storage, *matrix.shape)
    if parts == 1:
        return K.VECMAT[storage](x, matrix, bias, activation=activation)
    sums = K.VECMAT[storage](x, matrix, parts=parts)
    return K.vecmat(_ones(x.device, parts), sums, bias, activation=activation)


def _ones(device: Device, size: int) -> Array:
    """A vector of ones, kept with the device."""
    key = ("ones", size)
    if key not in device.cache:
        device.cache[key] = device.ones((size,))
    ones: Array = device.cache[key]
    return ones


def _check_dtypes(a: Array, b: Array) -> None:
    if a.dtype.name not in ("float32", "float64") or b.dtype.name not in K.DIRECT:
        raise DTypeError(f"matmul: a is {a.dtype} and b is {b.dtype}; wants float32 times float32, float16 or bfloat16")
