"""The element types of tensors, how each is held on the host and how its bytes look on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DTypeError


@dataclass(frozen=True, eq=False)
class DType:
    """An element type.

    host:     the NumPy type of `tensor.numpy()` and of the NumPy device.
    storage:  the NumPy type whose bytes lie in a GPU buffer.
    Compares equal to its name and to the NumPy type it is held in.
    """

    name: str
    host: np.dtype
    storage: np.dtype

    @property
    def itemsize(self) -> int:
        """Bytes of one element in a GPU buffer."""
        return self.storage.itemsize

    @property
    def is_float(self) -> bool:
        """True for every floating-point type."""
        return self.host.kind == "f"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, DType):
            return False
        try:
            return self is as_dtype(other)
        except DTypeError:
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__


def _make(name: str, host: str, storage: str) -> DType:
    return DType(name, np.dtype(host), np.dtype(storage))


float32 = _make("float32", "f4", "<f4")
float64 = _make("float64", "f8", "<f8")  # the NumPy device only: WGSL has no portable f64
float16 = _make("float16", "f2", "<f2")
bfloat16 = _make("bfloat16", "f4", "<u2")  # NumPy has no bfloat16: held as float32 rounded to 8 bits of mantissa
int32 = _make("int32", "i4", "<i4")
uint32 = _make("uint32", "u4", "<u4")
bool_ = _make("bool", "?", "<u4")  # WGSL's bool may not lie in a buffer: 0 or 1 in 32 bits

ALL = {d.name: d for d in (float32, float64, float16, bfloat16, int32, uint32, bool_)}


def as_dtype(value: Any) -> DType:
    """The DType that a name, NumPy type or DType stands for; DTypeError if there is none."""
    if isinstance(value, DType):
        return value
    if isinstance(value, str) and value in ALL:
        return ALL[value]
    try:
        name = np.dtype(value).name
    except TypeError:
        name = str(value)
    if name in ALL:
        return ALL[name]
    raise DTypeError(f"dtype {value!r} is not one of {', '.join(ALL)}")


def round_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 values rounded to the nearest bfloat16, ties to even, still held as float32."""
    return decode_bfloat16(encode_bfloat16(values))


def encode_bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values, rounded to nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) >> 16
    quiet_nan = (bits >> 16) | 0x40
    return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)


def decode_bfloat16(halves: np.ndarray) -> np.ndarray:
    """float32 values whose upper halves are given."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def to_storage(values: np.ndarray, dtype: DType) -> np.ndarray:
    """The contiguous array whose bytes a GPU buffer of this dtype holds."""
    if dtype is bfloat16:
        return encode_bfloat16(values)
    return np.ascontiguousarray(values, dtype.storage)


def from_storage(raw: np.ndarray, dtype: DType) -> np.ndarray:
    """The host array for a buffer's contents; the opposite of `to_storage`."""
    if dtype is bfloat16:
        return decode_bfloat16(raw)
    return raw.astype(dtype.host, copy=False)


def host_array(values: Any, dtype: Any = None, *, allow_float64: bool = False, copy: bool = True) -> tuple[np.ndarray, DType]:
    """A contiguous host array and its DType for anything array-like; with copy=False it may share the caller's memory.

    Without a dtype: floats become float32 (float16 stays), integers int32 (uint32 stays), bool stays bool.
    Integers outside the 32-bit range, objects, strings and complex numbers raise DTypeError.
    """
    array = np.asarray(values)
    kind = array.dtype.kind
    if kind not in "fiub":
        raise DTypeError(f"tensor: cannot hold values of type {array.dtype}; numbers and booleans only")
    if dtype is not None:
        target = as_dtype(dtype)
    elif kind == "f":
        target = float16 if array.dtype == np.float16 else float32
    elif kind == "b":
        target = bool_
    else:
        target = uint32 if array.dtype == np.uint32 else int32
    if target is float64 and not allow_float64:
        raise DTypeError("tensor: float64 is held by the NumPy device only; use float32 on a GPU")
    if target in (int32, uint32) and array.size:
        _check_range(array, target)
    with np.errstate(over="ignore", invalid="ignore"):
        host = np.array(array, dtype=target.host, order="C", copy=True if copy else None)
    return (round_bfloat16(host) if target is bfloat16 else host), target


def _check_range(array: np.ndarray, target: DType) -> None:
    info = np.iinfo(target.host)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DTypeError(f"tensor: NaN and infinities have no {target} value")
    low, high = array.min(), array.max()
    if low < info.min or high > info.max:
        raise DTypeError(f"tensor: values from {low} to {high} do not fit {target} ({info.min} to {info.max})")
