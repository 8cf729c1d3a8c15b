"""Rows that call one function of arrays: the same data for everybody, checked against float64, GPU time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gpucore as gc
from gpucore import ops

from .clocks import Call
from .context import CACHE, Context
from .results import EAGER, Result
from .rows import Gate, LeftOut, Measure, attempt, compare

Inputs = Callable[[Context], Sequence[Any]]
"""Draws fresh inputs: arrays, or (array, dtype) pairs for 16-bit weights."""
SAMPLED_ABOVE, SAMPLES, LEAST = 1 << 22, 256, 1 << 20
"""Results with more elements than the first are compared in so many rows, of short ones in as many as make the last."""
LAUNCH_BOUND = 1.25
"""PyTorch's time with its launches is shown where it is so many times its GPU time."""


@dataclass
class Function:
    """One function of arrays for everybody.

    ours takes tensors; theirs takes (torch, *tensors) and numpy takes arrays, and either, given float64, is the
    reference. more: further peers in PyTorch by name. prepare: makes of (torch, *tensors) what theirs takes, untimed.
    rotate: enough different inputs to exceed the caches. replay: ours is recorded and replayed, and the clock is the
    wall's, in which PyTorch's launches count.
    """

    inputs: Inputs
    ours: Callable[..., Any]
    theirs: Callable[..., Any] | None = None
    numpy: Callable[..., Any] | None = None
    more: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    flops: float = 0.0
    bytes: float = 0.0
    rotate: bool = True
    replay: bool = False
    gate: Gate = field(default_factory=Gate)
    numpy_seconds: float = 0.1
    time_numpy: bool = True


def function_row(make: Callable[[], Function]) -> Measure:
    """The measurement of a function; it is made only when its row runs."""

    def measure(ctx: Context, result: Result) -> None:
        f = make()
        result.flops, result.bytes, result.clock = f.flops, f.bytes, "wall" if f.replay else result.clock
        data = _draw(ctx, f)
        mine = [[_upload(ctx, given) for given in one] for one in data]
        run = gc.Pipeline(f.ours) if f.replay else f.ours
        theirs = [[ctx.on_torch(*_split(given)) for given in one] for one in data] if ctx.torch is not None and f.theirs else []
        _check(ctx, result, f, as_list(run(*mine[0])), data[0], theirs[0] if theirs else None)
        if result.correct:
            call = _rotating(run, mine)
            result.ours = ctx.clock.wall(call, ctx.device.synchronize) if f.replay else ctx.clock.ours(ctx.device, call)
            _time_torch(ctx, result, f, theirs)
            _time_numpy(ctx, result, f, data)

    return measure


def as_list(value: Any) -> list[Any]:
    """One result or several, as a list."""
    return list(value) if isinstance(value, tuple | list) else [value]


