"""How much the edges of a layer do on the samples at hand: the L1 norm and the entropy of the KAN paper.

Liu et al., arXiv 2404.19756, equations 2.17 to 2.20, for the activations φ_ji(x_i) = Σ_k c[j,i,k]·B_k(x_i) + base[j,i]·silu(x_i):

    |φ_ji|₁ = (1/n) Σ_s |φ_ji(x_s)|,   |Φ|₁ = Σ_ji |φ_ji|₁,   S(Φ) = -Σ_ji q_ji ln q_ji with q_ji = |φ_ji|₁ / |Φ|₁

Activations are made in blocks of samples and made anew for their gradients, so that not all of them are held at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd import Backward, GradientTape, differentiable
from .adaptive import AnyGrid
from .grid import Grid

if TYPE_CHECKING:
    from .layer import KanLayer

BLOCK_BYTES = 16 << 20
"""The most that the activations and the functions of one block of samples take, but for a block of one sample."""
KEPT = 6
"""So many times that is what their gradients take at once."""


def edge_l1(layer: KanLayer, x: Any, counted: Any = None) -> Any:
    """[out, in]: the mean of |φ_ji(x_i)| over samples x [n, in], of all edges that are splines, their base included.

    counted: weights [n] of 0 or more, for Σ w·|φ| / Σ w. Differentiable in x, coefficients and base.
    """
    coefficients, _, base = layer.splines()
    sums = _magnitudes(x, coefficients, base, layer.knots, counted, grid=layer.grid)
    return sums / float(x.shape[0]) if counted is None else sums / ops.maximum(ops.sum(counted), 1e-24)


def entropy(measures: Any) -> Any:
    """-Σ q ln q with q = the measures' shares of their sum: 0 when one edge does all, ln of their number when all do the same."""
    q = measures / ops.maximum(ops.sum(measures), 1e-30)
    return -ops.sum(q * ops.log(ops.maximum(q, 1e-30)))


def working_bytes(inputs: int, outputs: int, basis: int, n: int) -> int:
    """What `edge_l1` of n samples and its gradients take besides what stays, in bytes."""
    return KEPT * _bytes_each(inputs, outputs, basis) * min(n, _rows(inputs, outputs, basis))


def _bytes_each(inputs: int, outputs: int, basis: int) -> int:
    return 4 * inputs * (outputs + basis)


def _rows(inputs: int, outputs: int, basis: int) -> int:
    """Samples in a block."""
    return max(1, BLOCK_BYTES // _bytes_each(inputs, outputs, basis))


def edge_values(x: Any, c: Any, base: Any, knots: Any, grid: AnyGrid) -> Any:
    """φ_ji(x_i): [in, n, out]."""
    if isinstance(grid, Grid):
        points = ops.permute_dims(x, (1, 0))
        functions = ops.spline_basis(points, degree=grid.degree, grid_size=grid.size, grid_range=grid.range)
    else:
        functions = ops.permute_dims(ops.knot_basis(x, knots, degree=grid.degree), (1, 0, 2))
    values = functions @ ops.permute_dims(c, (1, 2, 0))
    if base is None:
        return values
    silu = ops.permute_dims(ops.silu(x), (1, 0))
    return values + ops.reshape(silu, (*silu.shape, 1)) * ops.reshape(ops.permute_dims(base, (1, 0)), (base.shape[1], 1, base.shape[0]))


def _block_sums(x: Any, c: Any, base: Any, knots: Any, counted: Any, grid: AnyGrid) -> Any:
    """Σ_s w_s·|φ_ji(x_si)| of one block: [out, in]."""
    sizes = ops.abs(edge_values(x, c, base, knots, grid))
    sizes = sizes if counted is None else sizes * ops.reshape(counted, (1, x.shape[0], 1))
    return ops.permute_dims(ops.sum(sizes, axis=1), (1, 0))


@differentiable
def _magnitudes(x: Any, c: Any, base: Any, knots: Any, counted: Any, *, grid: AnyGrid) -> tuple[Any, Backward]:
    """Σ_s w_s·|φ_ji(x_si)|: [out, in]. The weights get no gradient."""
    total = None
    for z, w in _blocks(x, counted, c):
        part = _block_sums(z, c, base, knots, w, grid)
        total = part if total is None else total + part

    def backward(g: Any) -> Sequence[Any]:
        made: list[Any] = []

        def part(n: int) -> Any:
            if not made:
                made.extend(_gradients(x, c, base, knots, counted, grid, g))
            return made[n]

        return lambda: part(0), lambda: part(1), None if base is None else lambda: part(2), None, None

    return total, backward


def _gradients(x: Any, c: Any, base: Any, knots: Any, counted: Any, grid: AnyGrid, g: Any) -> list[Any]:
    """[to x, to c, to base if there is one], block by block."""
    to_x, rest = [], None
    for z, w in _blocks(x, counted, c):
        sources = [z, c] if base is None else [z, c, base]
        with GradientTape() as tape:
            sums = _block_sums(z, c, base, knots, w, grid)
        first, *others = tape.gradient(sums, sources, seed=g)
        to_x.append(first)
        rest = others if rest is None else [a + b for a, b in zip(rest, others, strict=True)]
    return [ops.concat(to_x, axis=0), *(rest or [])]


def _blocks(x: Any, counted: Any, c: Any) -> Iterator[tuple[Any, Any]]:
    outputs, inputs, basis = c.shape
    rows = _rows(inputs, outputs, basis)
    if x.shape[0] <= rows:
        yield x, counted
        return
    for start in range(0, x.shape[0], rows):
        stop = min(x.shape[0], start + rows)
        yield x[start:stop], None if counted is None else counted[start:stop]
