"""Shared by all tests: the devices. A missing adapter is a failure, not a skip: parity must really run."""

from __future__ import annotations

import os

import numpy as np
import pytest

import gpucore as gc


@pytest.fixture(scope="session", autouse=True)
def _no_measured_choices(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tests run with defaults, whatever the user's cache holds."""
    os.environ["GPUCORE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def gpu() -> gc.Device:
    """The adapter under test: $GPUCORE_DEVICE, else the best one; software drivers count."""
    wanted = os.environ.get("GPUCORE_DEVICE")
    infos = [i for i in gc.devices() if i.kind != "cpu" and i.backend != "OpenGL"]
    if wanted in (None, ""):
        assert infos, "no adapter found; install a Vulkan driver (Debian: mesa-vulkan-drivers)"
        return gc.device(infos[0].index)
    device = gc.device(wanted)
    assert device.kind != "cpu", f"GPUCORE_DEVICE={wanted} is the NumPy device; the tests compare an adapter with it"
    return device


@pytest.fixture(scope="session")
def plain_gpu(gpu: gc.Device) -> gc.Device:
    """The same adapter with subgroups, f16, immediates and int64 off: the paths for adapters without them."""
    return gc.device(gpu.info.index, without=("subgroups", "f16", "immediates", "int64"))


@pytest.fixture(scope="session")
def cpu() -> gc.Device:
    """The NumPy device."""
    return gc.device("cpu")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(2024)
