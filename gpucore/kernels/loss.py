"""Losses: the kernels."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from kernels_ref import loss as ref

from ..array import Array
from ..errors import ConfigError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .rows import LAYOUTS, SPREAD, row_launch

WORKGROUP = 256
BLOCK = 4096
"""Elements that one workgroup sums."""
KINDS = tuple(ref.VALUES)


def _labels(rows: int, classes: int) -> Any:
    return lambda rng: rng.integers(0, classes, rows, dtype=np.int32)


def _table(rows: int, classes: int) -> dict[str, Any]:
    return dict(x=(rows, classes), labels=_labels(rows, classes), id=f"{rows}x{classes}")


def _extreme(rng: np.random.Generator) -> dict[str, Any]:
    logits = rng.choice([-1e4, 1e4, 0.0, 1e-3, -3e38], (64, 33)).astype(np.float32)
    return dict(x=logits, labels=_labels(64, 33)(rng))


def _specials(rng: np.random.Generator) -> dict[str, Any]:
    logits = rng.standard_normal((8, 257)).astype(np.float32)
    logits[1, 100], logits[2, 256], logits[3, ::2], logits[4] = np.nan, np.inf, -np.inf, -np.inf
    return dict(x=logits, labels=np.array([0, 1, 2, 3, 4, 256, 7, 8], np.int32))


def _bad_labels(rng: np.random.Generator) -> dict[str, Any]:
    labels = np.array([-1, 0, 9, 10, 11, -(2**31), 2**31 - 1, 5], np.int32)
    return dict(x=rng.standard_normal((8, 10)).astype(np.float32), labels=labels)


@kernel(
    "loss/cross_entropy", ref=ref.cross_entropy, choices=LAYOUTS, flops=lambda x, labels, **_: 6 * x.size,
    bench=[_table(16384, 1024), _table(256, 65536), _table(65536, 10)],
    cases=[
        *[_table(*shape) for shape in ((1, 1), (1, 257), (3, 10), (64, 2), (17, 1009), (5, 32), (0, 10), (3, 5003), (65537, 3))],
        _extreme, _specials, _bad_labels,
        *LAYOUTS.across([_table(*shape) for shape in SPREAD]),
    ],
)  # fmt: skip
def cross_entropy(x: Array, labels: Array, *, config: str | None = None) -> Launch:
    """Cross-entropy of each row of logits x with its label, and the gradient of their mean: (loss [N], gradient [N, C])."""
    expect(x.ndim == 2, f"cross_entropy: logits have shape {x.shape}; wants (samples, classes)")
    rows, classes = x.shape
    expect(labels.shape == (rows,), f"cross_entropy: labels have shape {labels.shape} and logits {x.shape}; wants ({rows},)")
    expect(classes > 0, f"cross_entropy: logits {x.shape} have no classes")
    outputs = dict(loss=Out((rows,)), out=Out((rows, classes)))
    return row_launch("cross_entropy", outputs, x, rows, classes, dict(scale=1 / max(rows, 1)), config=config)


NAMES = {"mse": "mse_loss", "l1": "l1_loss", "huber": "huber_loss", "bce": "binary_cross_entropy_with_logits"}


def _check(prediction: Array, target_values: Array, kind: str, delta: float) -> None:
    if kind not in KINDS:
        raise ConfigError(f"loss: kind is {kind!r}; wants one of {', '.join(KINDS)}")
    a, b = prediction.shape, target_values.shape
    expect(a == b, f"{NAMES[kind]}: predictions have shape {a} and targets {b}; wants the same shape")
    if not (delta > 0 and isfinite(delta)):
        raise ConfigError(f"{NAMES[kind]}: delta is {delta}; wants a positive number")


def _pair(size: int | tuple[int, ...], kind: str, **more: Any) -> dict[str, Any]:
    """Noise, wide enough for both sides of Huber's delta."""
    shape = (size,) if isinstance(size, int) else size
    wide: Any = lambda rng: (3 * rng.standard_normal(shape)).astype(np.float32)  # noqa: E731
    return dict(prediction=wide, target_values=wide, kind=kind, id=f"{kind} {shape}", **more)


