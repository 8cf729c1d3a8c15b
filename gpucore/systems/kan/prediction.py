"""What a network says of many samples, computed in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd import no_grad
from ...errors import ConfigError
from .inputs import check_width, host_numbers

if TYPE_CHECKING:
    from .network import KanNetwork

ROWS = 8192
"""Samples per batch when nothing is learned."""


def predict(network: KanNetwork, x: Any, *, rows: int = ROWS, then: Callable[[Any], Any] = lambda y: y) -> np.ndarray:
    """[n, out] in float64 for host samples x [n, in], computed `rows` at a time; then: what is made of each batch's output.

    ShapeError for x of another shape, or without a sample.
    """
    if not isinstance(rows, int) or rows < 1:
        raise ConfigError(f"predict: rows is {rows!r}; wants a whole number of 1 or more")
    x = host_numbers("predict", "x", x)
    check_width("predict", x.shape, network.config.input_dim)
    with no_grad():
        pending = [then(network(x[i : i + rows])).read_async() for i in range(0, len(x), rows)]
    return np.concatenate([readback.result() for readback in pending]).astype(np.float64)
