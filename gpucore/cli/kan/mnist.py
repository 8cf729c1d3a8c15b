"""`gpucore run kan mnist`: a network of splines classifies handwritten digits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ...data import ArrayDataset, write_atomic
from ...device import Device
from ...errors import ConfigError
from ...systems.kan import OPTIMIZERS, KanConfig
from ...systems.kan.classifying import EVALUATED, Classified, classify
from ...systems.mnist import pictures
from ...systems.mnist.images import Images, load_images
from ..epochs import EpochTable
from ..mnist import show_download
from ..output import Output, json_text
from .widths import hidden_widths

EXAMPLES = """\
examples:
  gpucore run kan mnist                       [784, 64, 10] with a SiLU beside every spline, three epochs
  gpucore run kan mnist --base none           splines alone
  gpucore run kan mnist --hidden 32 --digits  scikit-learn's digits: no download

MNIST is looked for in --data, then in $GPUCORE_DATA/mnist, then in the user's cache folder, and fetched there
(11 MB, checked) when it is nowhere.
"""
RATE = 2e-3
"""Adam's learning rate for 784 inputs, whose edges all move together."""


def add_parser(subparsers: Any) -> None:
    """Names the task and its options."""
    parser = subparsers.add_parser(
        "mnist",
        help="classify handwritten digits",
        description="Trains a Kolmogorov-Arnold network on MNIST by cross-entropy.",
        epilog=EXAMPLES,
    )
    model = parser.add_argument_group("network and optimizer")
    model.add_argument("--hidden", default="64", metavar="N,N", help="hidden widths, 0 for none (default: 64)")
    model.add_argument("--grid", type=int, default=5, metavar="G", help="cells of the grids, 2 to 64 (default: 5)")
    model.add_argument("--degree", type=int, default=3, metavar="P", help="degree of the splines, 1 to 6 (default: 3)")
    model.add_argument("--base", choices=("silu", "none"), default="silu", help="a SiLU beside every spline, or not (default: silu)")
    model.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="adam", help="default: adam")
    model.add_argument("--lr", type=float, default=RATE, metavar="RATE", help=f"learning rate at its peak (default: {RATE:g})")
    model.add_argument("--weight-decay", type=float, default=0.0, metavar="W", help="of the coefficients (default: 0)")
    data = parser.add_argument_group("data and length")
    data.add_argument("--batch", type=int, default=64, metavar="N", help="images per step (default: 64)")
    data.add_argument("--epochs", type=int, default=3, metavar="N", help="default: 3")
    data.add_argument("--data", metavar="DIR", help="folder with the four MNIST files, plain or gzipped")
    data.add_argument("--digits", action="store_true", help="scikit-learn's 8 x 8 digits, scaled up, instead of MNIST")
    data.add_argument("--limit", type=int, metavar="N", help="only the first N training and N test images")
    data.add_argument("--out", default="runs/kan-mnist", metavar="DIR", help="folder for the results (default: runs/kan-mnist)")
    data.add_argument("--resume", action="store_true", help="go on from last.safetensors in the results' folder")


def run(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Trains, and writes network, history and pictures."""
    if args.data and args.digits:
        raise ConfigError("kan mnist: --data and --digits exclude each other")
    config = KanConfig.preset(
        "mnist", hidden_dims=hidden_widths(args.hidden), grid_size=args.grid, degree=args.degree, seed=args.seed,
        base=None if args.base == "none" else args.base,
    )  # fmt: skip
    images = load_images(args.data, digits=args.digits, limit=args.limit, progress=show_download(out))
    folder = Path(args.out)
    size = f"grid {config.grid_size}, degree {config.degree}, {config.parameter_count():,} parameters"
    out.say(f"KAN {list(config.widths)}, {size}, on {images}")
    out.say(f"{args.optimizer}, learning rate {args.lr:g}, batch {args.batch}, on {device.name}")
    train, test = (ArrayDataset(pixels(part, images), part.y) for part in (images.train, images.test))
    with EpochTable(out.stream) as table:
        result = classify(
            config, train, test, device=device, epochs=args.epochs, batch_size=args.batch, optimizer=args.optimizer, lr=args.lr,
            weight_decay=args.weight_decay, out=folder, resume=args.resume, display=table, seed=args.seed,
        )  # fmt: skip
    out.say(f"test accuracy {result.accuracy:.2%} after {args.epochs} epochs")
    outside = [found.share for found in result.network.out_of_range(test.x[:EVALUATED])]
    shares = ", ".join(f"{share:.2%}" for share in outside)
    out.say(f"of what the layers get, outside their grids: {shares} (first {EVALUATED:,} test images)")
    files = write_results(result, images, folder)
    out.say(f"wrote {', '.join(f.name for f in files)} to {folder}")
    if not pictures.can_draw():
        out.note("the pictures need matplotlib: pip install 'gpucore[plots]'")
    summary = {"accuracy": result.accuracy, "device": device.name, "data": str(images), "config": config.to_dict(), "outside": outside}
    out.result(summary | {"history": result.history.to_data(), "files": [str(f) for f in files]})
    return 0


def pixels(part: ArrayDataset, images: Images) -> np.ndarray:
    """[n, pixels] from -1 (paper) to 1 (ink)."""
    flat = part.x.reshape(len(part), -1)
    brightness: np.ndarray = flat * np.float32(2 * images.std) + np.float32(2 * images.mean - 1)
    return brightness


def write_results(result: Classified, images: Images, folder: Path) -> list[Path]:
    """The network, the history and, where matplotlib is there, the pictures; returns the files."""
    names = ("network.safetensors", "history.csv", "result.json")
    files = [folder / name for name in names]
    result.network.save(files[0])
    result.history.to_csv(files[1])
    found = {"accuracy": result.accuracy, "config": result.network.config.to_dict(), "history": result.history.to_data()}
    write_atomic(files[2], json_text(found).encode())
    if pictures.can_draw():
        files += draw(result, images, folder)
    return files


def draw(result: Classified, images: Images, folder: Path) -> list[Path]:
    """curves.png, confusion.png and errors.png."""
    files = [folder / f"{name}.png" for name in ("curves", "confusion", "errors")]
    labels, probabilities = images.test.y, result.probabilities
    who = f"KAN {list(result.network.config.widths)} on {images.name}"
    result.history.plot(files[0], title=who)
    counts = pictures.confusion_matrix(labels, probabilities.argmax(axis=1))
    pictures.draw_confusion(counts, files[1], f"{who}: {result.accuracy:.2%} of {len(labels):,} test images right")
    pictures.draw_errors(images.pixels(), labels, probabilities, files[2], who)
    return files
