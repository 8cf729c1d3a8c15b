"""Matrix products."""

import math

import numpy as np

_SQRT_HALF = math.sqrt(0.5)


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _erf(x):
    return np.vectorize(math.erf, otypes=[x.dtype])(x) if x.size else x


ACTIVATIONS = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x * _SQRT_HALF)),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}


def matmul(a, b, bias=None, *, transpose_a=False, transpose_b=False, activation=None):
    """activation(A·B + bias) with A = a or aᵀ and B = b or bᵀ (last two axes), batch axes broadcast."""
    left = np.swapaxes(a, -1, -2) if transpose_a else a
    right = np.swapaxes(b, -1, -2) if transpose_b else b
    product = left @ right
    return ACTIVATIONS[activation](product if bias is None else product + bias)


def matmul_tiled(a, b, bias=None, *, transpose_a=False, transpose_b=False, activation=None, chunk=None, config=None):
    """The same as matmul; with chunk, one product per `chunk` inner indices: [parts, ..., m, n]."""
    if chunk is None:
        return matmul(a, b, bias, transpose_a=transpose_a, transpose_b=transpose_b, activation=activation)
    left = np.swapaxes(a, -1, -2) if transpose_a else a
    right = np.swapaxes(b, -1, -2) if transpose_b else b
    starts = range(0, max(1, left.shape[-1]), chunk)
    return np.stack([left[..., k : k + chunk] @ right[..., k : k + chunk, :] for k in starts])


def matmul_fold(partial, bias=None, *, activation=None):
    """activation(Σ_p partial[p] + bias)."""
    product = partial.sum(0)
    return ACTIVATIONS[activation](product if bias is None else product + bias)


def gemv(a, b, bias=None, *, activation=None, native=None, config=None):
    """activation(b·a + bias): matrix b [rows, cols], vector a [cols]; native and config have no part in the result."""
    product = b @ a
    return ACTIVATIONS[activation](product if bias is None else product + bias)


def gemv_direct(a, b, bias=None, *, activation=None):
    """activation(b·a + bias): matrix b [rows, cols], vector a [cols]."""
    return gemv(a, b, bias, activation=activation)


def vecmat(a, b, bias=None, *, activation=None, parts=None, native=None, config=None):
    """activation(a·b + bias): vector a [rows], matrix b [rows, cols]. With parts, a·b of that many blocks of rows: [parts, cols]."""
    if parts is None:
        return gemv(a, b.T, bias, activation=activation)
    each = -(-len(a) // parts)
    return np.stack([a[i * each : (i + 1) * each] @ b[i * each : (i + 1) * each] for i in range(parts)])


# The same products with the values of b stored in 16 bits.
matmul_f16 = matmul_bf16 = matmul
matmul_tiled_f16 = matmul_tiled_bf16 = matmul_tiled
gemv_f16 = gemv_bf16 = gemv
vecmat_f16 = vecmat_bf16 = vecmat
