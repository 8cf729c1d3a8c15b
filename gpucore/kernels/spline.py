"""B-spline basis and KAN layer kernels on a uniform grid."""

from __future__ import annotations

from math import frexp, isfinite, ldexp
from typing import Any

import numpy as np

from kernels_ref import spline as ref

from ..array import Array
from ..errors import ConfigError, ShapeError
from ..kernel import Launch, ceil_div, expect, kernel

MAX_DEGREE, MIN_GRID, MAX_GRID = 6, 2, 128
SAMPLES = 8  # per workgroup of kan_layer
SAMPLES_EACH = 4  # per invocation of kan_input_gradient
ROUND = 4  # samples per lane that kan_coefficient_gradient sorts at once
OUTPUTS = 4  # per workgroup of kan_layer_narrow
Range = tuple[float, float]


def check_grid(who: str, degree: int, grid_size: int, grid_range: Range) -> None:
    """ConfigError, one sentence, for a degree, size or range that makes no grid."""
    low, high = grid_range
    if not 1 <= degree <= MAX_DEGREE:
        raise ConfigError(f"{who}: degree {degree} is not one of 1 to {MAX_DEGREE}")
    if not MIN_GRID <= grid_size <= MAX_GRID:
        raise ConfigError(f"{who}: grid size {grid_size} is not between {MIN_GRID} and {MAX_GRID}")
    if not (isfinite(low) and isfinite(high) and low < high and max(abs(low), abs(high)) <= 1e30):
        raise ConfigError(f"{who}: grid range ({low}, {high}) is not two finite ends in order, within 1e30 of zero")
    if (high - low) / grid_size <= 1e-6:
        raise ConfigError(f"{who}: grid range ({low}, {high}) in {grid_size} cells has knots no more than 1e-6 apart; wants a wider range")


def grid_params(grid_size: int, grid_range: Range) -> dict[str, tuple[float, ...]]:
    """The `grid` and `knots` of lib/spline.wgsl.

    The low end and the cell width are each split into a multiple of one power of two, so coarse that
    low + s · width is exact in float32 for every cell s, and the small rest.
    """
    low, high = grid_range
    width = (high - low) / grid_size
    unit = ldexp(1.0, frexp(max(abs(low), abs(high)))[1] - 22)
    low_part, width_part = round(low / unit) * unit, round(width / unit) * unit
    return dict(grid=(low, high, 1 / width, float(grid_size)), knots=(low_part, low - low_part, width_part, width - width_part))


def _lanes(outputs: int, most: int) -> int:
    """The power of two from 16 to `most` that covers the outputs."""
    return min(most, max(16, 1 << (outputs - 1).bit_length())) if outputs > 0 else 16


GRID: dict[str, Any] = dict(degree=3, grid_size=5, grid_range=(-3.0, 3.0))


def spread(shape: tuple[int, ...], grid_range: Range) -> Any:
    """Points inside and around the range."""
    low, high = grid_range
    reach = 0.2 * (high - low)
    return lambda rng: rng.uniform(low - reach, high + reach, shape).astype(np.float32)


def _special_points(grid_range: Range, grid_size: int) -> np.ndarray:
    """Knots, both ends, just beside them, tiny, huge, subnormal, infinite, NaN."""
    low, high = grid_range
    at = np.linspace(low, high, grid_size + 1).astype(np.float32)
    beside = [np.nextafter(at, np.float32(side)) for side in (-np.inf, np.inf)]
    odd = np.array([0.0, -0.0, 1e-30, -1e-30, 1e-42, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.3, -1.7], np.float32)
    points = np.concatenate([at, *beside, odd])
    # A driver that flushes subnormals sees those just below 0 as 0: inside, where the grid starts there.
    flushed = (points < 0) & (points > -np.finfo(np.float32).tiny)
    return points[~flushed] if low == 0 else points