def _draw(ctx: Context, f: Function) -> list[Sequence[Any]]:
    first = f.inputs(ctx)
    sizes = [a.size * (4 if dtype == "float32" else 2) for a, dtype in map(_split, first)]
    limit = ctx.device.info.limits.get("max_storage_binding") or max(sizes)
    if max(sizes) > limit:
        raise LeftOut(f"an input has {max(sizes) >> 20} MiB, and the adapter binds at most {limit >> 20} MiB")
    size = sum(sizes)
    count = 1 if not f.rotate or ctx.small else min(16, -(-CACHE // max(1, size)))
    return [first, *(f.inputs(ctx) for _ in range(count - 1))]


def _split(given: Any) -> tuple[np.ndarray, str]:
    return given if isinstance(given, tuple) else (given, "float32")


def _upload(ctx: Context, given: Any) -> Any:
    array, dtype = _split(given)
    tensor = ctx.device.tensor(array)
    return tensor if dtype == "float32" or array.dtype.kind != "f" else ops.astype(tensor, dtype)


def _rotating(fn: Callable[..., Any], sets: Sequence[Sequence[Any]], *first: Any) -> Call:
    return lambda i: fn(*first, *sets[i % len(sets)])


def _check(ctx: Context, result: Result, f: Function, got: list[Any], data: Sequence[Any], theirs: Sequence[Any] | None) -> None:
    """Compares with float64: PyTorch's on its device, else NumPy's, else the NumPy device's."""
    if theirs is not None and f.theirs is not None:
        wide = [t.double() if t.is_floating_point() else t for t in theirs]
        want = as_list(f.theirs(ctx.torch, *wide))
        result.checked = "PyTorch float64"
    elif f.numpy is not None:
        want = as_list(f.numpy(*[a.astype(np.float64) if a.dtype.kind == "f" else a for a in map(_rounded, data)]))
        result.checked = "NumPy float64"
    else:
        cpu = gc.device("cpu")
        wide = [cpu.tensor(a, "float64" if a.dtype.kind == "f" else None) for a in map(_rounded, data)]
        want = as_list(f.ours(*wide))
        result.checked = "NumPy device, float64"
    pairs = [_sampled(result, g, w) for g, w in zip(got, want, strict=True)]
    compare(result, [g for g, _ in pairs], [w for _, w in pairs], f.gate)


def _rounded(given: Any) -> np.ndarray:
    array, dtype = _split(given)
    if dtype == "float16":
        return array.astype(np.float16).astype(np.float32)
    return gc.dtypes.round_bfloat16(array) if dtype == "bfloat16" else array


def _sampled(result: Result, got: Any, want: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both on the host: whole, or some rows of large ones."""
    if got.size <= SAMPLED_ABOVE or got.ndim < 2 or got.shape[-1] > SAMPLED_ABOVE // 4:
        return got.numpy(), _on_host(want).reshape(got.shape)
    count = got.size // got.shape[-1]
    at = np.unique(np.append(np.random.default_rng(0).integers(0, count, max(SAMPLES, LEAST // got.shape[-1])), [0, count - 1]))
    note = f"checked in {len(at)} of {count} rows"
    if note not in result.notes:
        result.notes.append(note)
    flat = ops.reshape(got, (count, got.shape[-1]))
    chosen = want.reshape(count, got.shape[-1])
    if hasattr(chosen, "index_select"):
        chosen = chosen[at.tolist()]
    else:
        chosen = chosen.numpy()[at] if hasattr(chosen, "numpy") else chosen[at]
    return ops.take(flat, got.device.tensor(at.astype(np.int32)), axis=0).numpy(), _on_host(chosen)


def _on_host(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        return np.asarray(value.detach().cpu().numpy())
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _time_torch(ctx: Context, result: Result, f: Function, theirs: list[list[Any]]) -> None:
    if not theirs:
        return
    with ctx.torch.no_grad() if not f.replay else ctx.torch.enable_grad():
        for name, fn in {EAGER: f.theirs, **f.more}.items():
            call = _rotating(fn, theirs, ctx.torch)
            if f.replay or not ctx.cuda:
                attempt(result, name, lambda call=call: ctx.clock.wall(call, ctx.torch_wait))
            else:
                attempt(result, name, lambda call=call: ctx.clock.cuda(ctx.torch, call))
        if ctx.cuda:
            _time_other_way(ctx, result, f, _rotating(f.theirs, theirs, ctx.torch))


def _time_other_way(ctx: Context, result: Result, f: Function, call: Call) -> None:
    """Beside GPU time the time with launches, where it is longer; beside wall time the GPU time alone."""
    name = f"{EAGER}, GPU time" if f.replay else f"{EAGER} with its launches"
    attempt(result, name, lambda: ctx.clock.cuda(ctx.torch, call, queued=f.replay))
    first, other = result.peers.get(EAGER), result.peers.get(name)
    if first and other and not f.replay and other.seconds < LAUNCH_BOUND * first.seconds:
        del result.peers[name]


def _time_numpy(ctx: Context, result: Result, f: Function, data: list[Sequence[Any]]) -> None:
    if f.numpy is None or not f.time_numpy:
        return
    if not ctx.small and f.flops / 2e11 + f.bytes / 4e9 > f.numpy_seconds:
        return  # it would take long, and says little beside a graphics card
    arrays = [[_rounded(given) for given in one] for one in data[:1]]
    with np.errstate(all="ignore"):
        attempt(result, "NumPy", lambda: ctx.clock.wall(_rotating(f.numpy, arrays), lambda: None, most=10))  # type: ignore[arg-type]
