"""Operations on two operands: tensors, plain numbers or arrays; see ops/elementwise.py for how dtypes meet."""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, isnan, nan
from math import log as ln
from typing import Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..dtypes import bool_, float32, float64, int32
from ..errors import DTypeError
from ..kernel import Mirror
from ..kernels import elementwise as K
from . import convert, reduce, unary

__all__ = [
    "add", "divide", "equal", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum", "multiply", "not_equal", "power",
    "subtract", "where",
]  # fmt: skip

_FLOATING = ("divide", "power")


def _unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    return g if g.shape == shape else reduce.sum_to(g, shape)


def _apply(op: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Brings a and b to tensors of one dtype, or one to a launch parameter, and computes."""
    name = op.__name__.removeprefix("_")
    if isinstance(a, Array) and isinstance(b, Array):
        same = a.dtype is b.dtype or Mirror.active is not None  # a mirrored run meets float32 tensors of its float64 copies
        if same and a.dtype in (float32, float64) and b.dtype in (float32, float64):
            return op(a, b)
    elif isinstance(a, Array) and convert.is_number(b):
        return _with_number(name, op, a, b, False)
    elif isinstance(b, Array) and convert.is_number(a):
        return _with_number(name, op, b, a, True)
    elif isinstance(a, Array):
        b = convert.tensor_beside(b, a)
    elif isinstance(b, Array):
        a = convert.tensor_beside(a, b)
    else:
        raise DTypeError(f"{name}: got {type(a).__name__} and {type(b).__name__}; wants a tensor on at least one side")
    dtype = convert.common_dtype(name, a.dtype, b.dtype)
    if name in _FLOATING and not dtype.is_float:
        dtype = float32
    return op(convert.brought_to(a, dtype), convert.brought_to(b, dtype))


def _with_number(name: str, op: Callable[[Any, Any], Any], x: Any, value: Any, swap: bool) -> Any:
    if value == 0 and copysign(1.0, value) < 0:  # options compare equal for 0.0 and -0.0: this zero goes in as a tensor
        tensor = x.device.full((), value, x.dtype if x.dtype is float64 else float32)
        return _apply(op, tensor, x) if swap else _apply(op, x, tensor)
    x = convert.for_number(x, value, floating=name in _FLOATING)
    number = float(value) if x.dtype.is_float else int(value)
    if isnan(number):
        number = nan  # one object, so that it is found again among the prepared launches
    return binary_scalar(x, value=number, op=name, swap=swap)


# ---- with a number

_SCALAR_GRADIENTS: dict[str, Callable[[Any, Any, Any, float, bool], Any]] = {
    "add": lambda g, x, y, v, swap: g,
    "subtract": lambda g, x, y, v, swap: unary.negative(g) if swap else g,
    "multiply": lambda g, x, y, v, swap: multiply(g, v),
    "divide": lambda g, x, y, v, swap: unary.negative(divide(multiply(g, y), x)) if swap else divide(g, v),
    "power": lambda g, x, y, v, swap: _power_scalar_gradient(g, x, y, v, swap),
    "minimum": lambda g, x, y, v, swap: multiply(g, K.binary_scalar(x, value=v, op="greater_share", swap=True)),
    "maximum": lambda g, x, y, v, swap: multiply(g, K.binary_scalar(x, value=v, op="greater_share")),
}


def _power_scalar_gradient(g: Any, x: Any, y: Any, v: float, swap: bool) -> Any:
    if swap:
        return multiply(multiply(g, y), ln(v) if v > 0 else nan if v < 0 else 0.0)
    if v == 0:
        return convert.zeros_like(x)
    if v == 1:
        return g
    return multiply(g, multiply(x if v == 2 else power(x, v - 1), v))


@differentiable
def binary_scalar(x: Any, *, value: float, op: str, swap: bool = False) -> tuple[Any, Backward]:
    """x op value, or value op x with swap; the number travels as a launch parameter."""
    y = K.binary_scalar(x, value=value, op=op, swap=swap)
    gradient = _SCALAR_GRADIENTS.get(op)
    return y, lambda g: (lambda: gradient(g, x, y, value, swap) if gradient else None,)


# ---- two tensors


@differentiable
def _add(a: Any, b: Any) -> tuple[Any, Backward]:
    return K.binary(a, b, op="add"), lambda g: (lambda: _unbroadcast(g, a.shape), lambda: _unbroadcast(g, b.shape))


@differentiable
def _subtract(a: Any, b: Any) -> tuple[Any, Backward]:
    return K.binary(a, b, op="subtract"), lambda g: (lambda: _unbroadcast(g, a.shape), lambda: unary.negative(_unbroadcast(g, b.shape)))


@differentiable
def _multiply(a: Any, b: Any) -> tuple[Any, Backward]:
    y = K.binary(a, b, op="multiply")
    return y, lambda g: (lambda: _unbroadcast(multiply(g, b), a.shape), lambda: _unbroadcast(multiply(g, a), b.shape))


@differentiable
def _divide(a: Any, b: Any) -> tuple[Any, Backward]:
    y = K.binary(a, b, op="divide")
    return y, lambda g: (
        lambda: _unbroadcast(divide(g, b), a.shape),
        lambda: _unbroadcast(unary.negative(divide(multiply(g, y), b)), b.shape),
    )


@differentiable
def _power(a: Any, b: Any) -> tuple[Any, Backward]:
    y = K.binary(a, b, op="power")
    return y, lambda g: (
        # b = 0 gives 0 also at a = 0, where a^(b - 1) is infinite; ln a is taken where a > 0, elsewhere a^b counts as constant in b.
        lambda: _unbroadcast(multiply(g, where(equal(b, 0.0), 0.0, multiply(b, power(a, subtract(b, 1.0))))), a.shape),
        lambda: _unbroadcast(multiply(multiply(g, y), unary.log(where(greater(a, 0.0), a, 1.0))), b.shape),
    )


def _to_greater(g: Any, a: Any, b: Any) -> Any:
    """The part of g that belongs to a where a > b; half of it at a tie."""
    return _unbroadcast(multiply(g, K.binary(a, b, op="greater_share")), a.shape)


@differentiable
def _maximum(a: Any, b: Any) -> tuple[Any, Backward]:
    return K.binary(a, b, op="maximum"), lambda g: (lambda: _to_greater(g, a, b), lambda: _to_greater(g, b, a))


@differentiable
def _minimum(a: Any, b: Any) -> tuple[Any, Backward]:
    def to_smaller(g: Any, x: Any, other: Any) -> Any:
        return _unbroadcast(multiply(g, K.binary(other, x, op="greater_share")), x.shape)

    return K.binary(a, b, op="minimum"), lambda g: (lambda: to_smaller(g, a, b), lambda: to_smaller(g, b, a))


def _comparison(name: str) -> Callable[[Any, Any], Any]:
    def compare(a: Any, b: Any) -> tuple[Any, Backward]:
        return K.binary(a, b, op=name), lambda g: (None, None)

    compare.__name__ = f"_{name}"
    return differentiable(compare)


_equal, _not_equal, _less, _less_equal, _greater, _greater_equal = map(_comparison, K.COMPARISONS)


def add(a: Any, b: Any) -> Any:
    """a + b."""
    return _apply(_add, a, b)


def subtract(a: Any, b: Any) -> Any:
    """a - b."""
    return _apply(_subtract, a, b)


def multiply(a: Any, b: Any) -> Any:
    """a · b."""
    return _apply(_multiply, a, b)


def divide(a: Any, b: Any) -> Any:
    """a / b; whole numbers give float32."""
    return _apply(_divide, a, b)


def power(a: Any, b: Any) -> Any:
    """a^b by the rules of C: x^0 is 1, a negative base wants a whole exponent (else NaN); whole numbers give float32.

    The gradient with respect to b is 0 where a ≤ 0, and that with respect to a is 0 where b is 0.
    """
    return _apply(_power, a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of a and b; NaN if either is. At a tie the gradient is split in half."""
    return _apply(_minimum, a, b)


def maximum(a: Any, b: Any) -> Any:
    """The greater of a and b; NaN if either is. At a tie the gradient is split in half."""
    return _apply(_maximum, a, b)


def equal(a: Any, b: Any) -> Any:
    """a = b, as bool."""
    return _apply(_equal, a, b)


def not_equal(a: Any, b: Any) -> Any:
    """a ≠ b, as bool; true for NaN."""
    return _apply(_not_equal, a, b)


def less(a: Any, b: Any) -> Any:
    """a < b, as bool."""
    return _apply(_less, a, b)


def less_equal(a: Any, b: Any) -> Any:
    """a ≤ b, as bool."""
    return _apply(_less_equal, a, b)


def greater(a: Any, b: Any) -> Any:
    """a > b, as bool."""
    return _apply(_greater, a, b)


def greater_equal(a: Any, b: Any) -> Any:
    """a ≥ b, as bool."""
    return _apply(_greater_equal, a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition (a bool tensor) holds, else b; either may be a number, and all broadcast."""
    if not isinstance(condition, Array):
        raise DTypeError(f"where: the condition is {type(condition).__name__}; wants a bool tensor")
    numbers = [convert.is_number(t) for t in (a, b)]
    a, b = [t if number or isinstance(t, Array) else convert.tensor_beside(t, condition) for t, number in zip((a, b), numbers, strict=True)]
    if all(numbers):
        return _where_numbers(condition, a, b)
    if not any(numbers):
        same = a.dtype is b.dtype and a.dtype is bool_
        dtype = bool_ if same else convert.common_dtype("where", a.dtype, b.dtype)
        return _where(condition, convert.brought_to(a, dtype), convert.brought_to(b, dtype), a_value=0.0, b_value=0.0)
    value = a if numbers[0] else b
    tensor = b if numbers[0] else a
    if not (tensor.dtype is bool_ and isinstance(value, bool)):
        tensor = convert.for_number(tensor, value)
    number = float(value) if tensor.dtype.is_float else int(value)
    if numbers[0]:
        return _where(condition, None, tensor, a_value=number, b_value=0.0)
    return _where(condition, tensor, None, a_value=0.0, b_value=number)


def _where_numbers(condition: Any, a: Any, b: Any) -> Any:
    whole = [not isinstance(v, float) for v in (a, b)]
    if not all(whole):
        return _where(condition, None, None, a_value=float(a), b_value=float(b))
    chosen = bool_ if isinstance(a, bool) and isinstance(b, bool) else int32
    template = convert.astype(condition, chosen)
    return where(condition, convert.full_like(template, int(a)), convert.full_like(template, int(b)))


@differentiable
def _where(condition: Any, a: Any, b: Any, *, a_value: float, b_value: float) -> tuple[Any, Backward]:
    y = K.where(condition, a, b, a_value=a_value, b_value=b_value)
    return y, lambda g: (
        None,
        lambda: _unbroadcast(where(condition, g, 0.0), a.shape),
        lambda: _unbroadcast(where(condition, 0.0, g), b.shape),
    )
