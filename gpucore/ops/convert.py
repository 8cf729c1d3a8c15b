"""Element types, constants and copies, and how two operands are brought to one dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..array import Array
from ..autograd import Backward, differentiable
from ..dtypes import DType, as_dtype, bool_, float32, float64, int32, uint32
from ..errors import DTypeError
from ..kernels import elementwise as K

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["as_tensor", "astype", "copy", "full_like", "ones_like", "stop_gradient", "zeros_like"]

COMPUTED = (float32, float64, int32, uint32)


def zeros_like(x: Array) -> Tensor:
    """A tensor of zeros with x's shape, dtype and device."""
    return x.device.zeros(x.shape, x.dtype)


def ones_like(x: Array) -> Tensor:
    """A tensor of ones with x's shape, dtype and device."""
    return full_like(x, 1)


def full_like(x: Array, value: float) -> Tensor:
    """A tensor of x's shape, dtype and device whose elements are all `value`, made on the device."""
    if x.dtype.itemsize == 2:
        return astype(K.fill(x, value=value, dtype="float32"), x.dtype)  # type: ignore[no-any-return]
    return K.fill(x, value=value, dtype=x.dtype.name)  # type: ignore[no-any-return]


def as_tensor(value: Any, like: Array) -> Tensor:
    """A tensor on `like`'s device: tensors pass, numbers and arrays are uploaded.

    They take like's dtype, except that fractions beside a tensor of whole numbers become float32.
    """
    if isinstance(value, Array):
        return value  # type: ignore[return-value]
    host = np.asarray(value)
    fits = like.dtype.is_float or host.dtype.kind != "f"
    return like.device.tensor(host, like.dtype if fits else None)


def astype(x: Array, dtype: Any) -> Any:
    """x in another dtype; x itself when it has that dtype.

    Rounds to nearest for the 16-bit floats. Floats become integers by truncation; those outside the range become its
    nearest end and NaN becomes 0 (NumPy leaves both open). On the NumPy device float64 computations keep float64
    where a GPU has float32. Raises DTypeError for float64 on a GPU.
    """
    target = as_dtype(dtype)
    if target is x.dtype:
        return x
    if target is float64 and not x.device.is_cpu:
        raise DTypeError("astype: float64 is held by the NumPy device only; use float32 on a GPU")
    return _cast(x, dtype=target.name)


@differentiable
def _cast(x: Any, *, dtype: str) -> tuple[Any, Backward]:
    """x in another dtype; the gradient goes back in x's, and nothing flows through whole numbers."""
    back = x.dtype
    flows = back.is_float and as_dtype(dtype).is_float
    return K.cast(x, dtype=dtype), lambda g: (lambda: astype(g, back) if flows else None,)


@differentiable
def copy(x: Any) -> tuple[Any, Backward]:
    """The same values in memory of their own."""
    return K.cast(x, dtype=x.dtype.name), lambda g: (g,)


def stop_gradient(x: Array) -> Any:
    """The same tensor, through which no gradient flows; it shares x's memory."""
    return x.view(x.shape)


def is_number(value: Any) -> bool:
    """True for Python's and NumPy's real numbers (and booleans), False for tensors and arrays."""
    return isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating)


def common_dtype(who: str, a: DType, b: DType) -> DType:
    """The dtype that two operands are brought to; see the text of ops/elementwise.py."""
    if a is b and a in COMPUTED:
        return a
    kinds = {int32 if d is bool_ else float32 if d.itemsize == 2 else d for d in (a, b)}
    if float64 in kinds:
        return float64
    if float32 in kinds:
        return float32
    if kinds == {int32, uint32}:
        if bool_ in (a, b):
            return uint32
        raise DTypeError(f"{who}: a is {a} and b is {b}; cast one with astype")
    return kinds.pop()


def brought_to(x: Any, dtype: DType) -> Any:
    """x in the common dtype. float32 stays as it is beside float64, which kernels take together; so does a tensor on a GPU
    whose other operand is its float64 double in a reference run.
    """
    if dtype is float64 and (x.dtype is float32 or not x.device.is_cpu):
        return to_float(x)
    return astype(x, dtype)


def tensor_beside(value: Any, like: Array) -> Any:
    """An array as a tensor on like's device in its own dtype (float64 stays beside float64)."""
    host = np.asarray(value)
    keep = host.dtype.kind == "f" and like.dtype is float64
    return like.device.tensor(host, float64 if keep else None)


def to_float(x: Any) -> Any:
    """x in a floating type that kernels compute in."""
    return x if x.dtype is float32 or x.dtype is float64 else astype(x, float32)


def for_number(x: Any, value: Any, *, floating: bool = False) -> Any:
    """x in the dtype in which it meets a plain number."""
    if x.dtype is float32 or x.dtype is float64:
        return x
    if floating or x.dtype.is_float or isinstance(value, float | np.floating):
        return astype(x, float32)
    return astype(x, int32) if x.dtype is bool_ else x
