"""The layer of a Kolmogorov-Arnold network on one table [in, rows, out], as the training kernels want it.

The rows of an input are the weights of its G + p B-splines f_r and, with `base`, those of its SiLU after them:
y = bias + Σ_i Σ_r table[i,r,·]·f_r(x_i), silu(x) = x/(1 + e^-x). One dispatch gives y, one the gradient to the whole
table, one that to the inputs; no sum depends on the order in which workgroups run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..autograd import Backward, GradientTape, differentiable
from ..kernel import ceil_div
from ..kernels import spline_table as K
from . import elementwise, reduce, spline

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["kan_pack", "kan_table_layer", "kan_unpack"]

TABLED = {"software": False, "cpu": False}
"""Whether layers run on tables, by kind of device: hardware does."""
ALIGN = 64
"""Elements at whose multiples a part of a tensor may begin: 256 bytes, the largest alignment that adapters want."""
FEW_SAMPLES = 16
"""Up to here a layer reads only those rows of its table that count."""
LONGEST_SUM = 256
"""Inputs that one workgroup adds up at most: a longer sum in float32 would lose the seventh digit."""
WORKGROUPS = {64: 512, 128: 264}
"""Workgroups wanted for one product, by the side of their tiles: sums are split until there are about as many."""


@differentiable
def kan_pack(coefficients: Any, base: Any = None) -> tuple[Any, Backward]:
    """The table [in, rows, out] of coefficients [out, in, G + p] and, as the last row, base [out, in]."""
    table = K.kan_pack(coefficients, base)

    def backward(g: Any) -> Sequence[Any]:
        parts = kan_unpack(g, base=base is not None)
        return parts[0], parts[1] if base is not None else None

    return table, backward


def kan_unpack(table: Any, *, base: bool = False) -> tuple[Tensor, Tensor | None]:
    """(coefficients [out, in, G + p], base [out, in] or None) of a table."""
    coefficients, weights = _unpack(table, base=base)
    return coefficients, weights if base else None


@differentiable
def _unpack(table: Any, *, base: bool) -> tuple[Any, Backward]:
    parts = K.kan_unpack(table.view((1, *table.shape)), base=base)

    def backward(arriving: Any) -> Sequence[Any]:
        g, h = (elementwise.zeros_like(part) if a is None else a for part, a in zip(parts, arriving, strict=True))
        return (kan_pack(g, h if base else None),)

    return parts, backward


def kan_table_layer(
    x: Any, table: Any, bias: Any = None, *, degree: int, grid_size: int, grid_range: Sequence[float], base: bool = False
) -> Tensor:
    """bias + Σ_i Σ_r table[i,r,·]·f_r(x_i): x [batch, in], table [in, G + p (+ 1 with base), out], bias [out] → [batch, out].

    The same as kan_layer, without moving its weights first: what a model that trains should hold. Every order of
    derivative exists. Raises ShapeError and ConfigError.
    """
    grid = spline.grid_options(degree, grid_size, grid_range)
    rows = K.table_grid("kan_table_layer", table.shape, base=base, **grid)
    K.check_points("kan_table_layer", x, table.shape, bias)
    if is_tabled(x, rows):
        return _layer(x, table, bias, base=base, **grid)  # type: ignore[no-any-return]
    return _in_parts(x, table, bias, base=base, **grid)


def is_tabled(x: Any, rows: int) -> bool:
    """Whether a layer of so many rows per input runs on a table on x's device."""
    return rows <= K.MOST_ROWS and x.shape[0] > 0 and TABLED.get(x.device.kind, True)


def _in_parts(x: Any, table: Any, bias: Any, *, base: bool, **grid: Any) -> Tensor:
    """The layer by the operations on coefficients and base, which have every derivative."""
    coefficients, weights = kan_unpack(table, base=base)
    return spline.layer_in_parts(x, coefficients, bias, weights, **grid)  # type: ignore[no-any-return]


@differentiable
def _layer(x: Any, table: Any, bias: Any, *, base: bool, **grid: Any) -> tuple[Any, Backward]:
    """y [batch, out]."""

    def backward(g: Any) -> Sequence[Any]:
        made: list[Any] = []  # both gradients come from one product

        def to_weights(n: int) -> Any:
            if not made:
                both = _to_weights(x, g, bias=bias is not None, base=base, **grid)
                made.extend(both if bias is not None else (both,))
            return made[n]

        to_bias = None if bias is None else lambda: to_weights(1)
        return lambda: _to_inputs(x, table, g, base=base, **grid), lambda: to_weights(0), to_bias

    return _run_layer(x, table, bias, base, grid), backward


