"""Rows of whole KAN networks: a training step, a batch forward, the latency of one sample, each with its peak memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

import gpucore as gc
from gpucore.autograd import no_grad
from gpucore.systems import kan

from .clocks import Clock, calls_for, one_by_one
from .context import Context
from .kan import CELLS, DEGREE, RANGE, RATE
from .kan_peers import EFFICIENT, PEERS, Spec, numpy_forward, numpy_losses, refuse
from .results import Result, Target, Timing
from .rows import Gate, Row, attempt, compare

BATCHES, SMALL_BATCHES = (1, 64, 256, 1024, 4096), (1, 64, 1024)
NETWORKS = [Spec((2, 5, 1)), Spec((21, 64, 64, 24)), Spec((784, 64, 10)), Spec((256, 1024, 256)), Spec((1000, 1000, 1000))]
ARKAN = Spec((21, 64, 64, 24), base=False)
"""ArKan's workload, which has no base."""
SMALL_FLOPS = 6e8
"""On a software driver rows of more than so many per forward pass are left out."""
TARGETS = {((784, 64, 10), 64), ((784, 64, 10), 1024), ((256, 1024, 256), 1024)}
"""Where a training step is to be ten times efficient-kan's."""
CHECKED = 3
"""Steps whose losses are compared."""
NUMPY_FLOPS = 2e10
"""Forward passes of more than so many are checked by PyTorch in float64 when training, where it has a GPU for it."""
SAMPLED = 64
"""Outputs of so many samples are compared."""
CALLS = 60
"""Single calls whose median is the latency."""
COMPILED = f"{EFFICIENT} compiled"


def kan_rows(ctx: Context) -> list[Row]:
    """Every row, those that compile last."""
    found, compiled = [], []
    batches = ctx.of(BATCHES, SMALL_BATCHES)
    for spec in NETWORKS:
        for batch in batches:
            quick = batch == 64 and spec.widths[0] < 1000
            targets = [Target("ratio", 10, EFFICIENT)] if (spec.widths, batch) in TARGETS else []
            found.append(_row("training step", spec, batch, _training, targets, quick=quick))
            if ctx.cuda and targets:
                compiled.append(_row("training step", spec, batch, partial(_training, compiled=True), [], compiles=True))
    found += [_row("training step", ARKAN, batch, _training, []) for batch in batches if batch <= 1024]
    found += [_row("forward", s, b, _forward, [], quick=b == 64 and s.widths[0] == 784) for s in NETWORKS for b in batches[1:]]
    found += [_row("forward", ARKAN, batch, _forward, []) for batch in batches[1:] if batch <= 1024]
    found += [_row("latency", s, 1, _latency, [], quick=s.widths[0] == 21) for s in (*NETWORKS, ARKAN)]
    rows = [row for row, flops in found if not ctx.small or flops <= SMALL_FLOPS]
    return rows + [row for row, _ in compiled]


def _row(group: str, spec: Spec, batch: int, measure: Callable[..., None], targets: list[Target], **options: Any) -> tuple[Row, float]:
    name = f"{spec.name}, batch {batch}{', compiled' if options.get('compiles') else ''}"
    return Row(group, name, partial(measure, spec=spec, batch=batch), targets, **options), spec.flops(batch)


# ---- ours, and the data


def _inputs(ctx: Context, spec: Spec, batch: int) -> np.ndarray:
    return np.clip(ctx.normal(batch, spec.widths[0]) * 0.4, -0.98, 0.98)


def _network(ctx: Context, spec: Spec, weights: Any) -> kan.KanNetwork:
    base = "silu" if spec.base else None
    config = kan.KanConfig(spec.widths[0], spec.widths[1:-1], spec.widths[-1], grid_size=CELLS, degree=DEGREE, grid_range=RANGE, base=base)
    network = kan.KanNetwork(config, device=ctx.device)
    for layer, (c, w) in zip(network.layers, weights, strict=True):
        layer.coefficients.assign(c)
        if layer.base is not None:
            layer.base.assign(w)
    return network


