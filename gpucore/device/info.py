"""What is known of a device before and after it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LIMITS = {
    "max_storage_binding": "max-storage-buffer-binding-size",
    "max_buffer": "max-buffer-size",
    "max_workgroup_size": "max-compute-invocations-per-workgroup",
    "max_workgroup_memory": "max-compute-workgroup-storage-size",
    "max_workgroups": "max-compute-workgroups-per-dimension",
    "max_storage_buffers": "max-storage-buffers-per-shader-stage",
    "max_immediates": "max-immediate-size",
    "offset_alignment": "min-storage-buffer-offset-alignment",
}
FEATURES = {
    "subgroups": "subgroup",
    "subgroup_barrier": "subgroup-barrier",
    "f16": "shader-f16",
    "timestamps": "timestamp-query",
    "immediates": "immediates",
    "int64": "shader-int64",
}
_KINDS = {"DiscreteGPU": "discrete", "IntegratedGPU": "integrated", "CPU": "software", "VirtualGPU": "discrete"}
RANK = {"discrete": 0, "integrated": 1, "unknown": 2, "software": 3, "cpu": 4}
"""The order of choice: hardware adapters, software adapters, the NumPy device."""


@dataclass(frozen=True)
class DeviceInfo:
    """One device of this machine.

    kind: discrete, integrated, software (a driver that runs on the processor), or cpu (the NumPy device).
    features: which of subgroups, subgroup_barrier, f16, timestamps, immediates, int64 the adapter has.
    limits: bytes and counts by the names in LIMITS. subgroup_size is measured when the device is opened, else 0.
    modules: how shader modules run: "bounds-checked" or "bounds-checked, loops bounded" (slower).
    """

    index: int
    name: str
    backend: str
    kind: str
    driver: str = ""
    features: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=dict)
    subgroup_size: int = 0
    subgroup_range: tuple[int, int] = (0, 0)
    modules: str = ""
    adapter: Any = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "index": self.index, "name": self.name, "backend": self.backend, "kind": self.kind, "driver": self.driver,
            "features": sorted(self.features), "limits": dict(self.limits), "subgroup_size": self.subgroup_size,
            "subgroup_range": list(self.subgroup_range), "modules": self.modules,
        }  # fmt: skip


def from_adapter(index: int, adapter: Any, modules: str) -> DeviceInfo:
    """The info of a wgpu adapter."""
    raw = adapter.info
    has = set(adapter.features)
    return DeviceInfo(
        index=index,
        name=raw["device"] or raw["vendor"] or "unnamed adapter",
        backend=raw["backend_type"],
        kind=_KINDS.get(raw["adapter_type"], "unknown"),
        driver=raw["description"],
        features=frozenset(ours for ours, theirs in FEATURES.items() if theirs in has),
        limits={ours: int(adapter.limits.get(theirs, 0)) for ours, theirs in LIMITS.items()},
        subgroup_range=(int(raw.get("stackgroup_min_size", 0)), int(raw.get("stackgroup_max_size", 0))),
        modules=modules,
        adapter=adapter,
    )