def _far(kind: str, **more: Any) -> dict[str, Any]:
    """Large, tiny, equal, infinite and undefined elements, one block for each so that none hides another."""
    values = np.array([1e4, -1e4, 1e-20, 0.0, 1e18, np.inf, -np.inf, np.nan], np.float32)
    prediction = np.repeat(values, BLOCK)
    target_values = np.tile(np.array([0.0, 1.0, 0.5, 1e-20], np.float32), values.size * BLOCK // 4)
    return dict(prediction=prediction, target_values=target_values, kind=kind, id=f"{kind} extremes", **more)


_SIZES: list[int | tuple[int, ...]] = [1, 257, (3, 5, 7), 0, 1009, 2 * BLOCK + 1]
_CASES = [_pair(size, kind) for kind in KINDS for size in _SIZES]
_CASES += [_far(kind) for kind in KINDS] + [_pair(5003, "huber", delta=0.1), _pair(5003, "huber", delta=4.0)]


@kernel(
    "loss/pointwise_loss", ref=ref.pointwise_loss, bench=[_pair(1 << 24, "mse"), _pair(1 << 24, "mse") | dict(with_slope=True)],
    cases=[case | dict(with_slope=slope, id=f"{case['id']}{' slope' * slope}") for case in _CASES for slope in (False, True)],
    flops=lambda prediction, target_values, **options: 3 * prediction.size,
)  # fmt: skip
def pointwise_loss(prediction: Array, target_values: Array, *, kind: str, delta: float = 1.0, with_slope: bool = False) -> Launch:
    """(parts, slope): the mean over all elements of a loss, in one part per block of 4096 elements, whose sum is the mean; and
    its derivative by each prediction, or an empty array."""
    _check(prediction, target_values, kind, delta)
    blocks = ceil_div(prediction.size, BLOCK)
    params = dict(size=prediction.size, blocks=blocks, delta=delta, scale=1 / max(prediction.size, 1))
    outputs = dict(out=Out((blocks,)), slope=Out(prediction.shape if with_slope else (0,)))
    return Launch(outputs, groups=blocks, params=params, constants=dict(KIND=KINDS.index(kind), WITH_SLOPE=with_slope))


def _with_g(case: dict[str, Any], **more: Any) -> dict[str, Any]:
    return case | dict(g=np.array(-2.5, np.float32), id=f"{case['id']} {more.get('order', '')}") | more


@kernel(
    "loss/pointwise_loss_derivative", ref=ref.pointwise_loss_derivative, bench=_with_g(_pair(1 << 24, "mse")), flops=3,
    cases=[_with_g(case, order=order) for case in _CASES for order in (1, 2)] + [_with_g(_pair(65536 * 256 + 1, "l1"), large=True)],
)  # fmt: skip
def pointwise_loss_derivative(
    prediction: Array, target_values: Array, g: Array, *, kind: str, order: int = 1, delta: float = 1.0
) -> Launch:
    """g times the derivative (order 1) or second derivative (order 2) of the mean loss by each prediction; g has one element."""
    _check(prediction, target_values, kind, delta)
    expect(g.size == 1, f"{NAMES[kind]}: the arriving gradient has shape {g.shape}; wants one element")
    if order not in (1, 2):
        raise ConfigError(f"{NAMES[kind]}: order is {order}; wants 1 or 2")
    return Launch(
        prediction.shape, groups=ceil_div(prediction.size, WORKGROUP),
        params=dict(size=prediction.size, delta=delta, scale=1 / max(prediction.size, 1)),
        constants=dict(KIND=KINDS.index(kind), ORDER=order),
    )  # fmt: skip