@contextmanager
def _peak(ctx: Context, result: Result, peer: str = "") -> Iterator[None]:
    """Notes the peak memory of what runs inside, above what was held before; of nobody's on the processor."""
    ctx.forget()
    if not peer:
        pool = getattr(ctx.device, "pool", None)
        before = ctx.device.memory.in_use
        if pool is not None:
            pool.reset_peak()
        yield
        if pool is not None:
            result.memory[""] = ctx.device.memory.peak - before
        return
    if ctx.cuda:
        ctx.torch.cuda.reset_peak_memory_stats()
        held = ctx.torch.cuda.memory_allocated()
    yield
    if ctx.cuda:
        result.memory[peer] = ctx.torch.cuda.max_memory_allocated() - held


def _peers(
    ctx: Context, result: Result, spec: Spec, weights: Any, batch: int, time: Callable[[Any, Any], Timing], *, training: bool
) -> None:
    """Times every peer: `time` takes (parameters, function of x)."""
    if ctx.torch is None:
        return
    for name, make in PEERS.items():

        def measure(name: str = name, make: Any = make) -> Timing:
            refuse(ctx, name, spec, batch, training=training)
            with _peak(ctx, result, name):
                return time(*make(ctx.torch, spec, weights, ctx.where, ctx.torch.float32))

        attempt(result, name, measure)


# ---- training


def _training(ctx: Context, result: Result, *, spec: Spec, batch: int, compiled: bool = False) -> None:
    result.clock = "wall"
    weights, x, y = spec.weights(ctx), _inputs(ctx, spec, batch), ctx.normal(batch, spec.widths[-1])
    clock = Clock(0.03, ctx.clock.repeats, 100)
    with _peak(ctx, result):
        network = _network(ctx, spec, weights)
        step = kan.KanStep(network, loss="mse", optimizer="adam", lr=RATE)
        given, wanted = ctx.device.tensor(x), ctx.device.tensor(y)
        losses = [step(given, wanted).item() for _ in range(CHECKED)]
        if not compiled:
            _check_losses(ctx, result, spec, weights, x, y, losses)
            if result.wrong:
                return
        result.ours = clock.wall(lambda i: step(given, wanted), ctx.device.synchronize)
    result.notes.append(f"{step.dispatches} dispatches a step")
    if ctx.torch is None:
        return
    if compiled:
        result.notes.append("theirs: torch.compile of the loss, mode reduce-overhead (CUDA graphs), and an eager optimizer")
        attempt(result, COMPILED, lambda: clock.wall(_torch_step(ctx, spec, weights, x, y, compiled=True), ctx.torch_wait))
        return
    _peers(
        ctx, result, spec, weights, batch, lambda *model: clock.wall(_torch_step(ctx, spec, weights, x, y, model=model), ctx.torch_wait),
        training=True,
    )  # fmt: skip
    if ctx.cuda and EFFICIENT in result.peers:
        call = _torch_step(ctx, spec, weights, x, y)
        attempt(result, f"{EFFICIENT}, GPU time", lambda: ctx.clock.cuda(ctx.torch, call))


def _check_losses(ctx: Context, result: Result, spec: Spec, weights: Any, x: np.ndarray, y: np.ndarray, losses: list[float]) -> None:
    if spec.flops(len(x)) > NUMPY_FLOPS and ctx.cuda:
        kind = ctx.torch.float64
        model = PEERS[EFFICIENT](ctx.torch, spec, weights, ctx.where, kind, bias=True)
        call = _torch_step(ctx, spec, weights, x, y, model=model)
        want, checked = [float(call(i)) for i in range(CHECKED)], "PyTorch"
    else:
        want, checked = list(islice(numpy_losses(spec, weights, x, y, RATE), CHECKED)), "NumPy"
    # How far the loss came down is what the gradients have done: that is compared too.
    pairs = [(np.array(losses), np.array(want)), (np.diff(losses), np.diff(want))]
    one = Gate(2e-5, 2e-5)
    compare(result, [pairs[0][0]], [pairs[0][1]], one, f"the losses of {CHECKED} steps in {checked}, float64")
    fallen = float(np.abs(pairs[1][1]).min())
    result.correct = bool(result.correct and np.abs(pairs[1][0] - pairs[1][1]).max() <= 0.01 * fallen + 2e-6 * want[0])


