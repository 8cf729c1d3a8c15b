"""The tensor: an array on a device, with operators."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import ops
from .array import Array
from .device.base import Device
from .errors import ShapeError
from .indexing import get_item
from .kernel import Mirror


def _is_operand(value: Any) -> bool:
    return isinstance(value, Array | bool | int | float | np.generic | np.ndarray | list | tuple)


class Tensor(Array):
    """An n-dimensional array on a device. Made by `dev.tensor(...)`; operators call `gpucore.ops`.

    Binary operators broadcast like NumPy and take plain numbers and NumPy arrays on either side; `@` is `matmul`.
    Comparisons with `==` and `!=` are elementwise, so use `is` to compare identities; a tensor hashes by identity.
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy's operators leave `array + tensor` to the reflected ones here
    __hash__ = object.__hash__

    def assign(self, values: Any) -> None:
        """Overwrites the elements in place with host values or another tensor's, of the same shape and dtype."""
        if Mirror.active is not None:
            target = Mirror.active.of(self)
            target.device.assign(target, Mirror.active.of(values) if isinstance(values, Array) else values)
        else:
            super().assign(values)

    # ---- operators

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other) if _is_operand(other) else NotImplemented

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self) if _is_operand(other) else NotImplemented

    def __sub__(self, other: Any) -> Tensor:
        return ops.subtract(self, other) if _is_operand(other) else NotImplemented

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self) if _is_operand(other) else NotImplemented

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, other) if _is_operand(other) else NotImplemented

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self) if _is_operand(other) else NotImplemented

    def __truediv__(self, other: Any) -> Tensor:
        return ops.divide(self, other) if _is_operand(other) else NotImplemented

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.divide(other, self) if _is_operand(other) else NotImplemented

    def __pow__(self, other: Any) -> Tensor:
        return ops.power(self, other) if _is_operand(other) else NotImplemented

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self) if _is_operand(other) else NotImplemented

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, ops.as_tensor(other, self)) if _is_operand(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(ops.as_tensor(other, self), self) if _is_operand(other) else NotImplemented

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other) if _is_operand(other) else NotImplemented

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other) if _is_operand(other) else NotImplemented

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other) if _is_operand(other) else NotImplemented

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other) if _is_operand(other) else NotImplemented

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other) if _is_operand(other) else NotImplemented

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other) if _is_operand(other) else NotImplemented

    # ---- as Python and NumPy values; these wait for the device

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(f"the truth value of a tensor of shape {self.shape} has no meaning; wants one element")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.is_float:
            raise TypeError(f"a {self.dtype} tensor is no index; wants whole numbers")
        return int(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a tensor on a device becomes an array by copying; copy=False cannot be had")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Tensor:
        return get_item(self, key)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a tensor without axes")
        return (self[i] for i in range(self.shape[0]))

    # ---- the common operations as methods

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The axes in reverse order."""
        return ops.permute_dims(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Tensor:  # noqa: N802
        """The last two axes exchanged."""
        return ops.matrix_transpose(self)

    def reshape(self, *shape: Any) -> Tensor:
        """See `ops.reshape`; the shape as one tuple or as several numbers."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def flatten(self, *, start_axis: int = 0) -> Tensor:
        """See `ops.flatten`."""
        return ops.flatten(self, start_axis=start_axis)

    def permute_dims(self, axes: Sequence[int]) -> Tensor:
        """See `ops.permute_dims`."""
        return ops.permute_dims(self, axes)

    def astype(self, dtype: Any) -> Tensor:
        """See `ops.astype`."""
        return ops.astype(self, dtype)

    def sum(self, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See `ops.sum`."""
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See `ops.mean`."""
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def max(self, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See `ops.max`."""
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See `ops.min`."""
        return ops.min(self, axis=axis, keepdims=keepdims)

    def argmax(self, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See `ops.argmax`."""
        return ops.argmax(self, axis=axis, keepdims=keepdims)

    def exp(self) -> Tensor:
        """See `ops.exp`."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """See `ops.log`."""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """See `ops.sqrt`."""
        return ops.sqrt(self)

    def tanh(self) -> Tensor:
        """See `ops.tanh`."""
        return ops.tanh(self)

    def clip(self, *, min: float | None = None, max: float | None = None) -> Tensor:
        """See `ops.clip`."""
        return ops.clip(self, min=min, max=max)


Device.array_type = Tensor  # devices make tensors with operators, without importing upwards
