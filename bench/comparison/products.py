"""Rows of matrix products and of matrix times vector."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpucore import ops

from .context import Context
from .functions import Function, function_row
from .results import EAGER, Target
from .rows import Gate, Row, rows

NOT_SLOWER = (Target("ratio", 0.1, "NumPy"),)
"""On a software driver a product may take ten times NumPy's."""


@rows("matmul")
def matmuls(ctx: Context) -> list[Row]:
    """Square, odd, tall, wide, batched and transposed products in float32."""
    cubes = [(n, n, n) for n in ctx.of((2048, 4096, 8192), (256, 512, 768))]
    others = ctx.of([(4096, 4096, 33), (17, 4096, 4096), (1000, 1000, 1000)], [(512, 512, 33), (17, 512, 512), (250, 250, 250)])
    wanted = {4096: 0.85, 2048: 0.80, 8192: 0.80}
    found = [_matmul((), m, k, n, wanted.get(m, 0.5) if m == k == n else 0.5, quick=m == cubes[1][0]) for m, k, n in [*cubes, *others]]
    found.append(_matmul((ctx.of(64, 4),), *ctx.of((512,) * 3, (128,) * 3), 0.5))
    side = cubes[0][0]
    found += [_matmul((), side, side, side, 0.5, ta=ta, tb=tb) for ta, tb in ((False, True), (True, False), (True, True))]
    return found


def _matmul(
    batch: tuple[int, ...], m: int, k: int, n: int, target: float, *, ta: bool = False, tb: bool = False, quick: bool = False
) -> Row:
    def make() -> Function:
        def multiply(a: Any, b: Any) -> Any:
            return (a.swapaxes(-1, -2) if ta else a) @ (b.swapaxes(-1, -2) if tb else b)

        shapes = [(*batch, *((k, m) if ta else (m, k))), (*batch, *((n, k) if tb else (k, n)))]
        return Function(
            inputs=lambda ctx: [ctx.normal(*shape) for shape in shapes],
            ours=lambda a, b: ops.matmul(a, b, transpose_a=ta, transpose_b=tb),
            theirs=lambda torch, a, b: multiply(a, b), numpy=multiply,
            flops=2.0 * prod((*batch, m, k, n)), bytes=4.0 * prod(batch) * (m * k + k * n + m * n), rotate=False,
            gate=Gate(l2=1e-5, worst=1e-3),
        )  # fmt: skip

    size = f"{m}³" if m == k == n else f"{m}×{k}×{n}"
    name = f"{batch[0]} × {size}" if batch else size
    name += (" aᵀ·b" if not tb else " aᵀ·bᵀ") if ta else " a·bᵀ" if tb else ""
    return Row("matmul", name, function_row(make), [Target("ratio", target, EAGER)], NOT_SLOWER, quick=quick)


@rows("GEMV")
def gemvs(ctx: Context) -> list[Row]:
    """Matrix [rows, cols] times vector with weights in 32 and 16 bits."""
    large = [(16384, 16384), (151936, 1024), (3072, 1024), (1024, 3072), (4096, 14336)]
    shapes = ctx.of(large, [(2048, 2048), (8192, 256), (768, 256), (256, 768), (512, 1792)])
    kinds = ("float32", "float16", "bfloat16")
    return [_gemv(r, c, kind, quick=(r, c, kind) == (*shapes[0], "float32")) for r, c in shapes for kind in kinds]


def _gemv(r: int, c: int, kind: str, *, quick: bool) -> Row:
    width = 4 if kind == "float32" else 2

    def inputs(ctx: Context) -> list[Any]:
        # a vector that every format holds exactly, so that all compute with the same numbers
        x = np.round(ctx.normal(c) * 8) / 8
        weight = ctx.normal(r, c)
        return [x, weight] if kind == "float32" else [x, (x, kind), (weight, kind)]

    def make() -> Function:
        if kind == "float32":
            return Function(
                inputs, lambda x, w: ops.linear(ops.reshape(x, (1, c)), w), lambda torch, x, w: (w @ x)[None], lambda x, w: (w @ x)[None],
                flops=2.0 * r * c, bytes=4.0 * (r * c + r + c),
            )  # fmt: skip
        # PyTorch wants the vector in the weights' type and rounds the result to it; ours takes and gives float32.
        return Function(
            inputs, lambda x, xh, w: ops.linear(ops.reshape(x, (1, c)), w), lambda torch, x, xh, w: (w @ xh)[None],
            lambda x, xh, w: (w @ x)[None], flops=2.0 * r * c, bytes=2.0 * r * c + 4.0 * (r + c), time_numpy=False,
        )  # fmt: skip

    heavy = r * c * width >= 64 << 20
    hardware = [Target("share", 0.90)] if heavy else [Target("ratio", 1.0, EAGER)]
    short = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[kind]
    return Row("GEMV", f"{r}×{c} {short}", function_row(make), hardware, quick=quick)
