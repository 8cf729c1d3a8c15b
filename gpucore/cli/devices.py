"""`gpucore devices`: what this machine can compute on."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ..device import DeviceInfo, device, devices
from ..device.info import FEATURES
from ..errors import GpucoreError
from ..memory import format_bytes
from .common import open_device
from .output import Output

EXAMPLES = """\
examples:
  gpucore devices
  gpucore devices --device cpu     marks what --device cpu chooses
  gpucore devices --json | jq '.devices[] | {index, name, subgroup_size}'

Choose a device for any command with --device INDEX or --device PART-OF-NAME, or with $GPUCORE_DEVICE.
"""


def add_parser(subparsers: Any) -> None:
    """Names the command and its options."""
    subparsers.add_parser(
        "devices",
        help="list adapters, their features and limits, and which one is used",
        description="Lists every adapter and the NumPy device in the order of choice, opens each, and says which one is used.",
        epilog=EXAMPLES,
    )


def run(args: argparse.Namespace) -> int:
    """Lists the devices; fails, after the list, when the one asked for cannot be opened."""
    out = Output(args.json)
    failure: GpucoreError | None = None
    try:
        chosen = open_device(args).info.index
    except GpucoreError as error:
        chosen, failure = -1, error
    rows = [_row(info, chosen) for info in devices()]
    by = "--device" if args.device is not None else "$GPUCORE_DEVICE" if os.environ.get("GPUCORE_DEVICE") else ""
    for row in rows:
        _print(out, row, f"chosen by {by}" if by else "used by default")
    out.result({"chosen": chosen if failure is None else None, "chosen_by": by or "default", "devices": rows})
    if failure is not None:
        raise failure
    return 0


def _row(info: DeviceInfo, chosen: int) -> dict[str, Any]:
    """What is known of a device: its info before opening, better what it says once open."""
    error = ""
    try:
        opened = device(info.index)
        info = opened.info
    except GpucoreError as problem:
        error = str(problem)
    bounds, loops = ("n/a", "n/a") if info.kind == "cpu" else ("on", "forced" if "loops" in info.modules else "free")
    more = {"chosen": info.index == chosen, "opened": not error, "error": error, "bounds_checks": bounds, "loop_bounds": loops}
    return info.as_dict() | more


def _print(out: Output, row: dict[str, Any], mark: str) -> None:
    out.say(f"{row['index']}  {row['name']}" + (f"   <- {mark}" if row["chosen"] else ""))
    kind = {"software": "software driver on the processor", "cpu": "the processor", "unknown": "adapter of unknown kind"}
    lines = [("backend", f"{row['backend']}, {kind.get(row['kind'], row['kind'] + ' adapter')}"), ("driver", row["driver"])]
    if row["kind"] == "cpu":
        lines.append(("note", "runs every kernel's NumPy reference; float64 too; the oracle of all checks"))
    else:
        lines += _adapter_lines(row)
    for name, text in lines:
        out.say(f"   {name:<16}{text}")
    out.say()


def _adapter_lines(row: dict[str, Any]) -> list[tuple[str, str]]:
    limits: dict[str, int] = row["limits"]
    low, high = row["subgroup_range"]
    has = [f.replace("_", " ") for f in FEATURES if f in row["features"]]
    lacks = [f.replace("_", " ") for f in FEATURES if f not in row["features"]]
    measured = f"{row['subgroup_size']} lanes, measured" if row["subgroup_size"] else "not measured"
    allowed = f" (the driver names {low} to {high})" if high else ""
    lines = [
        ("features", ", ".join(has) + (f"; without {', '.join(lacks)}" if lacks else "")),
        ("subgroup size", measured + allowed if "subgroups" in row["features"] else "no subgroups"),
        ("storage", f"{format_bytes(limits['max_storage_binding'])} per binding, {format_bytes(limits['max_buffer'])} per buffer, "
                    f"{limits['max_storage_buffers']} buffers per shader, offsets of {limits['offset_alignment']} bytes"),
        ("workgroups", f"{limits['max_workgroup_size']} invocations, {format_bytes(limits['max_workgroup_memory'])} of shared memory, "
                       f"{limits['max_workgroups']:,} per axis"),
        ("immediates", f"{limits['max_immediates']} bytes" if "immediates" in row["features"] else "none, uniform buffers instead"),
        ("shader modules", "bounds checks on, loops not bounded by force (fast)" if row["loop_bounds"] == "free"
                           else "bounds checks on, every loop bounded by force (slow: this wgpu library cannot leave it out)"),
    ]  # fmt: skip
    if row["error"]:
        lines.append(("cannot be used", row["error"]))
    elif row["backend"] == "OpenGL":
        lines.append(("note", "opened, but OpenGL is never chosen by itself: its drivers often fail on compute shaders"))
    return lines