_ON_KNOTS = [
    dict(x=_special_points(r, n), degree=p, grid_size=n, grid_range=r, order=m, id=f"specials p={p} G={n} {r} order {m}")
    for p, n, r, m in (
        (1, 2, (-1.0, 1.0), 0), (2, 64, (-3.0, 3.0), 0), (3, 5, (-3.0, 3.0), 0), (3, 128, (0.1, 0.9), 0), (6, 7, (-0.7, 2.3), 0),
        (2, 64, (-3.0, 3.0), 1), (3, 5, (-3.0, 3.0), 1), (3, 5, (-3.0, 3.0), 2), (6, 31, (-2.0, 5.0), 2), (1, 2, (-1.0, 1.0), 2),
        # These jump at a knot; no point is so near to 1e-6 of a cell before one that float32 could not tell.
        (1, 128, (0.0, 3.0), 1), (2, 64, (0.0, 3.0), 2), (1, 32, (-3.0, 3.0), 1),
    )
]  # fmt: skip
_ALL_DEGREES = [
    dict(x=spread((61,), r), degree=p, grid_size=n, grid_range=r, order=m, id=f"p={p} G={n} {r} order {m}")
    for p in range(1, 7) for n, r in ((2, (0.0, 1.0)), (64, (-1.0, 1.0)), (23, (-1000.0, 500.0))) for m in (0, 1, 2)
]  # fmt: skip


@kernel(
    "spline/spline_basis", ref=ref.spline_basis, rtol=2e-5, flops=lambda x, *, degree, **options: 3.0 * degree * (degree + 1) * x.size,
    bench=[dict(x=spread((1 << 20,), (-3.0, 3.0)), **GRID), dict(x=spread((1 << 18,), (-3.0, 3.0)), **(GRID | dict(grid_size=64)))],
    cases=[*[dict(x=shape, **GRID) for shape in ((1,), (3, 5, 7), (257,), (0, 3), ())], *_ALL_DEGREES, *_ON_KNOTS,
           dict(x=spread((128 * 65535 + 1,), (-3.0, 3.0)), degree=1, grid_size=2, grid_range=(-3.0, 3.0), large=True)],
)  # fmt: skip
def spline_basis(x: Array, *, degree: int, grid_size: int, grid_range: Range, order: int = 0) -> Launch:
    """[..., grid_size + degree]: the order-th derivatives of the basis functions at x clamped to the grid."""
    check_grid("spline_basis", degree, grid_size, grid_range)
    if order < 0:
        raise ConfigError(f"spline_basis: order {order} is negative; wants 0 for values, 1 and more for derivatives")
    basis = grid_size + degree
    params = grid_params(grid_size, grid_range) | dict(size=x.size, basis=basis)
    return Launch((*x.shape, basis), groups=ceil_div(x.size, 128), params=params, constants=dict(DEGREE=degree, ORDER=order))


_CONTRACT = [
    dict(x=spread(shape, r), weights=(*shape, n + p), degree=p, grid_size=n, grid_range=r, order=m, id=f"{shape} p={p} G={n} order {m}")
    for shape, p, n, r, m in (
        ((1,), 3, 5, (-3.0, 3.0), 1), ((257,), 1, 2, (0.0, 1.0), 0), ((3, 5, 7), 6, 31, (-2.0, 5.0), 1), ((0, 3), 3, 5, (-3.0, 3.0), 1),
        ((64, 21), 3, 5, (-3.0, 3.0), 2), ((61,), 2, 128, (-1.0, 1.0), 1), ((31,), 4, 3, (-1.0, 1.0), 5),
    )
]  # fmt: skip


