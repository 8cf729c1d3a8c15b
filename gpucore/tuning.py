"""Which of a kernel's candidate constants runs: what was measured on this adapter, else the rule's default.

A tunable kernel names its candidates once, in a `Choices`, and its rule asks `pick` for the one to launch. The table
that `pick` looks into belongs to the device; `gpucore tune` fills it. Candidates differ in speed alone: results agree
to rounding, and the parity matrix runs every one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from .device.base import Device

TUNABLE: dict[str, Choices] = {}
"""Every declared Choices by name."""


@dataclass(frozen=True)
class Candidate:
    """One set of constants, and what it wants of the adapter: invocations and bytes of shared memory per workgroup."""

    constants: Mapping[str, Any] = field(default_factory=dict)
    workgroup: int = 64
    memory: int = 0

    def fits(self, device: Device) -> bool:
        """Whether the device can run it; the NumPy device, which ignores constants, can."""
        limits = device.info.limits
        if not limits:
            return True
        return self.workgroup <= limits["max_workgroup_size"] and self.memory <= limits["max_workgroup_memory"]

    def wants(self) -> str:
        """What it needs, in words."""
        return f"workgroups of {self.workgroup} invocations and {self.memory} bytes of shared memory"


class Choices:
    """The candidates of one tunable kernel by name; the first one must run everywhere."""

    def __init__(self, name: str, candidates: Mapping[str, Candidate]) -> None:
        self.name, self.candidates = name, dict(candidates)
        self.shaders: set[str] = set()
        """The files whose launch it decides; a measurement is void when their text changes."""
        TUNABLE[name] = self

    def pick(self, device: Device, config: str | None, key: Iterable[int | str], default: str) -> str:
        """The candidate to launch: `config` where it is given, else the measured one for this key, else `default`.

        key: what the best choice depends on, sizes and flags; sizes count by the next power of two. A default that the
        adapter cannot run gives way to the first candidate that it can. ConfigError for a config that is unknown or
        that the adapter cannot run.
        """
        if config is not None:
            return self._wanted(device, config)
        if device.tuned:
            found = device.tuned.get(self.entry(key))
            if found in self.candidates and self.candidates[found].fits(device):
                return found
        if self.candidates[default].fits(device):
            return default
        return next(name for name, candidate in self.candidates.items() if candidate.fits(device))

    def __getitem__(self, name: str) -> Candidate:
        return self.candidates[name]

    def entry(self, key: Iterable[int | str]) -> str:
        """The name of a measurement in the table, as in "gemv 4096x4096"."""
        return f"{self.name} " + "x".join(str(bucket(k)) if isinstance(k, int) else k for k in key)

    def across(self, cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Each of these parity cases with each candidate."""
        return [
            {**case, "config": name, "id": f"{case.get('id') or ' '.join(f'{k}={v}' for k, v in case.items())} config={name}"}
            for case in cases
            for name in self.candidates
        ]

    def _wanted(self, device: Device, config: str) -> str:
        if config not in self.candidates:
            raise ConfigError(f"{self.name}: config is {config!r}; wants one of {', '.join(self.candidates)}")
        if not self.candidates[config].fits(device):
            raise ConfigError(f"{self.name}: config {config!r} needs {self.candidates[config].wants()}, more than {device.name!r} has")
        return config


def bucket(n: int) -> int:
    """The power of two at or above n: shapes that share it share a measurement."""
    return 1 << max(0, n - 1).bit_length()
