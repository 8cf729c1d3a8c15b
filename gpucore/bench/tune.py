"""Measures the candidates of tunable kernels on one device and says which is fastest at each shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..device.base import Device
from ..errors import ConfigError
from ..kernel import KERNELS, Case, Kernel
from ..parity.check import to_device
from . import sizes

GAIN = 1.02
"""A candidate replaces the default when it is faster by this factor; less is noise."""
AGREE = 1e-4
"""The largest relative L2 distance between a candidate's result and the default's: candidates differ in rounding alone."""
BUDGET, ROUNDS, WARM_UP = 0.15, 5, 0.3
"""Seconds of work per candidate and in how many rounds; seconds of work at each shape before it counts."""
SOFTWARE_FLOPS, SOFTWARE_BYTES = 3e8, 3e7


@dataclass
class Tuned:
    """One kernel at one shape: the seconds of each candidate, which was fastest, and what runs without a measurement.

    config is the one to use: the fastest, or the default where it is as fast to within two per cent. error: what went
    wrong, and then nothing is to be kept.
    """

    kernel: str
    choices: str
    entry: str
    case: str
    default: str
    config: str
    seconds: dict[str, float]
    error: str = ""

    @property
    def gain(self) -> float:
        """The default's time over the chosen candidate's."""
        return self.seconds[self.default] / self.seconds[self.config] if self.config in self.seconds else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"gain": self.gain}


class _Asked(dict[str, str]):
    """A table without choices that notes which entries a rule asks for."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def __bool__(self) -> bool:
        return True

    def get(self, key: Any, default: Any = None) -> Any:
        self.entries.append(key)
        return default


def tunable(patterns: Sequence[str] = ()) -> list[Kernel]:
    """The kernels that have candidates, those whose name fits a pattern; ConfigError when there are none."""
    from ..parity import choose_kernels

    found = [k for k in choose_kernels(patterns) if k.choices is not None]
    if not found:
        names = ", ".join(k.name for k in KERNELS.values() if k.choices is not None)
        raise ConfigError(f"tune: no tunable kernel fits {' '.join(patterns)}; there are {names}")
    return found


def default_cases(kernels: Sequence[Kernel]) -> list[tuple[Kernel, Case]]:
    """The shapes that are measured unasked: every bench case."""
    return [(k, case) for k in kernels for case in k.bench]


def tune(
    device: Device, work: Sequence[tuple[Kernel, Case]], *, seed: int = 0, progress: Callable[[str], None] = lambda what: None
) -> Iterator[Tuned]:
    """Measures every candidate at every shape, one after the other; a case that fails is reported and does not end the run."""
    rng = sizes.PooledGenerator(seed)
    for kernel, case in work:
        yield _tune_case(device, kernel, case, rng, progress)


def _tune_case(device: Device, kernel: Kernel, case: Case, rng: np.random.Generator, progress: Callable[[str], None]) -> Tuned:
    assert kernel.choices is not None
    found = Tuned(kernel.name, kernel.choices.name, "", "", "", "", {})
    try:
        arrays, options = sizes.inputs(kernel, case, rng)
        options.pop("config", None)
        if device.kind == "software":
            arrays, options, _ = sizes.shrink_until(
                kernel, device, arrays, options, lambda f, b: f <= SOFTWARE_FLOPS and b <= SOFTWARE_BYTES
            )
        found.case = sizes.shown(kernel, arrays, options)
        tensors = to_device(kernel, device, arrays)
        found.entry, found.default = _asked_for(device, kernel, tensors, options)
        _measure(found, device, kernel, tensors, options, progress)
    except Exception as error:  # one broken case must not end the run; it is reported
        found.error = f"{type(error).__name__}: {error}"
    return found


