"""Random numbers on a device: a generator whose counter lives there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import ops
from .array import Array
from .device.base import Device
from .errors import ConfigError

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["Generator"]


class Generator:
    """Philox4x32-10 (Salmon et al., SC11) with a 64-bit seed and a 64-bit counter of blocks of four words.

    The state is a tensor: inside a Pipeline each replay draws on where the last one stopped. The same seed gives the
    same words on every device. ConfigError for a seed outside 0..2^64-1.
    """

    def __init__(self, device: Device, seed: int = 0) -> None:
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise ConfigError(f"Generator: seed is {seed!r}; wants a whole number from 0 to 2^64 - 1")
        words = np.array([int(seed) % 2**32, int(seed) >> 32, 0, 0], np.uint32)
        self.tensor: Tensor = device.tensor(words, name="generator state")
        """The state on the device, for the operations that take one."""

    @property
    def device(self) -> Device:
        """Where it draws."""
        return self.tensor.device

    @property
    def state(self) -> np.ndarray:
        """(seed low, seed high, counter low, counter high) as uint32; assign it to draw the same numbers again."""
        return self.tensor.numpy()

    @state.setter
    def state(self, words: Any) -> None:
        array = np.asarray(words)
        if array.shape != (4,) or array.dtype != np.uint32:
            raise ConfigError(f"Generator: a state is {array.dtype} {array.shape}; wants uint32 (4,)")
        self.tensor.assign(array)

    def bits(self, shape: Sequence[int]) -> Tensor:
        """Uniform 32-bit words."""
        return ops.random_bits(self.tensor, shape=shape)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers in [low, high)."""
        return ops.random_uniform(self.tensor, shape=shape, low=low, high=high)

    def normal(self, shape: Sequence[int], mean: float = 0.0, std: float = 1.0) -> Tensor:
        """Normal numbers."""
        return ops.random_normal(self.tensor, shape=shape, mean=mean, std=std)

    def dropout(self, x: Array, p: float) -> Tensor:
        """x / (1 - p) with probability 1 - p, else 0; the gradient passes through the same mask."""
        return ops.dropout(x, self.tensor, p=p)
