"""B-splines on given knots, a row of them per input, and the layer of a Kolmogorov-Arnold network on such knots.

Row i of knots [in, G + 2p + 1] has p knots before the grid of input i, G + 1 over it, p after it; they never decrease.
Inputs are clamped to their grid. Knots may meet, and the functions are then less smooth there; a cell of at most 1e-6 holds
no points (those in it count as its neighbour's end), and a denominator of at most 1e-6 gives 0. Knots are constants:
no gradient flows to them.

The sums F, I and C of `spline` on such knots, with every order of derivative. All functions are written out and
multiplied as matrices, in blocks of samples that stay within BLOCK_BYTES.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..autograd import Backward, differentiable
from ..errors import ShapeError
from ..kernels import spline as uniform
from ..kernels import spline_knots as K
from . import elementwise, linalg, reduce, shape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["kan_knot_layer", "knot_basis"]

BLOCK_BYTES = 64 << 20
"""The most memory that the functions of one block of samples take."""
ALIGN = 64
"""Samples at whose multiples a block may begin: places of 256 bytes, as bindings want them."""


def knot_basis(x: Any, knots: Any, *, degree: int, order: int = 0) -> Tensor:
    """The order-th derivatives of B_k on the knots of each input: x [..., in], knots [in, G + 2p + 1] → [..., in, G + p].

    At clamp(x), by the recursion of Cox and de Boor. Values are non-negative with sum 1; derivatives have sum 0 and are 0
    outside the grid, and above the degree. NaN gives NaN. Raises ShapeError and ConfigError.
    """
    return _basis(x, knots, degree=int(degree), order=int(order))  # type: ignore[no-any-return]


@differentiable
def _basis(x: Any, knots: Any, *, degree: int, order: int) -> tuple[Any, Backward]:
    def backward(g: Any) -> Sequence[Any]:
        return (lambda: reduce.sum(elementwise.multiply(g, _basis(x, knots, degree=degree, order=order + 1)), axis=-1), None)

    return K.knot_basis(x, knots, degree=degree, order=order), backward


def kan_knot_layer(x: Any, knots: Any, coefficients: Any, bias: Any = None, base: Any = None, *, degree: int) -> Tensor:
    """y_j = bias_j + Σ_i (Σ_k coefficients[j,i,k]·B_k(clamp(x_i)) + base[j,i]·silu(x_i)), B on the knots of input i.

    x [batch, in], knots [in, G + 2p + 1], coefficients [out, in, G + p], bias [out], base [out, in] → [batch, out]: `kan_layer`
    with a grid of its own per input. Raises ShapeError and ConfigError.
    """
    degree, who = int(degree), "kan_knot_layer"
    if x.ndim != 2:
        raise ShapeError(f"{who}: x has shape {x.shape}; wants (batch, in)")
    basis = K.check_knots(who, x, knots, degree)
    uniform.check_layer(who, x, basis, coefficients.shape, bias, None, coefficients.shape[0] if coefficients.ndim else 0)
    if base is not None and base.shape != coefficients.shape[:2]:
        raise ShapeError(f"{who}: base has shape {base.shape}; wants {coefficients.shape[:2]}")
    y: Tensor = _layer(x, knots, coefficients, bias, None, degree=degree, order=0)
    return y if base is None else elementwise.add(y, linalg.linear(elementwise.silu(x), base))


@differentiable
def _layer(x: Any, knots: Any, c: Any, bias: Any, s: Any, **options: Any) -> tuple[Any, Backward]:
    """F: [batch, out]."""
    outputs, inputs, basis = c.shape
    flat, parts, written = c.view((outputs, inputs * basis)), [], None
    for rows in _blocks(x, basis):
        written = _write_out(rows(x), knots, None if s is None else rows(s), **options)
        parts.append(linalg.matmul(written, flat, transpose_b=True, bias=bias))
    if len(parts) > 1:
        written = None  # too much to keep

    def backward(g: Any) -> Sequence[Any]:
        return (
            lambda: _times(_to_inputs(x, knots, c, g, **_next(options)), s),
            None,
            lambda: _to_coefficients(x, knots, g, s, basis=basis, written=written, **options),
            None if bias is None else lambda: reduce.sum(g, axis=0),
            None if s is None else lambda: _to_inputs(x, knots, c, g, **options),
        )

    return shape.concat(parts, axis=0), backward


@differentiable
def _to_inputs(x: Any, knots: Any, c: Any, g: Any, **options: Any) -> tuple[Any, Backward]:
    """I: [batch, in]."""
    outputs, inputs, basis = c.shape
    flat, parts = c.view((outputs, inputs * basis)), []
    for rows in _blocks(x, basis):
        z = rows(x)
        arriving = linalg.matmul(rows(g), flat).view((*z.shape, basis))
        parts.append(K.knot_contract(z, arriving, knots, **options))

    def backward(h: Any) -> Sequence[Any]:
        return (
            lambda: elementwise.multiply(h, _to_inputs(x, knots, c, g, **_next(options))),
            None,
            lambda: _to_coefficients(x, knots, g, h, basis=basis, **options),
            lambda: _layer(x, knots, c, None, h, **options),
        )

    return shape.concat(parts, axis=0), backward


@differentiable
def _to_coefficients(x: Any, knots: Any, g: Any, s: Any, *, basis: int, written: Any = None, **options: Any) -> tuple[Any, Backward]:
    """C: [out, in, G + p]. written: the functions, where the layer wrote them out already."""
    found = None
    for rows in _blocks(x, basis):
        functions = _write_out(rows(x), knots, None if s is None else rows(s), **options) if written is None else written
        part = linalg.matmul(rows(g), functions, transpose_a=True)
        found = part if found is None else elementwise.add(found, part)
    result = x.device.zeros((g.shape[1], x.shape[1], basis), x.dtype) if x.shape[0] == 0 else found.view((g.shape[1], x.shape[1], basis))  # type: ignore[union-attr]

    def backward(h: Any) -> Sequence[Any]:
        return (
            lambda: _times(_to_inputs(x, knots, h, g, **_next(options)), s),
            None,
            lambda: _layer(x, knots, h, None, s, **options),
            None if s is None else lambda: _to_inputs(x, knots, h, g, **options),
        )

    return result, backward


def samples_per_block(functions: int, itemsize: int = 4) -> int:
    """How many samples with so many functions each make a block."""
    return max(ALIGN, BLOCK_BYTES // (itemsize * functions) // ALIGN * ALIGN)


def _blocks(x: Any, basis: int) -> Iterator[Any]:
    """For each block of samples a function that takes its rows out of a tensor [batch, n], without copying."""
    batch, inputs = x.shape
    size = samples_per_block(inputs * basis, x.dtype.itemsize)
    if batch <= size:
        yield lambda t: t
        return
    for start in range(0, batch, size):
        count = min(size, batch - start)
        yield lambda t, start=start, count=count: t.view((count, t.shape[1]), start * t.shape[1])


def _write_out(x: Any, knots: Any, s: Any, **options: Any) -> Any:
    """All functions of all inputs, times s: [batch, in · (G + p)]."""
    b = K.knot_basis(x, knots, **options)
    b = b if s is None else elementwise.multiply(b, s.view((*s.shape, 1)))
    return b.view((x.shape[0], x.shape[1] * b.shape[2]))


def _next(options: dict[str, Any]) -> dict[str, Any]:
    return options | dict(order=options["order"] + 1)


def _times(value: Any, s: Any) -> Any:
    return value if s is None else elementwise.multiply(value, s)
