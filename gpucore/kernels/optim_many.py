"""Optimizers over flattened parameters that read up to 24 gradients where they lie: one dispatch, and nothing is packed.

They bind as many buffers as hardware adapters grant; those that keep to the portable eight pack the gradients first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from kernels_ref import optim_many as ref

from ..array import Array
from ..kernel import Launch, expect, kernel
from .optim import WORKGROUP, adam_params, update_launch

Rule = TypeVar("Rule", bound=Callable[..., Launch])
SOURCES: int = ref.SOURCES
BUFFERS = SOURCES + 8
"""Storage buffers that the widest of these kernels binds."""


def stretches(sizes: Sequence[int], chunk: int, spans: Sequence[int] | None = None) -> np.ndarray:
    """The table of sources of these sizes, one after another in spans (default: multiples of 64), in pieces of `chunk` elements."""
    rows, at = [], 0
    for source, size in enumerate(sizes):
        rows += [(source, start, at + start, min(chunk, size - start)) for start in range(0, size, chunk)]
        at += spans[source] if spans is not None else -(-size // 64) * 64
    return np.array(rows, np.uint32).reshape(-1, 4)


def named_sources(rule: Rule) -> Rule:
    """The rule with its `*sources` named one by one in its signature: source0 to source23."""
    named: Rule = ref.named_sources(rule)
    return named


_Options = tuple[float | None, float, float | None]
"""max_norm, weight_decay and clip_value."""


def _present(who: str, table: Array, sources: Sequence[Array | None]) -> int:
    """The bits of the sources that are there."""
    expect(table.ndim == 2 and table.shape[1] == 4, f"{who}: table has shape {table.shape}; wants [blocks, 4]")
    return sum(1 << i for i, s in enumerate(sources) if s is not None)


def _many_launch(
    who: str, flats: dict[str, Array], steps: Array, lr: Array, table: Array, partials: Array | None, decay: Array | None,
    sources: Sequence[Array | None], options: _Options, params: dict[str, Any], **constants: int,
) -> Launch:  # fmt: skip
    expect(steps.shape == table.shape[:1], f"{who}: steps have shape {steps.shape} and table {table.shape}; wants one entry per row")
    params |= dict(present=_present(who, table, sources))
    return update_launch(who, flats, steps, lr, partials, decay, *options, params, **constants)


def _flat(sizes: Sequence[int], *, positive: bool = False) -> Any:
    """Noise where the sources of these sizes lie, zeros between them."""

    def made(rng: np.random.Generator) -> np.ndarray:
        spans = [-(-n // 64) * 64 for n in sizes]
        parts = [np.pad(rng.standard_normal(n), (0, span - n)) for n, span in zip(sizes, spans, strict=True)]
        flat = np.concatenate([*parts, np.zeros(0)]).astype(np.float32)
        return flat**2 if positive else flat

    return made


CHUNK = 4 * WORKGROUP
"""Elements that a workgroup updates, at most."""
_SIZES: list[list[int | None]] = [
    [1], [257, 1], [None, 3, None], [1009, 4096, 0, 63, 64, 65], [1009, 9001, None, 130], [5] * SOURCES, [0],
    [100 * i for i in range(SOURCES)],
]  # fmt: skip
"""The sources' sizes; None: missing, a stretch of 70."""


def _sources(sizes: Sequence[int | None], scale: float) -> dict[str, Any]:
    return {
        f"source{i}": lambda rng, n=n: (scale * rng.standard_normal(n)).astype(np.float32) for i, n in enumerate(sizes) if n is not None
    }


