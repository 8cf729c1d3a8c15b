"""The GPU against the NumPy device, slice by slice: from im2col to a loss curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ... import ops
from ...autograd import GradientTape
from ...device import Device
from ...device import device as open_device
from ...errors import ConfigError
from ...pipeline import Pipeline
from ...train import Silent
from .images import Images
from .models import Classifier, make_model
from .training import Settings, loss_curve, make_optimizer

FORWARD, GRADIENT, STATE, CURVE = 2e-6, 2e-5, 1e-6, 1e-3
"""Tolerances: relative L2 of what flows forward, of gradients, of parameters after a step; largest relative
difference of two loss curves. 0 stands for equal elements."""
IMAGES = 32
"""Images in the batch of all slices but the curve."""


@dataclass(frozen=True)
class Slice:
    """One comparison. distance: the relative L2 distance to the float64 reference; for a curve the largest relative
    difference of a step; passed: it is at most `tolerance` (and with a tolerance of 0, every element is equal)."""

    part: str
    name: str
    shape: tuple[int, ...]
    max_abs: float
    distance: float
    tolerance: float
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def compare(
    device: Device, images: Images, models: Sequence[str], settings: Settings, *, curve_steps: int = 50, display: Silent | None = None
) -> list[Slice]:
    """All slices for these models. The reference is float64, but for the curve, which is float32 on both devices.

    Raises ConfigError on the NumPy device, which would be compared with itself.
    """
    if device.is_cpu:
        raise ConfigError("mnist parity: the device is the NumPy device, which is the reference itself; choose an adapter")
    batch = images.train.subset(slice(IMAGES))
    x, y = device.tensor(batch.x, name="images"), device.tensor(batch.y, name="labels")
    found = kernel_slices(device, x, y, settings.seed)
    for name in models:
        chosen = Settings(**(asdict(settings) | {"model": name}))
        found += forward_slices(name, make_model(name, device, settings.seed), x)
        found += step_slices(name, make_model(name, device, settings.seed), chosen, x, y)
        if curve_steps:
            found.append(curve_slice(device, images, chosen, curve_steps, display))
    return found


def kernel_slices(device: Device, x: Any, y: Any, seed: int) -> list[Slice]:
    """im2col, convolution, pooling and its places, softmax cross-entropy: each alone, on inputs that both devices share."""
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> Any:
        return device.tensor(rng.standard_normal(shape, np.float32))

    w1, b1, w2, b2 = noise(6, 1, 5, 5), noise(6), noise(16, 6, 5, 5), noise(16)
    maps, planes, logits = noise(len(x), 6, 14, 14), noise(len(x), 6, 28, 28), noise(len(x), 10)
    arriving = noise(len(x), 6, 14, 14)

    def convolutions(x: Any) -> list[Any]:
        columns = ops.im2col(x, kernel_size=5, padding=2)
        product = ops.matmul(ops.reshape(w1, (6, 25)), columns)
        return [columns, product, ops.conv2d(x, w1, b1, padding=2), ops.conv2d(maps, w2, b2)]

    def pooling(planes: Any) -> list[Any]:
        with GradientTape() as tape:
            values, places = ops.max_pool2d(planes, kernel_size=2, return_indices=True)
        return [values, places, *tape.gradient(values, [planes], seed=arriving)]

    def loss(logits: Any, y: Any) -> list[Any]:
        with GradientTape() as tape:
            value = ops.cross_entropy(logits, y)
        return [ops.softmax(logits, axis=-1), value, *tape.gradient(value, [logits])]

    return [
        *_verified("kernels", {"im2col": 0.0} | dict.fromkeys(("weight · im2col", "conv2d 1>6", "conv2d 6>16"), FORWARD), convolutions, x),
        *_verified("kernels", dict.fromkeys(("max_pool2d", "max_pool2d places", "max_pool2d gradient"), 0.0), pooling, planes),
        *_verified("kernels", dict.fromkeys(("softmax", "cross_entropy", "cross_entropy gradient"), FORWARD), loss, logits, y),
    ]


def forward_slices(part: str, model: Classifier, x: Any) -> list[Slice]:
    """Every layer's output, each on what the layer before gave on its own device."""
    names = {f"{name} output": FORWARD for name, _ in model.layers()}
    return _verified(part, names, model.outputs, x)


def step_slices(part: str, model: Classifier, settings: Settings, x: Any, y: Any) -> list[Slice]:
    """Loss, gradient and new value of every parameter, in the second step: it moves by the moments of the first."""
    optimizer = make_optimizer(model, settings)
    params = model.named_parameters()

    def step(x: Any, y: Any) -> list[Any]:
        with GradientTape() as tape:
            loss = ops.cross_entropy(model(x), y)
        grads = tape.gradient(loss, list(params.values()))
        optimizer.step(grads)
        return [loss, *grads, *[ops.copy(p) for p in params.values()]]

    step(x, y)
    names = {"loss": FORWARD} | {f"{p} gradient": GRADIENT for p in params} | {f"{p} after a step": STATE for p in params}
    return _verified(part, names, step, x, y)


def curve_slice(device: Device, images: Images, settings: Settings, steps: int, display: Silent | None = None) -> Slice:
    """The losses of the first steps of a training on both devices in float32, from the same weights and images."""
    both = []
    for where in (device, open_device("cpu")):
        if display is not None:
            display.start(1, 1, steps)
        both.append(loss_curve(where, images, settings, steps, display))
    gap = np.abs(both[0] - both[1])
    distance = float(np.max(gap / np.abs(both[1])))
    return Slice(settings.model, f"loss curve, {steps} steps", (steps,), float(gap.max()), distance, CURVE, distance <= CURVE)


def _verified(part: str, tolerances: dict[str, float], fn: Callable[..., list[Any]], *inputs: Any) -> list[Slice]:
    """Runs fn on both devices and compares its outputs, which have the names in `tolerances`."""
    shapes: list[tuple[int, ...]] = []

    def observed(*tensors: Any) -> list[Any]:
        results = fn(*tensors)
        shapes[:] = [r.shape for r in results]
        return results

    outputs = Pipeline(observed).verify(*inputs)[: len(tolerances)]  # behind them come the tensors that fn changes
    rows = zip(tolerances.items(), shapes, outputs, strict=True)
    return [Slice(part, name, shape, d.max_abs, d.relative_l2, tol, d.relative_l2 <= tol) for (name, tol), shape, d in rows]
