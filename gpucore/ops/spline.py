"""B-splines on a uniform grid, and the layer of a Kolmogorov-Arnold network made of them (Liu et al., arXiv 2404.19756).

A grid is `grid_range` (a, b) in `grid_size` G cells of width h (2 to 128), with `degree` p (1 to 6) more cells on either
side: G + p basis functions, of which p + 1 are not zero at a point. Points are clamped to [a, b]; NaN stays NaN.

With B⁽ᵐ⁾ the m-th derivatives, three sums belong together, and the gradients of each are the other two:

    F = Σ_i s_i Σ_k c[j,i,k]·B⁽ᵐ⁾_k(x_i)      (the layer, s = 1 and m = 0)
    I = Σ_j g_j Σ_k c[j,i,k]·B⁽ᵐ⁾_k(x_i)      (its gradient to an input at m = 1)
    C = Σ_b g_j s_i B⁽ᵐ⁾_k(x_i)               (its gradient to the coefficients)

so derivatives of every order exist, as training on differential equations needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..autograd import Backward, differentiable
from ..errors import ConfigError, ShapeError
from ..kernel import ceil_div
from ..kernels import spline as K
from ..kernels.spline_table import kan_pack, kan_unpack
from . import elementwise, linalg, reduce, spline_table

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["kan_layer", "spline_basis", "spline_basis_derivative"]

FEW_SAMPLES = 16
"""Up to here the layer reads its coefficients as they lie; above, it is worth turning them."""
DENSE_SHARE = {"software": 12, "cpu": 0}
"""Up to so many functions per one that is not zero, by kind of device, writing all of them out and multiplying matrices wins."""
DENSE_BYTES = 64 << 20
"""The most memory that written-out functions may take."""
WORKGROUPS_WANTED = {"software": 16, "cpu": 1}
"""Workgroups among which the gradient to the coefficients is split, by kind of device: hardware wants many."""


def grid_options(degree: int, grid_size: int, grid_range: Sequence[float]) -> dict[str, Any]:
    """The three as kernels take them."""
    low, high = grid_range
    return dict(degree=int(degree), grid_size=int(grid_size), grid_range=(float(low), float(high)))


def spline_basis(x: Any, *, degree: int, grid_size: int, grid_range: Sequence[float]) -> Tensor:
    """B_k(clamp(x, a, b)) for k = 0 … G + p − 1: x [...] → [..., G + p], non-negative, with sum 1.

    By the recursion of Cox and de Boor. Raises ConfigError for a degree, size or range that makes no grid.
    """
    return _spline(x, order=0, **grid_options(degree, grid_size, grid_range))  # type: ignore[no-any-return]


def spline_basis_derivative(x: Any, *, degree: int, grid_size: int, grid_range: Sequence[float], order: int = 1) -> Tensor:
    """The order-th derivatives of the basis functions at x, per unit of x: [..., G + p], with sum 0; 0 outside the grid.

    order: 1 or more; above the degree everything is 0.
    """
    if order < 1:
        raise ConfigError(f"spline_basis_derivative: order {order} is less than 1")
    return _spline(x, order=int(order), **grid_options(degree, grid_size, grid_range))  # type: ignore[no-any-return]


@differentiable
def _spline(x: Any, *, order: int, **grid: Any) -> tuple[Any, Backward]:
    def backward(g: Any) -> Sequence[Any]:
        return (lambda: reduce.sum(elementwise.multiply(g, _spline(x, order=order + 1, **grid)), axis=-1),)

    return K.spline_basis(x, order=order, **grid), backward


def kan_layer(
    x: Any, coefficients: Any, bias: Any = None, base: Any = None, *, degree: int, grid_size: int, grid_range: Sequence[float]
) -> Tensor:
    """y_j = bias_j + Σ_i (Σ_k coefficients[j,i,k] · B_k(clamp(x_i, a, b)) + base[j,i] · silu(x_i)): one spline per edge of a layer.

    x [batch, in] (normalised already), coefficients [out, in, G + p], bias [out], base [out, in] → [batch, out];
    silu(x) = x/(1 + e^-x) of the input as it comes. The spline's gradient to x is 0 outside the grid. A model that trains
    saves two passes over its weights by kan_table_layer. Raises ShapeError and ConfigError.
    """
    grid = grid_options(degree, grid_size, grid_range)
    _check(x, coefficients, bias, base, grid)
    if spline_table.is_tabled(x, grid_size + degree + (base is not None)) and x.shape[0] > FEW_SAMPLES:
        table = spline_table.kan_pack(coefficients, base)
        return spline_table.kan_table_layer(x, table, bias, base=base is not None, **grid)
    return layer_in_parts(x, coefficients, bias, base, **grid)  # type: ignore[no-any-return]


def _check(x: Any, c: Any, bias: Any, base: Any, grid: dict[str, Any]) -> None:
    K.check_grid("kan_layer", **grid)
    K.check_layer("kan_layer", x, grid["grid_size"] + grid["degree"], c.shape, bias, None, c.shape[0] if c.ndim else 0)
    if base is not None and base.shape != c.shape[:2]:
        raise ShapeError(f"kan_layer: base has shape {base.shape}; wants {c.shape[:2]}")


def layer_in_parts(x: Any, coefficients: Any, bias: Any, base: Any, **grid: Any) -> Any:
    """kan_layer as the sum of its splines and its base, each with derivatives of every order."""
    y = _layer(x, coefficients, bias, None, order=0, **grid)
    return y if base is None else elementwise.add(y, linalg.linear(elementwise.silu(x), base))


@differentiable
def _layer(x: Any, c: Any, bias: Any, s: Any, *, order: int, **grid: Any) -> tuple[Any, Backward]:
    """F: [batch, out]."""
    outputs, inputs, basis = c.shape
    written = None
    if _is_dense(x, **grid) and (x.shape[0] > FEW_SAMPLES or x.device.kind == "software"):
        written = _write_out(x, s, order=order, **grid)
        y = linalg.matmul(written, c.view((outputs, inputs * basis)), transpose_b=True, bias=bias)
    elif x.shape[0] <= FEW_SAMPLES or x.device.kind == "cpu":
        y = K.kan_layer_narrow(x, c, bias, s, order=order, **grid)
    else:
        y = K.kan_layer(x, kan_pack(c), bias, s, order=order, **grid)

    def backward(g: Any) -> Sequence[Any]:
        return (
            lambda: _times(_to_inputs(x, c, g, order=order + 1, **grid), s),
            lambda: _to_coefficients(x, g, s, order=order, written=written, **grid),
            None if bias is None else lambda: reduce.sum(g, axis=0),
            None if s is None else lambda: _to_inputs(x, c, g, order=order, **grid),
        )

    return y, backward


@differentiable
def _to_inputs(x: Any, c: Any, g: Any, *, order: int, **grid: Any) -> tuple[Any, Backward]:
    """I: [batch, in]."""

    def backward(h: Any) -> Sequence[Any]:
        return (
            lambda: elementwise.multiply(h, _to_inputs(x, c, g, order=order + 1, **grid)),
            lambda: _to_coefficients(x, g, h, order=order, **grid),
            lambda: _layer(x, c, None, h, order=order, **grid),
        )

    if _is_dense(x, **grid):
        arriving = linalg.matmul(g, c.view((c.shape[0], c.shape[1] * c.shape[2])))
        return K.spline_contract(x, arriving.view((*x.shape, c.shape[2])), order=order, **grid), backward
    return K.kan_input_gradient(x, c, g, order=order, **grid), backward


@differentiable
def _to_coefficients(x: Any, g: Any, s: Any, *, order: int, written: Any = None, **grid: Any) -> tuple[Any, Backward]:
    """C: [out, in, G + p]. written: the functions, where the layer wrote them out already."""
    shape = (g.shape[1], x.shape[1], grid["grid_size"] + grid["degree"])
    if x.shape[0] == 0:
        result = x.device.zeros(shape, x.dtype)
    elif _is_dense(x, **grid):
        written = _write_out(x, s, order=order, **grid) if written is None else written
        result = linalg.matmul(g, written, transpose_a=True).view(shape)
    else:
        split = samples_per_split(x.shape[0], x.shape[1], g.shape[1], x.device.kind)
        result = kan_unpack(K.kan_coefficient_gradient(x, g, s, split=split, order=order, **grid))[0]

    def backward(h: Any) -> Sequence[Any]:
        return (
            lambda: _times(_to_inputs(x, h, g, order=order + 1, **grid), s),
            lambda: _layer(x, h, None, s, order=order, **grid),
            None if s is None else lambda: _to_inputs(x, h, g, order=order, **grid),
        )

    return result, backward


def _is_dense(x: Any, *, degree: int, grid_size: int, grid_range: Any) -> bool:
    """Whether all functions of all points should be written out: few cells, on a device with a fast matrix product."""
    basis = grid_size + degree
    return 4 * x.size * basis <= DENSE_BYTES and basis <= DENSE_SHARE.get(x.device.kind, 3) * (degree + 1)


def _write_out(x: Any, s: Any, *, order: int, **grid: Any) -> Any:
    """All functions of all inputs, times s: [batch, in · (G + p)]."""
    b = K.spline_basis(x, order=order, **grid)
    b = b if s is None else elementwise.multiply(b, s.view((*s.shape, 1)))
    return b.view((x.shape[0], x.shape[1] * b.shape[2]))


def _times(value: Any, s: Any) -> Any:
    return value if s is None else elementwise.multiply(value, s)


def samples_per_split(batch: int, inputs: int, outputs: int, kind: str) -> int:
    """Samples per workgroup of the gradient to the coefficients: whole rounds, so that enough workgroups share the work."""
    lanes = K.gradient_lanes(outputs)
    at_once = lanes * K.ROUND
    tiles = inputs * ceil_div(outputs, lanes * 4)
    splits = ceil_div(WORKGROUPS_WANTED.get(kind, 512), tiles)
    return ceil_div(ceil_div(batch, splits), at_once) * at_once
