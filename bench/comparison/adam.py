"""The Adam step over all parameters of a model, and dropout with an addition: chains that one kernel each fuses."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpucore as gc
from gpucore import ops, optim

from .context import Context
from .results import EAGER, Result, Target, Timing
from .rows import Gate, Row, attempt, compare, rows

RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
DROPPED = 0.1


@rows("memory-bound")
def fused(ctx: Context) -> list[Row]:
    """Adam on 25 M parameters in 24 matrices, and dropout(x) + y at 64 MiB."""
    count, side = ctx.of((24, 1024), (4, 512))
    shape = ctx.of((4096, 4096), (1024, 2048))
    faster = [Target("ratio", 1.0, "NumPy")]
    return [
        Row(
            "memory-bound", f"Adam {count * side * side / 1e6:.3g} M parameters", lambda c, r: _adam(c, r, count, side),
            [Target("share", 0.85)], faster, quick=True, note="28 bytes per parameter are counted: what a step must read and write",
        ),
        Row(
            "memory-bound", f"dropout + add {4 * shape[0] * shape[1] >> 20} MiB", lambda c, r: _dropout_add(c, r, shape),
            [], faster, note="12 bytes per element are counted, as if one kernel did both; PyTorch draws other numbers",
        ),
    ]  # fmt: skip


def _adam(ctx: Context, result: Result, count: int, side: int) -> None:
    size = count * side * side
    result.bytes, result.flops = 28.0 * size, 12.0 * size
    start = [ctx.normal(side, side) for _ in range(count)]
    slopes = [ctx.normal(side, side) for _ in range(count)]
    params, grads = [ctx.device.tensor(a) for a in start], [ctx.device.tensor(a) for a in slopes]
    optimizer = optim.Adam(params, RATE, betas=(BETA1, BETA2), eps=EPS)
    for _ in range(2):
        optimizer.step(grads)
    want = _reference(start[0], slopes[0], 2)
    compare(result, [params[0].numpy() - start[0]], [want], Gate(1e-3, 1e-2), "NumPy float64, the change of a matrix in two steps")
    if not result.correct:
        return
    result.ours = ctx.clock.ours(ctx.device, lambda i: optimizer.step(grads))
    if ctx.torch is not None:
        for name, options in ((f"{EAGER} fused", dict(fused=True)), (f"{EAGER} foreach", dict(foreach=True))):
            attempt(result, name, lambda options=options: _torch_adam(ctx, start, slopes, options))
    if ctx.small or size < 1 << 22:
        attempt(result, "NumPy", lambda: _numpy_adam(ctx, start, slopes))


def _reference(theta: np.ndarray, g: np.ndarray, steps: int) -> np.ndarray:
    """The change of theta in some steps with the same gradient."""
    g = g.astype(np.float64)
    m, v, change = np.zeros_like(g), np.zeros_like(g), np.zeros_like(g)
    for t in range(1, steps + 1):
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        change -= RATE * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPS)
    return change


def _torch_adam(ctx: Context, start: list[np.ndarray], slopes: list[np.ndarray], options: dict[str, Any]) -> Any:
    params = [ctx.on_torch(a).requires_grad_() for a in start]
    for p, g in zip(params, slopes, strict=True):
        p.grad = ctx.on_torch(g)
    optimizer = ctx.torch.optim.Adam(params, lr=RATE, betas=(BETA1, BETA2), eps=EPS, **options)
    if ctx.cuda:
        return ctx.clock.cuda(ctx.torch, lambda i: optimizer.step())
    return ctx.clock.wall(lambda i: optimizer.step(), lambda: None)


def _numpy_adam(ctx: Context, start: list[np.ndarray], slopes: list[np.ndarray]) -> Any:
    """In place, with as few passes as NumPy allows."""
    theta, g = np.concatenate([a.ravel() for a in start]), np.concatenate([a.ravel() for a in slopes])
    m, v, work, more = (np.zeros_like(theta) for _ in range(4))

    def step(i: int) -> None:
        np.multiply(m, BETA1, out=m)
        np.multiply(g, 1 - BETA1, out=work)
        np.add(m, work, out=m)
        np.multiply(v, BETA2, out=v)
        np.multiply(g, g, out=work)
        np.multiply(work, 1 - BETA2, out=work)
        np.add(v, work, out=v)
        np.sqrt(v, out=work)
        np.add(work, EPS, out=work)
        np.divide(m, work, out=more)
        np.multiply(more, RATE, out=more)
        np.subtract(theta, more, out=theta)

    return ctx.clock.wall(step, lambda: None, most=5)


def _dropout_add(ctx: Context, result: Result, shape: tuple[int, int]) -> None:
    count = shape[0] * shape[1]
    result.bytes, result.flops = 12.0 * count, 12.0 * count
    sets = [[np.abs(ctx.normal(*shape)) + 0.1, ctx.normal(*shape)] for _ in range(ctx.of(3, 1))]
    mine = [[ctx.device.tensor(a) for a in one] for one in sets]
    state = gc.random.Generator(ctx.device, 7).tensor

    def ours(i: int) -> Any:
        x, y = mine[i % len(mine)]
        return ops.add(ops.dropout(x, state, p=DROPPED), y)

    _check_dropout(result, ours(0).numpy(), *sets[0])
    if not result.correct:
        return
    result.ours = ctx.clock.ours(ctx.device, ours)
    if ctx.torch is not None:
        theirs = [[ctx.on_torch(a) for a in one] for one in sets]
        drop = ctx.torch.nn.functional.dropout

        def call(i: int) -> Any:
            a, b = theirs[i % len(theirs)]
            return drop(a, DROPPED) + b

        attempt(result, EAGER, lambda: ctx.clock.cuda(ctx.torch, call) if ctx.cuda else ctx.clock.wall(call, lambda: None))
    if ctx.small:
        attempt(result, "NumPy", lambda: _numpy_dropout(ctx, *sets[0]))


def _check_dropout(result: Result, got: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """What is kept must be x / (1 - p) + y, the rest y, and the share of the rest p."""
    kept = np.abs(got - y) > 0.05
    want = y.astype(np.float64) + kept * x.astype(np.float64) / (1 - DROPPED)
    compare(result, [got], [want], Gate(), "NumPy float64, element by element")
    result.correct = bool(result.correct and abs(1 - kept.mean() - DROPPED) < 0.01)


def _numpy_dropout(ctx: Context, x: np.ndarray, y: np.ndarray) -> Timing:
    random, factor = np.random.default_rng(0), np.float32(1 / (1 - DROPPED))

    def call(i: int) -> Any:
        return np.where(random.random(x.shape, np.float32) >= DROPPED, x * factor, np.float32(0)) + y

    return ctx.clock.wall(call, lambda: None, most=5)
