"""Parameters: the tensors that training changes."""

from __future__ import annotations

from typing import Any

from ..array import Array
from ..device.base import Device
from ..tensor import Tensor


class Parameter(Tensor):
    """A tensor that a Module finds among its attributes and an optimizer changes in place.

    The object stays the same for life; its memory may move (optimizers gather parameters in one buffer).
    frozen: left out of `Module.parameters()`; see `Module.freeze`.
    """

    __slots__ = ("frozen",)

    def __init__(self, values: Array, name: str = "") -> None:
        super().__init__(values.device, values.storage, values.shape, values.dtype, values.offset, name or values.name)
        self.frozen = False


def parameter(values: Any, device: Device, name: str = "") -> Parameter:
    """A parameter on a device with these values."""
    return Parameter(device.tensor(values), name)
