"""The NumPy device: runs each kernel's reference. The fallback without an adapter, and the oracle of the tests."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..array import Array
from ..dtypes import DType, as_dtype, float16, float32, float64
from ..errors import KernelDeclarationError
from ..memory import MemoryStats
from ..profile import Profile
from .base import Device
from .info import DeviceInfo
from .transfer import Readback

if TYPE_CHECKING:
    from ..kernel import Kernel


def cpu_info(index: int) -> DeviceInfo:
    """The info of the NumPy device."""
    return DeviceInfo(index, "cpu", "NumPy", "cpu", f"NumPy {np.__version__} on {platform.machine()}", modules="none")


class CpuDevice(Device):
    """Tensors are flat NumPy arrays; kernels are their NumPy references, in float32 or float64."""

    def __init__(self, info: DeviceInfo) -> None:
        super().__init__(info)
        self._profile: Profile | None = None

    def run(self, kernel: Kernel, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, ...]:
        """Runs the kernel's reference, after its shape rule has checked the inputs."""
        launch = kernel.launch(inputs, options)
        wide = any(t is not None and t.dtype is float64 for t in inputs)
        start = time.perf_counter()
        results = kernel.reference([None if t is None else _compute(self._array(t)) for t in inputs], options)
        if self._profile is not None:
            self._profile.add(kernel, inputs, launch, options, time.perf_counter() - start)
        outputs = []
        for value, (name, out) in zip(results, launch.outputs.items(), strict=True):
            if tuple(np.shape(value)) != tuple(out.shape):
                raise KernelDeclarationError(
                    f"{kernel.name}: the reference gave {name} of shape {np.shape(value)}, the rule says {out.shape}"
                )
            dtype = float64 if wide and as_dtype(out.dtype) is float32 else as_dtype(out.dtype)
            outputs.append(self._from_host(np.array(value, dtype.host, order="C"), dtype, ""))
        return tuple(outputs)

    def read(self, array: Array) -> Readback:
        """A Readback that is ready at once."""
        return Readback.resolved(self._array(array).copy())

    def _array(self, t: Array) -> np.ndarray:
        flat: np.ndarray = t.storage[t.offset : t.offset + prod(t.shape)]
        return flat.reshape(t.shape)

    def _from_host(self, host: np.ndarray, dtype: DType, name: str) -> Any:
        return self.array_type(self, host.reshape(-1), host.shape, dtype, 0, name)

    def _empty(self, shape: tuple[int, ...], dtype: DType, name: str) -> Array:
        return self.array_type(self, np.empty(prod(shape), dtype.host), shape, dtype, 0, name)

    def _clear(self, array: Array) -> None:
        self._array(array)[...] = 0

    def _write(self, target: Array, host: np.ndarray) -> None:
        self._array(target)[...] = host

    def _copy(self, source: Array, target: Array) -> None:
        self._array(target)[...] = self._array(source)

    @property
    def memory(self) -> MemoryStats:
        """Host memory is not counted: all zeros."""
        return MemoryStats()

    def profile(self) -> Profile:
        """Measures the wall time of each reference."""
        return Profile(self)


def _compute(array: np.ndarray) -> np.ndarray:
    """References compute in float32 or float64; float16 is storage."""
    return array.astype(np.float32) if array.dtype == float16.host else array
