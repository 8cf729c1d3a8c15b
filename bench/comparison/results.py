"""What one row of the comparison found, and what it was to reach."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

EAGER = "PyTorch"
"""The peer that a ratio refers to, unless a row says otherwise; NumPy where PyTorch is not installed."""


@dataclass
class Timing:
    """Seconds of one call: the median of repeated measurements; spread: half of the 10 to 90 % range, as a share of it."""

    seconds: float
    spread: float = 0.0
    calls: int = 1
    repeats: int = 1


@dataclass(frozen=True)
class Target:
    """What a row is to reach.

    kind: "ratio" (a peer's time over ours, at least), "share" (of the ceiling, at least), "seconds" (at most) or "rate"
    (bytes per second, at least). peer: whom a ratio refers to, when it is not the row's first one.
    """

    kind: str
    value: float
    peer: str = ""

    def text(self) -> str:
        """The target for people."""
        if self.kind == "ratio":
            return f"≥ {self.value:g}× {self.peer}".rstrip()
        if self.kind == "share":
            return f"≥ {self.value:.2f} of copy"
        if self.kind == "rate":
            return f"≥ {self.value / 1e9:g} GB/s"
        return f"≤ {self.value * 1e6:g} µs" if self.value < 1e-3 else f"≤ {self.value:g} s"


@dataclass
class Result:
    """One row. ours: our time, None where it was not measured; peers: those of the others by name; main: the first of them.

    flops, bytes: of one call. share: the least time that the ceilings measured in this run allow, over ours; bound: which
    ceiling that is. correct: None where there is nothing to compare. error: the relative L2 distance from float64.
    failure: why ours has no time; peer_failures: why a peer has none. clock: "GPU" or "wall". memory: peak bytes by name, "" ours.
    """

    group: str
    name: str
    clock: str = "GPU"
    ours: Timing | None = None
    peers: dict[str, Timing] = field(default_factory=dict)
    main: str = ""
    flops: float = 0.0
    bytes: float = 0.0
    share: float | None = None
    bound: str = ""
    correct: bool | None = None
    error: float | None = None
    checked: str = ""
    failure: str = ""
    peer_failures: dict[str, str] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        """True when ours computed something else than the reference."""
        return self.correct is False

    @property
    def counts(self) -> bool:
        """True when our time may be shown: measured, and not of a wrong result."""
        return self.ours is not None and not self.wrong and not self.failure

    def ratio(self, peer: str = "") -> float | None:
        """A peer's time over ours; None where one is missing or ours is wrong."""
        theirs = self.peers.get(peer or self.main)
        if not self.counts or theirs is None or self.ours is None or self.ours.seconds <= 0:
            return None
        return theirs.seconds / self.ours.seconds

    def rate(self) -> float | None:
        """Bytes per second."""
        return self.bytes / self.ours.seconds if self.counts and self.ours and self.ours.seconds > 0 and self.bytes else None

    def reached(self, target: Target) -> float | None:
        """Our value over the wanted one, 1 or more where the target is met; None where it cannot be said."""
        if not self.counts or self.ours is None:
            return None
        if target.kind == "seconds":
            return target.value / self.ours.seconds if self.ours.seconds > 0 else None
        values = {"ratio": lambda: self.ratio(target.peer), "share": lambda: self.share, "rate": self.rate}
        value = values[target.kind]()
        return None if value is None else value / target.value

    def met(self) -> bool | None:
        """Whether every target is met; None without targets, or where one cannot be judged and none is missed."""
        found = [self.reached(t) for t in self.targets]
        if self.wrong or (self.failure and self.targets):
            return False
        if any(v is not None and v < 1 for v in found):
            return False
        return None if not found or None in found else True

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, with what follows from them."""
        return asdict(self) | {"ratio": self.ratio(), "met": self.met(), "target": self.target_text()}

    def target_text(self) -> str:
        """All targets for people."""
        return ", ".join(t.text() for t in self.targets) or "-"

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """The opposite of `as_dict`."""
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in data.items() if k in known}
        values["ours"] = Timing(**values["ours"]) if values.get("ours") else None
        values["peers"] = {k: Timing(**v) for k, v in values.get("peers", {}).items()}
        values["targets"] = [Target(**t) for t in values.get("targets", [])]
        return cls(**values)
