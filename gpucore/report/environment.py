"""Who measured: the versions and the adapter that stand in the head of a report."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..device.info import DeviceInfo


def environment() -> dict[str, str]:
    """Versions of what took part, the machine's kind, and the time of the run (UTC)."""
    return {
        "gpucore": _version("gpucore"),
        "wgpu": _version("wgpu"),
        "numpy": _version("numpy"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _version(package: str) -> str:
    if package == "gpucore":
        import gpucore

        return str(getattr(gpucore, "__version__", "unknown"))
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def adapter_facts(info: DeviceInfo) -> dict[str, Any]:
    """The adapter's lines of a report's head, by label."""
    return {
        "adapter": info.name,
        "backend": info.backend,
        "driver": info.driver,
        "kind": info.kind,
        "features": ", ".join(sorted(info.features)) or "none",
        "subgroup size": info.subgroup_size or "not used",
        "shader modules": info.modules,
    }


def slug(info: DeviceInfo) -> str:
    """A folder name for an adapter: its name in lower case, without brackets; with the backend where it is not Vulkan."""
    name = re.sub(r"\(.*?\)", "", info.name) + ("" if info.backend in ("Vulkan", "NumPy") else f" {info.backend}")
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
