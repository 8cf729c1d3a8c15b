"""Declares kernels: one .wgsl file, one NumPy reference, one shape rule with its cases and its cost.

The decorated function is the shape rule. It gets the input tensors and the options, raises one sentence for bad
ones, and returns a Launch. From the declaration come the launch, the parity test, the benchmark row and the docs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from .array import Array
from .device.base import Device
from .dtypes import DType, as_dtype, float32, float64
from .errors import DeviceMismatchError, DTypeError, KernelDeclarationError, ShapeError
from .shader import Shader
from .tuning import Choices

KERNELS: dict[str, Kernel] = {}
"""Every declared kernel by name."""

ANY32 = ("float32", "int32", "uint32", "bool")
"""Dtypes of 32 bits: what a kernel that only moves elements takes (bind it as array<u32>)."""
_BY_WGSL = {"f32": ("float32",), "i32": ("int32",), "u32": ("uint32", "bool")}
MAX_GROUPS = 65535
BUFFERS = 8
"""Storage buffers that every adapter binds to a shader."""

Case = Mapping[str, Any] | Callable[[np.random.Generator], Mapping[str, Any]]


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def expect(ok: bool, message: str) -> None:
    """ShapeError with this sentence unless ok. Build the sentence lazily where it is costly: `if not ok: ...`."""
    if not ok:
        raise ShapeError(message)


@dataclass(frozen=True)
class Out:
    """An output's shape and dtype."""

    shape: tuple[int, ...]
    dtype: Any = float32


class Launch:
    """What a shape rule returns.

    outputs:   a shape (one float32 output named `out`), an Out, a dict of Outs by binding name, or None for a kernel
               that only changes inputs in place (those it binds as read_write).
    groups:    workgroups: a count (folded over two dimensions above 65,535; shaders undo that with
               `flat_group`), or a tuple of up to three.
    params:    the values of the shader's `Params`.
    constants: values for the shader's `override` constants.
    half:      take the variants of included files that load float16 as such, on an adapter with f16.
    """

    __slots__ = ("constants", "groups", "half", "outputs", "params")

    def __init__(
        self,
        outputs: tuple[int, ...] | Out | dict[str, Out] | None,
        groups: int | tuple[int, ...],
        params: dict[str, Any] | None = None,
        constants: dict[str, Any] | None = None,
        half: bool = False,
    ) -> None:
        if outputs is None:
            self.outputs: dict[str, Out] = {}
        elif isinstance(outputs, dict):
            self.outputs = outputs
        else:
            self.outputs = {"out": outputs if isinstance(outputs, Out) else Out(tuple(outputs))}
        self.groups = fold_groups(groups)
        self.params, self.constants, self.half = params or {}, constants or {}, half


def fold_groups(groups: int | tuple[int, ...]) -> tuple[int, int, int]:
    """The three dimensions of a grid; one number above 65,535 spreads over x and y (the last row may overhang)."""
    if isinstance(groups, int):
        groups = (groups,)
    if len(groups) == 1 and groups[0] > MAX_GROUPS:
        rows = ceil_div(groups[0], MAX_GROUPS)
        groups = (ceil_div(groups[0], rows), rows)
    x, y, z = (*groups, 1, 1)[:3]
    if max(x, y, z) > MAX_GROUPS:
        raise ShapeError(f"a grid of {x} x {y} x {z} workgroups is more than {MAX_GROUPS} along one axis")
    return x, y, z


@dataclass(frozen=True)
class Tolerance:
    """Gates of a comparison in float64: |got - want| ≤ atol + rtol·|want| elementwise, and the relative L2 norm."""

    rtol: float = 1e-5
    atol: float = 1e-6
    l2: float = 1e-6


