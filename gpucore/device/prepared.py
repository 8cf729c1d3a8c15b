"""A launch worked out once for given shapes and options: pipeline, parameters, grid, outputs, binding slots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..dtypes import DType
from . import native as n

if TYPE_CHECKING:
    from ..array import Array
    from ..kernel import Kernel, Launch

_serials = count(1)


class Spec(NamedTuple):
    """A tensor's shape and dtype without its memory: what costs are computed from."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes."""
        return self.size * self.dtype.itemsize


class Prepared:
    """Everything about a launch but the buffers: what a command needs (pipeline, immediates, grid) and what binds."""

    serial: int
    kernel: Kernel
    launch: Launch
    options: dict[str, Any]
    pipeline: Any
    layout: Any
    outputs: list[tuple[tuple[int, ...], DType]]
    specs: list[Spec | None]
    grid: tuple[int, int, int]
    empty: bool
    immediates: Any
    immediate_size: int
    uniform: Any
    slots: list[tuple[int, int, int]]
    mutated: tuple[int, ...]

    @classmethod
    def build(
        cls, native: n.Native, use_immediates: bool, kernel: Kernel, inputs: Sequence[Array | None], options: dict[str, Any],
        launch: Launch, outputs: list[tuple[tuple[int, ...], DType]], pipeline: Any, layout: Any, params: bytes,
    ) -> Prepared:  # fmt: skip
        """Works a launch out; parameters become immediates where the adapter has them, else a small uniform buffer."""
        self = cls()
        self.serial = next(_serials)
        self.kernel, self.launch, self.options = kernel, launch, dict(options)
        self.pipeline, self.layout, self.outputs = pipeline, layout, outputs
        self.specs = [None if t is None else Spec(t.shape, t.dtype) for t in inputs]
        self.grid = launch.groups
        self.empty = prod(launch.groups) == 0
        self.immediates, self.immediate_size, self.uniform = None, 0, None
        if params and use_immediates:
            self.immediates, self.immediate_size = native.immediates(params), len(params)
        elif params:
            padded = np.frombuffer(params + bytes(-len(params) % 16), np.uint8)
            self.uniform = native.create_buffer(padded.size, n.UNIFORM | n.COPY_DST)
            native.write_buffer(self.uniform, padded)
        self.slots = self._bindings(inputs)
        self.mutated = tuple(i for i, name in enumerate(kernel.inputs) if name in kernel.mutated)
        return self

    def _bindings(self, inputs: Sequence[Array | None]) -> list[tuple[int, int, int]]:
        """(slot, index into inputs and outputs, bytes) per binding, sizes rounded up to whole vec4s."""
        order = {name: i for i, name in enumerate((*self.kernel.inputs, *self.launch.outputs))}
        sizes = [0 if t is None else t.nbytes for t in inputs] + [prod(s) * d.itemsize for s, d in self.outputs]
        return [(b.slot, order[b.name], max(16, -(-sizes[order[b.name]] // 16) * 16)) for b in self.kernel.shader.bindings]
