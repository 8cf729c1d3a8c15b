"""The 8 x 8 digits that come with scikit-learn: real handwriting without a download."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from .dataset import ArrayDataset


def load_digits(
    *, size: int = 8, scaling: str = "bilinear", test_fraction: float = 0.2, seed: int = 0
) -> tuple[ArrayDataset, ArrayDataset]:
    """(train, test) of the 1,797 digits: images [n, 1, size, size] from 0 to 1, labels int32 [n].

    size:     8 as they are; larger ones are scaled up (28 makes them fit networks for MNIST).
    scaling:  "bilinear" or "nearest" (see `resize`), or "pad": zeros around the 8 x 8 image, in the middle.
    test_fraction, seed: the random part that becomes the test set; the same for the same seed.
    Raises ConfigError without scikit-learn, for a size below 8 and an unknown scaling.
    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, as scikit-learn distributes it.
    """
    if size < 8 or scaling not in ("bilinear", "nearest", "pad"):
        raise ConfigError(f"load_digits: got size {size} and scaling {scaling!r}; wants 8 or more, and bilinear, nearest or pad")
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError:
        raise ConfigError("load_digits: scikit-learn is not installed; install gpucore[demo] or scikit-learn") from None
    source: Any = bundled()
    images = np.asarray(source.images, np.float32) / np.float32(16)
    if scaling == "pad":
        before = (size - 8) // 2
        images = np.pad(images, [(0, 0), (before, size - 8 - before), (before, size - 8 - before)])
    else:
        images = resize(images, size, scaling)
    test, train = ArrayDataset(images[:, None], source.target).split(test_fraction, seed)
    return train, test


def resize(images: np.ndarray, size: int, scaling: str = "bilinear") -> np.ndarray:
    """Images [n, height, width] scaled to [n, size, size], float32.

    Pixels are areas: the middle of output pixel i lies at (i + 0.5)·height/size - 0.5 in the input. "nearest" takes
    the pixel that it falls in, "bilinear" weighs the two on either side along each axis, the edge pixels going on
    outside.
    """
    rows, cols = (_weights(n, size, scaling) for n in images.shape[1:])
    return np.asarray(np.einsum("ih,nhw,jw->nij", rows, images, cols, optimize=True), np.float32)


def _weights(old: int, new: int, scaling: str) -> np.ndarray:
    """[new, old]: how much of each input pixel an output pixel gets; each row adds up to 1."""
    weights = np.zeros((new, old))
    at = (np.arange(new) + 0.5) * old / new - 0.5
    if scaling == "nearest":
        weights[np.arange(new), np.clip(np.floor(at + 0.5).astype(int), 0, old - 1)] = 1.0
        return weights
    at = np.clip(at, 0, old - 1)
    low = np.minimum(at.astype(int), max(old - 2, 0))
    weights[np.arange(new), low] = 1 - (at - low)
    weights[np.arange(new), np.minimum(low + 1, old - 1)] += at - low
    return weights
