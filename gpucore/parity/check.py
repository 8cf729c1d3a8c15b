"""One kernel, one case, one device: run, compare with the float64 reference, run again, compare bits."""

from __future__ import annotations

import time
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..device.base import Device
from ..dtypes import host_array
from ..kernel import Case, Kernel, Tolerance


@dataclass
class CaseResult:
    """What one case showed.

    max_abs: the largest |got - want|. relative_l2: ‖got - want‖ / ‖want‖. ulp_p50, ulp_p99: percentiles of the distance
    in float32 steps. specials: NaNs and infinities stand in the same places. repeatable: a second run gave the same
    bits. headroom: the worst of |got - want| / (atol + rtol·|want|) and relative_l2 / l2; passed needs ≤ 1.
    worst: output, index, got, want and the inputs' elements at that index where the shapes agree.
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


def case_label(kernel: Kernel, case: Case, index: int) -> str:
    """A short name for a case: its "id", or its shapes and options."""
    if callable(case):
        return f"{index} {case.__name__.strip('_<>')}"
    if "id" in case:
        return f"{index} {case['id']}"
    parts = []
    for name, value in case.items():
        shown = value.shape if isinstance(value, np.ndarray) else getattr(value, "__name__", "made") if callable(value) else value
        parts.append(f"{name}={shown}".replace(" ", ""))
    return f"{index} {' '.join(parts)}"


def check_case(kernel: Kernel, index: int, device: Device, *, repeat: bool = True) -> CaseResult:
    """Runs case `index` of a kernel; outputs start poisoned with NaN where the device can do that."""
    case = kernel.cases[index]
    rng = np.random.default_rng(zlib.crc32(f"{kernel.name} {index}".encode()))
    arrays, options = kernel.arrays(case, rng)
    wide = [None if a is None else _widen(_as_stored(a, kernel, i)) for i, a in enumerate(arrays)]
    want = _named(kernel, wide, kernel.reference(wide, options))
    start = time.perf_counter()
    got = _run(kernel, device, arrays, options)
    seconds = time.perf_counter() - start
    repeatable = not repeat or _same_bits(got, _run(kernel, device, arrays, options))
    return _compare(kernel, case_label(kernel, case, index), device, got, want, wide, repeatable, seconds)


def _as_stored(array: np.ndarray, kernel: Kernel, index: int) -> np.ndarray:
    """The values that the device will see: float32 by default, rounded to the storage type that the kernel takes."""
    wanted = kernel.dtypes.get(kernel.inputs[index], ())
    dtype = "bfloat16" if tuple(wanted) == ("bfloat16",) else None
    return host_array(array, dtype)[0]


def _widen(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array.copy()


def _run(kernel: Kernel, device: Device, arrays: list[np.ndarray | None], options: dict[str, Any]) -> dict[str, np.ndarray]:
    tensors: list[Any] = []
    for i, a in enumerate(arrays):
        wanted = tuple(kernel.dtypes.get(kernel.inputs[i], ()))
        dtype = "bfloat16" if wanted == ("bfloat16",) else None
        tensors.append(None if a is None else device.tensor(a, dtype))
    device.poison = True  # type: ignore[attr-defined]
    try:
        outputs = device.run(kernel, tensors, options)
    finally:
        device.poison = False  # type: ignore[attr-defined]
    names = list(kernel.launch(tensors, options).outputs)
    found = {name: out.numpy() for name, out in zip(names, outputs, strict=True)}
    return found | {n: t.numpy() for n, t in zip(kernel.inputs, tensors, strict=True) if n in kernel.mutated and t is not None}


def _named(kernel: Kernel, arrays: list[Any], results: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    names = [b.name for b in kernel.shader.bindings if b.access == "read_write" and b.name not in kernel.inputs]
    found = {name: np.asarray(r) for name, r in zip(names, results, strict=True)}
    return found | {n: a for n, a in zip(kernel.inputs, arrays, strict=True) if n in kernel.mutated and a is not None}


def _same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for name in a)


def _compare(
    kernel: Kernel, label: str, device: Device, got: dict[str, np.ndarray], want: dict[str, np.ndarray],
    inputs: list[Any], repeatable: bool, seconds: float,
) -> CaseResult:  # fmt: skip
    tol = kernel.tolerance
    result = CaseResult(
        kernel.name, label, device.name, True, 0.0, 0.0, 0.0, 0.0, 0.0, True, repeatable, tol, seconds, kernel.shader.source_hash(), {}
    )
    ulps = []
    for name in want:
        a, b = got[name], want[name]
        if a.shape != b.shape:
            result.passed, result.error = False, f"{name} has shape {a.shape}, the reference {b.shape}"
            continue
        ulps.append(_fold(result, kernel, name, a, b, inputs, tol))
    flat = np.concatenate(ulps) if ulps else np.zeros(0)
    if flat.size:
        result.ulp_p50, result.ulp_p99 = float(np.percentile(flat, 50)), float(np.percentile(flat, 99))
    result.passed = result.passed and result.specials and repeatable and result.headroom <= 1.0
    return result


def _fold(result: CaseResult, kernel: Kernel, name: str, got: np.ndarray, want: np.ndarray, inputs: list[Any], tol: Tolerance) -> np.ndarray:
    """Adds one output to the result; returns its distances in float32 steps."""
    exact = got.dtype.kind in "iub"
    a, b = got.astype(np.float64), want.astype(np.float64)
    if not exact:
        with np.errstate(over="ignore"):
            b = np.where(np.isfinite(b) & (np.abs(b) > np.finfo(np.float32).max), np.copysign(np.inf, b), b)
    finite = np.isfinite(b)
    result.specials &= bool(np.array_equal(a[~finite], b[~finite], equal_nan=True) and np.isfinite(a[finite]).all())
    gap = np.where(finite & np.isfinite(a), np.abs(a - np.where(finite, b, 0)), 0.0)
    gap[finite & ~np.isfinite(a)] = np.inf
    allowed = np.where(finite, tol.atol + tol.rtol * np.abs(np.where(finite, b, 0)), np.inf) if not exact else np.full(b.shape, 0.5)
    share = gap / allowed
    scale = float(np.linalg.norm(b[finite]))
    distance = float(np.linalg.norm(gap[finite]))
    l2 = distance / scale if scale > 0 else distance
    floor = tol.atol * np.sqrt(max(1, b.size))  # noise around zero has no relative size
    over_l2 = 0.0 if exact or distance <= floor else l2 / tol.l2
    result.max_abs = max(result.max_abs, float(gap.max(initial=0.0)))
    result.relative_l2 = max(result.relative_l2, l2)
    worst = max(float(share.max(initial=0.0)), over_l2)
    if b.size and (worst >= result.headroom or not result.worst):
        result.worst = _worst(kernel, name, share, got, want, inputs)
    result.headroom = max(result.headroom, worst)
    return np.zeros(0) if exact else (gap[finite] / np.spacing(np.abs(b[finite]).astype(np.float32)).astype(np.float64))


def _worst(kernel: Kernel, name: str, share: np.ndarray, got: np.ndarray, want: np.ndarray, inputs: list[Any]) -> dict[str, Any]:
    at = np.unravel_index(int(np.argmax(share)), share.shape) if share.ndim else ()
    near = {n: float(x[at]) for n, x in zip(kernel.inputs, inputs, strict=True) if x is not None and x.shape == share.shape}
    return {"output": name, "index": [int(i) for i in at], "got": float(got[at]), "want": float(want[at]), "inputs": near}


__all__ = ["CaseResult", "case_label", "check_case"]
