"""Elementwise functions."""

import math

import numpy as np


def _map(function, x):
    """A scalar function of the standard library over an array."""
    return np.array([function(float(v)) for v in x.ravel()], x.dtype).reshape(x.shape)


def erf(x):
    """2/√π ∫₀ˣ e^-t² dt."""
    return _map(math.erf, x)


def normal_cdf(x):
    """½ erfc(-x/√2)."""
    return _map(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), x)


def sigmoid(x):
    """1/(1 + e^-x), with the exponential of -|x| only."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def gelu_tanh(x):
    """½ x (1 + tanh(√(2/π)(x + 0.044715 x³)))."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


UNARY = {
    "negative": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sign": np.sign,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "gelu": lambda x: x * normal_cdf(x),
    "gelu_tanh": gelu_tanh,
    "leaky_relu": lambda x, low, high: np.where(x < 0, low * x, x),
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
}


def _silu_derivative(x):
    s = sigmoid(x)
    return s + x * s * (1 - s)


def _gelu_tanh_derivative(x):
    k = math.sqrt(2 / math.pi)
    t = np.tanh(k * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * k * (1 + 3 * 0.044715 * x**2)


# The derivative as a function of t: of the result for sqrt, tanh, sigmoid and rsqrt, of x for the others.
UNARY_BACKWARD = {
    "abs": np.sign,
    "sqrt": lambda y: 1 / (2 * y),
    "tanh": lambda y: 1 - y**2,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda x: (x > 0).astype(x.dtype),
    "silu": _silu_derivative,
    "softplus": sigmoid,
    "gelu": lambda x: normal_cdf(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    "gelu_tanh": _gelu_tanh_derivative,
    "leaky_relu": lambda x, low, high: np.where(x < 0, low, 1),
    "clip": lambda x, low, high: ((x >= low) & (x <= high)).astype(x.dtype),
    "rsqrt": lambda y: -(y**3) / 2,
}

WITH_NUMBERS = ("leaky_relu", "clip")


def _share(a, b):
    """The part of a maximum's gradient that goes to a: 1 where a > b, half at a tie, else 0."""
    return 0.5 * (a >= b) + 0.5 * (a > b)


BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "greater_share": _share,
}


def unary(x, *, op, low=0.0, high=0.0):
    """op(x)."""
    return UNARY[op](x, low, high) if op in WITH_NUMBERS else UNARY[op](x)


def unary_backward(g, t, *, op, low=0.0, high=0.0):
    """g · op'."""
    return g * (UNARY_BACKWARD[op](t, low, high) if op in WITH_NUMBERS else UNARY_BACKWARD[op](t))


def binary(a, b, *, op):
    """a op b with broadcasting."""
    return BINARY[op](a, b)


def _number(value, x):
    """A number in x's element type."""
    return x.dtype.type(value)


def binary_scalar(x, *, value, op, swap=False):
    """x op value, or value op x."""
    number = _number(value, x)
    return BINARY[op](number, x) if swap else BINARY[op](x, number)


def where(condition, a=None, b=None, *, a_value=0.0, b_value=0.0):
    """a where condition, else b; a missing one is its number."""
    chosen = b if a is None else a
    if chosen is None:
        return np.where(condition, a_value, b_value).astype(np.float64)
    a = _number(a_value, chosen) if a is None else a
    b = _number(b_value, chosen) if b is None else b
    return np.where(condition, a, b)


def fill(x, *, value, dtype):
    """The value in x's shape."""
    kinds = {"int32": np.int32, "uint32": np.uint32, "bool": np.bool_}
    return np.full(x.shape, value, kinds.get(dtype, np.float64))


def _round_bfloat16(x):
    """To 8 significant bits, ties to even; steps of 2^-133 below the normal range."""
    _, exponent = np.frexp(x)
    exponent = np.maximum(exponent, -125)
    rounded = np.ldexp(np.rint(np.ldexp(x, 8 - exponent)), exponent - 8)
    rounded = np.where(np.abs(rounded) >= 2.0**128, np.copysign(np.inf, x), rounded)
    return np.where(np.isfinite(x), rounded, x)


def _to_integer(x, low, high):
    """Truncated; values outside become the nearest end, NaN becomes 0."""
    return np.clip(np.trunc(np.where(np.isnan(x), 0, x.astype(np.float64))), low, high)


def cast(x, *, dtype):
    """x in another element type; float32 of float64 stays as it is."""
    if dtype == "bool":
        return x != 0
    if dtype in ("int32", "uint32"):
        kind = np.dtype(dtype)
        if x.dtype.kind == "f":
            return _to_integer(x, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
        return x.astype(kind)
    if dtype == "float16":
        return x.astype(np.float16)
    if x.dtype.kind != "f":
        x = x.astype(np.float32 if dtype != "float64" else np.float64)
    return _round_bfloat16(x) if dtype == "bfloat16" else x
