"""Optimizers over flattened parameters: the kernels. All work in place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import log
from typing import Any

import numpy as np

from kernels_ref import optim as ref

from ..array import Array
from ..kernel import Launch, ceil_div, expect, kernel
from ..tuning import Candidate, Choices

WORKGROUP = 256
DECAY_BLOCK: int = ref.DECAY_BLOCK
STRETCH: int = ref.STRETCH
"""Elements that one workgroup squares at a time."""
SOURCES = 6
"""Tensors that one `pack` takes: with what it writes they fill the eight bindings of every adapter."""
WALKS = Choices("update", {"strided": Candidate(dict(CONTIGUOUS=0), WORKGROUP), "contiguous": Candidate(dict(CONTIGUOUS=1), WORKGROUP)})
"""How the invocations of an update walk over their vectors; see shaders/lib/gradient.wgsl."""
_NO_MEMORY = -1e4
"""Stands for ln 0: e^(-10000·t) is 0 in float32."""


def _noise(*shape: int, scale: float = 1.0) -> Any:
    return lambda rng: (scale * rng.standard_normal(shape)).astype(np.float32)


def _positive(n: int) -> Any:
    return lambda rng: (rng.standard_normal(n) ** 2).astype(np.float32)


def _counts(elements: int, steps: int = 0) -> np.ndarray:
    """The counters of the workgroups that update so many elements."""
    return np.full(blocks_of(elements), steps, np.uint32)


def blocks_of(elements: int, kind: str = "") -> int:
    """Workgroups that update so many elements on a kind of device; each counts its own steps.

    On a software driver a workgroup takes several vectors per invocation: what it does once is dear, barriers most of all.
    """
    groups = ceil_div(ceil_div(elements, 4), WORKGROUP)
    return ceil_div(groups, 8) if kind == "software" else groups


def _spans(*sizes: int) -> tuple[int, ...]:
    return tuple(ceil_div(n, 64) * 64 for n in sizes)


def _pack_case(*sizes: int | None, partials: int = 0) -> dict[str, Any]:
    """Sources of these sizes behind each other; None is one that is missing, with a span of 64."""
    spans = _spans(*(64 if n is None else n for n in sizes))
    given = {f"source{i}": (n,) for i, n in enumerate(sizes) if n is not None}
    label = f"pack {sizes}" + (f" into {partials} partials" if partials else "")
    return dict(flat=(sum(spans),), partials=(max(1, partials),), spans=spans, squares=partials > 0, id=label, **given)


@kernel(
    "optim/pack", ref=ref.pack, flops=0, bench=_pack_case(1 << 22, 1 << 22, 1 << 20, 1000),
    cases=[
        _pack_case(1), _pack_case(64), _pack_case(257, 1), _pack_case(0, 5), _pack_case(), _pack_case(None, 3, None),
        _pack_case(63, 64, 65, 1, 127, 1009), _pack_case(5003, None, 17, 300, None, 1), _pack_case(128, 128, 128, 128, 128, 128),
        dict(flat=(192,), partials=(1,), source0=(3, 7, 5), source1=(), spans=(128, 64), id="shapes"),
        _pack_case(1, partials=1), _pack_case(5003, None, 17, partials=2), _pack_case(4096, 9001, 1, partials=3),
        _pack_case(1023, partials=5),
    ],
)  # fmt: skip
def pack(
    flat: Array, partials: Array, source0: Array | None = None, source1: Array | None = None, source2: Array | None = None,
    source3: Array | None = None, source4: Array | None = None, source5: Array | None = None, *, spans: tuple[int, ...],
    squares: bool = False,
) -> Launch:  # fmt: skip
    """Up to six tensors one after another into `flat`, each followed by zeros up to its span, a multiple of four.

    With `squares`, sums of their squares go into `partials`, as `square_sums` deals them out.
    """
    sources = (source0, source1, source2, source3, source4, source5)
    expect(len(spans) <= SOURCES, f"pack: got {len(spans)} spans; wants at most {SOURCES}")
    expect(flat.shape == (sum(spans),), f"pack: flat has shape {flat.shape}; wants ({sum(spans)},) for the spans {spans}")
    expect(all(n % 4 == 0 for n in spans), f"pack: spans {spans} want multiples of 4")
    expect(partials.ndim == 1 and partials.size > 0, f"pack: partials have shape {partials.shape}; wants one axis of 1 or more")
    sizes = [0 if s is None else s.size for s in sources]
    padded = (*spans, *(0,) * (SOURCES - len(spans)))
    for i, (size, span) in enumerate(zip(sizes, padded, strict=True)):
        expect(size <= span, f"pack: source{i} has {size} elements, more than its span {span}")
    ends = [end // 4 for end in accumulate(padded)]
    blocks = partials.size if squares else ceil_div(ends[-1], WORKGROUP)
    params = dict(
        ends_low=tuple(ends[:4]), ends_high=(*ends[4:], 0, 0), sizes_low=tuple(sizes[:4]), sizes_high=(*sizes[4:], 0, 0), total=ends[-1],
        blocks=blocks,
    )  # fmt: skip
    return Launch(None, groups=blocks, params=params, constants=dict(HAS_SQUARES=int(squares)))


@kernel(
    "optim/square_sums", ref=ref.square_sums, flops=lambda gradient, partials: 2 * gradient.size,
    bench=dict(gradient=(1 << 24,), partials=(512,)),
    cases=[dict(gradient=(n,), partials=(p,))
       for n, p in ((1, 1), (257, 1), (0, 2), (1009, 1), (4096, 3), (4097, 5), (12295, 4), (9001, 2))]
    + [dict(gradient=_noise(9001, scale=s), partials=(3,), id=f"scale {s}") for s in (1e15, 1e-10)]
    + [dict(gradient=np.repeat(np.array([1, np.inf, np.nan, 1e30], np.float32), 1024), partials=(4,), id="specials")],
)  # fmt: skip
def square_sums(gradient: Array, partials: Array) -> Launch:
    """The sums of squares of stretches of 1024 elements, which are dealt out to the partials in turn."""
    expect(partials.ndim == 1 and partials.size > 0, f"square_sums: partials have shape {partials.shape}; wants one axis of 1 or more")
    return Launch(None, groups=partials.size, params=dict(size=gradient.size, blocks=partials.size))


def adam_params(beta1: float, beta2: float, eps: float) -> dict[str, float]:
    """What Adam's shaders take of its settings."""
    logs = {f"log_beta{i}": log(beta) if beta > 0 else _NO_MEMORY for i, beta in ((1, beta1), (2, beta2))}
    return dict(beta1=beta1, rest1=1 - beta1, beta2=beta2, rest2=1 - beta2, eps=eps) | logs


