"""Finding and opening devices: hardware adapters first, then software adapters, then NumPy."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import NoAdapterError
from ..memory import VramLimit
from .base import Device
from .cpu import CpuDevice, cpu_info
from .info import RANK, DeviceInfo, from_adapter

_adapters: list[Any] | None = None
_opened: dict[Any, Device] = {}
_said: set[str] = set()


def _find_adapters() -> list[Any]:
    """The machine's adapters, asked for once; an empty list when wgpu or a driver is missing."""
    global _adapters
    if _adapters is None:
        try:
            import wgpu

            _adapters = list(wgpu.gpu.enumerate_adapters_sync())
        except Exception as error:  # the library raises many kinds; without it the NumPy device serves
            _say(f"no graphics adapters can be listed ({error})")
            _adapters = []
    return _adapters


def devices() -> list[DeviceInfo]:
    """Every device of this machine in the order of choice; the NumPy device is last, OpenGL adapters before it."""
    from .native import trusted_modules_available

    adapters = _find_adapters()
    modules = "bounds-checked" if adapters and trusted_modules_available() else "bounds-checked, loops bounded"
    found = [from_adapter(0, a, modules) for a in adapters]
    found.sort(key=lambda i: (i.backend == "OpenGL", RANK[i.kind]))
    infos = [from_adapter(k, i.adapter, modules) for k, i in enumerate(found)]
    return [*infos, cpu_info(len(infos))]


def device(spec: str | int | None = None, *, vram_limit: Any = None, without: Sequence[str] = ()) -> Device:
    """Opens a device: the best one, or one by index or by part of its name; "cpu" is the NumPy device.

    Without a spec the environment's GPUCORE_DEVICE decides, then the order hardware, software, NumPy; choosing less
    than a hardware adapter is said once as a warning. The same arguments give the same device again.
    Raises NoAdapterError when nothing matches.
    """
    spec = os.environ.get("GPUCORE_DEVICE") or None if spec is None else spec
    info = _choose(spec)
    limit = vram_limit.spec if isinstance(vram_limit, VramLimit) else vram_limit
    key = (info.index, limit, tuple(sorted(without)))
    found = _opened.get(key)
    if found is None or getattr(getattr(found, "native", None), "lost", None):
        found = _opened[key] = _open(info, limit, without)
    return found


def _choose(spec: str | int | None) -> DeviceInfo:
    infos = devices()
    if spec is None:
        usable = [i for i in infos if i.backend != "OpenGL"]
        best = usable[0]
        if best.kind == "software":
            _say(f"no hardware adapter found, running on the software driver {best.name!r}")
        elif best.kind == "cpu":
            _say("no graphics adapter found, running on NumPy; install a Vulkan driver (Debian: mesa-vulkan-drivers) to run the shaders")
        return best
    if isinstance(spec, int) or spec.lstrip("-").isdigit():
        if 0 <= int(spec) < len(infos):
            return infos[int(spec)]
    elif spec.lower() in ("cpu", "numpy"):
        return infos[-1]
    else:
        for info in infos:
            if spec.lower() in info.name.lower() or spec.lower() in info.driver.lower():
                return info
    names = ", ".join(f"{i.index}: {i.name} ({i.backend})" for i in infos)
    raise NoAdapterError(f"device {spec!r} matches none of {names}")


def _open(info: DeviceInfo, limit: Any, without: Sequence[str]) -> Device:
    if info.kind == "cpu":
        return CpuDevice(info)
    from .gpu import GpuDevice

    return GpuDevice(info, limit, without, _host_memory())


def _host_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _say(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(f"gpucore: {message}", RuntimeWarning, stacklevel=3)


__all__ = ["Device", "DeviceInfo", "device", "devices"]
