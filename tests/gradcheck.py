"""The two-step test of gradients: finite differences on the float64 NumPy device, then the GPU against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import gpucore as gc


def gradients(device: gc.Device, fn: Callable[..., Any], arrays: Sequence[np.ndarray], wrt: Sequence[int], weights: np.ndarray, dtype: str):
    """d sum(weights · fn(*arrays)) / d arrays[i] for i in wrt, as NumPy arrays."""
    tensors = [device.tensor(a, dtype if a.dtype.kind == "f" else None) for a in arrays]
    with gc.GradientTape() as tape:
        out = fn(*tensors)
    seed = device.tensor(weights.reshape(out.shape), dtype)
    return [g.numpy() for g in tape.gradient(out, [tensors[i] for i in wrt], seed=seed)]


def check_gradient(
    gpu: gc.Device, fn: Callable[..., Any], *arrays: np.ndarray, wrt: Sequence[int] | None = None,
    step: float = 1e-5, fd: float = 1e-6, l2: float = 1e-5,
) -> None:  # fmt: skip
    """Asserts that the gradients of fn match central differences to `fd` and the GPU's match them to `l2`.

    fn maps tensors to one tensor and must be smooth around the inputs. Errors are relative L2 per input.
    """
    cpu = gc.device("cpu")
    wrt = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"] if wrt is None else wrt
    rng = np.random.default_rng(7)
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    shape = fn(*[cpu.tensor(a, a.dtype) for a in wide]).shape
    weights = rng.standard_normal(shape)
    weights32 = weights.astype(np.float32).astype(np.float64)
    exact = gradients(cpu, fn, wide, wrt, weights32, "float64")

    def value(changed: list[np.ndarray]) -> float:
        return float((fn(*[cpu.tensor(a, a.dtype) for a in changed]).numpy() * weights32).sum())

    for i, grad in zip(wrt, exact, strict=True):
        numeric = np.zeros_like(wide[i])
        for at in np.ndindex(*wide[i].shape):
            ends = []
            for sign in (1, -1):
                changed = [a.copy() for a in wide]
                changed[i][at] += sign * step
                ends.append(value(changed))
            numeric[at] = (ends[0] - ends[1]) / (2 * step)
        assert _l2(grad, numeric) <= fd, f"input {i}: {_l2(grad, numeric):.3g} from finite differences"
    narrow = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in wide]
    exact32 = gradients(cpu, fn, [a.astype(np.float64) if a.dtype.kind == "f" else a for a in narrow], wrt, weights32, "float64")
    for i, got, want in zip(wrt, gradients(gpu, fn, narrow, wrt, weights32, "float32"), exact32, strict=True):
        assert _l2(got, want) <= l2, f"input {i}: GPU {_l2(got, want):.3g} from the reference"


def _l2(a: np.ndarray, b: np.ndarray) -> float:
    scale = float(np.linalg.norm(b))
    gap = float(np.linalg.norm(a.astype(np.float64) - b))
    return gap / scale if scale > 1e-12 else gap