def _flat_launch(
    who: str, flats: dict[str, Array], steps: Array, lr: Array, partials: Array | None, decay: Array | None, max_norm: float | None,
    weight_decay: float, clip_value: float | None, config: str | None, params: dict[str, Any], **constants: int,
) -> Launch:  # fmt: skip
    """The launch over flat tensors of one size, four elements per invocation."""
    size = flats["theta"].size
    groups, blocks = ceil_div(ceil_div(size, 4), WORKGROUP), steps.size
    expect(min(1, groups) <= blocks <= groups, f"{who}: steps have {blocks} entries; wants 1 to {groups}, one per workgroup")
    params |= dict(vectors=ceil_div(size, 4), per=ceil_div(groups, max(1, blocks)))
    device = flats["theta"].device
    walk = WALKS.pick(device, config, (size,), "contiguous" if device.kind == "software" else "strided")
    constants |= WALKS[walk].constants
    return update_launch(who, flats, steps, lr, partials, decay, max_norm, weight_decay, clip_value, params, **constants)


def update_launch(
    who: str, flats: dict[str, Array], steps: Array, lr: Array, partials: Array | None, decay: Array | None, max_norm: float | None,
    weight_decay: float, clip_value: float | None, params: dict[str, Any], **constants: int,
) -> Launch:  # fmt: skip
    """What all updates of flat tensors have in common: one workgroup per entry of `steps`."""
    size = flats["theta"].size
    for name, t in flats.items():
        expect(t.shape == (size,), f"{who}: {name} has shape {t.shape}; wants the flat ({size},) of theta")
    expect(lr.size == 1, f"{who}: lr has shape {lr.shape}; wants one element")
    expect(max_norm is None or partials is not None, f"{who}: max_norm is {max_norm}; wants partials too")
    spans = ceil_div(size, DECAY_BLOCK)
    if decay is not None:
        expect(decay.shape == (spans,), f"{who}: decay has shape {decay.shape}; wants ({spans},), one per {DECAY_BLOCK} elements")
    constants |= dict(HAS_WEIGHT_DECAY=int(weight_decay != 0), HAS_DECAY=int(decay is not None), HAS_CLIP=int(clip_value is not None))
    constants |= dict(HAS_LIMIT=int(max_norm is not None))
    values = dict(blocks=steps.size, count=0 if partials is None else partials.size, weight_decay=weight_decay, limit=clip_value or 0.0)
    return Launch(None, groups=steps.size, params=values | dict(max_norm=max_norm or 0.0) | params, constants=constants)


