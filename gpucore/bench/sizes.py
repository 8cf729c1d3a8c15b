"""Inputs of a bench case: random data made quickly, and the same case cut down axis by axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any

import numpy as np

from ..array import Array
from ..device.base import Device
from ..dtypes import as_dtype, host_array
from ..errors import GpucoreError
from ..kernel import Case, Kernel, Launch

POOL = 1 << 24
Arrays = list[np.ndarray | None]


class PooledGenerator(np.random.Generator):
    """A generator whose large normal arrays are cut from one pool of random numbers, from a random place on.

    Drawing 64 MiB anew takes longer than most kernels here run a thousand times; a cut is as random to a GPU.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))
        self._pool = super().standard_normal(POOL + POOL // 8, np.float32)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Normal numbers; float32 arrays of more than 2^16 elements come from the pool."""
        count = 1 if size is None else int(np.prod(size))
        if out is not None or np.dtype(dtype) != np.float32 or count <= 1 << 16:
            return super().standard_normal(size, dtype, out)
        if count > POOL:
            return np.resize(self._pool, count).reshape(size)
        start = int(self.integers(POOL - count + 1 + POOL // 8)) if count < POOL else int(self.integers(POOL // 8))
        return self._pool[start : start + count].reshape(size).copy()


def inputs(kernel: Kernel, case: Case, rng: np.random.Generator) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and options of a bench case."""
    return kernel.arrays(case, rng)


def launch_of(
    kernel: Kernel, device: Device, arrays: Sequence[np.ndarray | None], options: dict[str, Any]
) -> tuple[list[Array | None], Launch]:
    """Stand-ins without memory for these arrays, and the launch on them: nothing reaches the device."""
    shapes: list[Array | None] = []
    for name, a in zip(kernel.inputs, arrays, strict=True):
        wanted = tuple(kernel.dtypes.get(name, ()))
        kind = as_dtype("bfloat16") if wanted == ("bfloat16",) else None if a is None else host_array(a[:0] if a.ndim else a)[1]
        shapes.append(None if a is None or kind is None else Array(device, None, a.shape, kind))
    return shapes, kernel.launch(shapes, options)


def cost(kernel: Kernel, device: Device, arrays: Sequence[np.ndarray | None], options: dict[str, Any]) -> tuple[float, float]:
    """(floating-point operations, bytes) of one launch on these arrays."""
    shapes, launch = launch_of(kernel, device, arrays, options)
    return kernel.cost(shapes, launch, options)


def allowed_cost(kernel: Kernel, device: Device, arrays: Sequence[np.ndarray | None], options: dict[str, Any]) -> tuple[float, float]:
    """`cost`, infinite for arrays larger than the device binds to a kernel."""
    most = device.info.limits.get("max_storage_binding", inf)
    if any(a is not None and a.nbytes > most for a in arrays):
        return inf, inf
    return cost(kernel, device, arrays, options)


def halve(kernel: Kernel, device: Device, arrays: Arrays, options: dict[str, Any]) -> tuple[Arrays, dict[str, Any]] | None:
    """The case with one axis of its largest array cut in half; None where no axis can be.

    The first axis is tried first. Every axis, and every number in a tuple option, of the same length is cut with it, so
    that shapes go on agreeing; a cut that the kernel's rule refuses is not made.
    """
    before = sum(allowed_cost(kernel, device, arrays, options))
    for length in dict.fromkeys(_largest(arrays, options)):
        if length < 2:
            continue
        half = length // 2
        cut = [None if a is None else a[tuple(slice(half if n == length else n) for n in a.shape)] for a in arrays]
        changed = {k: tuple(half if n == length else n for n in v) if _is_shape(v) else v for k, v in options.items()}
        try:
            if sum(cost(kernel, device, cut, changed)) < before:
                return cut, changed
        except (GpucoreError, ArithmeticError, IndexError, ValueError):
            continue
    return None


def _largest(arrays: Arrays, options: dict[str, Any]) -> tuple[int, ...]:
    shapes = [a.shape for a in arrays if a is not None and a.ndim] + [v for v in options.values() if _is_shape(v)]
    return max(shapes, key=prod, default=())


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(isinstance(n, int) for n in value)


def shrink_until(
    kernel: Kernel, device: Device, arrays: Arrays, options: dict[str, Any], enough: Callable[[float, float], bool]
) -> tuple[Arrays, dict[str, Any], int]:
    """The case halved until `enough(flops, bytes)`, or as far as it goes; the third value is 2 to the number of cuts."""
    cuts = 0
    while not enough(*allowed_cost(kernel, device, arrays, options)):
        smaller = halve(kernel, device, arrays, options)
        if smaller is None:
            break
        arrays, options = smaller
        cuts += 1
    return [None if a is None else np.ascontiguousarray(a) for a in arrays], options, 1 << cuts


def shown(kernel: Kernel, arrays: Arrays, options: dict[str, Any]) -> str:
    """The shapes and options in short."""
    parts = ["×".join(map(str, a.shape)) or "1" for a in arrays if a is not None]
    kept = [f"{k}={'×'.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in options.items() if not _trivial(v)]
    return ", ".join(parts) + (" · " + " ".join(kept) if kept else "")


def _trivial(value: Any) -> bool:
    return value is None or value is False or value in ((1, 1), (0, 0), "none")
