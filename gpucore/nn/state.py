"""Checking named values before any of them is taken over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..array import Array
from ..errors import FormatError

_SHOWN = 5


def checked_state(who: str, wanted: Mapping[str, Array], given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The given values as host arrays when they are the wanted names, shapes and kinds; else FormatError.

    Floats go into floats of any width, integers into integers that hold them.
    """
    arrays = compare_states(who, {k: t.shape for k, t in wanted.items()}, given)
    kinds = [f"{k} {arrays[k].dtype} for {t.dtype}" for k, t in wanted.items() if not _fits(arrays[k], t)]
    if kinds:
        raise FormatError(f"{who}: other types, {_listed(kinds)}")
    return arrays


def compare_states(who: str, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The given values as host arrays when they have the wanted names and shapes; else FormatError."""
    missing, unexpected = [k for k in wanted if k not in given], [k for k in given if k not in wanted]
    faults = [f"{what} {_listed(keys)}" for what, keys in (("missing", missing), ("unexpected", unexpected)) if keys]
    if faults:
        raise FormatError(f"{who}: {' and '.join(faults)}; wants exactly the names of the present one")
    arrays = {k: np.asarray(given[k]) for k in wanted}
    shapes = [f"{k} {arrays[k].shape} for {tuple(shape)}" for k, shape in wanted.items() if arrays[k].shape != tuple(shape)]
    if shapes:
        raise FormatError(f"{who}: other shapes, {_listed(shapes)}")
    return arrays


def _fits(array: np.ndarray, tensor: Array) -> bool:
    kind = tensor.dtype.host.kind
    if kind not in "iu":
        return array.dtype.kind == kind
    info = np.iinfo(tensor.dtype.host)
    return array.dtype.kind in "iu" and (array.size == 0 or bool(array.min() >= info.min and array.max() <= info.max))


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
