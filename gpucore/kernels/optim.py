"""Optimizers over flattened parameters: the kernels. All work in place."""

from __future__ import annotations

from itertools import accumulate
from math import log
from typing import Any

import numpy as np

from kernels_ref import optim as ref

from ..array import Array
from ..kernel import Launch, ceil_div, expect, kernel

WORKGROUP = 256
BLOCK = 4096
"""Elements whose squares one workgroup sums."""
DECAY_BLOCK = ref.DECAY_BLOCK
SOURCES = 6
"""Tensors that one `pack` takes: with the target and the parameters it fills the eight bindings of every adapter."""
_NO_MEMORY = -1e4
"""Stands for ln 0: e^(-10000·t) is 0 in float32."""


def _noise(*shape: int, scale: float = 1.0) -> Any:
    return lambda rng: (scale * rng.standard_normal(shape)).astype(np.float32)


def _positive(n: int) -> Any:
    return lambda rng: (rng.standard_normal(n) ** 2).astype(np.float32)


def _rates(lr: float, step: int = 1, beta1: float = 0.9, beta2: float = 0.999, scale: float = 1.0) -> np.ndarray:
    return np.array([lr, 1 - beta1**step, 1 - beta2**step, scale], np.float32)


def _spans(*sizes: int) -> tuple[int, ...]:
    return tuple(ceil_div(n, 64) * 64 for n in sizes)


def _pack_case(*sizes: int | None) -> dict[str, Any]:
    """Sources of these sizes behind each other; None is one that is missing, with a span of 64."""
    spans = _spans(*(64 if n is None else n for n in sizes))
    given = {f"source{i}": (n,) for i, n in enumerate(sizes) if n is not None}
    return dict(flat=(sum(spans),), spans=spans, id=f"pack {sizes}", **given)


