"""One kernel, one case, one device: run, compare with the float64 reference, run again, compare bits."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..device.base import Device
from ..dtypes import DType, bfloat16, encode_bfloat16, host_array
from ..kernel import Case, Kernel, Tolerance

Arrays = list[np.ndarray | None]
ULP_SAMPLE = 1 << 20
"""Elements of an output that the percentiles are taken over, evenly spread."""


@dataclass
class CaseResult:
    """What one case showed.

    max_abs: the largest |got - want|. relative_l2: ‖got - want‖ / ‖want‖. ulp_p50, ulp_p99: percentiles of the number
    of representable values between got and the rounded reference (of large outputs, over a million elements evenly
    spread). specials: NaNs and infinities stand in the same
    places. repeatable: a second run gave the same bits. headroom: the worst of |got - want| / (atol + rtol·|want|) and
    relative_l2 / l2; passed needs ≤ 1. seconds: wall time of the latest run, from the upload to the values on the host.
    worst: output, index, got, want and the inputs' elements at that index where the shapes broadcast.
    """

    kernel: str
    case: str
    device: str
    passed: bool
    headroom: float
    max_abs: float
    relative_l2: float
    ulp_p50: float
    ulp_p99: float
    specials: bool
    repeatable: bool
    tolerance: Tolerance
    seconds: float
    shader_hash: str
    worst: dict[str, Any]
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """The result in words, for a failing test or a list of failures."""
        if self.error:
            return f"{self.kernel} {self.case}: {self.error}"
        said = f"{self.kernel} {self.case}: error {self.headroom:.3g} of the tolerance"
        said += f", max abs {self.max_abs:.3g}, relative L2 {self.relative_l2:.3g}"
        if not self.specials:
            said += ", NaN or infinities differ"
        if not self.repeatable:
            said += ", a second run gave other bits"
        w = self.worst
        return said + (f"; worst {w['output']}{w['index']}: got {w['got']:.9g}, want {w['want']:.9g}" if w else "")


@dataclass
class CaseData:
    """A case made ready: the arrays a device gets and what the reference makes of them in float64, by output name."""

    kernel: Kernel
    label: str
    arrays: Arrays
    options: dict[str, Any]
    want: dict[str, np.ndarray]
    reference_seconds: float = field(default=0.0)


def case_label(kernel: Kernel, case: Case, index: int) -> str:
    """A short name for a case: its "id", or its shapes and options."""
    if callable(case):
        return f"{index} {case.__name__.strip('_<>')}"
    if "id" in case:
        return f"{index} {case['id']}"
    parts = []
    for name, value in case.items():
        if name == "large":
            continue
        shown = (
            value.shape if isinstance(value, np.ndarray) else getattr(value, "__name__", "made").strip("_<>") if callable(value) else value
        )
        parts.append(f"{name}={shown}".replace(" ", ""))
    return f"{index} {' '.join(parts)}"


def check_case(kernel: Kernel, index: int, device: Device, *, repeat: bool = True) -> CaseResult:
    """Runs case `index` of a kernel; outputs start poisoned with NaN where the device can do that."""
    return compare(case_data(kernel, index), device, repeat=repeat)


def case_data(kernel: Kernel, index: int) -> CaseData:
    """Case `index` of a kernel with its reference's results."""
    arrays, options = case_inputs(kernel, index)
    return with_reference(kernel, case_label(kernel, kernel.cases[index], index), arrays, options)


def case_inputs(kernel: Kernel, index: int) -> tuple[Arrays, dict[str, Any]]:
    """The inputs and options of case `index`; the random numbers depend on the kernel and the index alone."""
    rng = np.random.default_rng(zlib.crc32(f"{kernel.name} {index}".encode()))
    return kernel.arrays(kernel.cases[index], rng)


def with_reference(kernel: Kernel, label: str, arrays: Arrays, options: dict[str, Any]) -> CaseData:
    """These inputs with the reference's results on them, worked out in float64."""
    wide = [None if a is None else _widen(_as_stored(a, kernel, i)) for i, a in enumerate(arrays)]
    start = time.perf_counter()
    results = kernel.reference(wide, options)
    return CaseData(kernel, label, arrays, options, _named(kernel, wide, results), time.perf_counter() - start)


