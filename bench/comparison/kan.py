"""Rows of B-spline layers (Kolmogorov-Arnold networks): a layer with its gradients, and whole training steps.

The peer computes as efficient-kan does (Blealtan, 2024): all basis functions of all inputs by the recursion of Cox and
de Boor on extended knots, a row of them per input, then one matrix product with the coefficients, plus a linear layer of
silu(x). It is written here from that idea, without that library's further scale per edge, which ours has not. Weights are
small and inputs within the grid, where both compute the same function.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import gpucore as gc
from gpucore import nn, ops, optim
from gpucore.bench.measure import SLOW

from .context import Context
from .functions import Function, function_row
from .results import EAGER, Result, Target
from .rows import Gate, Row, rows
from .training import Steps, measure_steps

DEGREE, CELLS, RANGE = 3, 5, (-1.0, 1.0)
GRID: dict[str, Any] = dict(degree=DEGREE, grid_size=CELLS, grid_range=RANGE)
BASIS = CELLS + DEGREE
RATE, SCALE = 1e-4, 0.2
"""Small enough that the hidden values stay within the grid while losses are compared."""


@rows("KAN")
def splines(ctx: Context) -> list[Row]:
    """Layers [784, 64] and [256, 1024] at a batch of 1024; training steps of [784, 64, 10] and [256, 1024, 256]."""
    batch = ctx.of(1024, 64)
    layers = ctx.of([(784, 64), (256, 1024)], [(784, 64), (64, 128)])
    faster = [Target("ratio", 1.0, "NumPy")]
    points = ctx.of(1 << 20, 1 << 16)
    found = [Row("KAN", f"basis of {points >> 10} Ki points", function_row(lambda: _basis(points)), (), faster, quick=True)]
    found += [
        Row(
            "KAN", f"layer [{i}, {o}] forward and backward, batch {batch}", function_row(lambda i=i, o=o: layer(i, o, batch)),
            [Target("ratio", 10, EAGER)], faster, quick=i == 784,
        )
        for i, o in layers
    ]  # fmt: skip
    networks = ctx.of([((784, 64, 10), 64), ((784, 64, 10), 1024), ((256, 1024, 256), 1024)], [((784, 64, 10), 64), ((64, 128, 64), 64)])
    for sizes, count in networks:
        name = f"training step {list(sizes)}, batch {count}"
        run = partial(_steps, sizes=sizes, batch=count)
        found.append(Row("KAN", name, run, [Target("ratio", 10, EAGER)], quick=count == 64))
        if ctx.cuda:
            found.append(Row("KAN", f"{name}, compiled", partial(run, compiled=True), compiles=True))
    return found


# ---- the basis and a layer


def _basis(count: int) -> Function:
    """All basis functions of so many points."""
    return Function(
        lambda ctx: [np.clip(ctx.normal(count) * 0.4, -0.98, 0.98)], lambda x: ops.spline_basis(x, **GRID),
        lambda torch, x: torch_basis(x, knots(torch, x, 1)[0]), lambda x: numpy_basis(x)[0],
        flops=count * 4.0 * DEGREE * BASIS, bytes=4.0 * count * (1 + BASIS), gate=Gate(1e-5, 2e-3),
    )  # fmt: skip


def layer(inner: int, outer: int, batch: int) -> Function:
    """(y, gradients to x, coefficients and base weight) of spline(x) + base(silu(x))."""

    def inputs(ctx: Context) -> list[Any]:
        x = np.clip(ctx.normal(batch, inner) * 0.4, -0.98, 0.98)
        scale = 1 / np.sqrt(inner)
        return [x, ctx.normal(outer, inner, BASIS) * scale, ctx.normal(outer, inner) * scale, ctx.normal(batch, outer)]

    def ours(x: Any, c: Any, w: Any, g: Any) -> Any:
        with gc.GradientTape() as tape:
            y = forward(x, c, w)
        return (y, *tape.gradient(y, [x, c, w], seed=g))

    def theirs(torch: Any, x: Any, c: Any, w: Any, g: Any) -> Any:
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in (x, c, w)]
            y = torch_forward(torch, *leaves, knots(torch, x, inner))
            return (y.detach(), *torch.autograd.grad(y, leaves, g))

    spline, linear = 2.0 * batch * inner * outer * (DEGREE + 1), 2.0 * batch * inner * outer
    return Function(
        inputs, ours, theirs, _numpy, flops=3 * (spline + linear), replay=True, rotate=False, gate=Gate(2e-5, 5e-3),
        bytes=4.0 * (2 * batch * (inner + outer) + 2 * outer * inner * (BASIS + 1)), numpy_seconds=0.05,
    )  # fmt: skip


def forward(x: Any, c: Any, w: Any) -> Any:
    """The layer in gpucore, its base within the same kernels."""
    return ops.kan_layer(x, c, None, w, **GRID)


def knots(torch: Any, like: Any, inner: int) -> Any:
    """[inner, knots], the extended knots of each input, which that library may move: DEGREE cells more on either side."""
    step = (RANGE[1] - RANGE[0]) / CELLS
    row = torch.arange(-DEGREE, CELLS + DEGREE + 1, device=like.device, dtype=like.dtype) * step + RANGE[0]
    return row.expand(inner, -1).contiguous()


def torch_basis(x: Any, t: Any) -> Any:
    """[..., BASIS]: the recursion of Cox and de Boor over all knots, t [knots] or one row per input."""
    x1 = x.unsqueeze(-1)
    b = ((x1 >= t[..., :-1]) & (x1 < t[..., 1:])).to(x.dtype)
    for p in range(1, DEGREE + 1):
        left = (x1 - t[..., : -(p + 1)]) / (t[..., p:-1] - t[..., : -(p + 1)])
        right = (t[..., p + 1 :] - x1) / (t[..., p + 1 :] - t[..., 1:-p])
        b = left * b[..., :-1] + right * b[..., 1:]
    return b


def torch_forward(torch: Any, x: Any, c: Any, w: Any, t: Any) -> Any:
    """The layer in PyTorch, as efficient-kan does it."""
    b = torch_basis(x, t)
    spline = torch.nn.functional.linear(b.reshape(x.shape[0], -1), c.reshape(c.shape[0], -1))
    return torch.nn.functional.linear(torch.nn.functional.silu(x), w) + spline


def numpy_basis(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(basis functions, their derivatives) at x, in x's precision."""
    kind = x.dtype.type
    step = (RANGE[1] - RANGE[0]) / CELLS
    t = (np.arange(-DEGREE, CELLS + DEGREE + 1) * step + RANGE[0]).astype(kind)
    x1 = x[..., None]
    b = lower = ((x1 >= t[:-1]) & (x1 < t[1:])).astype(kind)
    for p in range(1, DEGREE + 1):
        lower = b
        b = ((x1 - t[: -(p + 1)]) * lower[..., :-1] + (t[p + 1 :] - x1) * lower[..., 1:]) / kind(p * step)
    return b, (lower[..., :-1] - lower[..., 1:]) / kind(step)