@kernel(
    "optim/pack", ref=ref.pack, flops=0, bench=_pack_case(1 << 22, 1 << 22, 1 << 20, 1000),
    cases=[
        _pack_case(1), _pack_case(64), _pack_case(257, 1), _pack_case(0, 5), _pack_case(), _pack_case(None, 3, None),
        _pack_case(63, 64, 65, 1, 127, 1009), _pack_case(5003, None, 17, 300, None, 1), _pack_case(128, 128, 128, 128, 128, 128),
        dict(flat=(192,), source0=(3, 7, 5), source1=(), spans=(128, 64), id="shapes"),
    ],
)  # fmt: skip
def pack(
    flat: Array, source0: Array | None = None, source1: Array | None = None, source2: Array | None = None,
    source3: Array | None = None, source4: Array | None = None, source5: Array | None = None, *, spans: tuple[int, ...],
) -> Launch:  # fmt: skip
    """Up to six tensors one after another into `flat`, each followed by zeros up to its span, a multiple of four."""
    sources = (source0, source1, source2, source3, source4, source5)
    expect(len(spans) <= SOURCES, f"pack: got {len(spans)} spans; wants at most {SOURCES}")
    expect(flat.shape == (sum(spans),), f"pack: flat has shape {flat.shape}; wants ({sum(spans)},) for the spans {spans}")
    expect(all(n % 4 == 0 for n in spans), f"pack: spans {spans} want multiples of 4")
    sizes = [0 if s is None else s.size for s in sources]
    padded = (*spans, *(0,) * (SOURCES - len(spans)))
    for i, (size, span) in enumerate(zip(sizes, padded, strict=True)):
        expect(size <= span, f"pack: source{i} has {size} elements, more than its span {span}")
    ends = [end // 4 for end in accumulate(padded)]
    params = dict(
        ends_low=tuple(ends[:4]), ends_high=(*ends[4:], 0, 0), sizes_low=tuple(sizes[:4]), sizes_high=(*sizes[4:], 0, 0), total=ends[-1]
    )
    return Launch(None, groups=ceil_div(ends[-1], WORKGROUP), params=params)


@kernel(
    "optim/square_sums", ref=ref.square_sums, flops=lambda gradient, partials: 2 * gradient.size,
    bench=dict(gradient=(1 << 24,), partials=(1 << 12,)),
    cases=[dict(gradient=(n,), partials=(ceil_div(n, BLOCK),)) for n in (1, 257, 0, 1009, BLOCK, BLOCK + 1, 3 * BLOCK + 7)]
    + [dict(gradient=_noise(9001, scale=s), partials=(3,), id=f"scale {s}") for s in (1e15, 1e-10)]
    + [dict(gradient=np.repeat(np.array([1, np.inf, np.nan, 1e30], np.float32), BLOCK), partials=(4,), id="specials")],
)  # fmt: skip
def square_sums(gradient: Array, partials: Array) -> Launch:
    """The sums of squares over blocks of 4096 elements, into `partials`."""
    blocks = ceil_div(gradient.size, BLOCK)
    expect(
        partials.shape == (blocks,), f"square_sums: partials have shape {partials.shape}; wants ({blocks},) for {gradient.size} elements"
    )
    return Launch(None, groups=blocks, params=dict(size=gradient.size, blocks=blocks))


def _begin_case(step: int, partials: Any = None, **options: Any) -> dict[str, Any]:
    given = {} if partials is None else dict(partials=partials)
    state = dict(step=np.array([step], np.uint32), rates=_noise(4), norm=_noise(), lr=np.array([0.1], np.float32))
    return dict(**state, **given, **options)


_BETAS = dict(beta1=0.9, beta2=0.999)


@kernel(
    "optim/begin_step", ref=ref.begin_step, flops=1, atol=1e-9, bench=_begin_case(5, _positive(4096), max_norm=1.0, **_BETAS),
    cases=[_begin_case(step, id=f"after {step}", **_BETAS) for step in (0, 1, 2, 6, 100, 692, 1000, 10**6)]
    + [_begin_case(0), _begin_case(3, beta1=0.5, beta2=0.99999, id="betas")]
    + [_begin_case(1, _positive(n), max_norm=limit, id=f"norm {n} {limit}", **_BETAS)
       for n in (1, 257, 1009) for limit in (0.5, 1e3, None)]
    + [_begin_case(1, np.array([3, x], np.float32), max_norm=0.5, id=f"norm with {x}") for x in (0.0, np.nan, np.inf, 1e-30)],
)  # fmt: skip
def begin_step(
    step: Array, rates: Array, norm: Array, lr: Array, partials: Array | None = None, *, beta1: float = 0.0, beta2: float = 0.0,
    max_norm: float | None = None,
) -> Launch:  # fmt: skip
    """Counts the step and writes the rates of the update: lr, 1 - beta1^t, 1 - beta2^t, min(1, max_norm / (norm + 1e-6))."""
    for name, t, size in (("step", step, 1), ("rates", rates, 4), ("norm", norm, 1), ("lr", lr, 1)):
        expect(t.size == size, f"begin_step: {name} has shape {t.shape}; wants {size} elements")
    logs = dict(log_beta1=_log(beta1), log_beta2=_log(beta2))
    blocks = 0 if partials is None else partials.size
    constants = dict(HAS_NORM=int(partials is not None), HAS_LIMIT=int(max_norm is not None))
    return Launch(None, groups=1, params=dict(blocks=blocks, max_norm=max_norm or 0.0, **logs), constants=constants)


def _log(beta: float) -> float:
    return log(beta) if beta > 0 else _NO_MEMORY


def _flat_launch(
    who: str, flats: dict[str, Array], rates: Array, decay: Array | None, weight_decay: float, clip_value: float | None,
    params: dict[str, float], **constants: int,
) -> Launch:  # fmt: skip
    """The launch over flat tensors of one size, four elements per invocation."""
    size = flats["theta"].size
    for name, t in flats.items():
        expect(t.shape == (size,), f"{who}: {name} has shape {t.shape}; wants the flat ({size},) of theta")
    expect(rates.shape == (4,), f"{who}: rates have shape {rates.shape}; wants (4,)")
    blocks = ceil_div(size, DECAY_BLOCK)
    if decay is not None:
        expect(decay.shape == (blocks,), f"{who}: decay has shape {decay.shape}; wants ({blocks},), one per {DECAY_BLOCK} elements")
    vectors = ceil_div(size, 4)
    constants |= dict(HAS_WEIGHT_DECAY=int(weight_decay != 0), HAS_DECAY=int(decay is not None), HAS_CLIP=int(clip_value is not None))
    values = dict(vectors=vectors, weight_decay=weight_decay, limit=clip_value or 0.0, **params)
    return Launch(None, groups=ceil_div(vectors, WORKGROUP), params=values, constants=constants)


_UPDATES: list[tuple[int, dict[str, Any]]] = [
    (n, {}) for n in (1, 257, 0, 1009, 1025, 4096)
] + [
    (1009, dict(weight_decay=0.3)), (1009, dict(clip_value=0.5)), (1009, dict(weight_decay=0.3, clip_value=0.5)),
    (1009, dict(weight_decay=0.3, decay=np.tile(np.array([0, 1, 0.5, 2], np.float32), 4))),
]  # fmt: skip
_SPECIALS = np.array([np.nan, np.inf, -np.inf, 0, 1, -1], np.float32)


def _update_cases(flats: list[str], rates: Any, **options: Any) -> list[dict[str, Any]]:
    """The sizes and options above on a kernel's flat tensors, and scaled, far and undefined gradients."""

    def at(n: int, **more: Any) -> dict[str, Any]:
        state = {name: _positive(n) if name == "v" else _noise(n) for name in flats}
        case = state | dict(gradient=_noise(n, scale=2.0), rates=rates()) | options | more
        shown = {k: v for k, v in (options | more).items() if isinstance(v, int | float)}
        return case | dict(id=f"{n} {shown}") if "id" not in case else case

    cases = [at(n, **more) for n, more in _UPDATES]
    cases += [at(257, rates=rates(scale=0.25), id="scaled"), at(257, rates=rates(lr=0.0), weight_decay=0.1, id="lr 0")]
    cases += [at(1009, gradient=_noise(1009, scale=s), id=f"gradients of {s}") for s in (1e15, 1e-15)]
    for clip in (None, 0.5):
        cases.append(at(6, gradient=_SPECIALS, clip_value=clip, id=f"specials clip {clip}"))
    cases.append(at(6, rates=rates(scale=float("nan")), clip_value=0.5, id="norm NaN"))
    return cases


def _adam_rates(lr: float = 0.1, step: int = 2, scale: float = 1.0) -> np.ndarray:
    return _rates(lr, step, scale=scale)


def _sgd_rates(lr: float = 0.1, scale: float = 1.0) -> np.ndarray:
    return np.array([lr, 1, 1, scale], np.float32)


_ADAM = dict(beta1=0.9, beta2=0.999, eps=1e-8)
_STATE = ["theta", "m", "v"]


@kernel(
    "optim/adam", ref=ref.adam, flops=12, bench=dict(
        theta=(1 << 24,), m=(1 << 24,), v=_positive(1 << 24), gradient=(1 << 24,), rates=_rates(1e-3, 10), **_ADAM,
    ),
    cases=_update_cases(_STATE, _adam_rates, **_ADAM)
    + _update_cases(_STATE, _adam_rates, decoupled=True, beta1=0.8, beta2=0.95, eps=1e-3)
    + [dict(theta=(513,), m=(513,), v=_positive(513), gradient=(513,), rates=_rates(0.1, t), id=f"step {t}", **_ADAM)
       for t in (1, 1000, 10**5)],
)  # fmt: skip
def adam(
    theta: Array, m: Array, v: Array, gradient: Array, rates: Array, decay: Array | None = None, *, beta1: float, beta2: float,
    eps: float, weight_decay: float = 0.0, decoupled: bool = False, clip_value: float | None = None,
) -> Launch:  # fmt: skip
    """Adam on flat tensors; weight decay in the gradient, or decoupled (AdamW). Bias corrections come in `rates`."""
    flats = dict(theta=theta, m=m, v=v, gradient=gradient)
    params = dict(beta1=beta1, rest1=1 - beta1, beta2=beta2, rest2=1 - beta2, eps=eps)
    return _flat_launch("adam", flats, rates, decay, weight_decay, clip_value, params, DECOUPLED=int(decoupled))


@kernel(
    "optim/sgd", ref=ref.sgd, flops=2, bench=dict(theta=(1 << 24,), gradient=(1 << 24,), rates=_sgd_rates()),
    cases=_update_cases(["theta"], _sgd_rates),
)  # fmt: skip
def sgd(
    theta: Array, gradient: Array, rates: Array, decay: Array | None = None, *, weight_decay: float = 0.0, clip_value: float | None = None
) -> Launch:
    """theta -= lr·(g + weight_decay·theta) on flat tensors."""
    return _flat_launch("sgd", dict(theta=theta, gradient=gradient), rates, decay, weight_decay, clip_value, {})


@kernel(
    "optim/sgd_momentum", ref=ref.sgd_momentum, flops=4,
    bench=dict(theta=(1 << 24,), velocity=(1 << 24,), gradient=(1 << 24,), rates=_sgd_rates(), momentum=0.9),
    cases=_update_cases(["theta", "velocity"], _sgd_rates, momentum=0.9)
    + _update_cases(["theta", "velocity"], _sgd_rates, momentum=0.7, nesterov=True),
)  # fmt: skip
def sgd_momentum(
    theta: Array, velocity: Array, gradient: Array, rates: Array, decay: Array | None = None, *, momentum: float,
    nesterov: bool = False, weight_decay: float = 0.0, clip_value: float | None = None,
) -> Launch:  # fmt: skip
    """Momentum, or Nesterov's, on flat tensors."""
    flats = dict(theta=theta, velocity=velocity, gradient=gradient)
    return _flat_launch("sgd_momentum", flats, rates, decay, weight_decay, clip_value, dict(momentum=momentum), NESTEROV=int(nesterov))
