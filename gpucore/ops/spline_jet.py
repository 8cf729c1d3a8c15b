"""Values, first and second derivatives through a layer of a Kolmogorov-Arnold network at once, for differential equations.

Along a direction in which the inputs z_i(t) move, the chain rule for y_j = Σ_i φ_ji(z_i) is

    y'_j  = Σ_i φ'_ji(z_i)·z'_i
    y''_j = Σ_i φ''_ji(z_i)·z'_i² + φ'_ji(z_i)·z''_i

and each sum is one of those that `spline` computes anyway. Carried from layer to layer this costs a fraction of what
nested tapes do, which go back and forth through the whole network for every derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ShapeError
from . import elementwise, linalg, shape, spline, spline_knots

__all__ = ["kan_jet"]

Slopes = Callable[[Any, Any, int], Any]


def kan_jet(
    z: Any, first: Any, second: Any, coefficients: Any, bias: Any = None, base: Any = None, *, degree: int, grid_size: int,
    grid_range: Sequence[float], knots: Any = None,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(y, y', y'') of the layer of `kan_layer`, or of `kan_knot_layer` with knots, for inputs z with derivatives z' and z''.

    z [n, in] → y [n, out]. first [d·n, in]: z' along d directions one after another; second the same of z'', None for 0 →
    y' and y'' [d·n, out]. All are differentiable. The derivatives of splines are 0 outside the grid. Raises ShapeError and
    ConfigError.
    """
    _check(z, first, second)
    grid = spline.grid_options(degree, grid_size, grid_range)
    if knots is None:
        y = spline.kan_layer(z, coefficients, bias, base, **grid)
    else:
        y = spline_knots.kan_knot_layer(z, knots, coefficients, bias, base, degree=degree)

    def splines(x: Any, s: Any, order: int) -> Any:
        if knots is None:
            return spline._layer(x, coefficients, None, s, order=order, **grid)
        return spline_knots._layer(x, knots, coefficients, None, s, degree=degree, order=order)

    slopes = splines if base is None else lambda x, s, order: splines(x, s, order) + linalg.linear(s * _silu(x, order), base)
    return y, *_chain(slopes, z, first, second)


def _check(z: Any, first: Any, second: Any) -> None:
    fits = z.ndim == first.ndim == 2 and z.shape[1] == first.shape[1]
    n, rows = (z.shape[0], first.shape[0]) if fits else (0, 0)
    if not fits or (rows > 0 if n == 0 else rows == 0 or rows % n):
        raise ShapeError(f"kan_jet: z has shape {z.shape} and first {first.shape}; wants (n, in) and (d·n, in), d directions in turn")
    if second is not None and second.shape != first.shape:
        raise ShapeError(f"kan_jet: second has shape {second.shape}; wants that of first, {first.shape}")


def _chain(slopes: Slopes, z: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """(y', y''); slopes(x, s, m) is Σ_i φ⁽ᵐ⁾(x_i)·s_i."""
    directions = first.shape[0] // z.shape[0] if z.shape[0] else 1
    at = shape.concat([z] * directions)
    if second is None:
        return slopes(at, first, 1), slopes(at, first * first, 2)
    both = slopes(shape.concat([at, at]), shape.concat([first, second]), 1)
    rows = first.shape[0]
    return both[:rows], slopes(at, first * first, 2) + both[rows:]


def _silu(x: Any, order: int) -> Any:
    """The first or second derivative of silu(x) = x·σ(x)."""
    s = elementwise.sigmoid(x)
    slope = s * (1.0 - s)
    return s + x * slope if order == 1 else slope * (2.0 + x * (1.0 - 2.0 * s))
