"""Checking what a KAN is given, with one sentence per fault, before the device sees any of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...array import Array
from ...device import Device
from ...dtypes import DType
from ...errors import ConfigError, DeviceMismatchError, DTypeError, ShapeError
from ...kernel import Mirror

if TYPE_CHECKING:
    from .network import KanNetwork


def host_numbers(who: str, name: str, values: Any) -> np.ndarray:
    """Values as a NumPy array of numbers; DTypeError for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ShapeError(f"{who}: the rows of {name} differ in length; wants one length") from None
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{who}: {name} holds values of type {array.dtype}; wants numbers")
    return array


def check_finite(who: str, name: str, array: np.ndarray, given: np.ndarray | None = None) -> None:
    """DTypeError that names row and column of the first NaN or infinity; given: the same before it was rounded to the device's type."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    place = f"row {at[0]}" + (f", column {at[1]}" if len(at) > 1 else "") if at else "the value"
    wanted = "finite numbers" if given is None else f"numbers within the range of {array.dtype}"
    raise DTypeError(f"{who}: {place} of {name} is {(array if given is None else given)[at]}; wants {wanted}")


def rounded(array: np.ndarray, dtype: Any) -> np.ndarray:
    """The array in another type; what that does not hold becomes infinite."""
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def finite_as(who: str, name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
    """The same, or DTypeError for NaN, infinities and what the type does not hold."""
    check_finite(who, name, array)
    held = rounded(array, dtype)
    check_finite(who, name, held, array)
    return held


def check_width(who: str, shape: tuple[int, ...], width: int, *, name: str = "x", single: bool = False) -> None:
    """ShapeError unless the shape is [n, width] with n ≥ 1, or with `single` any [..., width] that is not empty."""
    wanted = f"[{width}] or [n, {width}]" if single else f"[n, {width}]"
    if len(shape) < (1 if single else 2) or shape[-1] != width or (not single and len(shape) > 2):
        raise ShapeError(f"{who}: {name} has shape {shape}; wants {wanted}")
    if 0 in shape:
        raise ShapeError(f"{who}: {name} has shape {shape}, which is empty; wants at least one sample")


def to_device(who: str, name: str, values: Any, device: Device, dtype: DType, *, finite: bool = False) -> Any:
    """A tensor of the network's device and dtype: tensors are checked, host values copied in.

    finite: NaN and infinities in host values are an error; those of tensors cannot be seen without waiting.
    """
    if isinstance(values, Array):
        if Mirror.active is not None:  # a check against NumPy runs the same functions on copies elsewhere
            return values
        if values.device is not device:
            raise DeviceMismatchError(f"{who}: {name} is on {values.device.name!r} and the network on {device.name!r}")
        if values.dtype is not dtype:
            raise DTypeError(f"{who}: {name} is {values.dtype}; wants {dtype}")
        return values
    array = host_numbers(who, name, values)
    held = finite_as(who, name, array, dtype.host) if finite else rounded(array, dtype.host)
    return device.tensor(held, dtype)


def host_targets(who: str, y: Any, n: int, width: int, *, classes: bool, mask: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """(targets, mask) of n samples as checked host arrays: [n, width], or [n] whole class numbers below `width`.

    [n] counts as [n, 1]. What the mask hides may be anything and becomes 0. ShapeError, and DTypeError that names row
    and column of a NaN, or the row of a class that is none.
    """
    y = host_numbers(who, "y", y)
    y = y.reshape(-1, 1) if width == 1 and y.ndim == 1 and not classes else y
    check_targets(who, y.shape, n, width, classes=classes)
    weights = None if mask is None else host_mask(who, mask, y.shape)
    y = y if weights is None else np.where(weights > 0, y, 0)
    check_finite(who, "y", y)
    if classes:
        bad = np.flatnonzero((y < 0) | (y >= width) | (y != np.floor(y)))
        if len(bad):
            raise DTypeError(f"{who}: row {bad[0]} of y is {y[bad[0]]}; wants whole class numbers from 0 to {width - 1}")
        y = y.astype(np.int32)
    return y, weights


def check_targets(who: str, shape: tuple[int, ...], n: int, width: int, *, classes: bool) -> None:
    """ShapeError unless the targets are [n, width], or [n] for classes."""
    if shape != ((n,) if classes else (n, width)):
        wanted = f"one class number per sample, {(n,)}" if classes else f"{(n, width)}"
        raise ShapeError(f"{who}: y has shape {shape}; wants {wanted}")


def host_mask(who: str, mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of the targets' shape, its values 0 or more; [n] counts as [n, 1]."""
    weights = host_numbers(who, "mask", mask)
    weights = weights.reshape(shape) if shape == (*weights.shape, 1) else weights
    _check_mask_shape(who, weights.shape, shape)
    held = finite_as(who, "mask", weights, np.float32)
    if (weights < 0).any():
        raise DTypeError(f"{who}: the mask holds {weights.min()}; wants 0 or more")
    return held


def _check_mask_shape(who: str, mask: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if mask != shape:
        raise ShapeError(f"{who}: the mask has shape {mask} and y {shape}; wants the same shape")


def device_batch(who: str, x: Any, y: Any, mask: Any, widths: tuple[int, int], *, classes: bool, device: Device, dtype: DType) -> list[Any]:
    """[x, y] or [x, y, mask] on the device, from tensors or host arrays; widths: of inputs and outputs."""
    x = to_device(who, "x", x, device, dtype, finite=True)
    check_width(who, x.shape, widths[0])
    n, kind = x.shape[0], device._dtype("int32") if classes else dtype
    if isinstance(y, Array):
        check_targets(who, y.shape, n, widths[1], classes=classes)
    else:
        y, weights = host_targets(who, y, n, widths[1], classes=classes, mask=None if isinstance(mask, Array) else mask)
        mask = mask if isinstance(mask, Array) else weights
    if mask is not None and not isinstance(mask, Array):
        mask = host_mask(who, mask, y.shape)
    y = to_device(who, "y", y, device, kind, finite=True)
    if mask is None:
        return [x, y]
    _check_mask_shape(who, mask.shape, y.shape)
    return [x, y, to_device(who, "mask", mask, device, dtype)]


def check_in_grid(who: str, network: KanNetwork, x: np.ndarray) -> None:
    """ConfigError when the first grid sees nothing of the data."""
    config, grid = network.config, network.layers[0].grid
    z = x.astype(np.float64) - (0.0 if config.mean is None else np.asarray(config.mean))
    z = z if config.std is None else z / np.maximum(config.std, 1e-6)
    low, high = grid.ends
    if ((z < low) | (z > high)).all():
        raise ConfigError(
            f"{who}: no value of x lies inside the first grid ({grid.low:g}, {grid.high:g}), they run from {z.min():g} to {z.max():g}; "
            "standardise with mean and std, or call update_grid(x)"
        )
