"""How work on many elements is spread over workgroups."""

from __future__ import annotations

from ..kernel import ceil_div

WORKGROUP = 256
"""Invocations of a workgroup. A GPU starts about one workgroup per clock: with 64 that, not memory, bounds large tensors."""


def groups_for(size: int, elements: int = 4) -> int:
    """Workgroups for `size` elements of which each invocation makes `elements`."""
    return ceil_div(ceil_div(size, elements), WORKGROUP)
