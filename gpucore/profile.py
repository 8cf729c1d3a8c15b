"""Time per kernel: `with dev.profile() as p: ...; print(p)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .array import Array
    from .device.base import Device
    from .kernel import Kernel, Launch


@dataclass
class Row:
    """One kernel's calls, seconds, and the bytes and floating-point operations of its declared cost."""

    kernel: str
    calls: int = 0
    seconds: float = 0.0
    bytes: float = 0.0
    flops: float = 0.0

    @property
    def gb_per_s(self) -> float:
        """Bytes moved per second, in 1e9."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gflop_per_s(self) -> float:
        """Floating-point operations per second, in 1e9."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0


class Profile:
    """The kernels that ran inside the context, by name; times from GPU timestamps (wall time on the NumPy device)."""

    def __init__(self, device: Device) -> None:
        self._device: Any = device
        self.by_kernel: dict[str, Row] = {}
        self.samples: list[tuple[str, float]] = []

    def __enter__(self) -> Profile:
        self._device.flush()
        self._device._profile = self
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._device.flush()
        finally:
            self._device._profile = None

    def add(self, kernel: Kernel, inputs: Sequence[Array | Any], launch: Launch, options: dict[str, Any], seconds: float) -> None:
        """Counts one launch."""
        row = self.by_kernel.setdefault(kernel.name, Row(kernel.name))
        flops, moved = kernel.cost(inputs, launch, options)
        row.calls += 1
        row.seconds += seconds
        row.bytes += moved
        row.flops += flops
        self.samples.append((kernel.name, seconds))

    @property
    def rows(self) -> list[Row]:
        """The kernels, the slowest first."""
        return sorted(self.by_kernel.values(), key=lambda r: -r.seconds)

    @property
    def seconds(self) -> float:
        """All kernels' time together."""
        return sum(r.seconds for r in self.by_kernel.values())

    def __str__(self) -> str:
        lines = [f"{'kernel':<28}{'calls':>7}{'time ms':>11}{'share':>8}{'GB/s':>10}{'GFLOP/s':>11}"]
        total = self.seconds or 1.0
        for r in self.rows:
            lines.append(
                f"{r.kernel:<28}{r.calls:>7}{r.seconds * 1e3:>11.3f}{r.seconds / total:>8.1%}{r.gb_per_s:>10.1f}{r.gflop_per_s:>11.1f}"
            )
        return "\n".join(lines)
