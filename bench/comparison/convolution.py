"""Rows of two-dimensional convolution, forward alone and with its gradients."""

from __future__ import annotations

from typing import Any

import gpucore as gc
from gpucore import ops

from .context import Context
from .functions import Function, function_row
from .rows import Gate, Row, rows

Shape = tuple[int, int, int, int, int, int]
"""batch, channels in, channels out, side of the image, side of the kernel, padding."""


@rows("convolution")
def convolutions(ctx: Context) -> list[Row]:
    """LeNet's two layers at a batch of 128, and 64 to 64 channels, 3×3, on 56×56 at a batch of 32."""
    batch = ctx.of(128, 32)
    shapes: dict[str, Shape] = {
        f"LeNet 1, batch {batch}": (batch, 1, 6, 28, 5, 2),
        f"LeNet 2, batch {batch}": (batch, 6, 16, 14, 5, 0),
        ctx.of("64→64 3×3 on 56×56, batch 32", "16→16 3×3 on 28×28, batch 4"): ctx.of((32, 64, 64, 56, 3, 1), (4, 16, 16, 28, 3, 1)),
    }
    found = []
    for name, shape in shapes.items():
        for backward in (False, True):
            title = f"{name}, {'with gradients' if backward else 'forward'}"
            found.append(Row("convolution", title, function_row(lambda s=shape, b=backward: _function(s, b)), quick="LeNet 2" in name))
    return found


def _function(shape: Shape, backward: bool) -> Function:
    batch, inner, outer, side, kernel, padding = shape
    out = side + 2 * padding - kernel + 1
    flops = 2.0 * batch * outer * out * out * inner * kernel * kernel
    image, weight, result = batch * inner * side * side, outer * inner * kernel * kernel, batch * outer * out * out

    def inputs(ctx: Context) -> list[Any]:
        made = [ctx.normal(batch, inner, side, side), ctx.normal(outer, inner, kernel, kernel), ctx.normal(outer)]
        return [*made, ctx.normal(batch, outer, out, out)] if backward else made

    def forward(torch: Any, x: Any, w: Any, b: Any) -> Any:
        return torch.nn.functional.conv2d(x, w, b, padding=padding)

    if not backward:
        return Function(
            inputs, lambda x, w, b: ops.conv2d(x, w, b, padding=padding), forward, flops=flops,
            bytes=4.0 * (image + weight + result), rotate=False,
        )  # fmt: skip

    def ours(x: Any, w: Any, b: Any, g: Any) -> Any:
        with gc.GradientTape() as tape:
            y = ops.conv2d(x, w, b, padding=padding)
        return tuple(tape.gradient(y, [x, w, b], seed=g))

    def theirs(torch: Any, x: Any, w: Any, b: Any, g: Any) -> Any:
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in (x, w, b)]
            return torch.autograd.grad(forward(torch, *leaves), leaves, g)

    return Function(
        inputs, ours, theirs, flops=3 * flops, bytes=4.0 * (3 * image + 3 * weight + 2 * result), rotate=False, gate=Gate(2e-5, 2e-3),
    )  # fmt: skip