@dataclass(eq=False)
class Kernel:
    """One declared kernel; calling it launches it on the device of its inputs."""

    name: str
    rule: Callable[..., Launch]
    shader: Shader
    ref: Callable[..., Any]
    cases: Sequence[Case]
    bench: Sequence[Case]
    flops: Callable[..., float] | float
    bytes: Callable[..., float] | None
    tolerance: Tolerance
    dtypes: Mapping[str, Sequence[str]]
    choices: Choices | None = None
    buffers: int = BUFFERS
    inputs: tuple[str, ...] = field(init=False)
    optional: frozenset[str] = field(init=False)
    options: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.rule).parameters.values()
        self.inputs = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        self.optional = frozenset(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is None)
        self.options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        if (self.choices is not None) != ("config" in self.options):
            raise KernelDeclarationError(f"kernel {self.name}: choices= and the rule's option config go together")
        self.__doc__ = self.rule.__doc__
        self._allowed: dict[str, tuple[DType, ...]] | None = None

    def runs_on(self, device: Device) -> bool:
        """Whether the device binds as many buffers as this kernel takes; the NumPy device, which binds none, runs all."""
        return int(device.info.limits.get("max_storage_buffers", 0) or self.buffers) >= self.buffers

    @property
    def family(self) -> str:
        """The folder of its shader: elementwise, reduce, ..."""
        return self.shader.name.split("/")[0]

    def __call__(self, *inputs: Array | None, **options: Any) -> Any:
        """Launches; returns the output, a tuple of them, or None when it works in place."""
        if len(inputs) < len(self.inputs):
            inputs = (*inputs, *(options.pop(name, None) for name in self.inputs[len(inputs) :]))
        device = inputs[0].device  # type: ignore[union-attr]
        if Mirror.active is not None:
            inputs = tuple(None if t is None else Mirror.active.of(t) for t in inputs)
            device = Mirror.active.device
        for t in inputs:
            if t is not None and t.device is not device:
                raise DeviceMismatchError(
                    f"{self.name}: {t.describe()} is on {t.device.name!r} and another input on {device.name!r}; "
                    "move one with device.tensor(...)"
                )
        results = device.run(self, inputs, options)
        return results[0] if len(results) == 1 else (results or None)

    def launch(self, inputs: Sequence[Array | None], options: dict[str, Any]) -> Launch:
        """Checks dtypes and shapes and returns the launch; one sentence for what does not fit."""
        if len(inputs) != len(self.inputs):
            raise ShapeError(f"{self.name}: got {len(inputs)} tensors; wants {', '.join(self.inputs)}")
        allowed = self._allowed_dtypes()
        for name, t in zip(self.inputs, inputs, strict=True):
            if t is None:
                if name not in self.optional:
                    raise ShapeError(f"{self.name}: {name} is missing")
                continue
            kind = float32 if t.dtype is float64 else t.dtype
            if kind not in allowed[name]:
                wants = " or ".join(d.name for d in allowed[name])
                raise DTypeError(f"{self.name}: {name} is {t.dtype}; wants {wants}")
        return self.rule(*inputs, **options)

    def _allowed_dtypes(self) -> dict[str, tuple[DType, ...]]:
        if self._allowed is None:
            types = {b.name: b.type for b in self.shader.bindings}
            allowed = {}
            for name in self.inputs:
                wanted = self.dtypes.get(name)
                if wanted is None:
                    scalar = next((s for s in _BY_WGSL if s in types.get(name, "")), None)
                    if scalar is None:
                        raise KernelDeclarationError(
                            f"{self.name}: {self.shader.name}.wgsl has no binding {name} of a known type; give dtypes="
                        )
                    wanted = _BY_WGSL[scalar]
                allowed[name] = tuple(as_dtype(d) for d in wanted)
            self._allowed = allowed
        return self._allowed

    @property
    def mutated(self) -> tuple[str, ...]:
        """The inputs that the shader changes in place."""
        access = {b.name: b.access for b in self.shader.bindings}
        return tuple(n for n in self.inputs if access.get(n) == "read_write")

    def reference(self, arrays: Sequence[np.ndarray | None], options: dict[str, Any]) -> tuple[np.ndarray, ...]:
        """Runs the NumPy reference; mutated inputs are changed in the arrays given."""
        with np.errstate(all="ignore"):
            result = self.ref(*arrays, **options)
        if result is None:
            return ()
        return result if isinstance(result, tuple) else (result,)

    def cost(self, inputs: Sequence[Any], launch: Launch, options: dict[str, Any]) -> tuple[float, float]:
        """(floating-point operations, bytes moved) of one launch; each input and output counts once by default."""
        flops = self.flops(*inputs, **options) if callable(self.flops) else self.flops * _out_size(inputs, launch)
        if self.bytes is not None:
            return float(flops), float(self.bytes(*inputs, **options))
        moved = sum(t.nbytes for t in inputs if t is not None)
        moved += sum(prod(o.shape) * as_dtype(o.dtype).itemsize for o in launch.outputs.values())
        moved += sum(t.nbytes for n, t in zip(self.inputs, inputs, strict=True) if t is not None and n in self.mutated)
        return float(flops), float(moved)

    def arrays(self, case: Case, rng: np.random.Generator) -> tuple[list[np.ndarray | None], dict[str, Any]]:
        """The inputs and options of a case: a shape becomes normal float32 noise, an array stays, a callable is called."""
        values = dict(case(rng) if callable(case) else case)
        values.pop("id", None)
        values.pop("large", None)
        inputs: list[np.ndarray | None] = []
        for name in self.inputs:
            value = values.pop(name, None)
            if callable(value):
                value = value(rng)
            inputs.append(rng.standard_normal(value, np.float32) if isinstance(value, tuple) else value)
        return inputs, values


