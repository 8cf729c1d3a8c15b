"""Copying whatever a module holds to another device."""

from __future__ import annotations

from typing import Any

from ..array import Array
from ..device.base import Device
from ..random import Generator


def copy_to(value: Any, device: Device, done: dict[int, Any]) -> Any:
    """A copy of a module, or of anything inside one, on a device.

    Modules, tensors, generators, lists, tuples and dicts are copied, each object once (`done`: what was copied, by
    id); a device becomes the new one; a module's `uncopied` attributes become None; everything else is taken as it is.
    """
    from .module import Module

    if isinstance(value, Device):
        return device
    if not isinstance(value, Module | Array | Generator | list | tuple | dict):
        return value
    if id(value) not in done:
        done[id(value)] = _copied(value, device, done)
    return done[id(value)]


def _copied(value: Any, device: Device, done: dict[int, Any]) -> Any:
    from .module import Module

    if isinstance(value, Module):
        made = done[id(value)] = object.__new__(type(value))  # noted first: a part may refer to its whole
        vars(made).update({k: None if k in value.uncopied else copy_to(v, device, done) for k, v in vars(value).items()})
        return made
    if isinstance(value, Array):
        return _copied_tensor(value, device)
    if isinstance(value, Generator):
        generator = Generator(device)
        generator.state = value.state
        return generator
    if isinstance(value, dict):
        return type(value)({k: copy_to(v, device, done) for k, v in value.items()})
    items = [copy_to(v, device, done) for v in value]
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)  # _fields: a NamedTuple


def _copied_tensor(value: Array, device: Device) -> Any:
    from .parameter import Parameter

    dtype = "float32" if value.dtype.name == "float64" and not device.is_cpu else value.dtype
    made = device.tensor(value, dtype, name=value.name)
    if not isinstance(value, Parameter):
        return made
    copy = Parameter(made)
    copy.frozen = value.frozen
    return copy