_UPDATES: list[tuple[int, dict[str, Any]]] = [
    (n, {}) for n in (1, 257, 0, 1009, 1025, 4096)
] + [
    (1009, dict(weight_decay=0.3)), (1009, dict(clip_value=0.5)), (1009, dict(weight_decay=0.3, clip_value=0.5)),
    (1009, dict(weight_decay=0.3, decay=np.tile(np.array([0, 1, 0.5, 2], np.float32), 4))),
]  # fmt: skip
_SPECIALS = np.array([np.nan, np.inf, -np.inf, 0, 1, -1], np.float32)


def _lr(value: float = 0.1) -> np.ndarray:
    return np.array([value], np.float32)


def _norm_cases(at: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Gradients scaled by the norm of partials, few and many, and by one that is 0, infinite or undefined."""
    pairs = [(n, limit) for n in (1, 257, 1009) for limit in (0.5, 1e3)]
    cases = [at(1009, partials=_positive(n), max_norm=limit, id=f"norm of {n} within {limit}") for n, limit in pairs]
    cases += [at(1025, partials=np.array([3, x], np.float32), max_norm=0.5, id=f"norm with {x}") for x in (0.0, np.inf, 1e-30, np.nan)]
    return [*cases, at(6, partials=np.array([np.nan], np.float32), max_norm=1.0, clip_value=0.5, id="norm NaN, clipped")]


def _update_cases(flats: list[str], steps: int, **options: Any) -> list[dict[str, Any]]:
    """The sizes and options above on a kernel's flat tensors, and scaled, far and undefined gradients."""

    def at(n: int, **more: Any) -> dict[str, Any]:
        state = {name: _positive(n) if name == "v" else _noise(n) for name in flats}
        case = state | dict(gradient=_noise(n, scale=2.0), steps=_counts(n, steps), lr=_lr()) | options | more
        shown = {k: v for k, v in (options | more).items() if isinstance(v, int | float)}
        return case | dict(id=f"{n} {shown}") if "id" not in case else case

    cases = [at(n, **more) for n, more in _UPDATES] + _norm_cases(at)
    cases += [at(9001, steps=np.full(blocks, steps, np.uint32), id=f"9001 by {blocks} workgroups") for blocks in (1, 4, 5)]
    cases += WALKS.across([at(9001, steps=np.full(2, steps, np.uint32), id="9001 by 2 workgroups")])
    cases.append(at(257, lr=_lr(0.0), weight_decay=0.1, id="lr 0"))
    cases += [at(1009, gradient=_noise(1009, scale=s), id=f"gradients of {s}") for s in (1e15, 1e-15)]
    for clip in (None, 0.5):
        cases.append(at(6, gradient=_SPECIALS, clip_value=clip, id=f"specials clip {clip}"))
    return cases


_ADAM = dict(beta1=0.9, beta2=0.999, eps=1e-8)
_STATE = ["theta", "m", "v"]


def _adam_after(steps: int, **betas: float) -> dict[str, Any]:
    label = f"after {steps} {betas}"
    return dict(theta=(513,), m=(513,), v=_positive(513), gradient=(513,), steps=_counts(513, steps), lr=_lr(), id=label, **_ADAM | betas)


@kernel(
    "optim/adam", ref=ref.adam, flops=12, choices=WALKS, bench=dict(
        theta=(1 << 24,), m=(1 << 24,), v=_positive(1 << 24), gradient=(1 << 24,), steps=_counts(1 << 24, 9), lr=_lr(1e-3), **_ADAM,
    ),
    cases=_update_cases(_STATE, 1, **_ADAM) + _update_cases(_STATE, 1, decoupled=True, beta1=0.8, beta2=0.95, eps=1e-3)
    + [_adam_after(t) for t in (0, 2, 6, 100, 692, 1000, 10**5, 10**6)] + [_adam_after(0, beta1=0.0, beta2=0.0),
    _adam_after(3, beta1=0.5, beta2=0.99999)],
)  # fmt: skip
def adam(
    theta: Array, m: Array, v: Array, gradient: Array, steps: Array, lr: Array, partials: Array | None = None, decay: Array | None = None,
    *, beta1: float, beta2: float, eps: float, max_norm: float | None = None, weight_decay: float = 0.0, decoupled: bool = False,
    clip_value: float | None = None, config: str | None = None,
) -> Launch:  # fmt: skip
    """Adam on flat tensors; weight decay in the gradient, or decoupled (AdamW). `steps` counts, one entry for each workgroup that runs."""
    flats = dict(theta=theta, m=m, v=v, gradient=gradient)
    options = (max_norm, weight_decay, clip_value, config, adam_params(beta1, beta2, eps))
    return _flat_launch("adam", flats, steps, lr, partials, decay, *options, DECOUPLED=int(decoupled))


@kernel(
    "optim/sgd", ref=ref.sgd, flops=2, choices=WALKS, bench=dict(theta=(1 << 24,), gradient=(1 << 24,), steps=_counts(1 << 24), lr=_lr()),
    cases=_update_cases(["theta"], 0),
)  # fmt: skip
def sgd(
    theta: Array, gradient: Array, steps: Array, lr: Array, partials: Array | None = None, decay: Array | None = None, *,
    max_norm: float | None = None, weight_decay: float = 0.0, clip_value: float | None = None, config: str | None = None,
) -> Launch:  # fmt: skip
    """theta -= lr·(g + weight_decay·theta) on flat tensors."""
    flats = dict(theta=theta, gradient=gradient)
    return _flat_launch("sgd", flats, steps, lr, partials, decay, max_norm, weight_decay, clip_value, config, {})


@kernel(
    "optim/sgd_momentum", ref=ref.sgd_momentum, flops=4, choices=WALKS,
    bench=dict(theta=(1 << 24,), velocity=(1 << 24,), gradient=(1 << 24,), steps=_counts(1 << 24), lr=_lr(), momentum=0.9),
    cases=_update_cases(["theta", "velocity"], 0, momentum=0.9) + _update_cases(["theta", "velocity"], 0, momentum=0.7, nesterov=True),
)  # fmt: skip
def sgd_momentum(
    theta: Array, velocity: Array, gradient: Array, steps: Array, lr: Array, partials: Array | None = None, decay: Array | None = None, *,
    momentum: float, nesterov: bool = False, max_norm: float | None = None, weight_decay: float = 0.0,
    clip_value: float | None = None, config: str | None = None,
) -> Launch:  # fmt: skip
    """Momentum, or Nesterov's, on flat tensors."""
    flats = dict(theta=theta, velocity=velocity, gradient=gradient)
    options = (max_norm, weight_decay, clip_value, config, dict(momentum=momentum))
    return _flat_launch("sgd_momentum", flats, steps, lr, partials, decay, *options, NESTEROV=int(nesterov))
