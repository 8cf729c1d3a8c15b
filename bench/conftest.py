"""Makes pytest collect the bench_*.py files here: `pytest bench/ --benchmark-enable`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gpucore as gc


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if file_path.name.startswith("bench_") and file_path.suffix == ".py":
        return pytest.Module.from_parent(parent, path=file_path)
    return None


@pytest.fixture(scope="session")
def gpu() -> gc.Device:
    """The adapter that is measured: $GPUCORE_DEVICE, else the best one."""
    return gc.device(os.environ.get("GPUCORE_DEVICE") or gc.devices()[0].index)