@kernel(
    "spline/spline_contract", ref=ref.spline_contract, atol=5e-6,
    flops=lambda x, weights, *, degree, **options: 2.0 * (degree + 1) * x.size,
    bench=dict(x=spread((1 << 20,), (-3.0, 3.0)), weights=(1 << 20, 8), **GRID),
    cases=[*_CONTRACT, dict(x=_special_points((-3.0, 3.0), 5), weights=(30, 8), **GRID, order=1, id="specials"),
           dict(x=spread((128 * 65535 + 1,), (0.0, 1.0)), weights=(128 * 65535 + 1, 3),
                degree=1, grid_size=2, grid_range=(0.0, 1.0), large=True)],
)  # fmt: skip
def spline_contract(x: Array, weights: Array, *, degree: int, grid_size: int, grid_range: Range, order: int = 0) -> Launch:
    """Σ_k weights[..., k]·B_k(x), B the order-th derivatives: a spline of its own at every point."""
    check_grid("spline_contract", degree, grid_size, grid_range)
    basis = grid_size + degree
    expect(weights.shape == (*x.shape, basis), f"spline_contract: weights has shape {weights.shape}; wants {(*x.shape, basis)}")
    params = grid_params(grid_size, grid_range) | dict(size=x.size, basis=basis)
    return Launch(x.shape, groups=ceil_div(x.size, 128), params=params, constants=dict(DEGREE=degree, ORDER=order))


def _layer_case(batch: int, inputs: int, outputs: int, bias: bool = False, scale: bool = False, **options: Any) -> dict[str, Any]:
    """The inputs of a layer as coefficients; its kernels pick what they take."""
    grid = GRID | {k: v for k, v in options.items() if k in GRID}
    rest = {k: v for k, v in options.items() if k not in GRID}
    label = (
        f"{batch}x{inputs}x{outputs} p={grid['degree']} G={grid['grid_size']}" + f" {rest}" * bool(rest) + " bias" * bias + " scale" * scale
    )
    made = dict(x=spread((batch, inputs), grid["grid_range"]), **grid, **rest, id=label)
    shapes: dict[str, Any] = dict(coefficients=(outputs, inputs, grid["grid_size"] + grid["degree"]), g=(batch, outputs))
    return made | shapes | (dict(bias=(outputs,)) if bias else {}) | (dict(scale=(batch, inputs)) if scale else {})


def _only(case: dict[str, Any], *drop: str) -> dict[str, Any]:
    return {k: v for k, v in case.items() if k not in drop}


def _tabled(case: dict[str, Any]) -> dict[str, Any]:
    outputs, inputs, basis = case["coefficients"]
    return _only(case, "coefficients", "g") | dict(table=(inputs, basis, outputs))


def _with_nan(case: dict[str, Any]) -> dict[str, Any]:
    """The case with a NaN, infinities and range ends among the points."""

    def points(rng: np.random.Generator) -> np.ndarray:
        x: np.ndarray = case["x"](rng)
        x[1, 0], x[0, 1], x[2, 1], x[3, 1], x[3, 2] = np.nan, np.inf, -np.inf, case["grid_range"][0], case["grid_range"][1]
        return x

    return case | dict(x=points, id=case["id"] + " NaN")


_LAYERS = [
    _layer_case(1, 1, 1), _layer_case(2, 3, 5, bias=True), _layer_case(33, 21, 67, bias=True), _layer_case(3, 257, 10, scale=True),
    _layer_case(9, 5, 131, bias=True, scale=True, order=1), _layer_case(17, 4, 3, order=2, degree=2, grid_size=7),
    *[_layer_case(31, 7, 13, degree=p, grid_size=n, grid_range=(-1.0, 1.0)) for p, n in ((1, 2), (2, 64), (4, 9), (5, 17), (6, 128))],
    _layer_case(0, 3, 4, bias=True), _with_nan(_layer_case(5, 3, 6, bias=True)), _layer_case(300, 3, 300, grid_size=19),
]  # fmt: skip
_MANY = _layer_case(1, 1, 4 * 65536 + 1) | dict(large=True)
_LAYER_BENCH = [_layer_case(1024, 784, 64, bias=True), _layer_case(1024, 256, 1024, bias=True), _layer_case(64, 64, 64, bias=True)]


def _layer_flops(x: Any, coefficients: Any, *rest: Any, degree: int, **options: Any) -> float:
    outputs = coefficients.size // (x.shape[1] * (options["grid_size"] + degree)) if x.shape[1] else 0
    return float(2 * x.size * outputs * (degree + 1))


