"""`gpucore run mnist`: trains a classifier of handwritten digits, or checks that the training is right."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..device import Device
from ..errors import ConfigError
from ..systems.mnist.images import Images, load_images
from ..systems.mnist.models import MODELS
from ..systems.mnist.parity import Slice, compare
from ..systems.mnist.sanity import overfit
from ..systems.mnist.training import OPTIMIZERS, RATES, SCHEDULES, Settings, train, write_results
from .common import open_device
from .epochs import EpochTable
from .output import Output, Progress

EXAMPLES = """\
examples:
  gpucore run mnist                                LeNet-5, momentum, five epochs; results in runs/mnist-lenet
  gpucore run mnist --model mlp --optimizer sgd    the multilayer perceptron with plain gradient descent
  gpucore run mnist --digits --epochs 20           scikit-learn's digits: no download
  gpucore run mnist sanity                         learns one batch by heart; fails when it cannot
  gpucore run mnist parity --curve-steps 100       GPU against NumPy, layer by layer, and the loss curves

MNIST is looked for in --data, then in $GPUCORE_DATA/mnist, then in the user's cache folder, and fetched there
(11 MB, checked) when it is nowhere.
"""


def add_parser(subparsers: Any) -> None:
    """Names the system and its options."""
    parser = subparsers.add_parser(
        "mnist",
        help="classify handwritten digits with an MLP or LeNet-5",
        description="Trains on MNIST (train), learns one batch by heart (sanity), or compares the GPU with NumPy slice by slice (parity).",
        epilog=EXAMPLES,
    )
    parser.add_argument("what", nargs="?", choices=("train", "sanity", "parity"), default="train", help="what to do (default: train)")
    model = parser.add_argument_group("model and optimizer")
    model.add_argument("--model", choices=tuple(MODELS), help="mlp: 784-128-10; lenet: LeNet-5 (default; parity: both)")
    model.add_argument("--optimizer", choices=OPTIMIZERS, default="momentum", help="default: momentum")
    usual = "; ".join(f"{name} {', '.join(f'{o} {rate:g}' for o, rate in rates.items())}" for name, rates in RATES.items())
    model.add_argument("--lr", type=float, metavar="RATE", help=f"learning rate (default: {usual})")
    model.add_argument("--momentum", type=float, default=0.9, metavar="M", help="of momentum and nesterov (default: 0.9)")
    model.add_argument("--weight-decay", type=float, default=0.0, metavar="W", help="default: 0")
    rising = "of the learning rate (default: warmup: a tenth of the steps up, then down along a cosine)"
    model.add_argument("--schedule", choices=SCHEDULES, default=Settings.schedule, help=rising)
    data = parser.add_argument_group("data and length")
    data.add_argument("--batch", type=int, default=128, metavar="N", help="images per step (default: 128)")
    data.add_argument("--epochs", type=int, default=5, metavar="N", help="default: 5")
    data.add_argument("--data", metavar="DIR", help="folder with the four MNIST files, plain or gzipped")
    data.add_argument("--digits", action="store_true", help="scikit-learn's 8 x 8 digits, scaled up, instead of MNIST")
    data.add_argument("--limit", type=int, metavar="N", help="only the first N training and N test images")
    data.add_argument("--out", metavar="DIR", help="folder for the results of train (default: runs/mnist-MODEL)")
    data.add_argument("--resume", action="store_true", help="train: go on from last.safetensors in the results' folder")
    checks = parser.add_argument_group("checks")
    checks.add_argument("--steps", type=int, default=300, metavar="N", help="sanity: steps at most (default: 300)")
    checks.add_argument("--curve-steps", type=int, default=50, metavar="N", help="parity: steps of the loss curves (default: 50; 0: none)")


def run(args: argparse.Namespace) -> int:
    """Does what was asked for; 1 when a check fails."""
    out = Output(args.json)
    if args.data and args.digits:
        raise ConfigError("mnist: --data and --digits exclude each other")
    settings = Settings(
        model=args.model or "lenet", optimizer=args.optimizer, lr=args.lr, momentum=args.momentum, weight_decay=args.weight_decay,
        schedule=args.schedule, batch=args.batch, epochs=args.epochs, seed=args.seed,
    )  # fmt: skip
    device = open_device(args)
    images = load_images(args.data, digits=args.digits, limit=args.limit, progress=show_download(out))
    return {"train": _train, "sanity": _sanity, "parity": _parity}[args.what](args, out, device, images, settings)


def _train(args: argparse.Namespace, out: Output, device: Device, images: Images, settings: Settings) -> int:
    folder = Path(args.out or f"runs/mnist-{settings.model}")
    out.say(f"{settings.model} on {images}")
    out.say(f"{settings.optimizer}, learning rate {settings.rate:g} ({settings.schedule}), batch {settings.batch}, on {device.name}")
    with EpochTable(out.stream) as table:
        result = train(device, images, settings, out=folder, resume=args.resume, display=table)
    out.say(f"test accuracy {result.accuracy:.2%} after {settings.epochs} epochs, {result.steps_per_second:.1f} steps/s")
    files = [folder / "last.safetensors", folder / "best.safetensors", *write_results(result, images, folder)]
    out.say(f"wrote {', '.join(f.name for f in files)} to {folder}")
    if not any(f.suffix == ".png" for f in files):
        out.note("the pictures need matplotlib: pip install 'gpucore[plots]'")
    out.result(result.summary() | {"files": [str(f) for f in files]})
    return 0


def _sanity(args: argparse.Namespace, out: Output, device: Device, images: Images, settings: Settings) -> int:
    out.say(f"{settings.model} learns {min(settings.batch, len(images.train))} images by heart with {settings.optimizer} on {device.name}")
    with EpochTable(out.stream) as table:
        table.start(1, 1, args.steps)
        found = overfit(device, images, settings, steps=args.steps, display=table)
    if found.passed:
        out.say(f"passed: {found.sentence()}")
    out.result({"passed": found.passed, "steps": len(found.losses), "accuracy": found.accuracy, "losses": found.losses.tolist()})
    return 0 if found.passed else out.failed(f"mnist sanity: {found.sentence()}")


def _parity(args: argparse.Namespace, out: Output, device: Device, images: Images, settings: Settings) -> int:
    models = [args.model] if args.model else list(MODELS)
    out.say(f"{device.name} against NumPy in float64 (the curves in float32), {settings.optimizer}, on {images.name}")
    with EpochTable(out.stream) as table:
        slices = compare(device, images, models, settings, curve_steps=args.curve_steps, display=table)
    show_slices(out, slices)
    failed = [s for s in slices if not s.passed]
    out.say(f"{len(slices)} slices compared, {len(failed)} failed")
    out.result({"passed": not failed, "device": device.name, "slices": [s.as_dict() for s in slices]})
    return out.failed(f"mnist parity: {', '.join(f'{s.part} {s.name}' for s in failed)} differ from NumPy") if failed else 0


def show_download(out: Output) -> Callable[[str, int, int | None], None]:
    """What `load_images` calls while it fetches MNIST: a bar per file."""
    bars: dict[str, Progress] = {}

    def show(name: str, done: int, total: int | None) -> None:
        if name not in bars:
            out.say(f"downloading {name}")
            bars[name] = Progress(out.stream, total or 1, name)
        bars[name].show(done, "bytes")
        if done == total:
            bars[name].clear()

    return show


def show_slices(out: Output, slices: Sequence[Slice]) -> None:
    """The table of a parity run."""
    rows = [
        (s.part, s.name, " x ".join(map(str, s.shape)) or "-", f"{s.max_abs:.1e}", f"{s.distance:.1e}",
         f"{s.tolerance:.0e}" if s.tolerance else "equal", "pass" if s.passed else "FAIL")
        for s in slices
    ]  # fmt: skip
    out.table(("part", "slice", "shape", "max abs", "relative L2", "tolerance", "result"), rows, "   rrr")
