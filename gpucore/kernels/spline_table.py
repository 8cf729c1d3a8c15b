"""KAN layer kernels on a table [in, rows, out]: the rows of an input are its functions and, with a base, the SiLU's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels_ref import spline as ref

from ..array import Array
from ..errors import ShapeError
from ..kernel import Launch, Out, ceil_div, expect, kernel
from ..tuning import Candidate, Choices
from .spline import GRID, Range, check_grid, grid_params, spread

MOST_ROWS = 24
"""Rows per input that the tiles take."""
SLICE = 16
"""Inner indices in shared memory at a time, about."""
TURNED = 32
"""Side of the tiles that kan_pack and kan_unpack turn."""
LONG_SUMS = 3e-5
"""Absolute gate of the products: single results near zero are differences of sums of up to 60 with the SiLU; the norm's gate is 1e-6."""
MANY_TILES = 128
"""About as many as a large adapter has multiprocessors."""
CUBIC_FUNCTIONS, CUBIC_OUTPUTS, CUBIC_INPUTS = 8, 256, 8
"""Of kan_cubic_gradient: functions per input at most, outputs and inputs per workgroup."""
CUBIC_MEMORY = 20 << 10


def _tile(side: int, workgroup: int) -> Candidate:
    """A tile and its invocations; two slices of up to MOST_ROWS rows, and one row each of the other width."""
    memory = 16 * 2 * ((side // 4 + 1) * MOST_ROWS + (17 if side > 64 else 33))
    return Candidate(dict(TILE=side, WORKGROUP=workgroup), workgroup=workgroup, memory=memory)


TILES = Choices("kan_tile", {"64": _tile(64, 256), "128": _tile(128, 128)})


def best_tile(rows: int, columns: int) -> int:
    """The side of the tiles of a product with so many rows and columns: wide ones where they can be filled."""
    return 128 if min(rows, columns) >= 128 else 64


def input_tile(batch: int, inputs: int, outputs: int, rows: int) -> int:
    """The side of the tiles on the way to the inputs: wide ones where, with the outputs split, there are enough of them."""
    tiles = ceil_div(batch, 128) * ceil_div(inputs, 128 // slope_rows(rows)) * (outputs // 128)
    return 128 if batch >= 128 and tiles >= MANY_TILES else 64


def slope_rows(rows: int) -> int:
    """Rows per input of a product for slopes: one less than functions, where six and seven are filled up to eight, to lie evenly."""
    return max(8, rows - 1) if rows > 6 else rows - 1


def is_cubic(x: Array, rows: int, degree: int, base: bool, outputs: int) -> bool:
    """Whether kan_cubic_gradient takes such a layer and is the faster one."""
    fits = x.device.info.limits.get("max_workgroup_memory", CUBIC_MEMORY) >= CUBIC_MEMORY
    return fits and degree <= 3 and rows - base <= CUBIC_FUNCTIONS and outputs % 4 == 0 and outputs > 128


def table_grid(who: str, table: tuple[int, ...], degree: int, grid_size: int, grid_range: Range, base: bool) -> int:
    """The rows per input; ShapeError unless the table has them."""
    check_grid(who, degree, grid_size, grid_range)
    rows = grid_size + degree + base
    if len(table) != 3 or table[1] != rows or 0 in table:
        raise ShapeError(f"{who}: the table has shape {table}; wants (in, {rows}, out)")
    if who.startswith("kan_tile") and rows > MOST_ROWS:
        raise ShapeError(f"{who}: got {rows} rows per input; wants at most {MOST_ROWS}")
    return rows


def check_points(who: str, x: Array, table: tuple[int, ...], bias: Array | None = None, g: Array | None = None) -> None:
    """ShapeError unless x, bias and g fit the table."""
    if x.ndim != 2 or x.shape[1] != table[0]:
        raise ShapeError(f"{who}: x has shape {x.shape} and the table {table}; wants (batch, {table[0]})")
    if bias is not None and bias.shape != (table[2],):
        raise ShapeError(f"{who}: bias has shape {bias.shape}; wants ({table[2]},)")
    if g is not None and g.shape != (x.shape[0], table[2]):
        raise ShapeError(f"{who}: g has shape {g.shape}; wants {(x.shape[0], table[2])}")


def _case(batch: int, inputs: int, outputs: int, base: bool = False, bias: bool = False, **options: Any) -> dict[str, Any]:
    grid = GRID | options
    label = f"{batch}x{inputs}x{outputs} p={grid['degree']} G={grid['grid_size']}" + " base" * base + " bias" * bias
    made = dict(x=spread((batch, inputs), grid["grid_range"]), **grid, base=base, id=label)
    table = (inputs, grid["grid_size"] + grid["degree"] + base, outputs)
    return made | dict(table=table, g=(batch, outputs)) | (dict(bias=(outputs,)) if bias else {})


def _split_params(x: Array, outputs: int, grid: tuple[int, Range], split: int, length: int) -> dict[str, Any]:
    """The parameters of a product whose sum of this length is taken in parts of `split`."""
    sizes = dict(batch=x.shape[0], inputs=x.shape[1], outputs=outputs, split=split, splits=ceil_div(length, split))
    return grid_params(*grid) | sizes


def _constants(rows: int, degree: int, base: bool) -> dict[str, Any]:
    return dict(DEGREE=degree, BASE=base, ROWS=rows, FUNCTIONS=rows - base)


def _flops(x: Any, *rest: Any, degree: int, base: bool = False, **options: Any) -> float:
    last = next(t for t in reversed(rest) if t is not None and len(t.shape) > 1)
    return float(2 * x.size * last.shape[-1] * (degree + 1 + base))


def _with_nan(case: dict[str, Any]) -> dict[str, Any]:
    """The case with a NaN, infinities and the ends of the range among its points; the SiLU of infinities is not asked for."""

    def points(rng: np.random.Generator) -> np.ndarray:
        x: np.ndarray = case["x"](rng)
        x[1, 0], x[3, 1], x[3, 2] = np.nan, case["grid_range"][0], case["grid_range"][1]
        if not case["base"]:
            x[0, 1], x[2, 1] = np.inf, -np.inf
        return x

    return case | dict(x=points, id=case["id"] + " NaN")


def _with_infinity(case: dict[str, Any], name: str, at: tuple[int, ...]) -> dict[str, Any]:
    """The case with an infinity at one place of an input, which must not meet zeros that only fill a slice."""
    shape = case[name]

    def values(rng: np.random.Generator) -> np.ndarray:
        made: np.ndarray = rng.standard_normal(shape).astype(np.float32)
        made[at] = np.inf
        return made

    return case | {name: values, "id": case["id"] + " infinity"}


def _fields(cases: Sequence[dict[str, Any]], *drop: str, **more: Any) -> list[dict[str, Any]]:
    """The cases without some inputs and with further options."""
    return [{k: v for k, v in case.items() if k not in drop} | more for case in cases]


_SMALL = [
    _case(1, 1, 1), _case(2, 3, 5, bias=True, degree=1, grid_size=2), _case(65, 9, 67, base=True, bias=True),
    _case(37, 5, 20, base=True, degree=6, grid_size=17, grid_range=(-1.0, 2.0)), _case(67, 17, 13, degree=2, grid_size=7),
    _with_nan(_case(5, 3, 6, bias=True)), _with_nan(_case(5, 3, 8, base=True)),
]  # fmt: skip
_EACH = [
    _case(70, 11, 36, base=True), _case(130, 19, 131),
    _case(20, 3, 12, base=True, degree=6, grid_size=17), _case(33, 67, 20, degree=1, grid_size=2),  # as many rows as there can be, and few
    _with_nan(_case(5, 3, 8, base=True)),
]  # fmt: skip
_CUBIC = [
    _case(1, 1, 4), _case(65, 9, 260, base=True, bias=True), _case(70, 17, 12, degree=2, grid_size=2), _with_nan(_case(5, 3, 8, bias=True)),
    _with_nan(_case(5, 3, 8, base=True)), _case(33, 8, 36, base=True, degree=1, grid_size=5),
]  # fmt: skip
_WITH_BIAS = [_case(70, 14, 36, base=True), _case(33, 8, 260), _case(33, 5, 7)]
_EMPTY = _case(0, 3, 4)
_TINY: dict[str, Any] = dict(degree=1, grid_size=2)

_BENCH = [_case(1024, 784, 64), _case(1024, 256, 1024, base=True), _case(1024, 1024, 256, base=True), _case(64, 784, 64, base=True)]
_BENCH_INPUT = [*_BENCH, _case(64, 1000, 1000, base=True)]


@kernel(
    "spline/kan_tile_layer", ref=ref.kan_tile_layer, flops=_flops, atol=LONG_SUMS, choices=TILES,
    bench=_fields(_BENCH, "g", split=64), cases=[
        *_fields([*_SMALL, _EMPTY, _with_infinity(_case(5, 3, 8, base=True), "table", (2, 8, 1))], "g", split=17),
        *TILES.across(_fields(_EACH, "g", split=8)), *_fields([_case(64 * 65535 + 1, 1, 1, **_TINY)], "g", split=1, large=True),
    ],
)  # fmt: skip
def kan_tile_layer(
    x: Array, table: Array, bias: Array | None = None, *,
    degree: int, grid_size: int, grid_range: Range, split: int, base: bool = False, config: str | None = None,
) -> Launch:  # fmt: skip
    """[splits, batch, out]: bias + Σ_i Σ_r table[i,r,j]·f_r(x_i) over each split of so many inputs; the bias wants one split."""
    rows = table_grid("kan_tile_layer", table.shape, degree, grid_size, grid_range, base)
    check_points("kan_tile_layer", x, table.shape, bias)
    (batch, inputs), outputs = x.shape, table.shape[2]
    name = TILES.pick(x.device, config, ("forward", batch, inputs, outputs), str(best_tile(batch, outputs)))
    tile = int(name)
    at_once = 2 if tile == 64 and 2 * rows <= MOST_ROWS else 1
    splits, output_tiles, sample_tiles = ceil_div(inputs, split), ceil_div(outputs, tile), ceil_div(batch, tile)
    params = _split_params(x, outputs, (grid_size, grid_range), split, inputs)
    params |= dict(output_tiles=output_tiles, sample_tiles=sample_tiles)
    constants = _constants(rows, degree, base) | dict(TILES[name].constants, DEPTH=at_once * rows, INPUTS=at_once)
    constants |= dict(HAS_BIAS=bias is not None, VECTOR=outputs % 4 == 0)
    return Launch((splits, batch, outputs), groups=output_tiles * sample_tiles * splits, params=params, constants=constants)


@kernel(
    "spline/kan_tile_gradient", ref=ref.kan_tile_gradient, flops=_flops, atol=LONG_SUMS, choices=TILES,
    bench=_fields(_BENCH, "table", split=512), cases=[
        *_fields(_SMALL, "table", "bias", split=80), *_fields(_WITH_BIAS, "table", split=32, bias=True),
        *TILES.across(_fields([_with_infinity(_case(33, 5, 7), "g", (32, 1))], "table", split=32, bias=True)),
        *TILES.across(_fields(_EACH, "table", split=48)), *_fields([_case(16 * 65535 + 1, 1, 1, **_TINY)], "table", split=16, large=True),
    ],
)  # fmt: skip
def kan_tile_gradient(
    x: Array, g: Array, *,
    degree: int, grid_size: int, grid_range: Range, split: int, base: bool = False, bias: bool = False, config: str | None = None,
) -> Launch:  # fmt: skip
    """[splits, in · rows (+ 1), out]: Σ_b f_r(x[b,i])·g[b,j] and, with a bias, Σ_b g[b,j], over each split of so many samples."""
    (batch, inputs), outputs = x.shape, g.shape[-1]
    rows = table_grid("kan_tile_gradient", (inputs, grid_size + degree + base, outputs), degree, grid_size, grid_range, base)
    check_points("kan_tile_gradient", x, (inputs, rows, outputs), None, g)
    name = TILES.pick(x.device, config, ("gradient", batch, inputs, outputs), str(best_tile(inputs * rows, outputs)))
    tile = int(name)
    at_once = min(tile // rows, 16)
    splits, output_tiles, input_tiles = ceil_div(batch, split), ceil_div(outputs, tile), ceil_div(inputs + bias, at_once)
    params = _split_params(x, outputs, (grid_size, grid_range), split, batch) | dict(output_tiles=output_tiles, input_tiles=input_tiles)
    constants = _constants(rows, degree, base) | dict(TILES[name].constants, DEPTH=SLICE * 64 // tile, INPUTS=at_once)
    constants |= dict(VECTOR=outputs % 4 == 0, WITH_BIAS=bias)
    return Launch((splits, inputs * rows + bias, outputs), groups=output_tiles * input_tiles * splits, params=params, constants=constants)


@kernel(
    "spline/kan_tile_input", ref=ref.kan_tile_input, flops=_flops, atol=5e-5, choices=TILES,
    bench=[case | dict(split=split) for case, split in zip(_BENCH_INPUT, (64, 512, 256, 64, 256), strict=True)],
    cases=[
        *_fields([*_SMALL, _EMPTY], "bias", split=17), *TILES.across(_fields(_EACH, split=24)),
        *_fields([_case(64 * 65535 + 1, 1, 1, **_TINY)], split=1, large=True),
    ],
)  # fmt: skip
def kan_tile_input(
    x: Array, table: Array, g: Array, *,
    degree: int, grid_size: int, grid_range: Range, split: int, base: bool = False, config: str | None = None,
) -> Launch:  # fmt: skip
    """[splits, batch, in]: Σ_r f'_r(x_i) Σ_j g_j·table[i,r,j] over each split of the outputs, f' the first derivatives."""
    rows = table_grid("kan_tile_input", table.shape, degree, grid_size, grid_range, base)
    check_points("kan_tile_input", x, table.shape, None, g)
    (batch, inputs), outputs = x.shape, table.shape[2]
    name = TILES.pick(x.device, config, ("input", batch, inputs, outputs), str(input_tile(batch, inputs, outputs, rows)))
    tile = int(name)
    slopes = slope_rows(rows)
    at_once = tile // slopes
    splits, sample_tiles, input_tiles = ceil_div(outputs, split), ceil_div(batch, tile), ceil_div(inputs, at_once)
    params = _split_params(x, outputs, (grid_size, grid_range), split, outputs) | dict(sample_tiles=sample_tiles, input_tiles=input_tiles)
    constants = _constants(rows, degree, base) | dict(TILES[name].constants, DEPTH=SLICE, INPUTS=at_once, SLOPES=slopes)
    constants |= dict(VECTOR=outputs % 4 == 0 and split % 4 == 0)
    return Launch((splits, batch, inputs), groups=sample_tiles * input_tiles * splits, params=params, constants=constants)


@kernel(
    "spline/kan_cubic_gradient", ref=ref.kan_tile_gradient, flops=_flops, atol=LONG_SUMS,
    bench=_fields(_BENCH[1:3], "table", split=512), cases=[
        *_fields(_CUBIC, "table", "bias", split=80), *_fields(_WITH_BIAS[:2], "table", split=32, bias=True),
        *_fields([_case(16 * 65535 + 1, 1, 4, **_TINY)], "table", split=16, large=True),
    ],
)  # fmt: skip
def kan_cubic_gradient(
    x: Array, g: Array, *, degree: int, grid_size: int, grid_range: Range, split: int, base: bool = False, bias: bool = False
) -> Launch:
    """kan_tile_gradient for at most 8 functions of degree 3 or lower, of which 4 are touched; out is a multiple of 4."""
    (batch, inputs), outputs = x.shape, g.shape[-1]
    rows = table_grid("kan_cubic_gradient", (inputs, grid_size + degree + base, outputs), degree, grid_size, grid_range, base)
    check_points("kan_cubic_gradient", x, (inputs, rows, outputs), None, g)
    if degree > 3 or rows - base > CUBIC_FUNCTIONS or outputs % 4:
        got = f"got degree {degree}, {rows - base} functions and {outputs} outputs"
        raise ShapeError(f"kan_cubic_gradient: {got}; wants degree 3 or less, at most {CUBIC_FUNCTIONS} and a multiple of 4")
    splits, output_tiles, input_tiles = ceil_div(batch, split), ceil_div(outputs, CUBIC_OUTPUTS), ceil_div(inputs + bias, CUBIC_INPUTS)
    params = _split_params(x, outputs, (grid_size, grid_range), split, batch) | dict(output_tiles=output_tiles, input_tiles=input_tiles)
    constants = _constants(rows, degree, base) | dict(WITH_BIAS=bias)
    return Launch((splits, inputs * rows + bias, outputs), groups=output_tiles * input_tiles * splits, params=params, constants=constants)


@kernel(
    "spline/kan_table_narrow", ref=ref.kan_table_narrow, flops=_flops, atol=LONG_SUMS,
    bench=_fields([_case(n, 256, 1024, base=True) for n in (1, 16)], "g"),
    cases=[
        *_fields([*_SMALL, _EMPTY], "g"), *_fields([_case(3, 300, 33, base=True, bias=True)], "g"),
        *_fields([_case(65537, 1, 1, **_TINY)], "g", large=True),
    ],
)  # fmt: skip
def kan_table_narrow(
    x: Array, table: Array, bias: Array | None = None, *, degree: int, grid_size: int, grid_range: Range, base: bool = False
) -> Launch:
    """bias + Σ_i Σ_r table[i,r,j]·f_r(x_i), where only what is not zero is read; faster for few samples."""
    rows = table_grid("kan_table_narrow", table.shape, degree, grid_size, grid_range, base)
    check_points("kan_table_narrow", x, table.shape, bias)
    (batch, inputs), outputs = x.shape, table.shape[2]
    params = grid_params(grid_size, grid_range) | dict(batch=batch, inputs=inputs, outputs=outputs, rows=rows)
    constants = dict(DEGREE=degree, BASE=base, HAS_BIAS=bias is not None)
    return Launch((batch, outputs), groups=batch * ceil_div(outputs, 32), params=params, constants=constants)


@kernel(
    "spline/kan_sum", ref=ref.kan_sum, flops=lambda partial, *rest: float(partial.size), bench=dict(partial=(4, 1024, 1024)),
    cases=[dict(partial=(1, 1)), dict(partial=(3, 5, 7), bias=(7,)), dict(partial=(2, 129, 4)), dict(partial=(5, 513, 1), bias=(1,)),
           dict(partial=(2, 0, 3)), dict(partial=(1, 512 * 65535 + 1), large=True)],
)  # fmt: skip
def kan_sum(partial: Array, bias: Array | None = None) -> Launch:
    """The sum over the first axis, plus bias over the last."""
    expect(partial.ndim > 1, f"kan_sum: partial has shape {partial.shape}; wants two axes and more")
    parts, *shape = partial.shape
    size = partial.size // parts if parts else 0
    if bias is not None:
        expect(bias.shape == (shape[-1],), f"kan_sum: bias has shape {bias.shape}; wants ({shape[-1]},)")
    params = dict(size=size, columns=shape[-1], parts=parts)
    return Launch(tuple(shape), groups=ceil_div(size, 512), params=params, constants=dict(HAS_BIAS=bias is not None, VECTOR=size % 4 == 0))


@kernel(
    "spline/kan_pack", ref=ref.kan_pack, flops=0.0, bench=dict(coefficients=(1024, 256, 8), base=(1024, 256)),
    cases=[
        dict(coefficients=(1, 1, 3)), dict(coefficients=(17, 3, 7), base=(17, 3)), dict(coefficients=(5, 33, 8)),
        dict(coefficients=(257, 2, 5), base=(257, 2)), dict(coefficients=(32 * 65535 + 1, 1, 3), large=True),
    ],
)  # fmt: skip
def kan_pack(coefficients: Array, base: Array | None = None) -> Launch:
    """The table [in, rows, out] of coefficients [out, in, functions] and base [out, in]."""
    expect(coefficients.ndim == 3, f"kan_pack: coefficients have shape {coefficients.shape}; wants (out, in, functions)")
    outputs, inputs, functions = coefficients.shape
    if base is not None and base.shape != (outputs, inputs):
        raise ShapeError(f"kan_pack: base has shape {base.shape}; wants {(outputs, inputs)}")
    rows = functions + (base is not None)
    tiles = ceil_div(inputs * rows, TURNED)
    params = dict(inputs=inputs, outputs=outputs, row_tiles=tiles)
    constants = dict(FUNCTIONS=functions, HAS_BASE=base is not None)
    return Launch((inputs, rows, outputs), groups=tiles * ceil_div(outputs, TURNED), params=params, constants=constants)


@kernel(
    "spline/kan_unpack", ref=ref.kan_unpack, flops=lambda partial, **options: float(partial.size),
    bench=dict(partial=(1, 256, 9, 1024), base=True),
    cases=[
        dict(partial=(1, 1, 3, 1)), dict(partial=(2, 3, 8, 17), base=True), dict(partial=(3, 33, 5, 257)),
        dict(partial=(1, 2, 6, 31), base=True), dict(partial=(1, 1, 3, 32 * 65535 + 1), large=True),
    ],
    atol=1e-5,
)  # fmt: skip
def kan_unpack(partial: Array, *, base: bool = False) -> Launch:
    """(coefficients [out, in, functions], base [out, in] or empty): the sum of tables over the first axis, taken apart."""
    expect(
        partial.ndim == 4 and partial.shape[0] > 0, f"kan_unpack: partial has shape {partial.shape}; wants four axes, the first not empty"
    )
    parts, inputs, rows, outputs = partial.shape
    tiles = ceil_div(inputs * rows, TURNED)
    params = dict(inputs=inputs, outputs=outputs, row_tiles=tiles, parts=parts)
    made = dict(coefficients=Out((outputs, inputs, rows - base)), base=Out((outputs if base else 0, inputs)))
    return Launch(made, groups=tiles * ceil_div(outputs, TURNED), params=params, constants=dict(FUNCTIONS=rows - base, HAS_BASE=base))
