"""The images that the classifiers learn from, normalised."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...data import ArrayDataset, load_digits, load_mnist
from ...errors import ConfigError

MEAN, STD = 0.1307, 0.3081
"""Mean and standard deviation of the pixels of MNIST's training images, from 0 to 1."""


@dataclass(frozen=True)
class Images:
    """Training and test images, normalised to mean 0 and standard deviation 1, [n, 1, 28, 28]; what they are is `name`."""

    name: str
    train: ArrayDataset
    test: ArrayDataset
    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.name}, {len(self.train):,} images to train and {len(self.test):,} to test"

    def pixels(self) -> np.ndarray:
        """The test images as they were, [n, 28, 28] from 0 to 1."""
        return self.test.x[:, 0] * np.float32(self.std) + np.float32(self.mean)


def load_images(
    data_dir: str | os.PathLike[str] | None = None, *, digits: bool = False, limit: int | None = None, download: bool = True,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Images:  # fmt: skip
    """MNIST, or with `digits` scikit-learn's 8 x 8 digits scaled up to 28 x 28.

    limit: as many of the first training images (and at most as many of the test images). See `gpucore.data.load_mnist`
    for where MNIST is looked for and what `progress` is told; ConfigError when it cannot be had, or for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"mnist: limit is {limit}; wants 1 or more images")
    if digits:
        train, test = load_digits(size=28)
        name, mean, std = "scikit-learn's digits scaled to 28 x 28", float(train.x.mean()), float(train.x.std())
    else:
        train, test = load_mnist(data_dir, download=download, progress=progress)
        name, mean, std = "MNIST", MEAN, STD
    kept = slice(limit)
    return Images(name, _normalised(train, kept, mean, std), _normalised(test, kept, mean, std), mean, std)


def _normalised(data: ArrayDataset, kept: slice, mean: float, std: float) -> ArrayDataset:
    return ArrayDataset((data.x[kept] - np.float32(mean)) / np.float32(std), data.y[kept])
