"""What an optimizer's update takes, wherever its gradients lie."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..kernel import Kernel, ceil_div
from .flat import ALIGN

PARTIALS = 512
"""Numbers that add up to the square of the gradients' norm, about: every workgroup of the update adds them up."""


class Update(NamedTuple):
    """The kernels of an optimizer's update: of one flat gradient, and of many where they lie; and its own settings."""

    one: Kernel
    many: Kernel
    settings: dict[str, Any]


class Part(NamedTuple):
    """What an update takes beside the flat tensors of a piece and its step counters: learning rate, partial sums, decay mask."""

    lr: Any
    partials: Any
    decay: Any


def counters(device: Any, blocks: int) -> Any:
    """The steps that each of so many workgroups has counted, a tensor of its own: a view that ends inside a vector of four would be
    copied to and fro around each update."""
    return device.zeros((max(1, blocks),), "uint32", name="optimizer steps")


def quads(count: int) -> int:
    """The next multiple of four: as many sums, for the same reason, so that views of them can be bound where they lie."""
    return ceil_div(count, 4) * 4


def aligned(count: int) -> int:
    """The next multiple of ALIGN: where another view may begin."""
    return ceil_div(count, ALIGN) * ALIGN