@differentiable
def _to_inputs(x: Any, table: Any, g: Any, *, base: bool, **grid: Any) -> tuple[Any, Backward]:
    """Σ_r f'_r(x_i)·Σ_j g_j·table[i,r,j]: [batch, in]."""

    def backward(h: Any) -> Sequence[Any]:
        def to(n: int) -> Any:
            with GradientTape() as outer:
                with GradientTape() as inner:
                    y = _in_parts(x, table, None, base=base, **grid)
                slopes = inner.gradient(y, [x], seed=g)[0]
            return outer.gradient(slopes, [(x, table, g)[n]], seed=h)[0]

        return lambda: to(0), lambda: to(1), lambda: to(2)

    return _run_to_inputs(x, table, g, base, grid), backward


@differentiable
def _to_weights(x: Any, g: Any, *, bias: bool, base: bool, **grid: Any) -> tuple[Any, Backward]:
    """Σ_b f_r(x[b,i])·g[b,j] [in, rows, out] and, with a bias, Σ_b g[b,j] [out]."""
    table, sums = _run_gradient(x, g, bias, base, grid)

    def backward(arriving: Any) -> Sequence[Any]:
        h, k = arriving if bias else (arriving, None)
        h = elementwise.zeros_like(table) if h is None else h
        return lambda: _to_inputs(x, h, g, base=base, **grid), lambda: _layer(x, h, k, base=base, **grid)

    return (table, sums) if bias else table, backward


def _run_layer(x: Any, table: Any, bias: Any, base: bool, grid: dict[str, Any]) -> Any:
    (batch, inputs), outputs = x.shape, table.shape[2]
    if batch <= FEW_SAMPLES:
        return K.kan_table_narrow(x, table, bias, base=base, **grid)
    split = layer_split(batch, inputs, outputs)
    y = K.kan_tile_layer(x, table, bias if split >= inputs else None, split=split, base=base, **grid)
    return y.view((batch, outputs)) if split >= inputs else K.kan_sum(y, bias)


def layer_split(batch: int, inputs: int, outputs: int) -> int:
    """How many inputs one workgroup of a layer adds up."""
    tile = K.best_tile(batch, outputs)
    return min(LONGEST_SUM, _share(inputs, ceil_div(batch, tile) * ceil_div(outputs, tile), WORKGROUPS[tile], 8))


def _run_to_inputs(x: Any, table: Any, g: Any, base: bool, grid: dict[str, Any]) -> Any:
    (batch, inputs), (rows, outputs) = x.shape, table.shape[1:]
    split = input_split(batch, inputs, outputs, rows)
    parts = K.kan_tile_input(x, table, g, split=split, base=base, **grid)
    return parts.view((batch, inputs)) if split >= outputs else K.kan_sum(parts)


def input_split(batch: int, inputs: int, outputs: int, rows: int) -> int:
    """How many outputs one workgroup adds up on the way to the inputs."""
    tile = K.input_tile(batch, inputs, outputs, rows)
    tiles = ceil_div(batch, tile) * ceil_div(inputs, tile // K.slope_rows(rows))
    return ceil_div(_share(outputs, tiles, WORKGROUPS[tile], 128), K.SLICE) * K.SLICE


def _run_gradient(x: Any, g: Any, bias: bool, base: bool, grid: dict[str, Any]) -> tuple[Any, Any]:
    """The gradients to the table and, with a bias, to it."""
    (batch, inputs), outputs = x.shape, g.shape[1]
    rows = grid["grid_size"] + grid["degree"] + base
    size = inputs * rows * outputs
    options = grid | dict(base=base, bias=bias and size % ALIGN == 0)
    if K.is_cubic(x, rows, grid["degree"], base, outputs):
        tiles = ceil_div(inputs, K.CUBIC_INPUTS) * ceil_div(outputs, K.CUBIC_OUTPUTS)
        split = ceil_div(_share(batch, tiles, WORKGROUPS[128], 128), K.SLICE) * K.SLICE
        parts = K.kan_cubic_gradient(x, g, split=split, **options)
    else:
        tile = K.best_tile(inputs * rows, outputs)
        tiles = ceil_div(inputs, min(16, tile // rows)) * ceil_div(outputs, tile)
        split = ceil_div(_share(batch, tiles, WORKGROUPS[tile], 64), K.SLICE) * K.SLICE
        parts = K.kan_tile_gradient(x, g, split=split, **options)
    whole = parts if split >= batch else K.kan_sum(parts)
    sums = whole.view((outputs,), size) if options["bias"] else reduce.sum(g, axis=0) if bias else None
    return whole.view((inputs, rows, outputs)), sums


def _share(length: int, tiles: int, wanted: int, least: int) -> int:
    """How much of a sum of this length one workgroup takes, so that there are about as many as wanted; at least `least`."""
    splits = max(1, min(wanted // max(1, tiles), length // least))
    return ceil_div(length, splits)
