"""Rows of whole training steps: forward, loss, gradients, update; gpucore replays a recording, PyTorch is eager or compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import gpucore as gc
from gpucore import ops, optim
from gpucore.bench.systems import torch_layers
from gpucore.systems.mnist.models import make_model
from gpucore.train import train_step

from .clocks import Clock
from .context import Context
from .results import EAGER, Result, Target
from .rows import Gate, Row, attempt, compare, rows

COMPILED = f"{EAGER} compiled"
CHECKED = 3
"""Steps whose losses are compared with those of a float64 training from the same weights."""
RATE, MOMENTUM = 0.01, 0.9


@rows("training")
def networks(ctx: Context) -> list[Row]:
    """The MLP 784-128-10 and LeNet-5 at batches of 128 and 1024, SGD with momentum."""
    found = []
    for name, title in (("mlp", "MLP 784-128-10"), ("lenet", "LeNet-5")):
        for batch in ctx.of((128, 1024), (32,)):
            measure = partial(_network, name=name, batch=batch)
            targets = [Target("ratio", 4.0, EAGER)] if (name, batch) == ("lenet", 128) else []
            row = f"{title} step, batch {batch}"
            found.append(Row("training", row, measure, targets, quick=batch != 1024))
            if ctx.cuda:
                found.append(Row("training", f"{row}, compiled", partial(measure, compiled=True), compiles=True))
    return found


@dataclass
class Steps:
    """One training, for everybody, from the same weights.

    optimizer: makes gpucore's of its parameters. torch_model: (torch, device, dtype) to (parameters, function of x);
    torch_optimizer: (torch, parameters) to PyTorch's. x, y: the batch.
    """

    model: Any
    optimizer: Callable[[list[Any]], Any]
    torch_model: Callable[[Any, str, Any], tuple[list[Any], Any]]
    torch_optimizer: Callable[[Any, list[Any]], Any]
    x: np.ndarray
    y: np.ndarray


def measure_steps(ctx: Context, result: Result, steps: Steps, *, compiled: bool = False) -> None:
    """Checks the first losses, then times steps in a row, wall time; compiled: against torch.compile, unchecked."""
    result.clock = "wall"
    step = gc.Pipeline(train_step(steps.model, steps.optimizer(steps.model.parameters()), ops.cross_entropy))
    x, y = ctx.device.tensor(steps.x), ctx.device.tensor(steps.y)
    if not compiled:
        _check(ctx, result, steps, step, x, y)
        if result.wrong:
            return
    clock = Clock(0.25 if ctx.small else 0.03, ctx.clock.repeats, 100)
    result.ours = clock.wall(lambda i: step(x, y), ctx.device.synchronize)
    result.notes.append(f"{step.dispatches} dispatches a step")
    if compiled:
        result.notes.append("theirs: torch.compile of the loss, mode reduce-overhead (CUDA graphs), and an eager optimizer")
    if ctx.torch is None:
        return
    if compiled:
        attempt(result, COMPILED, lambda: clock.wall(_torch_step(ctx, steps, compiled=True), ctx.torch_wait))
        return
    call = _torch_step(ctx, steps)
    attempt(result, EAGER, lambda: clock.wall(call, ctx.torch_wait))
    if ctx.cuda:
        attempt(result, f"{EAGER}, GPU time", lambda: ctx.clock.cuda(ctx.torch, call))


def _check(ctx: Context, result: Result, steps: Steps, step: Any, x: Any, y: Any) -> None:
    if ctx.torch is not None:
        call = _torch_step(ctx, steps, ctx.torch.float64)
        want = [float(call(i)) for i in range(CHECKED)]
        got = [float(step(x, y)) for _ in range(CHECKED)]
        compare(result, [np.array(got)], [np.array(want)], Gate(1e-4, 1e-3), f"the losses of {CHECKED} steps in PyTorch, float64")
        return
    if ctx.device.is_cpu:
        return  # that is the reference itself
    loss, *state = step.verify(x, y)
    far = max([loss.relative_l2, *(d.relative_l2 for d in state)])
    result.error, result.checked = loss.relative_l2, "a step on the NumPy device, float64"
    result.correct = loss.relative_l2 < 1e-4 and far < 1e-2


def _torch_step(ctx: Context, steps: Steps, dtype: Any = None, *, compiled: bool = False) -> Callable[[int], Any]:
    torch = ctx.torch
    kind = dtype or torch.float32
    params, apply = steps.torch_model(torch, ctx.where, kind)
    optimizer = steps.torch_optimizer(torch, params)
    x, y = torch.from_numpy(steps.x).to(ctx.where, kind), torch.from_numpy(steps.y).long().to(ctx.where)

    def loss_of(a: Any, b: Any) -> Any:
        return torch.nn.functional.cross_entropy(apply(a), b)

    if compiled:
        torch._dynamo.reset()  # what other rows compiled must not make the shapes of this one variable
    loss_fn = torch.compile(loss_of, mode="reduce-overhead", dynamic=False) if compiled else loss_of

    def call(i: int) -> Any:
        optimizer.zero_grad()
        loss = loss_fn(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    if compiled:
        for i in range(4):  # compiles, then records its graphs
            call(i)
    return call


def _network(ctx: Context, result: Result, *, name: str, batch: int, compiled: bool = False) -> None:
    model = make_model(name, ctx.device)
    first = [p.numpy().copy() for p in model.parameters()]

    def torch_model(torch: Any, where: str, dtype: Any) -> tuple[list[Any], Any]:
        network = torch.nn.Sequential(*torch_layers(torch.nn, name)).to(where, dtype)
        params = list(network.parameters())
        with torch.no_grad():
            for p, values in zip(params, first, strict=True):
                p.copy_(torch.from_numpy(values).reshape(p.shape))
        return params, network

    x = ctx.normal(batch, 1, 28, 28)
    y = ctx.rng.integers(0, 10, batch).astype(np.int32)
    steps = Steps(
        model, lambda params: optim.SGD(params, RATE, momentum=MOMENTUM), torch_model,
        lambda torch, params: torch.optim.SGD(params, lr=RATE, momentum=MOMENTUM), x, y,
    )  # fmt: skip
    measure_steps(ctx, result, steps, compiled=compiled)
