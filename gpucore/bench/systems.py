"""Training steps per second: whole steps (forward, backward, update) replayed by a Pipeline, batch after batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..device.base import Device
from ..pipeline import Pipeline
from ..systems.mnist.models import make_model
from ..systems.mnist.training import Settings, make_optimizer
from ..train import train_step
from .peers import torch_device

BATCH = 128
LEAST, SECONDS = 5, 1.5


@dataclass
class SystemTiming:
    """Training steps per second of one system; `error` where it did not run. peers: other libraries' on the same work."""

    name: str
    per_second: float
    note: str = ""
    error: str = ""
    peers: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def measure_systems(device: Device, progress: Callable[[str], None] = lambda what: None) -> list[SystemTiming]:
    """The systems' training steps on this device: the MNIST networks at a batch of 128 random images."""
    found = []
    for model, title in (("mlp", "MLP 784-128-10"), ("lenet", "LeNet-5")):
        progress(f"training steps of {title}")
        try:
            found.append(_mnist(device, model, f"MNIST {title}, batch {BATCH}"))
        except Exception as error:  # reported as failed; the rest of the run still counts
            found.append(SystemTiming(f"MNIST {title}, batch {BATCH}", 0.0, error=f"{type(error).__name__}: {error}"))
    return found


def _mnist(device: Device, name: str, title: str) -> SystemTiming:
    rng = np.random.default_rng(0)
    settings = Settings(model=name, batch=BATCH)
    model = make_model(name, device)
    step = Pipeline(train_step(model, make_optimizer(model, settings), ops.cross_entropy))
    x = device.tensor(rng.standard_normal((BATCH, 1, 28, 28), np.float32))
    y = device.tensor(rng.integers(0, 10, BATCH).astype(np.int32))
    for _ in range(3):
        step(x, y)
    device.synchronize()
    count = max(1, min(10, int(0.2 / _steps(device, step, x, y, 1))))
    times: list[float] = []
    while len(times) < LEAST or sum(times) * count < SECONDS:
        times.append(_steps(device, step, x, y, count))
    note = f"{step.dispatches} dispatches a step, SGD with momentum, median of {len(times)} runs of {count}"
    timing = SystemTiming(title, 1 / statistics.median(times), note)
    if (installed := torch_device()) is not None:
        timing.peers["PyTorch"] = _torch_steps(installed, name, x.numpy(), y.numpy())
    return timing


def torch_layers(nn: Any, name: str) -> list[Any]:
    """The layers of the same network ("mlp" or "lenet") in PyTorch, whose `nn` is given."""
    if name == "mlp":
        return [nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)]
    return [
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ]  # fmt: skip


def _torch_steps(installed: tuple[Any, str], name: str, x: np.ndarray, y: np.ndarray) -> float:
    """Steps per second of the same network in PyTorch, eager."""
    torch, where = installed
    nn = torch.nn
    model = nn.Sequential(*torch_layers(nn, name)).to(where)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    images, labels = torch.from_numpy(x).to(where), torch.from_numpy(y).long().to(where)

    def ten() -> float:
        start = time.perf_counter()
        for _ in range(10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        if where == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / 10

    ten()
    return 1 / statistics.median(ten() for _ in range(9))


def _steps(device: Device, step: Callable[..., Any], x: Any, y: Any, count: int) -> float:
    """Seconds per step of several in a row, submitted without waiting in between."""
    start = time.perf_counter()
    for _ in range(count):
        step(x, y)
    device.synchronize()
    return (time.perf_counter() - start) / count
