"""The base of all layers and models: finds its parameters, saves and loads them, moves between devices."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..array import Array
from ..device import Device
from ..device import device as open_device
from ..random import Generator
from .copying import copy_to
from .parameter import Parameter
from .state import checked_state

if TYPE_CHECKING:
    from ..tensor import Tensor

_calls = threading.local()


class Module:
    """A function of tensors with parameters. A subclass sets attributes and writes `forward`::

        class Scale(nn.Module):
            def __init__(self, features, *, device=None):
                self.weight = nn.parameter(np.ones(features), device or gc.device())

            def forward(self, x):
                return x * self.weight

    Attributes count by what they are: a Parameter is trained, another tensor is a buffer (a running statistic), a
    Generator draws random numbers, a Module is a part; lists, tuples and dicts of these as well. Names that begin
    with an underscore are private and not looked at. A parameter found twice counts once, under its first name.
    """

    training: bool = True
    uncopied: ClassVar[tuple[str, ...]] = ()
    """Attributes that are about this very object, as recordings over its parameters: None in a copy."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """`forward`."""
        result = self.forward(*inputs, **options)
        seen = getattr(_calls, "seen", None)
        if seen is not None:
            seen.setdefault(id(self), getattr(result, "shape", None))
        return result

    # ---- what it is made of

    def modules(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of this module, named "", and of all parts, outer before inner, each once."""
        yield from ((name, m) for name, m in _walk(self, "", set()) if isinstance(m, Module))

    def parts(self) -> dict[str, Module]:
        """The modules directly inside this one, by name."""
        found: dict[str, Module] = {}
        for name, module in self.modules():
            if name and not any(name.startswith(f"{outer}.") for outer in found):
                found[name] = module
        return found

    def named_parameters(self) -> dict[str, Parameter]:
        """Every parameter by name, frozen ones too: "layers.0.weight"."""
        return {name: p for name, p in _walk(self, "", set()) if isinstance(p, Parameter)}

    def parameters(self) -> list[Parameter]:
        """The parameters that training changes: all but the frozen ones."""
        return [p for p in self.named_parameters().values() if not p.frozen]

    def named_buffers(self) -> dict[str, Tensor]:
        """Tensors that belong to the state without being trained, by name."""
        return {name: t for name, t in _walk(self, "", set()) if isinstance(t, Array) and not isinstance(t, Parameter)}  # type: ignore[misc]

    def generators(self) -> dict[str, Generator]:
        """The random generators of the parts, by name."""
        return {name: g for name, g in _walk(self, "", set()) if isinstance(g, Generator)}

    @property
    def device(self) -> Device:
        """Where the module's tensors are; the default device when it has none."""
        for _, found in _walk(self, "", set()):
            if isinstance(found, Array | Generator):
                return found.device
        return open_device()

    # ---- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Parameters and buffers by name, copied to the host."""
        pending = {name: t.read_async() for name, t in self.state_tensors().items()}
        return {name: readback.result() for name, readback in pending.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over values by name, in place.

        Raises FormatError, naming the keys, when one is missing, unexpected, or of another shape or kind; then nothing
        was changed.
        """
        mine = self.state_tensors()
        for name, values in checked_state(f"{type(self).__name__}.load_state_dict", mine, state).items():
            mine[name].assign(values)

    def state_tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers by name: the tensors behind `state_dict`."""
        return {**self.named_parameters(), **self.named_buffers()}

    # ---- modes

    def freeze(self) -> Self:
        """Leaves all parameters of this module out of training; do it before making the optimizer."""
        return self._set_frozen(True)

    def unfreeze(self) -> Self:
        """Undoes `freeze`."""
        return self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> Self:
        for p in self.named_parameters().values():
            p.frozen = frozen
        return self

    def train(self, mode: bool = True) -> Self:
        """Training mode: dropout drops, batch norm uses and follows the batch. The mode of a new module."""
        for _, part in self.modules():
            part.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode: the same input gives the same output."""
        return self.train(False)

    def to(self, device: Device) -> Self:
        """A copy whose tensors and generators are on another device; what was shared stays shared in the copy."""
        return copy_to(self, device, {})  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy on the same device, as `to` makes it: what `copy.deepcopy` gives."""
        return copy_to(self, self.device, memo)  # type: ignore[no-any-return]

    # ---- for people

    def options(self) -> str:
        """What stands in the brackets of the module's text, as in "784, 128"."""
        return ""

    def __repr__(self) -> str:
        head = f"{type(self).__name__}({self.options()}"
        lines = "".join(f"\n{name}: {part!r}".replace("\n", "\n  ") for name, part in self.parts().items())
        return f"{head}{lines}\n)" if lines else f"{head})"

    def summary(self, input_shape: tuple[int, ...] | None = None, *, dtype: Any = "float32") -> str:
        """A table of the parts: output shape (given an input shape, with its batch axis), parameters, what is frozen.

        With an input shape the module runs once on zeros of this dtype, in evaluation mode.
        """
        from .summary import summary_table

        return summary_table(self, input_shape, dtype)


def _walk(value: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """(name, found) for every module, tensor and generator below, depth first in the order of the attributes."""
    if isinstance(value, Module | Array | Generator):
        if id(value) in seen:
            return
        seen.add(id(value))
        yield name, value
    if isinstance(value, Module):
        items = [(k, v) for k, v in vars(value).items() if not k.startswith("_")]
    elif isinstance(value, list | tuple):
        items = [(str(i), v) for i, v in enumerate(value)]
    elif isinstance(value, dict):
        items = [(str(k), v) for k, v in value.items()]
    else:
        return
    for key, part in items:
        yield from _walk(part, f"{name}.{key}" if name else key, seen)


class output_shapes:  # noqa: N801 - reads as the context it is
    """A context that collects {id(module): shape of its first result} of every call inside."""

    def __enter__(self) -> dict[int, Any]:
        _calls.seen = {}
        return _calls.seen  # type: ignore[no-any-return]

    def __exit__(self, *exc: object) -> None:
        _calls.seen = None
