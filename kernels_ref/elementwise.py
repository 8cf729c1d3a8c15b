"""Elementwise functions."""

import numpy as np

UNARY = {
    "negative": np.negative,
    "abs": np.abs,
    "exp": np.exp,
}

BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
}


def unary(x, *, op):
    """op(x)."""
    return UNARY[op](x)


def binary(a, b, *, op):
    """a op b with broadcasting."""
    return BINARY[op](a, b)
