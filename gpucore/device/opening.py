"""Opens an adapter's device through the library's own call, so that its callbacks are ours.

wgpu-py logs a lost device and errors that no call of its own awaits, and keeps a thread polling each device. Here both
end in an `Outcome`, which raises them: at the end of the call that caused them, else at the next call.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple

from wgpu.backends.wgpu_native._ffi import ffi, lib

from ..errors import DeviceLostError, GpucoreError, NoAdapterError, OutOfVramError

_LOST = re.compile(r"device.{0,20} (is )?lost|DeviceLost|device .*(destroyed|invalid)", re.I)
_KINDS = {
    lib.WGPUErrorType_Validation: "Validation", lib.WGPUErrorType_OutOfMemory: "OutOfMemory", lib.WGPUErrorType_Internal: "Internal",
}  # fmt: skip
_FEATURES = {
    "subgroups": lib.WGPUNativeFeature_Subgroup,
    "subgroup_barrier": lib.WGPUNativeFeature_SubgroupBarrier,
    "f16": lib.WGPUFeatureName_ShaderF16,
    "timestamps": lib.WGPUFeatureName_TimestampQuery,
    "immediates": lib.WGPUNativeFeature_Immediates,
    "int64": lib.WGPUNativeFeature_ShaderInt64,
}
_outcomes: dict[int, Outcome] = {}
_keys = count(1)


class Outcome:
    """What the library has reported of one device: errors not raised yet, and why it is lost (None while it lives)."""

    def __init__(self) -> None:
        self.lost: str | None = None
        self._mine = threading.local()
        self._stray: list[tuple[str, str]] = []

    def report(self, kind: str, message: str) -> None:
        """Called by the library, in the thread whose call went wrong where there is one."""
        found = getattr(self._mine, "found", None)
        (self._stray if found is None else found).append((kind, message))

    def lose(self, reason: str) -> None:
        """Called by the library, in any thread."""
        self.lost = self.lost or reason

    def begin(self, doing: str) -> list[tuple[str, str]] | None:
        """Starts to collect this thread's errors and returns the list of the block around; raises what is left from before."""
        if self.lost:
            raise DeviceLostError(f"{doing}: the device is lost ({self.lost}); open it anew")
        if self._stray:
            raise self.error("an earlier call", *self._stray.pop(0))
        outer = getattr(self._mine, "found", None)
        self._mine.found = []
        return outer

    def end(self, outer: list[tuple[str, str]] | None) -> tuple[str, str] | None:
        """Goes back to the block around; returns the first error, the cause of those that follow it."""
        found: list[tuple[str, str]] = self._mine.found
        self._mine.found = outer
        return found[0] if found else None

    def error(self, doing: str, kind: str, message: str) -> GpucoreError:
        """The exception that fits what the library said."""
        text = " ".join(message.split())
        if self.lost or _LOST.search(text):
            self.lose(text)
            return DeviceLostError(f"{doing}: the device is lost ({text}); open it anew")
        if kind == "OutOfMemory" or "not enough memory" in text.lower():
            return OutOfVramError(f"{doing}: the driver is out of memory ({text})")
        return GpucoreError(f"{doing}: {kind} error: {text}")


class Checked:
    """The block in which what the library reports becomes an exception: `with Checked(outcome, "submitting work"):`."""

    __slots__ = ("_doing", "_outcome", "_outer")

    def __init__(self, outcome: Outcome, doing: str) -> None:
        self._outcome, self._doing = outcome, doing

    def __enter__(self) -> None:
        self._outer = self._outcome.begin(self._doing)

    def __exit__(self, *exc: object) -> None:
        found = self._outcome.end(self._outer)
        if found is not None:
            raise self._outcome.error(self._doing, *found)


class Opened(NamedTuple):
    """The raw handles of a device and its queue, released with this object, and its outcome."""

    device: Any
    queue: Any
    outcome: Outcome


def open_adapter(adapter: Any, features: Iterable[str]) -> Opened:
    """Opens a wgpu adapter with these features and with all that its limits allow. NoAdapterError says why not."""
    key, outcome = next(_keys), Outcome()
    _outcomes[key] = outcome
    user = ffi.cast("void *", key)
    wanted = ffi.new("WGPUFeatureName[]", [_FEATURES[f] for f in sorted(features)])
    limits, _native_limits = _limits(adapter._internal)
    descriptor = ffi.new("WGPUDeviceDescriptor *", {"requiredFeatures": wanted, "requiredFeatureCount": len(wanted)})
    descriptor.requiredLimits = limits
    lost, uncaptured = descriptor.deviceLostCallbackInfo, descriptor.uncapturedErrorCallbackInfo
    lost.mode, lost.callback, lost.userdata1 = lib.WGPUCallbackMode_AllowSpontaneous, _device_lost, user
    uncaptured.callback, uncaptured.userdata1 = _device_error, user
    request = ffi.new("WGPURequestDeviceCallbackInfo *")
    request.mode, request.callback = lib.WGPUCallbackMode_AllowSpontaneous, _device_given
    box: list[Any] = []
    handle = ffi.new_handle(box)
    request.userdata1 = handle
    lib.wgpuAdapterRequestDevice(adapter._internal, descriptor, request[0])
    if not box or isinstance(box[0], str):
        del _outcomes[key]
        raise NoAdapterError(" ".join((box[0] if box else "the library gave no answer").split()))
    device = ffi.gc(box[0], lib.wgpuDeviceRelease)
    return Opened(device, ffi.gc(lib.wgpuDeviceGetQueue(device), lib.wgpuQueueRelease), outcome)


def _limits(adapter: Any) -> tuple[Any, Any]:
    """All that the adapter allows, and the chained block that must live as long."""
    native = ffi.new("WGPUNativeLimits *")
    native.chain.sType = lib.WGPUSType_NativeLimits
    limits = ffi.new("WGPULimits *", {"nextInChain": ffi.addressof(native, "chain")})
    lib.wgpuAdapterGetLimits(adapter, limits)
    return limits, native


def _text(view: Any) -> str:
    return ffi.unpack(view.data, view.length).decode(errors="replace") if view.data else ""


@ffi.callback("void(WGPURequestDeviceStatus, WGPUDevice, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
def _device_given(status: int, device: Any, message: Any, box: Any, _unused: Any) -> None:
    ok = status == lib.WGPURequestDeviceStatus_Success
    ffi.from_handle(box).append(device if ok else _text(message) or f"status {status}")


@ffi.callback("void(WGPUDevice const *, WGPUDeviceLostReason, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
def _device_lost(_device: Any, _reason: int, message: Any, key: Any, _unused: Any) -> None:
    outcome = _outcomes.get(int(ffi.cast("uintptr_t", key)))
    if outcome is not None:
        outcome.lose(_text(message) or "no reason given")


@ffi.callback("void(WGPUDevice const *, WGPUErrorType, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
def _device_error(_device: Any, kind: int, message: Any, key: Any, _unused: Any) -> None:
    outcome = _outcomes.get(int(ffi.cast("uintptr_t", key)))
    if outcome is not None:
        outcome.report(_KINDS.get(kind, "unknown"), _text(message))
