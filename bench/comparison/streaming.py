"""Rows that memory limits: softmax, norms, sums, elementwise operations, transposition, the Adam step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpucore import ops

from .context import Context
from .functions import Function, function_row
from .results import Target
from .rows import Gate, Row, rows

MIB = 1 << 20
LARGE = 64 * MIB


@rows("memory-bound")
def streaming(ctx: Context) -> list[Row]:
    """Each operation at 64 MiB and at 1 MiB; on a software driver at 8 MiB and 256 KiB."""
    shapes = ctx.of([(4096, 4096), (256, 1024)], [(1024, 2048), (128, 512)])
    return [_row(name, shape, quick=shape == shapes[0] and name in ("softmax", "add")) for name in FUNCTIONS for shape in shapes]


def _row(name: str, shape: tuple[int, int], *, quick: bool) -> Row:
    nbytes = 4 * shape[0] * shape[1]
    size = f"{nbytes // MIB} MiB" if nbytes >= MIB else f"{nbytes // 1024} KiB"
    hardware = [Target("share", 0.85)] if nbytes >= LARGE else []
    software = [Target("ratio", 1.0, "NumPy")] if name == "GELU" and nbytes > MIB else []
    return Row("memory-bound", f"{name} {size}", function_row(lambda: FUNCTIONS[name](shape)), hardware, software, quick=quick)


def _of(shape: tuple[int, int], ours: Any, theirs: Any, numpy: Any, moved: float, flops: float, **options: Any) -> Function:
    """A function of one matrix and what else `inputs` says; moved, flops: per element."""
    count = shape[0] * shape[1]
    inputs = options.pop("inputs", lambda ctx: [ctx.normal(*shape)])
    return Function(
        inputs, ours, theirs, numpy, flops=flops * count, bytes=4.0 * moved * count, rotate=4 * count >= 4 * MIB, **options
    )  # fmt: skip


def _softmax(shape: tuple[int, int]) -> Function:
    def numpy(x: Any) -> Any:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return _of(shape, lambda x: ops.softmax(x), lambda torch, x: torch.softmax(x, -1), numpy, 2, 5)


def _layer_norm(shape: tuple[int, int]) -> Function:
    def numpy(x: Any, w: Any, b: Any) -> Any:
        middle = x - x.mean(-1, keepdims=True)
        return middle / np.sqrt(np.mean(middle * middle, -1, keepdims=True) + 1e-5) * w + b

    return _of(
        shape, lambda x, w, b: ops.layer_norm(x, w, b), lambda torch, x, w, b: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b), numpy,
        2, 8, inputs=lambda ctx: [ctx.normal(*shape), ctx.normal(shape[1]), ctx.normal(shape[1])],
    )  # fmt: skip


def _rms_norm(shape: tuple[int, int]) -> Function:
    return _of(
        shape, lambda x, w: ops.rms_norm(x, w, eps=1e-6), lambda torch, x, w: torch.nn.functional.rms_norm(x, x.shape[-1:], w, 1e-6),
        lambda x, w: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6) * w, 2, 4,
        inputs=lambda ctx: [ctx.normal(*shape), ctx.normal(shape[1])],
    )  # fmt: skip


def _sum(shape: tuple[int, int]) -> Function:
    return _of(
        shape, lambda x: ops.sum(x), lambda torch, x: x.sum(), lambda x: np.sum(x), 1, 1,
        inputs=lambda ctx: [np.abs(ctx.normal(*shape))],  # of one sign: a sum that cancels has no relative error to speak of
    )  # fmt: skip


def _row_sums(shape: tuple[int, int]) -> Function:
    return _of(shape, lambda x: ops.sum(x, axis=-1), lambda torch, x: x.sum(-1), lambda x: np.sum(x, -1), 1, 1)


def _add(shape: tuple[int, int]) -> Function:
    return _of(
        shape, lambda x, y: ops.add(x, y), lambda torch, x, y: x + y, lambda x, y: x + y, 3, 1,
        inputs=lambda ctx: [ctx.normal(*shape), ctx.normal(*shape)],
    )  # fmt: skip


def _gelu_numpy(x: np.ndarray) -> np.ndarray:
    """x/2 · (1 + erf(x/√2)) by Abramowitz and Stegun 7.1.26 in float32, by the exact function in float64."""
    if x.dtype == np.float64:
        from math import erf

        return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))
    z = np.abs(x) * np.float32(0.70710678)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * np.float32(1.061405429)))))
    return 0.5 * x * (1 + np.sign(x) * (1 - series * np.exp(-z * z)))


def _gelu(shape: tuple[int, int]) -> Function:
    return _of(shape, lambda x: ops.gelu(x), lambda torch, x: torch.nn.functional.gelu(x), _gelu_numpy, 2, 20)


def _transpose(shape: tuple[int, int]) -> Function:
    return _of(
        shape, lambda x: ops.matrix_transpose(x), lambda torch, x: x.T.contiguous(), lambda x: np.ascontiguousarray(x.T), 2, 0,
        gate=Gate(0, 0),
    )  # fmt: skip


FUNCTIONS: dict[str, Callable[[tuple[int, int]], Function]] = {
    "softmax": _softmax, "layer norm": _layer_norm, "RMS norm": _rms_norm, "sum": _sum, "row sums": _row_sums, "add": _add,
    "GELU": _gelu, "transpose": _transpose,
}  # fmt: skip
