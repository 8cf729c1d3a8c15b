"""Samples with their targets, checked once when they come in."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError, DTypeError, ShapeError


class ArrayDataset:
    """Samples x [n, ...] and targets y [n, ...] on the host.

    Floats are held as float32 and integers as int32, as the devices want them. Raises ShapeError for different
    lengths or no samples, DTypeError for NaN or infinities (the first bad row is named) and for values that are no
    numbers.
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = _checked("x", x), _checked("y", y)
        if len(self.x) != len(self.y):
            raise ShapeError(f"ArrayDataset: x has {len(self.x)} samples and y {len(self.y)}; wants as many of each")
        if len(self.x) == 0:
            raise ShapeError("ArrayDataset: there are no samples; wants at least one")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of these rows: an index, a slice, or an array of indices."""
        return self.x[rows], self.y[rows]

    def __repr__(self) -> str:
        return f"ArrayDataset(x={self.x.dtype} {self.x.shape}, y={self.y.dtype} {self.y.shape})"

    def subset(self, rows: Any) -> ArrayDataset:
        """A dataset of these rows alone."""
        return ArrayDataset(self.x[rows], self.y[rows])

    def split(self, fraction: float, seed: int = 0) -> tuple[ArrayDataset, ArrayDataset]:
        """(first, second): a random `fraction` of the samples, and the rest; the same for the same seed.

        Raises ConfigError when either part would be empty.
        """
        count = round(len(self) * fraction) if 0 < fraction < 1 else 0
        if not 0 < count < len(self):
            raise ConfigError(
                f"ArrayDataset.split: a fraction of {fraction} leaves one part of {len(self)} samples empty; wants both filled"
            )
        order = np.random.default_rng(seed).permutation(len(self))
        return self.subset(np.sort(order[:count])), self.subset(np.sort(order[count:]))


def _checked(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == 0:
        raise ShapeError(f"ArrayDataset: {name} is a single value; wants an array whose first axis counts the samples")
    kind = array.dtype.kind
    if kind not in "fiub":
        raise DTypeError(f"ArrayDataset: {name} holds values of type {array.dtype}; wants numbers")
    if kind == "f":
        finite = np.isfinite(array)
        if not finite.all():
            row = int(np.argmin(finite.reshape(len(array), -1).all(axis=1)))
            bad = array[row][~finite[row]].flat[0] if array.ndim > 1 else array[row]
            raise DTypeError(f"ArrayDataset: row {row} of {name} holds {bad}; wants finite numbers")
        return np.ascontiguousarray(array, np.float32)
    if kind == "b":
        return np.ascontiguousarray(array)
    info = np.iinfo(np.int32)
    if array.size and (array.min() < info.min or array.max() > info.max):
        raise DTypeError(f"ArrayDataset: {name} holds integers from {array.min()} to {array.max()}; wants {info.min} to {info.max}")
    return np.ascontiguousarray(array, np.int32)
