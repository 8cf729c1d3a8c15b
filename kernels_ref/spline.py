"""B-splines on a uniform grid by the recursion of Cox and de Boor, and the KAN layer made of them (Liu et al., 2024)."""

import numpy as np


def knots(degree, grid_size, grid_range):
    """t_i = a + (i − p)·h: G cells over the range and p more on either side."""
    low, high = grid_range
    return low + (np.arange(grid_size + 2 * degree + 1) - degree) * ((high - low) / grid_size)


def _locate(x, degree, grid_size, grid_range):
    """The knot span of each point and the point inside it: clamp(x), a knot reached 1e-6 of a cell early."""
    low, high = grid_range
    t = knots(degree, grid_size, grid_range)
    z = np.where(np.isnan(x), low, np.clip(x.astype(np.float64), low, high))
    cell = np.floor((z - low) / ((high - low) / grid_size) + 1e-6)
    span = np.clip(cell, 0, grid_size - 1).astype(int) + degree
    return np.clip(z, t[span], t[span + 1]), span


def _over(value, denominator):
    """value / denominator, 0 where the denominator is at most 1e-6."""
    return np.where(denominator > 1e-6, value / np.where(denominator > 1e-6, denominator, 1.0), 0.0)


def spline_basis(x, *, degree, grid_size, grid_range, order=0):
    """The order-th derivatives of all G + p functions at clamp(x): the recursion up to degree p − order, then differences.

    B_{k,0} = 1 in span k; B_{k,d} = (z − t_k)/(t_{k+d} − t_k)·B_{k,d−1} + (t_{k+d+1} − z)/(t_{k+d+1} − t_{k+1})·B_{k+1,d−1};
    B'_{k,d} = d·(B_{k,d−1}/(t_{k+d} − t_k) − B_{k+1,d−1}/(t_{k+d+1} − t_{k+1})). A derivative is 0 outside the grid.
    """
    t = knots(degree, grid_size, grid_range)
    z, span = _locate(x, degree, grid_size, grid_range)
    z = z[..., None]
    b = (span[..., None] == np.arange(len(t) - 1)).astype(np.float64)
    for d in range(1, degree + 1):
        left, right = t[d:-1] - t[: -d - 1], t[d + 1 :] - t[1:-d]
        if d <= degree - order:
            b = _over(z - t[: -d - 1], left) * b[..., :-1] + _over(t[d + 1 :] - z, right) * b[..., 1:]
        else:
            b = d * (_over(b[..., :-1], left) - _over(b[..., 1:], right))
    if order > degree:
        b = np.zeros_like(b)
    if order > 0:
        low, high = (np.float64(np.float32(end)) for end in grid_range)
        inside = (x >= min(low, grid_range[0])) & (x <= max(high, grid_range[1]))
        b = np.where(inside[..., None], b, 0.0)
    return np.where(np.isnan(x)[..., None], np.nan, b).astype(x.dtype)


def spline_contract(x, weights, **options):
    """Σ_k weights_k·B_k(x) at every point."""
    return (weights * spline_basis(x, **options)).sum(axis=-1)


def _points(x, scale, options):
    """The basis at every input of every sample, [batch, in · functions], each input's times its scale."""
    b = spline_basis(x, **options)
    b = b if scale is None else b * scale[..., None]
    return b.reshape(len(x), b.shape[1] * b.shape[2])


def kan_layer(x, table, bias=None, scale=None, **options):
    """bias_j + Σ_i scale_i Σ_k table[i,k,j]·B_k(x_i)."""
    y = _points(x, scale, options) @ table.reshape(-1, table.shape[2])
    return y if bias is None else y + bias


def kan_layer_narrow(x, coefficients, bias=None, scale=None, **options):
    """The same layer with coefficients [out, in, functions]."""
    return kan_layer(x, np.moveaxis(coefficients, 0, 2), bias, scale, **options)


def kan_input_gradient(x, coefficients, g, **options):
    """Σ_j g_j Σ_k coefficients[j,i,k]·B_k(x_i) per input, B the derivatives of the order given."""
    arriving = np.tensordot(g, coefficients, (1, 0))
    return spline_contract(x, arriving, **options)


def kan_coefficient_gradient(x, g, scale=None, *, split, **options):
    """Per split of the batch: Σ_b g[b,j]·scale[b,i]·B_k(x[b,i]), as [split, in, functions, out]."""
    b = _points(x, scale, options)
    sums = [b[i : i + split].T @ g[i : i + split] for i in range(0, len(x), split)]
    return np.stack(sums).reshape(len(sums), x.shape[1], -1, g.shape[1])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _functions(x, base, order=0, **grid):
    """The B-splines at every input and, with a base, the SiLU after them, or their first derivatives: [batch, in, rows]."""
    b = spline_basis(x, order=order, **grid)
    s = _sigmoid(x)
    silu = s * (1 + x * (1 - s)) if order else x * s
    return np.concatenate([b, silu[..., None]], axis=-1).astype(x.dtype) if base else b


def kan_tile_layer(x, table, bias=None, *, split, base=False, config=None, **grid):
    """Per split of the inputs: bias_j + Σ_i Σ_r table[i,r,j]·f_r(x_i), as [split, batch, out]."""
    f = _functions(x, base, **grid)
    starts = range(0, x.shape[1], split)
    y = np.stack([np.tensordot(f[:, i : i + split], table[i : i + split], ((1, 2), (0, 1))) for i in starts])
    return y if bias is None else y + bias


def kan_table_narrow(x, table, bias=None, *, base=False, **grid):
    """bias_j + Σ_i Σ_r table[i,r,j]·f_r(x_i)."""
    return kan_tile_layer(x, table, bias, split=x.shape[1], base=base, **grid)[0]


def kan_tile_gradient(x, g, *, split, base=False, bias=False, config=None, **grid):
    """Per split of the batch: Σ_b f_r(x[b,i])·g[b,j] and, with a bias, Σ_b g[b,j] in one row more: [split, rows of all inputs, out]."""
    f = _functions(x, base, **grid)
    f = f.reshape(len(x), f.shape[1] * f.shape[2])
    f = np.concatenate([f, np.ones((len(x), int(bias)), f.dtype)], axis=1)
    return np.stack([f[b : b + split].T @ g[b : b + split] for b in range(0, len(x), split)])


def kan_tile_input(x, table, g, *, split, base=False, config=None, **grid):
    """[splits, batch, in]: Σ_r f'_r(x_i) Σ_j g_j·table[i,r,j] per input, over each split of the outputs."""
    slopes = _functions(x, base, order=1, **grid)
    splits = [slice(start, start + split) for start in range(0, g.shape[1], split)]
    return np.stack([(np.tensordot(g[:, s], table[..., s], (1, 2)) * slopes).sum(axis=-1) for s in splits])


def kan_sum(partial, bias=None):
    """The sum over the first axis, plus bias."""
    y = partial.sum(axis=0)
    return y if bias is None else y + bias


def kan_pack(coefficients, base=None):
    """The table [in, rows, out]."""
    whole = coefficients if base is None else np.concatenate([coefficients, base[..., None]], axis=-1)
    return np.moveaxis(whole, 0, 2)


def kan_unpack(partial, *, base=False):
    """The sum of tables over the first axis as (coefficients [out, in, functions], base [out, in] or empty)."""
    whole = np.moveaxis(partial.sum(axis=0), 2, 0)
    if base:
        return whole[..., :-1], whole[..., -1]
    return whole, np.zeros((0, partial.shape[1]), partial.dtype)
