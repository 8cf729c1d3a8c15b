"""Elementwise operations with NumPy broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..kernels import elementwise as K

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["add", "as_tensor", "exp", "multiply", "ones_like", "zeros_like"]


def zeros_like(x: Array) -> Tensor:
    """A tensor of zeros with x's shape, dtype and device."""
    return x.device.zeros(x.shape, x.dtype)


def ones_like(x: Array) -> Tensor:
    """A tensor of ones with x's shape, dtype and device."""
    return x.device.ones(x.shape, x.dtype)


def as_tensor(value: Any, like: Array) -> Tensor:
    """A tensor on `like`'s device: tensors pass, numbers and arrays are uploaded in its dtype."""
    if isinstance(value, Array):
        return value  # type: ignore[return-value]
    return like.device.tensor(value, like.dtype)


@differentiable
def exp(x: Any) -> tuple[Any, Backward]:
    """e^x."""
    y = K.unary(x, op="exp")
    return y, lambda g: (lambda: multiply(g, y),)


@differentiable
def add(a: Any, b: Any) -> tuple[Any, Backward]:
    """a + b."""
    return K.binary(a, b, op="add"), lambda g: (g, g)


@differentiable
def multiply(a: Any, b: Any) -> tuple[Any, Backward]:
    """a · b."""
    return K.binary(a, b, op="multiply"), lambda g: (lambda: multiply(g, b), lambda: multiply(g, a))