def check_layer(who: str, x: Array, basis: int, table: tuple[int, ...], bias: Array | None, scale: Array | None, outputs: int) -> None:
    """ShapeError unless x is [batch, in], the table's shape (out, in, functions), and bias and scale fit them."""
    if x.ndim != 2:
        raise ShapeError(f"{who}: x has shape {x.shape}; wants (batch, in)")
    if len(table) != 3 or table[1:] != (x.shape[1], basis):
        raise ShapeError(f"{who}: coefficients have shape {table} and x {x.shape}; wants (out, {x.shape[1]}, {basis})")
    expect(x.shape[1] > 0 and table[0] > 0, f"{who}: x has shape {x.shape} and coefficients {table}; wants inputs and outputs")
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"{who}: bias has shape {bias.shape}; wants ({outputs},)")
    if scale is not None and scale.shape != x.shape:
        raise ShapeError(f"{who}: scale has shape {scale.shape}; wants that of x, {x.shape}")


@kernel(
    "spline/kan_layer", ref=ref.kan_layer, flops=_layer_flops, atol=1e-5, bench=[_tabled(c) for c in _LAYER_BENCH],
    cases=[_tabled(c) for c in (*_LAYERS, _layer_case(8 * 65535 + 1, 1, 1, degree=1, grid_size=2) | dict(large=True))],
)  # fmt: skip
def kan_layer(
    x: Array, table: Array, bias: Array | None = None, scale: Array | None = None, *,
    degree: int, grid_size: int, grid_range: Range, order: int = 0,
) -> Launch:  # fmt: skip
    """bias + Σ_i scale_i Σ_k table[i,k,j]·B_k(x_i), B the order-th derivatives; table is [in, functions, out]."""
    check_grid("kan_layer", degree, grid_size, grid_range)
    basis, outputs = grid_size + degree, table.shape[2]
    check_layer("kan_layer", x, basis, (outputs, *table.shape[:2]), bias, scale, outputs)
    batch, inputs = x.shape
    columns = 1 if outputs <= 64 else 4
    lanes = _lanes(ceil_div(outputs, columns), 64)
    tiles = ceil_div(outputs, lanes * columns)
    params = grid_params(grid_size, grid_range) | dict(batch=batch, inputs=inputs, outputs=outputs, basis=basis, output_tiles=tiles)
    constants = dict(LANES=lanes, COLUMNS=columns, DEGREE=degree, ORDER=order, HAS_BIAS=bias is not None, HAS_SCALE=scale is not None)
    return Launch((batch, outputs), groups=tiles * ceil_div(batch, SAMPLES), params=params, constants=constants)


@kernel(
    "spline/kan_layer_narrow", ref=ref.kan_layer_narrow, flops=_layer_flops, atol=1e-5,
    bench=[_only(_layer_case(n, 256, 1024, bias=True), "g") for n in (1, 16)], cases=[_only(c, "g") for c in (*_LAYERS, _MANY)],
)  # fmt: skip
def kan_layer_narrow(
    x: Array, coefficients: Array, bias: Array | None = None, scale: Array | None = None, *,
    degree: int, grid_size: int, grid_range: Range, order: int = 0,
) -> Launch:  # fmt: skip
    """kan_layer on coefficients [out, in, functions] as they lie; faster for few samples."""
    check_grid("kan_layer", degree, grid_size, grid_range)
    basis, outputs = grid_size + degree, coefficients.shape[0]
    check_layer("kan_layer", x, basis, coefficients.shape, bias, scale, outputs)
    batch, inputs = x.shape
    params = grid_params(grid_size, grid_range) | dict(batch=batch, inputs=inputs, outputs=outputs, basis=basis)
    constants = dict(DEGREE=degree, ORDER=order, HAS_BIAS=bias is not None, HAS_SCALE=scale is not None)
    return Launch((batch, outputs), groups=batch * ceil_div(outputs, OUTPUTS), params=params, constants=constants)


def _plain(case: dict[str, Any], order: int) -> dict[str, Any]:
    """A case of a gradient kernel, at a given order unless the case has its own."""
    return dict(order=order) | _only(case, "bias", "scale")


