"""What a KAN is made of, checked before anything is allocated, and what it will need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from ...errors import ConfigError, GpucoreError
from ...kernels.spline import MAX_DEGREE, MIN_GRID, check_grid
from .inputs import check_finite, host_numbers
from .memory import MemoryEstimate, Sizes, estimate_memory

MOST_CELLS = 64
"""The finest grid that a network starts with; refinement goes on to 128."""
MOST_PARAMETERS = 1 << 31
"""A network of more is refused: its optimizer alone would take 24 GiB."""
LEAST_STD = 1e-6
"""Standard deviations count as at least this."""
LARGEST = float(np.finfo(np.float32).max)
"""No mean or standard deviation is larger: the device has float32."""
BASES = (None, "silu")


@dataclass(frozen=True)
class KanConfig:
    """A network [input_dim, *hidden_dims, output_dim] whose edges are B-splines of `degree` on `grid_size` cells.

    grid_range: the interval (a, b) of every grid; inputs outside count as its ends.
    mean, std:  standardisation of the inputs, (x - mean) / max(std, 1e-6), in the first layer alone: a number, one per
                input, or None for none.
    base:       None, or "silu": every edge also has w·silu(x), as in the KAN paper (arXiv 2404.19756). Its second
                weight, of the spline, is part of the coefficients.
    seed:       of the first weights. Raises ConfigError, one sentence per fault.
    """

    input_dim: int
    hidden_dims: tuple[int, ...] = ()
    output_dim: int = 1
    grid_size: int = 5
    degree: int = 3
    grid_range: tuple[float, float] = (-1.0, 1.0)
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    base: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("hidden_dims", _listed(self.hidden_dims)), ("grid_range", _listed(self.grid_range))):
            object.__setattr__(self, name, value)
        self._check_widths()
        self._check_grid()
        for name in ("input_dim", "output_dim", "grid_size", "degree"):
            object.__setattr__(self, name, int(getattr(self, name)))
        object.__setattr__(self, "hidden_dims", tuple(map(int, self.hidden_dims)))
        for name in ("mean", "std"):
            object.__setattr__(self, name, self._numbers(name))
        if self.base not in BASES:
            raise ConfigError(f"KanConfig: base is {self.base!r}; wants None or 'silu'")
        if not _whole(self.seed) or self.seed < 0:
            raise ConfigError(f"KanConfig: seed is {self.seed!r}; wants a whole number of 0 or more")
        object.__setattr__(self, "seed", int(self.seed))

    def _check_widths(self) -> None:
        hidden = self.hidden_dims
        if not isinstance(hidden, tuple):
            raise ConfigError(f"KanConfig: hidden_dims is {hidden!r}; wants a sequence of whole numbers, () for none")
        named = [("input_dim", self.input_dim), *[(f"hidden_dims[{i}]", n) for i, n in enumerate(hidden)], ("output_dim", self.output_dim)]
        for name, value in named:
            if not _whole(value) or value < 1:
                raise ConfigError(f"KanConfig: {name} is {value!r}; wants a whole number of 1 or more")

    def _check_grid(self) -> None:
        if not _whole(self.degree) or not 1 <= self.degree <= MAX_DEGREE:
            raise ConfigError(f"KanConfig: degree is {self.degree!r}; wants a whole number from 1 to {MAX_DEGREE}")
        if not _whole(self.grid_size) or not MIN_GRID <= self.grid_size <= MOST_CELLS:
            raise ConfigError(f"KanConfig: grid_size is {self.grid_size!r}; wants a whole number from {MIN_GRID} to {MOST_CELLS}")
        ends = self.grid_range
        if not isinstance(ends, tuple) or len(ends) != 2 or not all(_real(v) for v in ends):
            raise ConfigError(f"KanConfig: grid_range is {ends!r}; wants two finite numbers")
        object.__setattr__(self, "grid_range", (float(ends[0]), float(ends[1])))
        if not ends[0] < ends[1]:
            raise ConfigError(f"KanConfig: grid_range is ({ends[0]}, {ends[1]}); wants the low end first")
        check_grid("KanConfig", self.degree, self.grid_size, self.grid_range)
        if np.float32(ends[1]) - np.float32(ends[0]) < 0.5 * (ends[1] - ends[0]):
            raise ConfigError(f"KanConfig: grid_range is ({ends[0]}, {ends[1]}), one point in float32; wants it wider or nearer to 0")
        if self.parameter_count() > MOST_PARAMETERS:
            raise ConfigError(
                f"KanConfig: widths {list(self.widths)} make {self.parameter_count():,} parameters; wants at most {MOST_PARAMETERS:,}"
            )

    def _numbers(self, name: str) -> float | tuple[float, ...] | None:
        value = getattr(self, name)
        if value is None:
            return None
        if isinstance(value, int | float | np.number):
            numbers: Any = float(value)
        else:
            numbers = _floats(name, value)
            if len(numbers) != self.input_dim:
                raise ConfigError(f"KanConfig: {name} has {len(numbers)} numbers for {self.input_dim} inputs; wants one each")
        for i, v in enumerate(np.atleast_1d(numbers)):
            at = name if isinstance(numbers, float) else f"{name}[{i}]"
            if not abs(v) <= LARGEST or (name == "std" and v <= 0):
                raise ConfigError(f"KanConfig: {at} is {v}; wants a {'positive' if name == 'std' else 'finite'} number of float32")
        return numbers  # type: ignore[no-any-return]

    # ---- what follows from it

    @property
    def widths(self) -> tuple[int, ...]:
        """Values between the layers: (input_dim, *hidden_dims, output_dim)."""
        return (self.input_dim, *self.hidden_dims, self.output_dim)

    @property
    def basis_size(self) -> int:
        """Functions of one edge: grid_size + degree."""
        return self.grid_size + self.degree

    def parameter_count(self) -> int:
        """Trained numbers: (G + p, and 1 with a base) per edge, 1 per output of a layer."""
        each = self.basis_size + (self.base is not None)
        return sum(int(outputs) * (int(inputs) * each + 1) for inputs, outputs in pairwise(self.widths))

    def memory_estimate(self, batch: int, *, kind: str = "discrete") -> MemoryEstimate:
        """What the network needs for batches of so many samples on a kind of device, in bytes; nothing is allocated.

        Hardware is taken to bind 32 buffers to a kernel, as most does; the network's own estimate knows its device.
        """
        layers = [Sizes(i, o, self.degree, self.grid_size, self.base is not None) for i, o in pairwise(self.widths)]
        return estimate_memory(layers, batch, kind=kind, packs=kind in ("software", "cpu"), standardised=self.standardised)

    @property
    def standardised(self) -> int:
        """How many of mean and std it has."""
        return (self.mean is not None) + (self.std is not None)

    def standardized(self, samples: Any) -> KanConfig:
        """The same with mean and standard deviation of these samples [n, input_dim]; columns that are constant keep 1."""
        values = host_numbers("KanConfig.standardized", "samples", samples).astype(np.float64)
        if values.ndim != 2 or values.shape[1] != self.input_dim or not len(values):
            raise ConfigError(f"KanConfig.standardized: samples have shape {values.shape}; wants (n, {self.input_dim})")
        check_finite("KanConfig.standardized", "samples", values)
        std = values.std(axis=0)
        return replace(self, mean=tuple(values.mean(axis=0)), std=tuple(np.where(std > LEAST_STD, std, 1.0)))

    # ---- as plain data

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KanConfig:
        """The opposite of `to_dict`; ConfigError for names that are unknown or missing."""
        known = [f.name for f in fields(cls)]
        unknown = [str(name) for name in values if name not in known]
        if unknown or "input_dim" not in values:
            fault = f"unknown names {', '.join(unknown)}" if unknown else "no input_dim"
            raise ConfigError(f"KanConfig: got {fault}; wants some of {', '.join(known)}")
        try:
            given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**given)
        except GpucoreError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(f"KanConfig: values of a wrong kind ({error})") from None

    @classmethod
    def preset(cls, name: str, **changes: Any) -> KanConfig:
        """A named configuration of PRESETS, with changes."""
        if name not in PRESETS:
            raise ConfigError(f"KanConfig: preset is {name!r}; wants one of {', '.join(PRESETS)}")
        return cls(**(PRESETS[name] | changes))


def _floats(name: str, value: Any) -> tuple[float, ...]:
    """A sequence of numbers as floats; ConfigError for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)  # rows of different lengths
    if array.dtype.kind not in "fiu":
        raise ConfigError(f"KanConfig: {name} is {value!r}; wants a number, one per input, or None")
    return tuple(float(v) for v in array.reshape(-1))


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple | np.ndarray) else value


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and isfinite(value)


PRESETS: dict[str, dict[str, Any]] = {
    "formula": dict(input_dim=2, hidden_dims=(1,), output_dim=1),
    "small": dict(input_dim=2, hidden_dims=(5,), output_dim=1),
    "poisson": dict(input_dim=2, hidden_dims=(2,), output_dim=1, base="silu"),
    "mnist": dict(input_dim=784, hidden_dims=(64,), output_dim=10, grid_range=(-3.0, 3.0), base="silu"),
    "mnist-spline": dict(input_dim=784, hidden_dims=(64,), output_dim=10, grid_range=(-3.0, 3.0)),
    "arkan": dict(input_dim=21, hidden_dims=(64, 64), output_dim=24, grid_range=(-3.0, 3.0)),
}
"""Configurations by name: formula [2, 1, 1] and small [2, 5, 1] for regression, poisson [2, 2, 1] for a differential
equation, mnist [784, 64, 10] with the base branch and without (for
pixels from -1 to 1; the wide range holds the hidden values while they grow), arkan [21, 64, 64, 24]."""
