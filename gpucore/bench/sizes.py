"""Inputs of a bench case: random data made quickly, and the same case cut down along its leading axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..array import Array
from ..device.base import Device
from ..dtypes import as_dtype, host_array
from ..errors import GpucoreError
from ..kernel import Case, Kernel, Launch

POOL = 1 << 22
Arrays = list[np.ndarray | None]


class PooledGenerator(np.random.Generator):
    """A generator whose large normal arrays are cut from one pool of random numbers, from a random place on.

    Drawing 64 MiB anew takes longer than most kernels here run a thousand times; a cut is as random to a GPU.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))
        self._pool = super().standard_normal(POOL, np.float32)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Normal numbers; float32 arrays of more than 2^16 elements come from the pool."""
        count = 1 if size is None else int(np.prod(size))
        if out is not None or np.dtype(dtype) != np.float32 or count <= 1 << 16:
            return super().standard_normal(size, dtype, out)
        start = int(self.integers(POOL))
        return np.resize(np.roll(self._pool, start), count).reshape(size)


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


def shrink(kernel: Kernel, device: Device, arrays: Arrays, options: dict[str, Any], factor: int) -> tuple[Arrays, dict[str, Any]] | None:
    """The case with the leading axis of its largest array cut to a `factor`-th; None where that does not fit the kernel.

    Every axis and every number in a tuple option of the same length is cut with it, so that shapes go on agreeing.
    """
    if factor <= 1:
        return arrays, options
    lead = _lead(arrays, options)
    if lead <= 1:
        return None
    short = max(1, lead // factor)
    cut = [None if a is None else np.ascontiguousarray(a[tuple(slice(short if n == lead else n) for n in a.shape)]) for a in arrays]
    cut_options = {
        k: tuple(short if isinstance(n, int) and n == lead else n for n in v) if isinstance(v, tuple) else v for k, v in options.items()
    }
    try:
        launch_of(kernel, device, cut, cut_options)
    except (GpucoreError, ArithmeticError, IndexError):
        return None
    return cut, cut_options


def _lead(arrays: Arrays, options: dict[str, Any]) -> int:
    shapes = [a.shape for a in arrays if a is not None and a.ndim]
    shapes += [v for v in options.values() if isinstance(v, tuple) and v and all(isinstance(n, int) for n in v)]
    return max(shapes, key=prod)[0] if shapes else 1


def shrink_until(
    kernel: Kernel, device: Device, arrays: Arrays, options: dict[str, Any], flops: float, moved: float
) -> tuple[Arrays, dict[str, Any], int]:
    """The case cut by the smallest power of two that needs no more than this; its factor is the third value.

    Where cutting stops to fit before, the smallest that does fit.
    """
    best = (arrays, options, 1)
    factor = 1
    while True:
        f, b = cost(kernel, device, best[0], best[1])
        if f <= flops and b <= moved:
            return best
        factor *= 2
        smaller = shrink(kernel, device, arrays, options, factor)
        if smaller is None or factor > max(2, _lead(arrays, options)):
            return best
        best = (*smaller, factor)


def shown(kernel: Kernel, arrays: Arrays, options: dict[str, Any]) -> str:
    """The shapes and options in short."""
    parts = ["×".join(map(str, a.shape)) or "1" for a in arrays if a is not None]
    kept = [f"{k}={'×'.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in options.items() if not _trivial(v)]
    return ", ".join(parts) + (" · " + " ".join(kept) if kept else "")


def _trivial(value: Any) -> bool:
    return value is None or value is False or value in ((1, 1), (0, 0), "none")
