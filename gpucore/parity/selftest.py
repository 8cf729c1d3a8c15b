"""The check checks itself: kernels that are wrong on purpose must be caught, and what a driver does with subnormals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..array import Array
from ..device.base import Device
from ..kernel import Kernel, Launch, Out, Tolerance, ceil_div, expect
from ..shader import Shader
from .check import check_case

FAULTS = {0: "control, the right sum", 1: "one lane off by 1e-3 of its value", 2: "the last element left out", 3: "NaN becomes 0"}
"""The faults of shaders/selftest/wrong_add.wgsl; every one but the first must be caught."""
TINY = np.float32(1e-39)
"""A subnormal number: below 2^-126, the smallest normal float32."""


def _with_specials(rng: np.random.Generator) -> np.ndarray:
    values = rng.standard_normal(257, np.float32)
    values[[5, 100, 200]] = np.nan, np.inf, -np.inf
    return values


def _wrong_add_reference(a: np.ndarray, b: np.ndarray, *, fault: int) -> np.ndarray:
    """a + b, whatever the fault: the reference is never wrong."""
    return np.asarray(a + b)


def _wrong_add(a: Array, b: Array, *, fault: int) -> Launch:
    """a + b, with a fault on purpose."""
    expect(a.shape == b.shape, f"wrong_add: shapes differ, a is {a.shape} and b is {b.shape}")
    return Launch(a.shape, groups=ceil_div(a.size, 64), params=dict(size=a.size), constants=dict(FAULT=fault))


def _subnormal_reference(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The products and sums."""
    return np.multiply(x, y), np.add(x, y)


def _subnormal(x: Array, y: Array) -> Launch:
    """x · y and x + y."""
    expect(x.shape == y.shape, f"subnormal: shapes differ, x is {x.shape} and y is {y.shape}")
    return Launch({"product": Out(x.shape), "total": Out(x.shape)}, groups=ceil_div(x.size, 64), params=dict(size=x.size))


def _outside_reference(x: np.ndarray, y: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For indices inside the arrays."""
    y[index] = 1
    return x[index], np.arange(index.size, dtype=np.uint32)


def _outside(x: Array, y: Array, index: Array) -> Launch:
    """x[index], and y[index] = 1 in place; shared memory is written at the indices too."""
    expect(index.size <= 64, f"outside: {index.size} indices; wants at most 64")
    return Launch({"found": Out(index.shape), "kept": Out(index.shape, "uint32")}, groups=1, params=dict(size=index.size))


def _undeclared(name: str, rule: Any, reference: Any, cases: list[Mapping[str, Any]]) -> Kernel:
    """A kernel that is not in KERNELS: no operation may use it."""
    return Kernel(name, rule, Shader(name), reference, cases, cases[:1], 1, None, Tolerance(), {})


WRONG_ADD = _undeclared(
    "selftest/wrong_add", _wrong_add, _wrong_add_reference,
    [dict(a=_with_specials, b=(257,), fault=fault, id=said) for fault, said in FAULTS.items()],
)  # fmt: skip
SUBNORMAL = _undeclared("selftest/subnormal", _subnormal, _subnormal_reference, [dict(x=(7,), y=(7,))])
OUTSIDE = _undeclared(
    "selftest/outside", _outside, _outside_reference,
    [dict(x=(9,), y=(9,), index=lambda rng: rng.permutation(9).astype(np.uint32), id="inside")],
)  # fmt: skip


@dataclass(frozen=True)
class SelfTest:
    """One fault on one pass: what is wrong, whether the check caught it (for no fault: let it pass), and what it said."""

    fault: str
    caught: bool
    as_expected: bool
    said: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def self_test(device: Device) -> list[SelfTest]:
    """Runs the deliberately wrong kernel in each of its faults, and once without one, through the ordinary check."""
    found = []
    for fault, said in FAULTS.items():
        result = check_case(WRONG_ADD, fault, device)
        found.append(SelfTest(said, not result.passed, result.passed == (fault == 0), result.sentence()))
    return found


@dataclass(frozen=True)
class Subnormals:
    """What a driver's arithmetic does with numbers below 2^-126: True where it makes zeros of them.

    WGSL allows both. sums, products: of subnormal inputs. results: a subnormal product
    of normal inputs.
    """

    sums: bool
    products: bool
    results: bool

    def __str__(self) -> str:
        flushed = [name for name, on in (("sums", self.sums), ("products", self.products), ("subnormal results", self.results)) if on]
        return "keeps subnormals in arithmetic" if not flushed else f"flushes subnormals in arithmetic to zero ({', '.join(flushed)})"


def probe_subnormals(device: Device) -> Subnormals:
    """Multiplies and adds subnormal numbers on the device."""
    x = np.array([TINY, TINY, 2.0**-126], np.float32)
    y = np.array([TINY, 2.0**100, 0.5], np.float32)
    product, total = (t.numpy() for t in device.run(SUBNORMAL, (device.tensor(x), device.tensor(y)), {}))
    return Subnormals(sums=bool(total[0] == 0), products=bool(product[1] == 0), results=bool(product[2] == 0))
