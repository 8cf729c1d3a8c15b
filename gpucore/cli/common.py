"""What all commands share: the common options and the device they name."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from ..device import Device, device

DEFAULTS: dict[str, Any] = {"device": None, "vram_limit": None, "seed": 0, "json": False}


class Command(argparse.ArgumentParser):
    """A parser whose description and examples keep their line breaks."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)


def give_defaults(parser: argparse.ArgumentParser) -> None:
    """Sets the defaults of the common options; done once, on the outermost parser."""
    parser.set_defaults(**DEFAULTS)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Adds --device, --vram-limit, --seed and --json, those that the parser does not have by itself.

    They have no defaults here: a nested parser's default would win over what the outer one was given.
    """
    group = parser.add_argument_group("common options")
    options: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--device", dict(metavar="NAME", help="index or part of the name; cpu is NumPy (default: $GPUCORE_DEVICE, else the best)")),
        ("--vram-limit", dict(metavar="SIZE", help="device memory to use at most: bytes, '512MiB', '8GiB' or '30%%'")),
        ("--seed", dict(type=int, metavar="N", help="start of every random number (default: 0)")),
        ("--json", dict(action="store_true", help="print the result as JSON on stdout and everything else on stderr")),
    )
    for flag, settings in options:
        if flag not in parser._option_string_actions:
            group.add_argument(flag, default=argparse.SUPPRESS, **settings)


def add_modules(subparsers: Any, package: str, names: Iterable[str], run: str) -> None:
    """Adds what each module of a package brings by its `add_parser`, with the common options; `run` is the default that holds its `run`."""
    for name in names:
        module = import_module(f".{name}", package)
        known = set(subparsers.choices)
        module.add_parser(subparsers)
        for made in set(subparsers.choices) - known:
            add_common(subparsers.choices[made])
            subparsers.choices[made].set_defaults(**{run: module.run})


def open_device(args: argparse.Namespace) -> Device:
    """The device that the options name, opened. Raises NoAdapterError, or ConfigError for a bad limit."""
    limit: Any = args.vram_limit
    if isinstance(limit, str) and limit.isdigit():
        limit = int(limit)
    return device(args.device, vram_limit=limit)