def compare(data: CaseData, device: Device, *, repeat: bool = True) -> CaseResult:
    """Runs the case on a device, a second time for the same bits if asked, and measures the distance to the reference."""
    start = time.perf_counter()
    got, dtypes = _run(data, device)
    seconds = time.perf_counter() - start
    repeatable = True
    if repeat:
        start = time.perf_counter()
        again, _ = _run(data, device)
        seconds = time.perf_counter() - start
        repeatable = all(got[name].tobytes() == again[name].tobytes() for name in got)
    result = _result(data, device, repeatable, seconds)
    ulps = []
    for name, want in data.want.items():
        if got[name].shape != want.shape:
            result.passed, result.error = False, f"{name} has shape {got[name].shape}, the reference {want.shape}"
            continue
        ulps.append(_fold(result, data, name, got[name], want, dtypes[name]))
    flat = np.concatenate(ulps) if ulps else np.zeros(0)
    if flat.size:
        result.ulp_p50, result.ulp_p99 = float(np.percentile(flat, 50)), float(np.percentile(flat, 99))
    result.passed = result.passed and result.specials and repeatable and result.headroom <= 1.0
    return result


def failed(data: CaseData | None, kernel: Kernel, label: str, device: Device, error: BaseException) -> CaseResult:
    """The result of a case that raised."""
    result = _result(data or CaseData(kernel, label, [], {}, {}), device, False, 0.0)
    result.passed, result.specials, result.headroom = False, False, float("inf")
    result.error = f"{type(error).__name__}: {error}"
    return result


def _result(data: CaseData, device: Device, repeatable: bool, seconds: float) -> CaseResult:
    kernel = data.kernel
    return CaseResult(
        kernel.name, data.label, device.name, True, 0.0, 0.0, 0.0, 0.0, 0.0, True, repeatable, kernel.tolerance, seconds,
        kernel.shader.source_hash(), {},
    )  # fmt: skip


def _storage(kernel: Kernel, index: int) -> str | None:
    """The dtype that an input must be given explicitly: NumPy has no bfloat16 to say it with."""
    return "bfloat16" if tuple(kernel.dtypes.get(kernel.inputs[index], ())) == ("bfloat16",) else None


def _as_stored(array: np.ndarray, kernel: Kernel, index: int) -> np.ndarray:
    """The values that the device will see: float32 by default, rounded to the storage type that the kernel takes."""
    return host_array(array, _storage(kernel, index))[0]


