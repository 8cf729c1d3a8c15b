"""How a kernel lays its lanes over rows: what lib/row.wgsl wants to know."""

from __future__ import annotations

from typing import Any

from ..array import Array
from ..device.base import Device
from ..kernel import Launch, ceil_div
from ..tuning import Candidate, Choices

WORKGROUP = 256
MOST_PER = 8
"""vec4s of a row that one lane can hold in registers."""
STAGED_COLS = 32
"""Columns up to which rows that start anywhere go through a tile in shared memory, one lane each."""
SOFTWARE_LANES = 8
SOFTWARE_PER = 5
SOFTWARE_ROUNDS = 32768
"""Software drivers cut a loop at 65,535 rounds."""


LAYOUTS = Choices("rows", {"lanes": Candidate(workgroup=256), "registers": Candidate(workgroup=256, memory=64 * STAGED_COLS * 4)})
"""How rows lie over lanes. lanes: a few of one small subgroup per row, no shared memory, long rows read again from the
cache: for software drivers. registers: up to a whole workgroup per row, which stays in registers; short rows that start
anywhere pass through shared memory."""


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


def rows_plan(
    device: Device, kernel: str, rows: int, cols: int, *,
    tensors: int = 1, reduces: bool = False, whole: bool = True, config: str | None = None,
) -> dict[str, int]:  # fmt: skip
    """The constants of lib/row.wgsl for rows of this length, of which `tensors` inputs are read.

    Where it `reduces` each row to one value, lanes take more elements each: fewer of them have to be brought together.
    Unless they are `whole`, rows are parts of longer ones and start anywhere.
    """
    layout = LAYOUTS.pick(device, config, (kernel, rows, cols), "lanes" if device.kind == "software" else "registers")
    aligned = whole and cols % 4 == 0
    if layout == "lanes":
        return _lanes(cols, aligned)
    if whole and tensors == 1 and not reduces and not aligned and cols <= STAGED_COLS:
        return dict(WORKGROUP=64, SEGMENT=1, PER=ceil_div(cols, 4), STAGED=1, COLS=cols, TILE=64 * cols)
    quads = ceil_div(max(cols, 1), 4) if aligned else (cols + 6) // 4  # as many as a row that starts anywhere can touch
    prefer, lanes, long_row = (4, 128, 256) if reduces else (2, 256, 512)
    segment = min(lanes, power_of_two(ceil_div(quads, prefer)))
    if quads > segment * MOST_PER:
        segment = min(long_row, 1 << (device.info.limits.get("max_workgroup_size", WORKGROUP).bit_length() - 1))
    per = ceil_div(quads, segment)
    return dict(WORKGROUP=max(segment, 128), SEGMENT=segment, PER=per if per <= MOST_PER else 0, ALIGNED=int(aligned))


def _lanes(cols: int, aligned: bool) -> dict[str, int]:
    """One subgroup of eight lanes per row and no shared memory; what was read a moment ago is in the processor's cache."""
    quads = ceil_div(max(cols, 1), 4)
    segment = min(SOFTWARE_LANES, power_of_two(ceil_div(quads, SOFTWARE_PER)))
    if quads > segment * SOFTWARE_ROUNDS:
        segment = WORKGROUP
    per = ceil_div(quads + 1 - aligned, segment)
    return dict(WORKGROUP=max(64, segment), SEGMENT=segment, PER=per if per <= SOFTWARE_PER else 0, ALIGNED=int(aligned))


def row_launch(
    who: str, outputs: Any, x: Array, rows: int, cols: int, params: dict[str, Any], *,
    tensors: int = 1, reduces: bool = False, config: str | None = None, **constants: int,
) -> Launch:  # fmt: skip
    """A launch of SEGMENT lanes per row, as many rows per workgroup as fit; each row of `tensors` inputs in registers."""
    plan = rows_plan(x.device, who, rows, cols, tensors=tensors, reduces=reduces, config=config)
    groups = ceil_div(rows, plan["WORKGROUP"] // plan["SEGMENT"])
    return Launch(outputs, groups=groups, params=dict(rows=rows, cols=cols) | params, constants=constants | plan)


SPREAD: list[tuple[int, int]] = [(3, 10), (67, 3), (5, 33), (2, 260), (2, 1001), (2, 4099), (1, 16411)]
"""Shapes at which each layout takes another way: tile, one lane to a whole workgroup, aligned or not, read again."""
