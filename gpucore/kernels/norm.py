"""Softmax and normalisations over the last axis: the kernels. Batch normalisation is in `kernels.batch_norm`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from kernels_ref import norm as ref

from ..array import Array
from ..errors import ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from .broadcast import MAX_RANK, broadcast_shapes, broadcast_strides, six_axes, vec4_pair
from .rows import LAYOUTS, SPREAD, power_of_two, row_launch


def rows_and_cols(who: str, x: Array, *, empty: bool = False) -> tuple[int, int]:
    """x as rows along its last axis; ShapeError without one, or (unless `empty`) with one of length 0."""
    expect(x.ndim > 0, f"{who}: x has no axes; wants one or more")
    expect(empty or x.shape[-1] > 0, f"{who}: x of shape {x.shape} has an empty last axis; wants one element or more")
    return prod(x.shape[:-1]), x.shape[-1]


def _extreme(rng: np.random.Generator) -> np.ndarray:
    """Rows with -inf, +inf, NaN, only -inf, huge values, values far apart, equal values, and far from zero."""
    x = rng.standard_normal((8, 37)).astype(np.float32)
    x[0, 3:20], x[1, 4], x[2, 5] = -np.inf, np.inf, np.nan
    x[3] = -np.inf
    x[4] *= np.float32(1e30)
    x[5, 0], x[6] = 300, -7.5
    x[7] += 10000
    return x


def _per_element(cost: int) -> Any:
    return lambda x, *_, **__: cost * x.size


_ROWS = [(1, 1), (3, 31), (2, 257), (5, 1000), (2, 3, 4099), (4, 10), (0, 7), (7,)]
_MASKS: list[Any] = [
    dict(x=x, mask=lambda rng, m=m: rng.random(m) < 0.6, id=f"mask {m} of {x}")
    for x, m in (((3, 5), (3, 5)), ((2, 3, 4, 257), (2, 1, 1, 257)), ((2, 3, 4, 8), (4, 1)), ((3, 5, 33), (33,)), ((5, 1000), (1, 1)))
]


def _half(*shape: int) -> Any:
    return lambda rng: rng.random(shape) < 0.5


def _masked_extreme(rng: np.random.Generator) -> dict[str, Any]:
    mask = rng.random((8, 37)) < 0.5
    mask[0, :], mask[1, 4], mask[2, 5], mask[5, 0] = False, False, False, False
    return dict(x=_extreme(rng), mask=mask)


@kernel(
    "norm/softmax", ref=ref.softmax, choices=LAYOUTS, flops=_per_element(4), bench=[dict(x=(4096, 4096)), dict(x=(1 << 20, 10))],
    cases=[dict(x=shape, log=log) for shape in [*_ROWS, (3, 0), (2, 65537)] for log in (False, True)] + _MASKS + [
        dict(x=_extreme), dict(x=_extreme, log=True), _masked_extreme, dict(x=(65537 * 128 + 1, 1), large=True),
        *LAYOUTS.across([dict(x=shape) for shape in SPREAD] + [dict(x=(2, 1001), log=True), dict(x=(8, 37), mask=_half(8, 37), id="mask")]),
    ],
)  # fmt: skip
def softmax(x: Array, mask: Array | None = None, *, log: bool = False, config: str | None = None) -> Launch:
    """eˣ / Σ eˣ over the last axis (its logarithm with `log`); elements where the mask is False take no part and give 0.

    The mask broadcasts to x. A row without open elements gives zeros; one that holds +inf, NaN or nothing but -inf, NaN.
    """
    rows, cols = rows_and_cols("softmax", x, empty=True)
    over, strides = six_axes(()), [0] * MAX_RANK
    if mask is not None:
        if x.ndim > MAX_RANK:
            raise ShapeError(f"masked_softmax: x has shape {x.shape}; wants at most {MAX_RANK} axes")
        if broadcast_shapes("masked_softmax", x.shape, mask.shape) != x.shape:
            raise ShapeError(f"masked_softmax: mask {mask.shape} does not broadcast to x {x.shape}")
        over, strides = six_axes(x.shape), broadcast_strides(mask.shape, x.shape)
    params = vec4_pair("n", (1, *over[:5])) | vec4_pair("m", [0, *strides[:5]]) | dict(mask_step=strides[5])
    return row_launch("softmax", x.shape, x, rows, cols, params, LOG=int(log), HAS_MASK=int(mask is not None), config=config)


def _softmax_case(shape: tuple[int, ...], log: bool) -> dict[str, Any]:
    """A gradient and a softmax (or its logarithm): with other values the sums would cancel or overflow."""
    made = lambda rng: ref.softmax(rng.standard_normal(shape, np.float32), log=log)  # noqa: E731
    return dict(g=shape, y=made, log=log, id=f"{shape} log={log}")


@kernel(
    "norm/softmax_backward", ref=ref.softmax_backward, choices=LAYOUTS, flops=_per_element(4), bench=dict(g=(4096, 4096), y=(4096, 4096)),
    cases=[_softmax_case(shape, log) for shape in [*_ROWS, (2, 65537)] for log in (False, True)] + [
        dict(g=(3, 0), y=(3, 0)), dict(g=(65537 * 256 + 1, 1), y=(65537 * 256 + 1, 1), large=True),
        *LAYOUTS.across([_softmax_case(shape, log=False) for shape in SPREAD]),
    ],
)  # fmt: skip
def softmax_backward(g: Array, y: Array, *, log: bool = False, config: str | None = None) -> Launch:
    """y · (g - Σ g·y) over the last axis, y a softmax; with `log`, g - e^y · Σ g, y its logarithm."""
    expect(g.shape == y.shape, f"softmax_backward: g is {g.shape} and y {y.shape}; wants one shape")
    rows, cols = rows_and_cols("softmax_backward", y, empty=True)
    return row_launch("softmax_backward", y.shape, y, rows, cols, {}, tensors=2, LOG=int(log), config=config)


def _check_vector(who: str, name: str, vector: Array | None, x: Array) -> int:
    if vector is not None and vector.shape != x.shape[-1:]:
        raise ShapeError(f"{who}: {name} {vector.shape} does not match the last axis of x {x.shape}")
    return int(vector is not None)


def _affine(shape: tuple[int, ...]) -> dict[str, Any]:
    return dict(x=shape, weight=shape[-1:], bias=shape[-1:])


def _near(rng: np.random.Generator) -> np.ndarray:
    """Rows of noise around 10,000."""
    return (rng.standard_normal((3, 1009)) + 10000).astype(np.float32)


@kernel(
    "norm/layer_norm", ref=ref.layer_norm, choices=LAYOUTS, flops=_per_element(8), bench=_affine((4096, 4096)),
    cases=[_affine(shape) for shape in _ROWS] + [
        dict(x=(3, 257)), dict(x=(3, 257), weight=(257,)), dict(x=(5, 64), bias=(64,), eps=0.5), dict(x=_near), dict(x=_extreme),
        dict(x=lambda rng: np.full((3, 1000), 1e30, np.float32)), dict(x=(2, 65537)), dict(x=(65537 * 256 + 1, 1), large=True),
        *LAYOUTS.across([_affine(shape) for shape in SPREAD]),
    ],
)  # fmt: skip
def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5, config: str | None = None) -> Launch:
    """(x - μ) / √(σ² + eps) · weight + bias over the last axis.

    Also gives, per row, μ - the first element and 1 / √(σ² + eps), which the gradient needs.
    """
    rows, cols = rows_and_cols("layer_norm", x)
    has_weight, has_bias = _check_vector("layer_norm", "weight", weight, x), _check_vector("layer_norm", "bias", bias, x)
    per_row = Out(x.shape[:-1])
    outputs = dict(out=Out(x.shape), offset=per_row, rstd=per_row)
    return row_launch("layer_norm", outputs, x, rows, cols, dict(eps=eps), HAS_WEIGHT=has_weight, HAS_BIAS=has_bias, config=config)


@kernel(
    "norm/rms_norm", ref=ref.rms_norm, choices=LAYOUTS, flops=_per_element(4),
    bench=[dict(x=(4096, 4096), weight=(4096,)), dict(x=(1 << 17, 128), weight=(128,))],
    cases=[dict(x=shape, weight=shape[-1:]) for shape in _ROWS] + [
        dict(x=(3, 257)), dict(x=(5, 64), weight=(64,), eps=0.5), dict(x=_near), dict(x=_extreme),
        dict(x=lambda rng: np.full((3, 1000), 1e30, np.float32)), dict(x=(2, 65537)), dict(x=(65537 * 256 + 1, 1), large=True),
        *LAYOUTS.across([dict(x=shape, weight=shape[-1:]) for shape in SPREAD]),
    ],
)  # fmt: skip
def rms_norm(x: Array, weight: Array | None = None, *, eps: float = 1e-6, config: str | None = None) -> Launch:
    """x / √(mean(x²) + eps) · weight over the last axis; also gives 1 / √(mean(x²) + eps) per row, which the gradient needs."""
    rows, cols = rows_and_cols("rms_norm", x)
    has_weight = _check_vector("rms_norm", "weight", weight, x)
    outputs = dict(out=Out(x.shape), rstd=Out(x.shape[:-1]))
    return row_launch("rms_norm", outputs, x, rows, cols, dict(eps=eps), HAS_WEIGHT=has_weight, config=config)


def _residual(shape: tuple[int, ...], **more: Any) -> dict[str, Any]:
    return dict(x=shape, residual=shape, weight=shape[-1:]) | more


def _whole(*shape: int) -> Any:
    """Small whole numbers: added to values around 10,000 they round nothing away, which the reference would not do either."""
    return lambda rng: rng.integers(-4, 5, shape).astype(np.float32)


_RESIDUAL_MORE: list[Any] = [
    dict(x=(3, 257), residual=(3, 257)), _residual((5, 64), eps=0.5), _residual((2, 65537)), dict(x=_extreme, residual=_whole(8, 37)),
    dict(x=_near, residual=_whole(3, 1009)), _residual((65537 * 256 + 1, 1), large=True),
]  # fmt: skip


def _check_residual(who: str, x: Array, residual: Array) -> None:
    expect(residual.shape == x.shape, f"{who}: residual is {residual.shape} and x {x.shape}; wants one shape")


@kernel(
    "norm/add_layer_norm", ref=ref.add_layer_norm, choices=LAYOUTS, flops=_per_element(9), bench=_residual((4096, 4096), bias=(4096,)),
    cases=[_residual(shape, bias=shape[-1:]) for shape in _ROWS] + _RESIDUAL_MORE + [
        *LAYOUTS.across([_residual(shape, bias=shape[-1:]) for shape in SPREAD]),
    ],
)  # fmt: skip
def add_layer_norm(
    x: Array, residual: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5, config: str | None = None
) -> Launch:
    """layer_norm of x + residual, and x + residual itself; also what layer_norm gives per row for the gradient."""
    rows, cols = rows_and_cols("add_layer_norm", x)
    _check_residual("add_layer_norm", x, residual)
    has_weight, has_bias = _check_vector("add_layer_norm", "weight", weight, x), _check_vector("add_layer_norm", "bias", bias, x)
    per_row = Out(x.shape[:-1])
    outputs = dict(out=Out(x.shape), sum=Out(x.shape), offset=per_row, rstd=per_row)
    return row_launch("add_layer_norm", outputs, x, rows, cols, dict(eps=eps), HAS_WEIGHT=has_weight, HAS_BIAS=has_bias, config=config)


@kernel(
    "norm/add_rms_norm", ref=ref.add_rms_norm, choices=LAYOUTS, flops=_per_element(5), bench=_residual((4096, 4096)),
    cases=[_residual(shape) for shape in _ROWS] + _RESIDUAL_MORE + LAYOUTS.across([_residual(shape) for shape in SPREAD]),
)  # fmt: skip
def add_rms_norm(x: Array, residual: Array, weight: Array | None = None, *, eps: float = 1e-6, config: str | None = None) -> Launch:
    """rms_norm of x + residual, and x + residual itself; also 1 / √(mean(sum²) + eps) per row, which the gradient needs."""
    rows, cols = rows_and_cols("add_rms_norm", x)
    _check_residual("add_rms_norm", x, residual)
    has_weight = _check_vector("add_rms_norm", "weight", weight, x)
    outputs = dict(out=Out(x.shape), sum=Out(x.shape), rstd=Out(x.shape[:-1]))
    return row_launch("add_rms_norm", outputs, x, rows, cols, dict(eps=eps), HAS_WEIGHT=has_weight, config=config)


def _check_rows(who: str, g: Array, x: Array, rstd: Array, offset: Array | None) -> None:
    expect(g.shape == x.shape, f"{who}: g is {g.shape} and x {x.shape}; wants one shape")
    for name, t in (("rstd", rstd), ("offset", offset)):
        if t is not None and t.shape != x.shape[:-1]:
            raise ShapeError(f"{who}: {name} {t.shape} does not match the rows of x {x.shape}")


def _saved(shape: tuple[int, ...], *, centered: bool, **more: Any) -> dict[str, Any]:
    """A case for the backward kernels."""
    rows = shape[:-1]
    label = f"{shape} {'layer' if centered else 'rms'} {' '.join(more)}"
    scale = lambda rng: (rng.random(rows) + 0.5).astype(np.float32)  # noqa: E731
    return dict(g=shape, x=shape, rstd=scale, offset=rows if centered else None, id=label, **more)


@kernel(
    "norm/norm_backward", ref=ref.norm_backward, choices=LAYOUTS, flops=_per_element(10),
    bench=_saved((4096, 4096), centered=True, weight=(4096,)),
    cases=[_saved(shape, centered=c, weight=shape[-1:]) for shape in _ROWS for c in (False, True)] + [
        _saved((3, 257), centered=True), _saved((3, 64), centered=False), *[_saved(s, centered=True, more=s) for s in _ROWS],
        _saved((65537 * 256 + 1, 1), centered=False, large=True),
        *LAYOUTS.across([_saved(s, centered=True, weight=s[1:], more=s) for s in SPREAD]),
    ],
)  # fmt: skip
def norm_backward(
    g: Array,
    x: Array,
    rstd: Array,
    offset: Array | None = None,
    weight: Array | None = None,
    more: Array | None = None,
    *,
    config: str | None = None,
) -> Launch:
    """The gradient of layer_norm (with offset) or rms_norm (without) to x: rstd · (h - mean(h) - z · mean(h·z)), h = g · weight.

    more is added to it: a gradient that reaches x by another way.
    """
    rows, cols = rows_and_cols("norm_backward", x)
    _check_rows("norm_backward", g, x, rstd, offset)
    has_weight = _check_vector("norm_backward", "weight", weight, x)
    if more is not None:
        expect(more.shape == x.shape, f"norm_backward: more is {more.shape} and x {x.shape}; wants one shape")
    flags: dict[str, Any] = dict(CENTERED=int(offset is not None), HAS_WEIGHT=has_weight, HAS_MORE=int(more is not None))
    return row_launch("norm_backward", x.shape, x, rows, cols, {}, tensors=2, **flags, config=config)


@kernel(
    "norm/norm_weight_backward", ref=ref.norm_weight_backward, flops=_per_element(5), l2=2e-6, atol=1e-5,
    bench=_saved((4096, 4096), centered=True, chunk=128),
    cases=[_saved(shape, centered=c) for shape in _ROWS for c in (False, True)] + [
        _saved((1009, 33), centered=True, chunk=100), _saved((1009, 5), centered=False, chunk=64),
        _saved((65537, 1), centered=False, chunk=1, large=True),
    ],
)  # fmt: skip
def norm_weight_backward(g: Array, x: Array, rstd: Array, offset: Array | None = None, *, chunk: int | None = None) -> Launch:
    """(Σ g · z, Σ g) over each part of `chunk` rows (default: all), z the normalised x: the gradients to weight and bias."""
    rows, cols = rows_and_cols("norm_weight_backward", x)
    _check_rows("norm_weight_backward", g, x, rstd, offset)
    chunk = chunk or max(rows, 1)
    parts = max(ceil_div(rows, chunk), 1)
    lanes = min(32, power_of_two(cols))
    tiles = ceil_div(cols, lanes)
    return Launch(
        dict(weight_gradient=Out((parts, cols)), bias_gradient=Out((parts, cols))),
        groups=parts * tiles,
        params=dict(rows=rows, cols=cols, chunk=chunk, tiles=tiles, total=parts * tiles),
        constants=dict(COLS=lanes, CENTERED=int(offset is not None)),
    )