def _whole(t: Array) -> Array:
    """All elements of a tensor's storage; the tensor itself when there are no others."""
    if t.offset == 0 and -(-t.nbytes // 16) * 16 >= t.storage.nbytes:
        return t
    return t.device.array_type(t.device, t.storage, (t.storage.nbytes // t.dtype.itemsize,), t.dtype, 0, f"storage of {t.name or 'tensor'}")


def _out_size(inputs: Sequence[Any], launch: Launch) -> int:
    if launch.outputs:
        return sum(prod(o.shape) for o in launch.outputs.values())
    return int(next(t.size for t in inputs if t is not None))


def kernel(
    shader: str,
    *,
    ref: Callable[..., Any],
    cases: Sequence[Case],
    bench: Case | Sequence[Case],
    flops: Callable[..., float] | float,
    bytes: Callable[..., float] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    l2: float = 1e-6,
    dtypes: Mapping[str, Sequence[str]] | None = None,
    choices: Choices | None = None,
    buffers: int = BUFFERS,
) -> Callable[[Callable[..., Launch]], Kernel]:
    """Declares a kernel by its shape rule.

    shader: the file below shaders/ without the ending. ref: its NumPy reference, with the rule's parameters.
    cases:  inputs and options for the parity test: {input: shape | array | callable(rng), option: value}, or a
            callable(rng) that gives such a dict; a case may carry an "id", and "large": True when it costs
            seconds on a software driver.
    bench:  one case or several at real sizes. flops: per launch (callable on inputs and options) or per output element.
    bytes:  moved per launch; default: each input and output once.
    rtol, atol, l2: the parity gates. dtypes: allowed dtypes by input, where the WGSL type does not tell.
    choices: the candidates of a tunable kernel; its rule then has an option `config`, and its cases run each of them.
    buffers: the most it binds, where that is more than every adapter does; what launches it has another way then.
    """
    bench_cases: Sequence[Case] = [bench] if isinstance(bench, Mapping) or callable(bench) else bench

    def declare(rule: Callable[..., Launch]) -> Kernel:
        name = rule.__name__
        for what, given in (("a reference", ref), ("cases", cases), ("a bench case", bench_cases), ("a docstring", rule.__doc__)):
            if not given:
                raise KernelDeclarationError(f"kernel {name} is declared without {what}")
        if flops is None:
            raise KernelDeclarationError(f"kernel {name} is declared without its cost: give flops=")
        if name in KERNELS:
            raise KernelDeclarationError(f"kernel {name} is declared twice")
        made = Kernel(
            name, rule, Shader(shader), ref, cases, bench_cases, flops, bytes, Tolerance(rtol, atol, l2), dtypes or {}, choices, buffers
        )
        if choices is not None:
            choices.shaders.add(shader)
        KERNELS[name] = made
        return made

    return declare


class Mirror:
    """While active, every kernel runs on the NumPy device, on copies of the tensors it is given.

    This is how a function of GPU tensors, whatever it has captured, is run a second time on the reference: each
    storage is copied at first use and the copies keep what they share, so in-place changes are seen by later
    kernels and never reach the originals.
    """

    active: Mirror | None = None

    def __init__(self, device: Device, dtype: DType) -> None:
        self.device, self.dtype = device, dtype
        self._copies: dict[int, tuple[Array, Array]] = {}  # id(storage) -> (an original, the flat copy)

    def __enter__(self) -> Mirror:
        Mirror.active = self
        return self

    def __exit__(self, *exc: object) -> None:
        Mirror.active = None

    def of(self, t: Array) -> Array:
        """The copy of a tensor on the NumPy device; a tensor of that device is its own."""
        if t.device is self.device:
            return t
        if id(t.storage) not in self._copies:
            whole = _whole(t)
            values = whole.numpy()
            wide = self.dtype if t.dtype is float32 else t.dtype
            self._copies[id(t.storage)] = (whole, self.device.tensor(values, wide))
        flat = self._copies[id(t.storage)][1]
        return flat.view(t.shape, t.offset)

    def changed(self) -> list[tuple[Array, Array]]:
        """Every (original, copy) pair that was touched, whole storages."""
        return list(self._copies.values())