def _torch_step(
    ctx: Context, spec: Spec, weights: Any, x: np.ndarray, y: np.ndarray, *, model: Any = None, compiled: bool = False
) -> Callable[[int], Any]:
    """A step of Adam in PyTorch, of efficient-kan's way unless a model is given."""
    torch = ctx.torch
    params, apply = model or PEERS[EFFICIENT](torch, spec, weights, ctx.where, torch.float32)
    optimizer = torch.optim.Adam(params, lr=RATE)
    a, b = (torch.from_numpy(v).to(ctx.where, params[0].dtype) for v in (x, y))

    def loss_of(a: Any, b: Any) -> Any:
        return torch.nn.functional.mse_loss(apply(a), b)

    if compiled:
        torch._dynamo.reset()  # what other rows compiled must not make the shapes of this one variable
    loss_fn = torch.compile(loss_of, mode="reduce-overhead", dynamic=False) if compiled else loss_of

    def call(i: int) -> Any:
        optimizer.zero_grad()
        loss = loss_fn(a, b)
        loss.backward()
        optimizer.step()
        return loss.detach()

    for i in range(4 if compiled else 0):  # compiles, then records its graphs
        call(i)
    return call


# ---- inference


def _check_outputs(ctx: Context, result: Result, spec: Spec, weights: Any, x: np.ndarray, got: np.ndarray) -> None:
    at = np.unique(np.random.default_rng(0).integers(0, len(x), SAMPLED)) if len(x) > SAMPLED else np.arange(len(x))
    compare(result, [got[at]], [numpy_forward(spec, weights, x[at])], Gate(5e-6, 1e-3), f"NumPy float64 in {len(at)} samples")


def _forward(ctx: Context, result: Result, *, spec: Spec, batch: int) -> None:
    result.clock = "wall"
    weights, x = spec.weights(ctx), _inputs(ctx, spec, batch)
    with _peak(ctx, result), no_grad():
        forward, given = gc.Pipeline(_network(ctx, spec, weights)), ctx.device.tensor(x)
        _check_outputs(ctx, result, spec, weights, x, forward(given).numpy())
        if result.wrong:
            return
        result.ours = ctx.clock.wall(lambda i: forward(given), ctx.device.synchronize)

    def time(params: Any, apply: Any) -> Timing:
        z = ctx.on_torch(x)
        with ctx.torch.no_grad():
            return ctx.clock.wall(lambda i: apply(z), ctx.torch_wait)

    _peers(ctx, result, spec, weights, batch, time, training=False)


def _latency(ctx: Context, result: Result, *, spec: Spec, batch: int) -> None:
    result.clock = "wall"
    weights, x = spec.weights(ctx), _inputs(ctx, spec, batch)
    with _peak(ctx, result), no_grad():
        network = _network(ctx, spec, weights)
        forward = gc.Pipeline(network)
        _check_outputs(ctx, result, spec, weights, x, forward(ctx.device.tensor(x)).numpy())
        if result.wrong:
            return
        result.ours = _median(lambda: forward(ctx.device.tensor(x)).numpy())

    def time(params: Any, apply: Any) -> Timing:
        with ctx.torch.no_grad():
            return _median(lambda: apply(ctx.on_torch(x)).cpu().numpy())

    _peers(ctx, result, spec, weights, batch, time, training=False)
    attempt(result, "gpucore, not recorded", lambda: _median(lambda: network.forward_async(x).result()))


def _median(call: Callable[[], Any]) -> Timing:
    first = one_by_one(call, 3).seconds
    return one_by_one(call, calls_for(first, 2.0, CALLS))
