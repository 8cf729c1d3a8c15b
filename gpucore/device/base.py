"""What every device does: hold arrays, run kernels, copy in and out. The GPU and NumPy devices differ below it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..array import Array
from ..dtypes import DType, as_dtype, float32, host_array
from ..errors import DTypeError, ShapeError
from ..memory import MemoryStats
from ..shader import Features
from .info import DeviceInfo
from .transfer import Readback

if TYPE_CHECKING:
    from ..kernel import Kernel
    from ..profile import Profile
    from ..tensor import Tensor


class Device(ABC):
    """A place where tensors live and kernels run."""

    array_type: ClassVar[type[Array]] = Array
    """The class of the arrays a device makes; `gpucore.tensor` puts the one with operators here."""

    def __init__(self, info: DeviceInfo) -> None:
        self.info = info
        self.name = info.name
        self.kind = info.kind
        self.features = Features()
        self.subgroup_size = 0
        self.cache: dict[Any, Any] = {}
        """What operations keep with the device: constant tables, by a key of their own."""
        self.tuned: dict[str, str] = {}
        """The candidates that were measured as fastest here, by `Choices.entry`; empty before `gpucore tune`."""

    def __repr__(self) -> str:
        return f"<gpucore device {self.name!r} ({self.kind})>"

    @property
    def is_cpu(self) -> bool:
        """True for the NumPy device."""
        return self.kind == "cpu"

    # ---- tensors

    def tensor(self, values: Any, dtype: Any = None, *, name: str = "") -> Tensor:
        """Copies anything array-like to the device.

        float64 becomes float32 (the NumPy device keeps it on request: dtype="float64"), int64 is checked and becomes
        int32. Raises DTypeError for values without a place in the dtype, OutOfVramError when there is no room.
        """
        if isinstance(values, Array):
            dtype = values.dtype if dtype is None else dtype
            values = values.numpy()
        host, kind = host_array(values, dtype, allow_float64=self.is_cpu, copy=self.is_cpu)
        return self._from_host(host, kind, name)  # type: ignore[no-any-return]

    def empty(self, shape: int | Sequence[int], dtype: Any = float32, *, name: str = "") -> Tensor:
        """A tensor whose elements are not set."""
        return self._empty(_shape(shape), self._dtype(dtype), name)  # type: ignore[return-value]

    def zeros(self, shape: int | Sequence[int], dtype: Any = float32, *, name: str = "") -> Tensor:
        """A tensor of zeros."""
        array = self._empty(_shape(shape), self._dtype(dtype), name)
        self._clear(array)
        return array  # type: ignore[return-value]

    def full(self, shape: int | Sequence[int], value: float, dtype: Any = float32, *, name: str = "") -> Tensor:
        """A tensor whose elements are all `value`."""
        kind = self._dtype(dtype)
        return self._from_host(np.full(_shape(shape), value, kind.host), kind, name)  # type: ignore[no-any-return]

    def ones(self, shape: int | Sequence[int], dtype: Any = float32, *, name: str = "") -> Tensor:
        """A tensor of ones."""
        return self.full(shape, 1, dtype, name=name)

    def assign(self, target: Array, values: Any) -> None:
        """Overwrites a tensor in place; see `Tensor.assign`."""
        if isinstance(values, Array) and values.device is self:
            self._check_assign(target, values.shape, values.dtype)
            self._copy(values, target)
            return
        raw = values.numpy() if isinstance(values, Array) else values
        host, _ = host_array(raw, target.dtype, allow_float64=self.is_cpu, copy=False)
        self._check_assign(target, host.shape, target.dtype)
        self._write(target, host)

    @staticmethod
    def _check_assign(target: Array, shape: tuple[int, ...], dtype: DType) -> None:
        if target.shape != shape:
            raise ShapeError(f"assign: {target.describe()} cannot take values of shape {shape}")
        if target.dtype is not dtype:
            raise DTypeError(f"assign: {target.describe()} cannot take {dtype} values; cast them first")

    def _dtype(self, dtype: Any) -> DType:
        kind = as_dtype(dtype)
        if kind.name == "float64" and not self.is_cpu:
            raise DTypeError("float64 is held by the NumPy device only; use float32 on a GPU")
        return kind

    # ---- what a device must do

    @abstractmethod
    def run(self, kernel: Kernel, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, ...]:
        """Runs a kernel; returns its outputs (none for one that works in place)."""

    @abstractmethod
    def read(self, array: Array) -> Readback:
        """Starts copying an array to the host."""

    @abstractmethod
    def _from_host(self, host: np.ndarray, dtype: DType, name: str) -> Any: ...

    @abstractmethod
    def _empty(self, shape: tuple[int, ...], dtype: DType, name: str) -> Array: ...

    @abstractmethod
    def _clear(self, array: Array) -> None: ...

    @abstractmethod
    def _write(self, target: Array, host: np.ndarray) -> None: ...

    @abstractmethod
    def _copy(self, source: Array, target: Array) -> None: ...

    @property
    @abstractmethod
    def memory(self) -> MemoryStats:
        """Bytes and counts: in use, peak, pooled, limit, allocations."""

    @abstractmethod
    def profile(self) -> Profile:
        """A context in which the time of every kernel is measured."""

    def flush(self) -> None:  # noqa: B027
        """Submits work that has collected; nothing to do on the NumPy device."""

    def synchronize(self) -> None:  # noqa: B027
        """Waits until all submitted work is done."""


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    dims = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if any(not isinstance(n, int | np.integer) or n < 0 for n in dims):
        raise ShapeError(f"shape {shape!r}: wants whole numbers of 0 or more")
    dims = tuple(int(n) for n in dims)
    if prod(dims) >= 2**32:
        raise ShapeError(f"shape {dims}: {prod(dims)} elements are more than shaders can index (2^32 - 1)")
    return dims
