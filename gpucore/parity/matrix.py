"""The parity matrix: every kernel × case × pass, where a pass is an adapter with a choice of its optional features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from math import prod
from typing import Any

from ..device import Device, DeviceInfo, device, devices
from ..kernel import KERNELS, Kernel
from ..memory import format_bytes
from ..report import environment
from .check import Arrays, CaseResult, case_data, case_inputs, case_label, compare, failed
from .selftest import SelfTest, Subnormals, probe_subnormals, self_test

OPTIONAL = ("subgroups", "f16", "immediates", "int64")
"""Features with a path of their own for adapters that lack them; the second pass turns them off."""
QUICK_CASES = 6
"""Cases per kernel of a quick run."""


@dataclass
class Pass:
    """One adapter, as one pass used it."""

    name: str
    info: DeviceInfo
    subnormals: Subnormals
    selftest: list[SelfTest]


@dataclass
class ParityReport:
    """What the run found, as (pass, result) rows.

    left_out: (pass, kernel, case) of large cases that bind more than the adapter allows, and of candidates that want
    larger workgroups, or kernels more buffers, than it has. repeated: whether each
    comparison ran twice, for equal bits.
    """

    passes: list[Pass]
    kernels: list[Kernel]
    rows: list[tuple[int, CaseResult]]
    repeated: bool
    left_out: list[tuple[int, str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=environment)

    @property
    def failures(self) -> list[tuple[Pass, CaseResult]]:
        """The rows that did not pass."""
        return [(self.passes[i], r) for i, r in self.rows if not r.passed]

    @property
    def uncaught(self) -> list[tuple[Pass, SelfTest]]:
        """Deliberate faults that the check let through (and right results that it refused)."""
        return [(p, t) for p in self.passes for t in p.selftest if not t.as_expected]

    @property
    def passed(self) -> bool:
        """True when something ran, every row passed and every deliberate fault was caught."""
        return bool(self.rows) and not self.failures and not self.uncaught

    def only(self, info: DeviceInfo) -> ParityReport:
        """The passes of one adapter."""
        keep = [i for i, p in enumerate(self.passes) if p.info.index == info.index]
        rows = [(keep.index(i), r) for i, r in self.rows if i in keep]
        left_out = [(keep.index(i), k, c) for i, k, c in self.left_out if i in keep]
        return ParityReport([self.passes[i] for i in keep], self.kernels, rows, self.repeated, left_out, self.environment)

    def verdict(self) -> str:
        """One sentence: what ran and what came of it."""
        faults = sum(t.caught for p in self.passes for t in p.selftest)
        wanted = sum(t.fault != _no_fault() for p in self.passes for t in p.selftest)
        adapters = len({p.info.index for p in self.passes})
        large = f", {len(self.left_out)} left out (more memory, buffers or larger workgroups than the adapter has)" if self.left_out else ""
        return (
            f"{len(self.kernels)} kernels, {len(self.rows)} comparisons in {len(self.passes)} passes on {adapters} "
            f"adapter{'s' if adapters != 1 else ''}: {len(self.failures)} failed{large}; {faults} of {wanted} deliberate faults caught"
        )


def _no_fault() -> str:
    from .selftest import FAULTS

    return FAULTS[0]


def choose_kernels(patterns: Sequence[str] = (), families: Sequence[str] = ()) -> list[Kernel]:
    """The declared kernels whose name fits one of the patterns (`soft*`) and whose family is one of those given."""
    return [
        k for k in KERNELS.values()
        if (not patterns or any(fnmatch(k.name, p) for p in patterns)) and (not families or k.family in families)
    ]  # fmt: skip


def choose_passes(wanted: Sequence[str] = ()) -> list[Device]:
    """Opened devices, each adapter twice where it has optional features: with them and without.

    Without a choice every adapter but OpenGL's, whose compute support is partial.
    """
    if wanted:
        infos = [device(w).info for w in wanted]
    else:
        infos = [i for i in devices() if i.kind != "cpu" and i.backend != "OpenGL"]
    opened: list[Device] = []
    for info in infos:
        opened.append(device(info.index))
        if info.features & set(OPTIONAL):
            opened.append(device(info.index, without=OPTIONAL))
    return opened


def pass_name(dev: Device) -> str:
    """The adapter and which optional features it used."""
    used = [f for f in OPTIONAL if f in dev.info.features]
    return f"{dev.name} ({dev.info.backend}), " + (f"with {', '.join(used)}" if used else "no optional features")


def run_parity(
    on: Sequence[Device],
    kernels: Sequence[Kernel],
    *,
    quick: bool = False,
    progress: Callable[[str], None] = lambda what: None,
) -> ParityReport:
    """Compares every case of these kernels on every one of these devices with the float64 reference.

    The reference is worked out once per case; large cases run on the first pass of each adapter alone. `quick` leaves
    out the large cases, the second run for equal bits and all but a few cases per kernel. `progress` is called after
    each comparison with what was compared. A kernel that raises is a failed row.
    """
    passes = [Pass(pass_name(d), d.info, probe_subnormals(d), self_test(d)) for d in on]
    report = ParityReport(passes, sorted(kernels, key=lambda k: k.family), [], not quick)
    for kernel in report.kernels:
        for index in case_indices(kernel, quick):
            label = case_label(kernel, kernel.cases[index], index)
            for number, result in _compare_all(kernel, index, label, on, quick):
                if result is None:
                    report.left_out.append((number, kernel.name, label))
                else:
                    report.rows.append((number, result))
                progress(f"{kernel.name} {label}")
    return report


def _is_large(kernel: Kernel, index: int) -> bool:
    case = kernel.cases[index]
    return not callable(case) and bool(case.get("large"))


def passes_of(kernel: Kernel, index: int, on: Sequence[Device]) -> list[int]:
    """The passes that a case takes part in: all, and for a large one the first of each adapter.

    What a large case shows, a folded grid, does not depend on the optional features.
    """
    everything = range(len(on))
    if not _is_large(kernel, index):
        return list(everything)
    return [i for i in everything if on[i].info.index not in {d.info.index for d in on[:i]}]


def case_indices(kernel: Kernel, quick: bool) -> list[int]:
    """The cases of a run: all, or a few spread over the list and none of the large ones."""
    everything = range(len(kernel.cases))
    if not quick:
        return list(everything)
    small = [i for i in everything if not _is_large(kernel, i)]
    step = max(1, -(-len(small) // QUICK_CASES))
    return small[::step]


def _compare_all(kernel: Kernel, index: int, label: str, on: Sequence[Device], quick: bool) -> list[tuple[int, CaseResult | None]]:
    """(pass, result) for each pass of a case; None where it is larger than the adapter binds."""
    numbers = passes_of(kernel, index, on)
    found: list[tuple[int, CaseResult | None]] = []
    data = None
    for i in numbers:
        try:
            if unfit(kernel, index, on[i]):
                found.append((i, None))
                continue
            data = data or case_data(kernel, index)
            found.append((i, compare(data, on[i], repeat=not quick)))
        except Exception as error:  # a kernel that does not compile, a broken reference: a failed row, whatever it raises
            found.append((i, failed(data, kernel, label, on[i], error)))
    return found


def unfit(kernel: Kernel, index: int, dev: Device) -> str:
    """What a case wants that the device lacks: buffers, memory for a large one, workgroups for a candidate; "" when it can run."""
    case = kernel.cases[index]
    if not kernel.runs_on(dev):
        return f"{kernel.buffers} buffers"
    if callable(case):
        return ""
    config = case.get("config")
    if kernel.choices is not None and config is not None and not kernel.choices[config].fits(dev):
        return kernel.choices[config].wants()
    limit = dev.info.limits.get("max_storage_binding", 0) or float("inf")
    largest = max((prod(v) * 4 for v in case.values() if isinstance(v, tuple) and all(isinstance(n, int) for n in v)), default=0)
    if case.get("large") and largest > limit:
        return f"bindings of {format_bytes(largest)}"
    if case.get("large") and any(callable(v) for v in case.values()) and not _fits(case_inputs(kernel, index)[0], dev):
        return "larger bindings"
    return ""


def _fits(arrays: Arrays, dev: Device) -> bool:
    limit = dev.info.limits.get("max_storage_binding", 0) or float("inf")
    return all(a is None or a.size * 4 <= limit for a in arrays)


_SUMMED = ("cases", "passed", "seconds", "headroom", "max_abs", "l2", "ulp_p99")


def totals(report: ParityReport) -> list[dict[str, Any]]:
    """One line per pass and kernel: counts, and the worst of each measure over the cases."""
    lines: dict[tuple[int, str], dict[str, Any]] = {}
    for number, r in report.rows:
        line = lines.setdefault(
            (number, r.kernel),
            dict(number=number, kernel=r.kernel, specials=True, same=True) | dict.fromkeys(_SUMMED, 0),
        )
        line["cases"] += 1
        line["passed"] += r.passed
        line["seconds"] += r.seconds
        line["specials"] &= r.specials
        line["same"] &= r.repeatable
        for name, value in (("headroom", r.headroom), ("max_abs", r.max_abs), ("l2", r.relative_l2), ("ulp_p99", r.ulp_p99)):
            line[name] = max(line[name], value)
    return [lines[key] for key in sorted(lines, key=lambda k: k[0])]