def _asked_for(device: Device, kernel: Kernel, tensors: list[Any], options: dict[str, Any]) -> tuple[str, str]:
    """The table's entry for these inputs, and the candidate that runs without one."""
    asked, before = _Asked(), device.tuned
    device.tuned = asked
    try:
        constants = kernel.launch(tensors, options).constants
    finally:
        device.tuned = before
    if not asked.entries:
        raise ConfigError(f"tune: {kernel.name} asks for no candidate at this shape")
    assert kernel.choices is not None
    for name, candidate in kernel.choices.candidates.items():
        if candidate.fits(device) and kernel.launch(tensors, options | {"config": name}).constants == constants:
            return asked.entries[0], name
    raise ConfigError(f"tune: the default of {kernel.name} is none of its candidates")


def _measure(
    found: Tuned, device: Device, kernel: Kernel, tensors: list[Any], options: dict[str, Any], progress: Callable[[str], None]
) -> None:
    assert kernel.choices is not None
    names = [n for n, c in kernel.choices.candidates.items() if c.fits(device)]
    names.sort(key=lambda n: n != found.default)
    want = None
    for name in names:
        got = _results(device, kernel, tensors, options | {"config": name})
        want = got if want is None else want
        if not (far := _distance(got, want)) <= AGREE:
            found.error = f"candidate {name} is {far:.2g} (relative L2) away from {found.default}"
            return
    found.seconds = _race(device, kernel, tensors, options, names, lambda name: progress(f"{kernel.name} {found.case} {name}"))
    best = min(found.seconds, key=lambda n: found.seconds[n])
    found.config = best if found.seconds[found.default] > GAIN * found.seconds[best] else found.default


def _race(
    device: Device, kernel: Kernel, tensors: list[Any], options: dict[str, Any], names: list[str], done: Callable[[str], None]
) -> dict[str, float]:
    """The median seconds of each candidate over rounds in which all of them run once.

    In turns, because a card is slow until it has warmed up: whoever came first would be measured at a lower clock.
    """
    runs = {name: options | {"config": name} for name in names}
    start = time.perf_counter()
    once = {name: max(_several(device, kernel, tensors, runs[name], 1), 1e-7) for name in names}
    counts = {name: max(1, min(50, int(BUDGET / ROUNDS / once[name]))) for name in names}
    while time.perf_counter() - start < WARM_UP and device.kind != "software":
        for name in names:
            _several(device, kernel, tensors, runs[name], counts[name])
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS if max(counts.values()) > 1 else 3):
        for name in names:
            times[name].append(_several(device, kernel, tensors, runs[name], counts[name]))
    for name in names:
        done(name)
    return {name: statistics.median(times[name]) for name in names}


def _results(device: Device, kernel: Kernel, tensors: list[Any], options: dict[str, Any]) -> list[np.ndarray]:
    """The outputs, poisoned with NaN before the run: memory of an earlier candidate must not pass for a result."""
    device.poison = True  # type: ignore[attr-defined]
    try:
        return [t.numpy().astype(np.float64) for t in device.run(kernel, tensors, options)]
    finally:
        device.poison = False  # type: ignore[attr-defined]


def _distance(got: list[np.ndarray], want: list[np.ndarray]) -> float:
    scale = sum(float(np.linalg.norm(w)) for w in want) or 1.0
    return sum(float(np.linalg.norm(g - w)) for g, w in zip(got, want, strict=True)) / scale


def _several(device: Device, kernel: Kernel, tensors: list[Any], options: dict[str, Any], count: int) -> float:
    """Seconds per launch of some launches in a row, by the GPU's clock where it has one."""
    if getattr(device, "has_timestamps", False):
        with device.span() as span:  # type: ignore[attr-defined]
            for _ in range(count):
                device.run(kernel, tensors, options)
        return float(span.seconds) / count
    start = time.perf_counter()
    for _ in range(count):
        device.run(kernel, tensors, options)
    device.synchronize()
    return (time.perf_counter() - start) / count


__all__ = ["Tuned", "default_cases", "tunable", "tune"]
