"""`gpucore demo`: checks kernels, then trains LeNet-5 on handwritten digits, in about two minutes without a GPU."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ..data import find_mnist
from ..device import Device
from ..kernel import KERNELS
from ..parity import CaseResult, check_case
from ..systems.mnist.images import Images, load_images
from ..systems.mnist.models import make_model
from ..systems.mnist.parity import IMAGES, Slice, forward_slices, step_slices
from ..systems.mnist.training import Settings, train, write_results
from .common import open_device
from .epochs import EpochTable
from .mnist import show_download, show_slices
from .output import Output

EXAMPLES = """\
examples:
  gpucore demo
  gpucore demo --device cpu          the same on NumPy
  gpucore demo --download            real MNIST, fetched once, instead of scikit-learn's small digits

Uses MNIST when it is on this machine (--data, $GPUCORE_DATA/mnist, or the cache of an earlier download), else the
1,797 digits that scikit-learn brings. Nothing is downloaded without --download.
"""
CHECKED = ("matmul", "conv2d", "conv2d_weight_gradient", "max_pool2d", "cross_entropy", "softmax", "sgd_momentum", "unary")
"""The kernels that the demo checks: those that the training is made of."""
CASES = 4
"""Cases of each."""
LIMITS = {"software": 12_000, "cpu": 6_000}
"""Training images where the processor does the work; a hardware adapter gets all of them."""
RATE = 0.05
"""Learning rate: higher than a long training's."""
MNIST: dict[str, Any] = dict(batch=64, epochs=3)
DIGITS: dict[str, Any] = dict(batch=32, epochs=10)
"""How MNIST and scikit-learn's digits are trained on."""
WANTED = 0.9
"""Below this accuracy the demo has failed."""


def add_parser(subparsers: Any) -> None:
    """Names the command and its options."""
    parser = subparsers.add_parser(
        "demo",
        help="check some kernels, then train a network on handwritten digits",
        description="Checks a handful of kernels against NumPy, then one training step, then trains LeNet-5 on real handwritten digits\n"
        "and draws what it learned. About two minutes on two cores, without a GPU.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--data", metavar="DIR", help="folder with the four MNIST files")
    parser.add_argument("--download", action="store_true", help="fetch MNIST (11 MB) when it is not on this machine")
    parser.add_argument("--out", default="runs/demo", metavar="DIR", help="folder for the results (default: runs/demo)")


def run(args: argparse.Namespace) -> int:
    """Runs the demo; 1 when a check fails or the network has not learned."""
    started = time.perf_counter()
    out, device = Output(args.json), open_device(args)
    how = {"software": "a software driver on the processor", "cpu": "NumPy on the processor"}.get(device.kind, f"a {device.kind} adapter")
    out.say(f"device: {device.name}, {how}")
    images, settings = _data(args, out, device)
    kernels = [] if device.is_cpu else check_kernels(out, device)
    slices = [] if device.is_cpu else check_step(out, device, images, settings)
    if device.is_cpu:
        out.say("\nNo kernels to check: the device is NumPy itself, the reference of all checks.")
    out.say(f"\nTraining LeNet-5 on {images}, {settings.optimizer}, batch {settings.batch}")
    folder = Path(args.out)
    with EpochTable(out.stream) as table:
        result = train(device, images, settings, out=folder, display=table)
    files = write_results(result, images, folder)
    failed = sum(not c.passed for c in kernels) + sum(not s.passed for s in slices)
    passed = failed == 0 and result.accuracy >= WANTED
    seconds = time.perf_counter() - started
    out.say(f"\ntest accuracy {result.accuracy:.2%}, {result.steps_per_second:.1f} steps/s, {failed} failed checks, {seconds:.0f} s in all")
    drawn = [f.name for f in files if f.suffix == ".png"]
    out.say(f"pictures in {folder}: {', '.join(drawn)}" if drawn else f"results in {folder}")
    if not drawn:
        out.note("the pictures need matplotlib: pip install 'gpucore[demo]'")
    out.result(
        result.summary() | {"passed": passed, "kernels": [c.as_dict() for c in kernels], "slices": [s.as_dict() for s in slices],
                            "total_seconds": seconds, "files": [str(f) for f in files]}
    )  # fmt: skip
    return 0 if passed else out.failed(f"demo: {failed} checks failed, accuracy {result.accuracy:.2%}; wants none and {WANTED:.0%} or more")


def _data(args: argparse.Namespace, out: Output, device: Device) -> tuple[Images, Settings]:
    """The images that are at hand, and a training that fits them and the device into the time."""
    if args.download or find_mnist(args.data) is not None:
        images = load_images(args.data, limit=LIMITS.get(device.kind), download=args.download, progress=show_download(out))
        return images, Settings(lr=RATE, schedule="warmup", seed=args.seed, **MNIST)
    out.say("MNIST is not on this machine: using the digits that scikit-learn brings (--download fetches MNIST)")
    return load_images(digits=True), Settings(lr=RATE, schedule="warmup", seed=args.seed, **DIGITS)


def check_kernels(out: Output, device: Device) -> list[CaseResult]:
    """A few cases of the kernels that the training is made of, against their float64 references."""
    out.say("\nKernels against NumPy in float64:")
    found, rows = [], []
    for name in CHECKED:
        kernel = KERNELS[name]
        small = [i for i, case in enumerate(kernel.cases) if callable(case) or not case.get("large")]
        results = [check_case(kernel, i, device) for i in small[:: max(1, len(small) // CASES)][:CASES]]
        found += results
        worst = max(results, key=lambda r: r.headroom)
        verdict = "pass" if all(r.passed for r in results) else "FAIL"
        rows.append((name, len(results), f"{max(r.max_abs for r in results):.1e}", f"{worst.headroom:.0%}", verdict))
    out.table(("kernel", "cases", "max abs", "of tolerance", "result"), rows, " rrr")
    return found


def check_step(out: Output, device: Device, images: Images, settings: Settings) -> list[Slice]:
    """One training step on real images, with everything that it computes compared with NumPy."""
    out.say("\nOne training step of LeNet-5 against NumPy in float64:")
    batch = images.train.subset(slice(IMAGES))
    x, y = device.tensor(batch.x), device.tensor(batch.y)
    slices = forward_slices("lenet", make_model("lenet", device, settings.seed), x)
    slices += step_slices("lenet", make_model("lenet", device, settings.seed), settings, x, y)
    show_slices(out, slices)
    return slices
