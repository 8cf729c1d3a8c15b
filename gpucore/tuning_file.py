"""The table of measured candidates on disk: one small JSON file per adapter and driver in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FormatError
from .files import write_atomic
from .shader import Shader
from .tuning import TUNABLE, Choices

if TYPE_CHECKING:
    from .device.info import DeviceInfo

FORMAT = 1
COMMAND = "gpucore tune"


def cache_folder() -> Path:
    """Where measurements are kept: $GPUCORE_CACHE, else `gpucore` in the platform's cache folder of the user."""
    if set_by_user := os.environ.get("GPUCORE_CACHE"):
        return Path(set_by_user)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gpucore"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "gpucore" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpucore"


def path_for(info: DeviceInfo) -> Path:
    """The file of an adapter with its driver and backend."""
    name = "-".join(filter(None, (info.name, info.backend, info.driver)))
    return cache_folder() / "tune" / (re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() + ".json")


def fingerprint(choices: Choices) -> str:
    """A short hash of what a measurement depends on: the shaders' text and the candidates' constants."""
    parts = [Shader(name).source_hash() for name in sorted(choices.shaders)]
    parts += [f"{name} {sorted(c.constants.items())} {c.workgroup} {c.memory}" for name, c in choices.candidates.items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def read(path: Path) -> dict[str, Any]:
    """The file's content, checked; empty when there is none. FormatError for one that is not ours or is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read as a tuning table ({error})") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("kernels"), dict):
        found = data.get("format") if isinstance(data, dict) else None
        raise FormatError(f"{path}: is no tuning table of format {FORMAT} (found format {found!r})")
    for name, kernel in data["kernels"].items():
        entries = kernel.get("entries") if isinstance(kernel, dict) else None
        if not isinstance(entries, dict) or not all(isinstance(e, dict) and isinstance(e.get("config"), str) for e in entries.values()):
            raise FormatError(f"{path}: the measurements of {name} are damaged")
    return data


def load(info: DeviceInfo) -> dict[str, str]:
    """The choices that count on this adapter, by entry; what is damaged or stale is left out with one warning."""
    path = path_for(info)
    try:
        data = read(path)
    except FormatError as error:
        _warn(f"{error}; running with defaults, `{COMMAND}` measures anew")
        return {}
    found: dict[str, str] = {}
    stale = []
    for name, kernel in data.get("kernels", {}).items():
        if name in TUNABLE and kernel.get("hash") == fingerprint(TUNABLE[name]):
            found |= {entry: measured["config"] for entry, measured in kernel["entries"].items()}
        else:
            stale.append(name)
    if stale:
        _warn(f"the measured choices for {', '.join(sorted(stale))} are of other shaders and are ignored; `{COMMAND}` measures anew")
    return found


def save(info: DeviceInfo, measured: dict[str, dict[str, dict[str, Any]]], environment: dict[str, str]) -> Path:
    """Adds measurements (by kernel, then by entry) to the adapter's file, whole or not at all; returns its path."""
    path = path_for(info)
    try:
        kernels = read(path).get("kernels", {})
    except FormatError:
        kernels = {}
    for name, entries in measured.items():
        now = fingerprint(TUNABLE[name])
        held = kernels.get(name, {})
        kernels[name] = {"hash": now, "entries": (held.get("entries", {}) if held.get("hash") == now else {}) | entries}
    about = {"format": FORMAT, "adapter": info.name, "backend": info.backend, "driver": info.driver}
    text = json.dumps(about | {"environment": environment, "kernels": kernels}, indent=1, sort_keys=True)
    write_atomic(path, text.encode())
    return path


def _warn(message: str) -> None:
    warnings.warn(f"gpucore: {message}", RuntimeWarning, stacklevel=2)
