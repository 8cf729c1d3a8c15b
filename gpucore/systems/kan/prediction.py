"""What a network says of many samples, computed in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd import no_grad

ROWS = 8192
"""Samples per batch when nothing is learned."""


def predict(network: Any, x: np.ndarray, *, rows: int = ROWS, then: Callable[[Any], Any] = lambda y: y) -> np.ndarray:
    """[n, out] in float64 for samples x [n, in], computed `rows` at a time; then: what is made of each batch's output."""
    with no_grad():
        pending = [then(network(x[i : i + rows])).read_async() for i in range(0, len(x), rows)]
    return np.concatenate([readback.result() for readback in pending]).astype(np.float64)
