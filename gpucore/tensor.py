"""The tensor: an array on a device, with operators."""

from __future__ import annotations

from typing import Any

from . import ops
from .array import Array
from .device.base import Device
from .kernel import Mirror


class Tensor(Array):
    """An n-dimensional array on a device. Made by `dev.tensor(...)`; operators call `gpucore.ops`.

    Binary operators broadcast like NumPy and take plain numbers; `@` is `matmul`. Comparisons with `==` and `!=` are
    elementwise, so use `is` to compare identities.
    """

    __slots__ = ()

    def assign(self, values: Any) -> None:
        """Overwrites the elements in place with host values or another tensor's, of the same shape and dtype."""
        if Mirror.active is not None:
            target = Mirror.active.of(self)
            target.device.assign(target, Mirror.active.of(values) if isinstance(values, Array) else values)
        else:
            super().assign(values)

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, ops.as_tensor(other, self))  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, ops.as_tensor(other, self))  # type: ignore[no-any-return]


Device.array_type = Tensor  # devices make tensors with operators, without importing upwards