def _cases(names: Sequence[str], count: int, **options: Any) -> list[dict[str, Any]]:
    """The sizes above with flat tensors of these names, then the options of an update."""
    said = " ".join(f"{k}={v}" for k, v in options.items())

    def at(sizes: Sequence[int | None], label: str, **more: Any) -> dict[str, Any]:
        whole = [70 if n is None else n for n in sizes]
        table = stretches(whole, CHUNK)
        state = {name: _flat(whole, positive=name == "v") for name in names}
        fixed = dict(steps=np.full(len(table), count, np.uint32), lr=np.array([0.1], np.float32), table=table)
        return state | fixed | _sources(sizes, 2.0) | options | more | dict(id=f"{label} {said}")

    blocks = sum(-(-n // 64) for n in (1009, 70, 300))
    decay = np.tile(np.array([0, 1, 0.5, 2], np.float32), -(-blocks // 4))[:blocks]
    limited: dict[str, Any] = dict(partials=np.array([3, 1, 2], np.float32), max_norm=0.5)
    settings: list[dict[str, Any]] = [dict(weight_decay=0.3), dict(clip_value=0.5), dict(weight_decay=0.3, decay=decay), limited]
    return [at(sizes, f"{sizes[:8]}") for sizes in _SIZES] + [at([1009, None, 300], f"with {list(more)}", **more) for more in settings]


_ADAM = dict(beta1=0.9, beta2=0.999, eps=1e-8)
_EACH = 1 << 19
"""Elements of a source in the benchmark: a table cannot be cut down, and of so many the whole is compared with the reference."""
_BENCH: dict[str, Any] = dict(
    steps=np.full(SOURCES * _EACH // CHUNK, 9, np.uint32), lr=np.array([1e-3], np.float32), table=stretches([_EACH] * SOURCES, CHUNK),
    **{f"source{i}": (_EACH,) for i in range(SOURCES)},
)  # fmt: skip
_FLAT = (SOURCES * _EACH,)


@kernel(
    "optim/adam_many", ref=ref.adam_many, flops=12, buffers=BUFFERS,
    bench=dict(theta=_FLAT, m=_FLAT, v=lambda rng: rng.standard_normal(_FLAT, np.float32) ** 2, **_ADAM, **_BENCH),
    cases=_cases(["theta", "m", "v"], 1, **_ADAM) + _cases(["theta", "m", "v"], 3, decoupled=True, beta1=0.8, beta2=0.95, eps=1e-3),
)  # fmt: skip
@named_sources
def adam_many(
    theta: Array, m: Array, v: Array, steps: Array, lr: Array, table: Array, partials: Array | None = None, decay: Array | None = None,
    *sources: Array | None, beta1: float, beta2: float, eps: float, max_norm: float | None = None,
    weight_decay: float = 0.0, decoupled: bool = False, clip_value: float | None = None,
) -> Launch:  # fmt: skip
    """Adam on flat tensors whose gradients are up to 24 sources."""
    flats, options = dict(theta=theta, m=m, v=v), (max_norm, weight_decay, clip_value)
    params = adam_params(beta1, beta2, eps)
    return _many_launch("adam_many", flats, steps, lr, table, partials, decay, sources, options, params, DECOUPLED=int(decoupled))


@kernel(
    "optim/sgd_many", ref=ref.sgd_many, flops=2, buffers=BUFFERS, bench=dict(theta=_FLAT, **_BENCH),
    cases=_cases(["theta"], 0),
)  # fmt: skip
@named_sources
def sgd_many(
    theta: Array, steps: Array, lr: Array, table: Array, partials: Array | None = None, decay: Array | None = None,
    *sources: Array | None, max_norm: float | None = None, weight_decay: float = 0.0, clip_value: float | None = None,
) -> Launch:  # fmt: skip
    """theta -= lr·(g + weight_decay·theta) on flat tensors whose gradients are up to 24 sources."""
    options = (max_norm, weight_decay, clip_value)
    return _many_launch("sgd_many", dict(theta=theta), steps, lr, table, partials, decay, sources, options, {})


@kernel(
    "optim/sgd_momentum_many", ref=ref.sgd_momentum_many, flops=4, buffers=BUFFERS,
    bench=dict(theta=_FLAT, velocity=_FLAT, momentum=0.9, **_BENCH),
    cases=_cases(["theta", "velocity"], 0, momentum=0.9) + _cases(["theta", "velocity"], 0, momentum=0.7, nesterov=True),
)  # fmt: skip
@named_sources
def sgd_momentum_many(
    theta: Array, velocity: Array, steps: Array, lr: Array, table: Array, partials: Array | None = None, decay: Array | None = None,
    *sources: Array | None, momentum: float, nesterov: bool = False, max_norm: float | None = None,
    weight_decay: float = 0.0, clip_value: float | None = None,
) -> Launch:  # fmt: skip
    """Momentum, or Nesterov's, on flat tensors whose gradients are up to 24 sources."""
    flats, options = dict(theta=theta, velocity=velocity), (max_norm, weight_decay, clip_value)
    many = (flats, steps, lr, table, partials, decay, sources, options, dict(momentum=momentum))
    return _many_launch("sgd_momentum_many", *many, NESTEROV=int(nesterov))


def _squares_case(sizes: Sequence[int | None], chunk: int, scale: float = 2.0) -> dict[str, Any]:
    table = stretches([70 if n is None else n for n in sizes], chunk)
    given = dict(partials=(len(table),), table=table, most=chunk)
    return given | _sources(sizes, scale) | dict(id=f"{sizes[:8]} by {chunk} of {scale:g}")


@kernel(
    "optim/square_sums_many", ref=ref.square_sums_many, buffers=BUFFERS,
    flops=lambda partials, table, *sources, most: 2 * sum(s.size for s in sources if s is not None),
    bench=dict(partials=(SOURCES * 11,), table=stretches([_EACH] * SOURCES, 50 * 1024), most=50 * 1024,
               **{f"source{i}": (_EACH,) for i in range(SOURCES)}),
    cases=[_squares_case(*c) for c in (
        ([1], 1024), ([257, 1], 1024), ([None, 3, None], 4096), ([1009, 4096, 0, 63, 64, 65], 2048), ([9001, None], 3072),
        ([5] * SOURCES, 1024), ([0], 1024), ([9001, 40], 5120, 1e15), ([9001, 40], 8192, 1e-10),
    )],
)  # fmt: skip
@named_sources
def square_sums_many(partials: Array, table: Array, *sources: Array | None, most: int) -> Launch:
    """The sum of squares of each row of the table; no row has more than `most` elements."""
    present = _present("square_sums_many", table, sources)
    expect(partials.shape == table.shape[:1], f"square_sums_many: partials {partials.shape} and table {table.shape}; wants one per row")
    return Launch(None, groups=partials.size, params=dict(present=present, blocks=partials.size, most=-(-most // 4)))
