"""What a network will need on a device, tensor by tensor, before anything is allocated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...device.transfer import transfer_size
from ...errors import ConfigError
from ...kernel import ceil_div
from ...memory import bucket_size
from ...ops.spline_workspace import Workspace, layer_workspace
from ...optim.flat import ALIGN
from ...optim.packed import DIRECT, DIRECT_ON

ITEM = 4  # bytes of a float32
SMALL = 16 << 10
"""Bytes of what does not grow with the network: counters, rates, the loss."""


FUNCTION_STEPS = 8
"""Numbers per sample that an edge which is a function makes on the way."""


class Sizes(NamedTuple):
    """One layer: its widths, degree, cells, whether it has a base, knots per input and a mask, and how many edges are functions."""

    inputs: int
    outputs: int
    degree: int
    grid_size: int
    base: bool
    knots: bool = False
    masked: bool = False
    functions: int = 0

    @property
    def weights(self) -> list[int]:
        """Elements of coefficients and base."""
        edges = self.inputs * self.outputs
        return [edges * (self.degree + self.grid_size), *([edges] if self.base else [])]

    @property
    def parameters(self) -> list[int]:
        """Elements of everything that is trained."""
        return [*self.weights, self.outputs, *([4 * self.functions] if self.functions else [])]

    @property
    def buffers(self) -> list[int]:
        """Elements of what is not: the grid's ends, knots, the mask, what says which edges are functions."""
        found = [2, *([self.inputs * (self.grid_size + 2 * self.degree + 1)] if self.knots else [])]
        found += [self.inputs * self.outputs] if self.masked else []
        return found + ([3 * self.functions, self.functions, self.functions * self.outputs] if self.functions else [])

    def workspace(self, batch: int, kind: str) -> Workspace:
        """What it writes beside its result."""
        grid: dict[str, int] = dict(degree=self.degree, grid_size=self.grid_size)
        found = layer_workspace(batch, self.inputs, self.outputs, base=self.base, knots=self.knots, kind=kind, **grid)
        if self.masked:  # the weights with zeros at masked edges, and the gradients to these
            found.kept += self.weights
            found.backward += self.weights
        if self.functions:
            each = batch * self.functions
            found.kept += [each] * FUNCTION_STEPS + [batch * self.outputs]
            found.backward += [each] * 3
        return found


class MemoryEstimate(NamedTuple):
    """Bytes that a network takes at one batch size, with Adam's state for training and a plain loss.

    Buffers are counted as the memory pool hands them out, rounded up. Without an optimizer: `inference` of parameters
    and activations. `training` has the optimizer and all that the backward pass keeps, the gradients too. Batches count
    as they are given and as they are held. Kernels that are chosen by measuring can need somewhat less or more; what is
    used lies between half of an estimate and a tenth above it, for networks of more than some KiB.
    """

    parameters: int
    optimizer: int
    activations_inference: int
    activations_training: int

    @property
    def inference(self) -> int:
        """Bytes to compute outputs."""
        return self.parameters + self.activations_inference

    @property
    def training(self) -> int:
        """Bytes to train."""
        return self.parameters + self.optimizer + self.activations_training


def estimate_memory(layers: Sequence[Sizes], batch: int, *, kind: str, packs: bool = True, standardised: int = 0) -> MemoryEstimate:
    """Of these layers on a kind of device; packs: whether updates pack gradients there; standardised: how many of mean and std
    the inputs have."""
    if not isinstance(batch, int | np.integer) or isinstance(batch, bool) or batch < 1:
        raise ConfigError(f"memory_estimate: batch is {batch!r}; wants a whole number of 1 or more")
    spaces = [s.workspace(batch, kind) for s in layers]
    parameters = [n for s in layers for n in s.parameters]
    held = _bytes(parameters)
    unchanged = _bytes([layers[0].inputs] * standardised + [n for s in layers for n in s.buffers])
    return MemoryEstimate(
        held + unchanged, _optimizer(parameters, kind, packs, held), _inference(layers, spaces, batch, standardised),
        _training(layers, spaces, batch, standardised) + _bytes(parameters),
    )  # fmt: skip


def _optimizer(parameters: Sequence[int], kind: str, packs: bool, held: int) -> int:
    """Both moments, the packed gradients of small parameters, or the tables that say where they lie, and what laying all
    parameters in one buffer adds."""
    if not packs:
        flat = sum(ceil_div(n, ALIGN) * ALIGN for n in parameters)
        return 2 * _bytes([flat]) + _bytes([flat // 256, flat // 256]) + max(0, _bytes([flat]) - held) + SMALL
    least = DIRECT_ON.get(kind, DIRECT)
    direct = [n for n in parameters if n >= least and n % 4 == 0]  # as `packed.order` has it: these last, and aligned
    packed = flat = sum(ceil_div(n, ALIGN) * ALIGN for n in parameters) - sum(ceil_div(n, ALIGN) * ALIGN for n in direct)
    for n in direct:
        flat = ceil_div(flat, ALIGN * ALIGN) * ALIGN * ALIGN + ceil_div(n, ALIGN) * ALIGN
    return 2 * _bytes([flat]) + _bytes([packed, flat // 256]) + max(0, _bytes([flat]) - held) + SMALL


def _inference(layers: Sequence[Sizes], spaces: Sequence[Workspace], batch: int, standardised: int) -> int:
    """The input, and the largest layer: what comes in, what it writes on the way, what goes out."""
    phases = []
    for k, (s, space) in enumerate(zip(layers, spaces, strict=True)):
        comes = standardised if k == 0 else 1
        phases.append(_bytes([batch * s.inputs] * comes + [batch * s.outputs, *space.kept, *space.forward]))
    return _bytes([batch * layers[0].inputs]) + max(phases)


def _training(layers: Sequence[Sizes], spaces: Sequence[Workspace], batch: int, standardised: int) -> int:
    """A recording reuses memory only for tensors of the same buffer size, so other sizes add up."""
    ends = [batch * layers[0].inputs] * (2 + standardised) + [batch * layers[-1].outputs] * 2
    kept = [n for s, space in zip(layers, spaces, strict=True) for n in (batch * s.outputs, *space.kept)]
    passes = [Counter(map(_buffer, space.forward)) for space in spaces]
    for k, (s, space) in enumerate(zip(layers, spaces, strict=True)):
        to_inputs = [batch * s.inputs, *space.to_inputs] if k else []  # nobody wants the gradient to the network's own
        passes.append(Counter(map(_buffer, [batch * s.outputs, *space.backward, *to_inputs])))
    most: Counter[int] = Counter()
    for one in passes:
        most |= one
    return _bytes([*ends, *kept]) + sum(size * count for size, count in most.items()) + SMALL


def room_for(layers: Sequence[Sizes], estimate: MemoryEstimate, batch: int, *, training: bool) -> int:
    """Bytes that must be free for a batch from the host: what it takes, and the transfer buffers on its way in or out."""
    given, got = (ITEM * batch * n for n in (layers[0].inputs, layers[-1].outputs))
    if training:
        return estimate.activations_training + max(transfer_size(given), transfer_size(got))
    ends = bucket_size(given) + max(transfer_size(given), bucket_size(got) + transfer_size(got, reading=True))
    return max(estimate.activations_inference, ends)


def _bytes(elements: Iterable[int]) -> int:
    return sum(_buffer(n) for n in elements)


def _buffer(elements: int) -> int:
    return bucket_size(ITEM * elements)