def _widen(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array.copy()


def to_device(kernel: Kernel, device: Device, arrays: Sequence[np.ndarray | None]) -> list[Any]:
    """The inputs of a case as tensors of the dtypes that the kernel takes."""
    return [None if a is None else device.tensor(a, _storage(kernel, i)) for i, a in enumerate(arrays)]


def _run(data: CaseData, device: Device) -> tuple[dict[str, np.ndarray], dict[str, DType]]:
    kernel = data.kernel
    tensors = to_device(kernel, device, data.arrays)
    device.poison = True  # type: ignore[attr-defined]
    try:
        outputs = device.run(kernel, tensors, data.options)
    finally:
        device.poison = False  # type: ignore[attr-defined]
    found = dict(zip(kernel.launch(tensors, data.options).outputs, outputs, strict=True))
    found |= {n: t for n, t in zip(kernel.inputs, tensors, strict=True) if n in kernel.mutated and t is not None}
    return {name: t.numpy() for name, t in found.items()}, {name: t.dtype for name, t in found.items()}


def _named(kernel: Kernel, arrays: Arrays, results: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    names = [b.name for b in kernel.shader.bindings if b.access == "read_write" and b.name not in kernel.inputs]
    found = {name: np.asarray(r) for name, r in zip(names, results, strict=True)}
    return found | {n: a for n, a in zip(kernel.inputs, arrays, strict=True) if n in kernel.mutated and a is not None}


def _fold(result: CaseResult, data: CaseData, name: str, got: np.ndarray, want: np.ndarray, dtype: DType) -> np.ndarray:
    """Adds one output to the result; returns its distances in representable values."""
    tol = data.kernel.tolerance
    exact = got.dtype.kind in "iub"
    a, b = got.astype(np.float64), want.astype(np.float64)
    if not exact:
        largest = float(np.finfo(got.dtype).max)
        b = np.where(np.isfinite(b) & (np.abs(b) > largest), np.copysign(np.inf, b), b)
    finite = np.isfinite(b)
    result.specials &= bool(np.array_equal(a[~finite], b[~finite], equal_nan=True) and np.isfinite(a[finite]).all())
    gap = np.where(finite & np.isfinite(a), np.abs(a - np.where(finite, b, 0)), 0.0)
    gap[finite & ~np.isfinite(a)] = np.inf
    allowed = np.where(finite, tol.atol + tol.rtol * np.abs(np.where(finite, b, 0)), np.inf) if not exact else np.full(b.shape, 0.5)
    share = np.divide(gap, allowed, out=np.where(gap > 0, np.inf, 0.0), where=allowed > 0)
    scale, distance = float(np.linalg.norm(b[finite])), float(np.linalg.norm(gap[finite]))
    l2 = distance / scale if scale > 0 else distance
    floor = tol.atol * np.sqrt(max(1, b.size))  # noise around zero has no relative size
    over_l2 = 0.0 if exact or distance <= floor else l2 / tol.l2
    result.max_abs = max(result.max_abs, float(gap.max(initial=0.0)))
    result.relative_l2 = max(result.relative_l2, l2)
    worst = max(float(share.max(initial=0.0)), over_l2)
    misplaced = ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if b.size and (worst >= result.headroom or not result.worst or misplaced.any()):
        result.worst = _worst(data, name, np.where(misplaced, np.inf, share), got, want)
    result.headroom = max(result.headroom, worst)
    if exact:
        return np.zeros(0)
    stride = -(-a.size // ULP_SAMPLE) or 1
    sample = np.flatnonzero(finite.reshape(-1)[::stride]) * stride
    return _steps(a.reshape(-1)[sample], b.reshape(-1)[sample], dtype)


def _worst(data: CaseData, name: str, share: np.ndarray, got: np.ndarray, want: np.ndarray) -> dict[str, Any]:
    at = np.unravel_index(int(np.argmax(share)), share.shape) if share.ndim else ()
    near = {}
    for n, x in zip(data.kernel.inputs, data.arrays, strict=True):
        if x is not None and _broadcasts(x.shape, share.shape):
            near[n] = float(np.broadcast_to(x, share.shape)[at])
    return {"output": name, "index": [int(i) for i in at], "got": float(got[at]), "want": float(want[at]), "inputs": near}


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False))


def _steps(got: np.ndarray, want: np.ndarray, dtype: DType) -> np.ndarray:
    """How many values of the dtype lie between got and the rounded reference; 0 is the correctly rounded result."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.abs(_ordinal(got, dtype) - _ordinal(want, dtype)), np.float64)


def _ordinal(values: np.ndarray, dtype: DType) -> Any:
    """Each value's place in the ascending list of the dtype's values; both zeros are 0."""
    if dtype is bfloat16:
        bits, width = encode_bfloat16(values.astype(np.float32)), 16
    elif dtype.host.itemsize == 2:
        bits, width = values.astype(np.float16).view(np.uint16), 16
    elif dtype.host.itemsize == 8:
        bits, width = values.astype(np.float64).view(np.uint64), 64
    else:
        bits, width = values.astype(np.float32).view(np.uint32), 32
    low = bits.astype(np.int64) & ((1 << (width - 1)) - 1)
    return np.where(bits >> (width - 1) == 0, low, -low)


__all__ = [
    "Arrays", "CaseData", "CaseResult", "case_data", "case_inputs", "case_label", "check_case", "compare", "failed", "to_device",
    "with_reference",
]  # fmt: skip