def _numpy(x: np.ndarray, c: np.ndarray, w: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, ...]:
    """The layer by hand in NumPy, with its gradients."""
    b, slope = numpy_basis(x)
    flat, weights, s = b.reshape(len(x), -1), c.reshape(len(c), -1), 1 / (1 + np.exp(-x))
    y = flat @ weights.T + (x * s) @ w.T
    arriving = (g @ weights).reshape(b.shape)
    to_x = (arriving * slope).sum(-1) + (g @ w) * (s * (1 + x * (1 - s)))
    return y, to_x, (g.T @ flat).reshape(c.shape), g.T @ (x * s)


# ---- a training step


class Network(nn.Module):
    """Layers of spline plus base, their weights from arrays; on hardware one table per layer, which training need not move."""

    def __init__(self, device: Any, weights: list[tuple[np.ndarray, np.ndarray]]) -> None:
        if device.kind not in SLOW:
            self.tables = [nn.parameter(table_of(c, w), device) for c, w in weights]
        else:
            self.splines = [nn.parameter(c, device) for c, _ in weights]
            self.bases = [nn.parameter(w, device) for _, w in weights]

    def forward(self, x: Any) -> Any:
        """The outputs of the last layer."""
        if hasattr(self, "tables"):
            for table in self.tables:
                x = ops.kan_table_layer(x, table, base=True, **GRID)
            return x
        for c, w in zip(self.splines, self.bases, strict=True):
            x = forward(x, c, w)
        return x


def table_of(c: np.ndarray, w: np.ndarray) -> np.ndarray:
    """[in, BASIS + 1, out]: coefficients [out, in, BASIS] and, as the last row, base weights [out, in]."""
    return np.ascontiguousarray(np.concatenate([c.transpose(1, 2, 0), w.T[:, None, :]], axis=1))


def _steps(ctx: Context, result: Result, *, sizes: tuple[int, ...], batch: int, compiled: bool = False) -> None:
    """AdamW on the cross-entropy of random labels."""
    scales = [(SCALE / np.sqrt(i), o, i) for i, o in pairwise(sizes)]
    weights = [(scale * ctx.normal(o, i, BASIS), scale * ctx.normal(o, i)) for scale, o, i in scales]
    x = np.clip(ctx.normal(batch, sizes[0]) * 0.4, -0.98, 0.98)
    y = ctx.rng.integers(0, sizes[-1], batch).astype(np.int32)

    def torch_model(torch: Any, where: str, dtype: Any) -> tuple[list[Any], Any]:
        params = [torch.from_numpy(a).to(where, dtype).requires_grad_() for pair in weights for a in pair]
        grids = [knots(torch, params[0], inner) for inner in sizes[:-1]]

        def apply(z: Any) -> Any:
            for c, w, t in zip(params[::2], params[1::2], grids, strict=True):
                z = torch_forward(torch, z, c, w, t)
            return z

        return params, apply

    steps = Steps(
        Network(ctx.device, weights), lambda params: optim.AdamW(params, RATE, weight_decay=1e-4), torch_model,
        lambda torch, params: torch.optim.AdamW(params, lr=RATE, weight_decay=1e-4), x, y,
    )  # fmt: skip
    measure_steps(ctx, result, steps, compiled=compiled)
