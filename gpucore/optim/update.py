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
    """What an update takes beside the flat tensors of a piece: step counters, learning rate, partial sums, decay mask."""

    steps: Any
    lr: Any
    partials: Any
    decay: Any


def aligned(count: int) -> int:
    """The next multiple of ALIGN: where another view may begin."""
    return ceil_div(count, ALIGN) * ALIGN
