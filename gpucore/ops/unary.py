"""Functions of one tensor, elementwise. Whole numbers and 16-bit floats become float32 first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd import Backward, differentiable
from ..dtypes import bool_
from ..errors import ConfigError
from ..kernels import elementwise as K
from . import arithmetic, convert

__all__ = [
    "abs", "atan", "clip", "cos", "exp", "gelu", "leaky_relu", "log", "negative", "relu", "rsqrt", "sigmoid", "sign", "silu", "sin",
    "softplus", "sqrt", "tanh",
]  # fmt: skip

_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def _is_whole(x: Any) -> bool:
    return not x.dtype.is_float


def _signed(x: Any) -> Any:
    return convert.astype(x, "int32") if x.dtype is bool_ else x


# ---- derivatives of derivatives: d OP'(t) / dt, for the operations where t is x or OP(x) as in K.unary_backward


def _silu_curvature(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))


def _gelu_curvature(x: Any) -> Any:
    return exp(x * x * -0.5) * (2.0 - x * x) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh_curvature(x: Any) -> Any:
    t = tanh(_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))
    slope = _SQRT_2_OVER_PI * (1.0 + 0.134145 * x * x)
    bend = _SQRT_2_OVER_PI * 0.26829 * x
    return (1.0 - t * t) * (slope + 0.5 * x * (bend - 2.0 * t * slope * slope))


_CURVATURE: dict[str, Callable[[Any], Any]] = {
    "sqrt": lambda y: -0.5 / (y * y),
    "rsqrt": lambda y: y * y * -1.5,
    "tanh": lambda y: y * -2.0,
    "sigmoid": lambda y: 1.0 - 2.0 * y,
    "silu": _silu_curvature,
    "softplus": lambda x: sigmoid(x) * sigmoid(-x),
    "gelu": _gelu_curvature,
    "gelu_tanh": _gelu_tanh_curvature,
}


@differentiable
def unary_backward(g: Any, t: Any, *, op: str, low: float = 0.0, high: float = 0.0) -> tuple[Any, Backward]:
    """g · op'; piecewise linear operations have no second derivative."""
    curvature = _CURVATURE.get(op)
    return K.unary_backward(g, t, op=op, low=low, high=high), lambda h: (
        lambda: unary_backward(h, t, op=op, low=low, high=high),
        lambda: h * g * curvature(t) if curvature else None,
    )


_OF_RESULT = ("sqrt", "rsqrt", "tanh", "sigmoid")


@differentiable
def _unary(x: Any, *, op: str, low: float = 0.0, high: float = 0.0) -> tuple[Any, Backward]:
    y = K.unary(x, op=op, low=low, high=high)
    t = y if op in _OF_RESULT else x
    return y, lambda g: (lambda: unary_backward(g, t, op=op, low=low, high=high),)


@differentiable
def _negative(x: Any) -> tuple[Any, Backward]:
    return K.unary(x, op="negative"), lambda g: (lambda: negative(g),)


@differentiable
def _exp(x: Any) -> tuple[Any, Backward]:
    y = K.unary(x, op="exp")
    return y, lambda g: (lambda: arithmetic.multiply(g, y),)


@differentiable
def _log(x: Any) -> tuple[Any, Backward]:
    return K.unary(x, op="log"), lambda g: (lambda: arithmetic.divide(g, x),)


@differentiable
def _sign(x: Any) -> tuple[Any, Backward]:
    return K.unary(x, op="sign"), lambda g: (None,)


@differentiable
def _sin(x: Any) -> tuple[Any, Backward]:
    return K.unary(x, op="sin"), lambda g: (lambda: arithmetic.multiply(g, _cos(x)),)


@differentiable
def _cos(x: Any) -> tuple[Any, Backward]:
    return K.unary(x, op="cos"), lambda g: (lambda: _negative(arithmetic.multiply(g, _sin(x))),)


@differentiable
def _atan(x: Any) -> tuple[Any, Backward]:
    return K.unary(x, op="atan"), lambda g: (lambda: arithmetic.divide(g, arithmetic.multiply(x, x) + 1.0),)


def negative(x: Any) -> Any:
    """-x."""
    return arithmetic.subtract(0, _signed(x)) if _is_whole(x) else _negative(convert.to_float(x))


def abs(x: Any) -> Any:
    """|x|; the gradient at 0 is 0."""
    if _is_whole(x):
        return _signed(x) if x.dtype in ("uint32", "bool") else arithmetic.maximum(x, negative(x))
    return _unary(convert.to_float(x), op="abs")


def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN stays NaN. Its gradient is 0."""
    if _is_whole(x):
        x = _signed(x)
        return arithmetic.minimum(x, 1) if x.dtype == "uint32" else arithmetic.maximum(arithmetic.minimum(x, 1), -1)
    return _sign(convert.to_float(x))


def sqrt(x: Any) -> Any:
    """√x; NaN below 0."""
    return _unary(convert.to_float(x), op="sqrt")


def rsqrt(x: Any) -> Any:
    """1/√x."""
    return _unary(convert.to_float(x), op="rsqrt")


def exp(x: Any) -> Any:
    """e^x."""
    return _exp(convert.to_float(x))


def log(x: Any) -> Any:
    """The natural logarithm; -∞ at 0, NaN below."""
    return _log(convert.to_float(x))


def sin(x: Any) -> Any:
    """The sine of x in radians, accurate at every size; NaN at ±∞."""
    return _sin(convert.to_float(x))


def cos(x: Any) -> Any:
    """The cosine of x in radians, accurate at every size; NaN at ±∞."""
    return _cos(convert.to_float(x))


def atan(x: Any) -> Any:
    """The angle from -π/2 to π/2 whose tangent is x."""
    return _atan(convert.to_float(x))


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return _unary(convert.to_float(x), op="tanh")


def sigmoid(x: Any) -> Any:
    """1/(1 + e^-x)."""
    return _unary(convert.to_float(x), op="sigmoid")


def relu(x: Any) -> Any:
    """max(x, 0); NaN stays NaN, the gradient at 0 is 0."""
    return arithmetic.maximum(_signed(x), 0) if _is_whole(x) else _unary(convert.to_float(x), op="relu")


def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    """x where x ≥ 0, else negative_slope · x."""
    return _unary(convert.to_float(x), op="leaky_relu", low=float(negative_slope))


def gelu(x: Any, *, approximate: str = "none") -> Any:
    """x Φ(x) with the normal distribution function Φ; with approximate="tanh" its tanh form.

    Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv 1606.08415.
    """
    if approximate not in ("none", "tanh"):
        raise ConfigError(f"gelu: approximate is {approximate!r}; wants 'none' or 'tanh'")
    return _unary(convert.to_float(x), op="gelu_tanh" if approximate == "tanh" else "gelu")


def silu(x: Any) -> Any:
    """x/(1 + e^-x)."""
    return _unary(convert.to_float(x), op="silu")


def softplus(x: Any) -> Any:
    """ln(1 + e^x)."""
    return _unary(convert.to_float(x), op="softplus")


def clip(x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    """x held between min and max (None: open); NaN stays NaN. The gradient passes where min ≤ x ≤ max."""
    whole = _is_whole(x) and not isinstance(min, float) and not isinstance(max, float)
    if whole:
        x = _signed(x)
        x = x if min is None else arithmetic.maximum(x, min)
        return x if max is None else arithmetic.minimum(x, max)
    low = -math.inf if min is None else float(min)
    high = math.inf if max is None else float(max)
    return _unary(convert.to_float(x), op="clip", low=low, high=high)