@kernel(
    "spline/kan_input_gradient", ref=ref.kan_input_gradient, flops=_layer_flops, atol=5e-5, bench=[_plain(c, 1) for c in _LAYER_BENCH],
    cases=[_plain(c, 1) for c in _LAYERS] + [_plain(_layer_case(1, 64 * 65535 + 1, 1, degree=1, grid_size=2), 1) | dict(large=True)],
)  # fmt: skip
def kan_input_gradient(
    x: Array, coefficients: Array, g: Array, *, degree: int, grid_size: int, grid_range: Range, order: int = 1
) -> Launch:
    """Σ_j g_j Σ_k coefficients[j,i,k]·B_k(x_i) for every input, B the order-th derivatives."""
    check_grid("kan_input_gradient", degree, grid_size, grid_range)
    basis, outputs = grid_size + degree, coefficients.shape[0]
    check_layer("kan_input_gradient", x, basis, coefficients.shape, None, None, outputs)
    batch, inputs = x.shape
    expect(g.shape == (batch, outputs), f"kan_input_gradient: g has shape {g.shape}; wants {(batch, outputs)}")
    params = grid_params(grid_size, grid_range) | dict(batch=batch, inputs=inputs, outputs=outputs, basis=basis)
    groups = ceil_div(inputs * ceil_div(batch, SAMPLES_EACH), 64)
    return Launch((batch, inputs), groups=groups, params=params, constants=dict(DEGREE=degree, ORDER=order))


def _split(case: dict[str, Any], split: int) -> dict[str, Any]:
    return _only(case, "bias", "coefficients") | dict(split=split, id=f"{case['id']} split {split}")


def _coefficient_flops(x: Any, g: Any, *rest: Any, degree: int, **options: Any) -> float:
    return 2.0 * x.size * g.shape[1] * (degree + 1) if len(g.shape) == 2 else 0.0


@kernel(
    "spline/kan_coefficient_gradient", ref=ref.kan_coefficient_gradient, flops=_coefficient_flops, atol=1e-5,
    bench=[_split(c, 1024) for c in _LAYER_BENCH],
    cases=[_split(c, 64) for c in _LAYERS if not c["id"].startswith("0x")]
    + [_split(_layer_case(600, 3, 70), 300), _split(_layer_case(1, 65537, 1, degree=1, grid_size=2), 64)],
)  # fmt: skip
def kan_coefficient_gradient(
    x: Array, g: Array, scale: Array | None = None, *, degree: int, grid_size: int, grid_range: Range, split: int, order: int = 0
) -> Launch:
    """[splits, in, functions, out]: Σ_b g[b,j]·scale[b,i]·B_k(x[b,i]) over each split of so many samples."""
    check_grid("kan_coefficient_gradient", degree, grid_size, grid_range)
    if x.ndim != 2 or g.ndim != 2 or x.shape[0] != g.shape[0] or (scale is not None and scale.shape != x.shape):
        raise ShapeError(f"kan_coefficient_gradient: x has shape {x.shape} and g {g.shape}; wants (batch, in) and (batch, out)")
    (batch, inputs), outputs, basis = x.shape, g.shape[1], grid_size + degree
    lanes = gradient_lanes(outputs)
    tiles, splits = ceil_div(outputs, lanes * 4), ceil_div(batch, split)
    params = grid_params(grid_size, grid_range) | dict(batch=batch, inputs=inputs, outputs=outputs, basis=basis)
    params |= dict(output_tiles=tiles, split=split, splits=splits)
    constants = dict(LANES=lanes, DEGREE=degree, ORDER=order, HAS_SCALE=scale is not None)
    return Launch((splits, inputs, basis, outputs), groups=tiles * inputs * splits, params=params, constants=constants)


def gradient_lanes(outputs: int) -> int:
    """The lanes of a workgroup of kan_coefficient_gradient, four outputs each."""
    return _lanes(ceil_div(outputs, 4), 64)
