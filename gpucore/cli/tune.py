"""`gpucore tune`: which launch constants are fastest on this adapter."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import tuning_file
from ..bench.tune import Tuned, default_cases, tunable, tune
from ..device.base import Device
from ..errors import ConfigError
from ..kernel import KERNELS, Case, Kernel
from ..report import Progress, environment, si
from ..tuning import TUNABLE
from .common import open_device
from .output import Output

EXAMPLES = """\
examples:
  gpucore tune                                     every tunable kernel over its usual shapes
  gpucore tune --kernel 'gemv*'
  gpucore tune --shape 'gemv a=4096 b=14336x4096'  a shape of your own: the kernel's inputs, then options
  gpucore tune --shape 'matmul_tiled a=1000x1000 b=1000x1000 transpose_b=true'
  gpucore tune --show                              what has been measured on this adapter
  gpucore tune --reset                             back to the defaults

Programs started afterwards use the measurements by themselves. They live in one small file per adapter and driver in
the user's cache folder ($GPUCORE_CACHE names another one) and are ignored, with a note, once the shaders change.
Results do not depend on them beyond rounding.
"""


def add_parser(subparsers: Any) -> None:
    """Names the command and its options."""
    parser = subparsers.add_parser(
        "tune",
        help="measure which launch constants are fastest on this adapter, and keep them",
        description="Measures every candidate of the tunable kernels on the adapter and keeps the fastest for later runs.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--kernel", action="append", default=[], metavar="NAME", help="only kernels of this name or pattern; may be repeated"
    )
    parser.add_argument(
        "--shape", action="append", default=[], metavar="TEXT", help="'KERNEL INPUT=SHAPE ... OPTION=VALUE ...'; may be repeated"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", action="store_true", help="print what has been measured, and measure nothing")
    what.add_argument("--reset", action="store_true", help="forget what has been measured on this adapter")


def run(args: argparse.Namespace) -> int:
    """Measures and saves, or shows, or resets; fails when a candidate failed."""
    out = Output(args.json)
    device = open_device(args)
    if device.is_cpu:
        raise ConfigError("tune: the NumPy device has nothing to tune; choose an adapter with --device")
    if args.show:
        return _show(out, device)
    if args.reset:
        return _reset(out, device)
    if args.shape and args.kernel:
        raise ConfigError("tune: give --kernel or --shape, not both")
    work = [parse_shape(text) for text in args.shape] or default_cases([k for k in tunable(args.kernel) if k.runs_on(device)])
    progress = Progress(sum(len(k.choices.candidates) for k, _ in work if k.choices is not None))
    found: list[Tuned] = []
    try:
        for t in tune(device, work, seed=args.seed, progress=progress.step):
            found.append(t)
            if not t.error:  # at once, so that an interrupted run keeps what it has measured
                kept = {"config": t.config, "default": t.default, "case": t.case, "seconds": t.seconds}
                tuning_file.save(device.info, {t.choices: {t.entry: kept}}, environment())
    finally:
        progress.finish()
        _say(out, device, found)
    failures = [t for t in found if t.error]
    return out.failed(f"{len(failures)} of {len(found)} shapes could not be measured") if failures else 0


def parse_shape(text: str) -> tuple[Kernel, Case]:
    """The kernel and case that 'gemv a=4096 b=14336x4096 activation=relu' means. ConfigError says what does not fit."""
    name, *parts = text.split()
    kernel = KERNELS.get(name)
    if kernel is None or kernel.choices is None:
        tunable([name])  # says which there are
    assert kernel is not None
    case: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or key not in (*kernel.inputs, *kernel.options) or key == "config":
            wants = ", ".join([*kernel.inputs, *(o for o in kernel.options if o != "config")])
            raise ConfigError(f"tune: {part!r} in {text!r} names nothing of {name}; wants NAME=VALUE with {wants}")
        case[key] = _input(value, text) if key in kernel.inputs else _option(value)
    missing = [i for i in kernel.inputs if i not in kernel.optional and i not in case]
    if missing:
        raise ConfigError(f"tune: {text!r} gives no shape for {', '.join(missing)} of {name}")
    if tuple(kernel.dtypes.get("b", ())) == ("float16",) and "b" in case:
        shape = case["b"]
        case["b"] = lambda rng: rng.standard_normal(shape, np.float32).astype(np.float16)
    return kernel, case


def _input(value: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(n) for n in value.lower().split("x"))
    except ValueError:
        raise ConfigError(f"tune: {value!r} in {text!r} is no shape; wants sizes joined by x, as in 4096x1024") from None


def _option(value: str) -> Any:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _say(out: Output, device: Device, found: list[Tuned]) -> None:
    rows = [
        [
            t.kernel, t.case[:60], t.config or "-", si(t.seconds.get(t.config), "s"), t.default, si(t.seconds.get(t.default), "s"),
            f"{t.gain:.2f}×" if not t.error else "FAILED",
        ]
        for t in found
    ]  # fmt: skip
    out.table(["kernel", "shape", "fastest", "time", "default", "time", "gain"], rows, "lllrlrr")
    for t in found:
        if t.error:
            out.note(f"{t.kernel} {t.case}: {t.error}")
    path = tuning_file.path_for(device.info)
    if path.exists():
        out.say(f"wrote {path}: {sum(t.config != t.default for t in found)} of {len(found)} shapes are faster than by default")
    out.result({"file": str(path), "tuned": [t.as_dict() for t in found]})


def _show(out: Output, device: Device) -> int:
    path = tuning_file.path_for(device.info)
    data = tuning_file.read(path)
    if not data:
        out.say(f"nothing measured on {device.name} yet ({path}); `gpucore tune` does")
        out.result({"file": str(path), "kernels": {}})
        return 0
    rows = []
    for name, kernel in sorted(data["kernels"].items()):
        fresh = name in TUNABLE and kernel.get("hash") == tuning_file.fingerprint(TUNABLE[name])
        for entry, m in sorted(kernel["entries"].items()):
            gain = m["seconds"][m["default"]] / m["seconds"][m["config"]] if m.get("seconds") else 1.0
            rows.append([entry, m["config"], m.get("default", ""), f"{gain:.2f}×", "" if fresh else "stale, ignored"])
    out.say(f"{path}, measured {data.get('environment', {}).get('date', 'at an unknown time')}")
    out.table(["entry", "fastest", "default", "gain", ""], rows, "lllr")
    out.result({"file": str(path), "kernels": data["kernels"]})
    return 0


def _reset(out: Output, device: Device) -> int:
    path = tuning_file.path_for(device.info)
    there = path.exists()
    path.unlink(missing_ok=True)
    out.say(f"removed {path}" if there else f"nothing to remove: {path} is not there")
    out.result({"file": str(path), "removed": there})
    return 0
