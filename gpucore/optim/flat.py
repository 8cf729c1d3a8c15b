"""Parameters laid out one after another in one storage, so that few dispatches update them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..array import Array
from ..errors import ConfigError, DeviceMismatchError, DTypeError
from ..kernel import ceil_div
from ..kernels import optim as K

if TYPE_CHECKING:
    from ..tensor import Tensor

ALIGN = K.DECAY_BLOCK
"""Elements: every parameter starts at a multiple of 256 bytes, the largest alignment that adapters want of a binding."""
RANGE = 1 << 25
"""Elements of one dispatch: 128 MiB, the storage binding that every adapter grants."""

Order = Callable[[Sequence[Any]], tuple[Sequence[int], Iterable[int]]]
"""Of parameters: their numbers in the order in which they lie, and those at which a dispatch begins."""


class FlatParameters:
    """Where each parameter lies in the flat tensor `theta`; making one moves the parameters there.

    The parameters stay the same tensor objects, now views of `theta`. The elements between them are zeros.
    """

    def __init__(self, params: Sequence[Any], who: str, order: Order) -> None:
        _check(params, who)
        self.params = list(params)
        self.device, self.dtype = params[0].device, params[0].dtype
        self.order, first = order(self.params)
        starts = set(first)
        self.spans = [ceil_div(p.size, ALIGN) * ALIGN for p in params]
        self.offsets, self.size = [0] * len(params), 0
        for i in self.order:
            if i in starts:  # aligned so that its part of the decay mask, one number per ALIGN elements, is aligned too
                self.size = ceil_div(self.size, ALIGN * ALIGN) * ALIGN * ALIGN
            self.offsets[i] = self.size
            self.size += self.spans[i]
        self.theta = self.zeros("parameters")
        for p, offset in zip(self.params, self.offsets, strict=True):
            if p.size:
                self.theta.view(p.shape, offset).assign(p)
        for p, offset in zip(self.params, self.offsets, strict=True):
            p.storage, p.offset = self.theta.storage, self.theta.offset + offset

    def zeros(self, name: str) -> Tensor:
        """A flat tensor of zeros laid out like the parameters."""
        return self.device.zeros((self.size,), self.dtype, name=name)  # type: ignore[no-any-return]

    def moved(self) -> Any:
        """The first parameter that no longer lies here, because another optimizer took it over; None if all do."""
        here = self.theta.storage
        return next((p for p in self.params if p.storage is not here), None)

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """The part of each parameter in a flat host array."""
        parts = zip(self.params, self.offsets, strict=True)
        return [flat[offset : offset + p.size].reshape(p.shape).copy() for p, offset in parts]

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """The flat host array of one part per parameter, zeros between them."""
        flat = np.zeros(self.size, self.dtype.host)
        for part, offset in zip(parts, self.offsets, strict=True):
            flat[offset : offset + part.size] = part.reshape(-1)
        return flat


def _check(params: Sequence[Any], who: str) -> None:
    if not params:
        raise ConfigError(f"{who}: got no parameters to train; wants at least one that is not frozen")
    first = params[0]
    for p in params:
        if not isinstance(p, Array):
            raise ConfigError(f"{who}: got {type(p).__name__} among the parameters; wants tensors")
        if p.dtype.name not in ("float32", "float64"):
            raise DTypeError(f"{who}: {p.describe()} cannot be trained; wants float32")
        if p.dtype is not first.dtype:
            raise DTypeError(f"{who}: {p.describe()} and {first.describe()} differ in dtype; wants one for all parameters")
        if p.device is not first.device:
            raise DeviceMismatchError(f"{who}: {p.describe()} is on {p.device.name!r} and {first.describe()} on {first.device.name!r}")
    _check_distinct(params, who)


def _check_distinct(params: Sequence[Any], who: str) -> None:
    """No parameter twice, nor two that share memory: one would be updated twice or torn from the other."""
    spans = sorted(((id(p.storage), p.offset, p.offset + p.size, i) for i, p in enumerate(params)), key=lambda s: s[:2])
    seen: dict[int, int] = {}
    for i, p in enumerate(params):
        if id(p) in seen:
            raise ConfigError(f"{who}: parameter {i} {p.describe()} is also parameter {seen[id(p)]}; list each once")
        seen[id(p)] = i
    for (storage, _, end, i), (other, start, _, j) in pairwise(spans):
        if storage == other and start < end:
            raise ConfigError(f"{who}: parameters {min(i, j)} and {max(i, j)} share memory; list each once")
