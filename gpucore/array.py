"""The data half of a tensor: where its elements are. `gpucore.tensor.Tensor` adds the operators."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import DType
from .errors import ShapeError

if TYPE_CHECKING:
    from .device.base import Device
    from .device.transfer import Readback


class Array:
    """A contiguous n-dimensional array in a device's memory.

    `storage` is the memory (a pooled buffer on a GPU, a flat NumPy array on the NumPy device), `offset` where the
    array starts in it, in elements. Several arrays may share a storage.
    """

    __slots__ = ("__weakref__", "device", "dtype", "name", "offset", "shape", "size", "storage")

    def __init__(self, device: Device, storage: Any, shape: tuple[int, ...], dtype: DType, offset: int = 0, name: str = "") -> None:
        self.device, self.storage, self.shape, self.dtype = device, storage, shape, dtype
        self.offset, self.name = offset, name
        self.size: int = prod(shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    def numpy(self) -> np.ndarray:
        """The values, copied to the host; blocks until the device has computed them."""
        return self.read_async().result()

    def read_async(self) -> Readback:
        """Starts copying the values to the host; the Readback can be polled, waited for, or awaited."""
        return self.device.read(self)

    def item(self) -> Any:
        """The one element of an array of size 1, as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item: the tensor has shape {self.shape}; wants exactly one element")
        return self.numpy().reshape(()).item()

    def assign(self, values: Any) -> None:
        """Overwrites the elements in place with host values or another tensor's, of the same shape and dtype."""
        self.device.assign(self, values)

    def view(self, shape: tuple[int, ...], offset: int = 0) -> Array:
        """An array over the same memory: `shape` elements from `offset` (in elements, after this array's start)."""
        if offset < 0 or offset + prod(shape) > self.size:
            raise ShapeError(f"view: {shape} at {offset} does not fit in {self.size} elements")
        return self.device.array_type(self.device, self.storage, shape, self.dtype, self.offset + offset)

    def describe(self) -> str:
        """Name, dtype and shape, for messages."""
        return f"{self.name or 'tensor'} {self.dtype} {self.shape}"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Tensor(shape={self.shape}, dtype={self.dtype}, device={self.device.name!r}{name})"
