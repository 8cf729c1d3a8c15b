"""The command line: `gpucore COMMAND ...`, one module per command.

A command is a module with `add_parser(subparsers)`, which names the command and its options, and `run(args) -> int`,
which does the work and returns the exit code. Adding one means writing the module and naming it in COMMANDS.
"""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from ..errors import GpucoreError
from .common import Command, add_modules, give_defaults

COMMANDS = ("devices", "parity", "bench", "tune", "run", "demo")
"""The modules beside this one that are commands, in the order of `gpucore --help`."""

EXAMPLES = """\
examples:
  gpucore devices                        which adapters there are, and which one is used
  gpucore demo                           check some kernels, then train a network on handwritten digits
  gpucore run mnist --model lenet        five epochs of LeNet-5 on MNIST
  gpucore parity                         every kernel against its NumPy reference
  gpucore bench                          every kernel's speed against the adapter's ceiling
  gpucore tune                           measure which launch constants are fastest on this adapter, and keep them

`gpucore COMMAND --help` has more. Every command takes --device, --vram-limit, --seed and --json.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    args = _parser().parse_args(argv)
    with _plain_warnings():
        try:
            code: int = args.run(args)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            print("gpucore: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader of our output left, as `head` does: say no more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (GpucoreError, OSError) as error:
            print(f"gpucore: {_sentence(error)}", file=sys.stderr)
            return 1


def _parser() -> Command:
    parser = Command(
        prog="gpucore",
        description="GPU compute on hand-written WGSL shaders, each verified against a NumPy reference.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=_version(), help="the versions of gpucore and what it stands on")
    give_defaults(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_modules(commands, __name__, COMMANDS, "run")
    return parser


def _version() -> str:
    from .. import __version__

    parts = [f"{name} {metadata.version(name)}" for name in ("wgpu", "numpy")]
    return f"gpucore {__version__} ({', '.join(parts)}, Python {platform.python_version()})"


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Inside, what gpucore warns of appears as one line `note: ...` instead of Python's two."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None) -> None:
            text = str(message)
            if issubclass(category, RuntimeWarning) and text.startswith("gpucore: "):
                print(f"note: {text.removeprefix('gpucore: ')}", file=sys.stderr)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", message="gpucore: ", category=RuntimeWarning)
        warnings.showwarning = show
        yield
