"""Elementwise operations with NumPy broadcasting.

Operands are tensors, plain numbers (which cost no upload), or arrays. Two dtypes meet as follows: bool counts as int32,
whole numbers become float32 beside a floating type, and the 16-bit floats are storage: they are computed with, and
give, float32. int32 and uint32 do not mix. A number takes the dtype of the tensor; a fraction beside whole numbers gives
float32.
"""

from .arithmetic import (
    add,
    divide,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    maximum,
    minimum,
    multiply,
    not_equal,
    power,
    subtract,
    where,
)  # fmt: skip
from .convert import as_tensor, astype, copy, full_like, ones_like, stop_gradient, zeros_like
from .unary import (
    abs,
    atan,
    clip,
    cos,
    exp,
    gelu,
    leaky_relu,
    log,
    negative,
    relu,
    rsqrt,
    sigmoid,
    sign,
    silu,
    sin,
    softplus,
    sqrt,
    tanh,
)  # fmt: skip

__all__ = [
    "abs", "add", "as_tensor", "astype", "atan", "clip", "copy", "cos", "divide", "equal", "exp", "full_like", "gelu", "greater",
    "greater_equal", "leaky_relu", "less", "less_equal", "log", "maximum", "minimum", "multiply", "negative", "not_equal", "ones_like",
    "power", "relu", "rsqrt", "sigmoid", "sign", "silu", "sin", "softplus", "sqrt", "stop_gradient", "subtract", "tanh", "where",
    "zeros_like",
]  # fmt: skip
