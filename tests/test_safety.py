"""Bounds checks are on in every module: an index outside a binding neither crashes nor reaches other memory."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.device import native
from gpucore.parity import check_case
from gpucore.parity.selftest import OUTSIDE

WINDOW, AROUND = 64, 1024
FAR = [64, 65, 100, 1024, 4096, 2**20, 2**28, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 2**32 - 64, 2**32 - 1]
"""Element numbers behind the window: beside it, in the same buffer, beyond it, where bytes overflow 32 bits, negative ones."""


@pytest.fixture(params=["with optional features", "without"])
def device(request, gpu, plain_gpu):
    return gpu if request.param == "with optional features" else plain_gpu


def test_the_kernel_does_what_it_says_inside(device):
    assert check_case(OUTSIDE, 0, device).passed


def test_indices_outside_a_binding_reach_nothing_else(device):
    x = device.tensor(np.arange(3 * AROUND, dtype=np.float32))
    y = device.tensor(np.full(3 * AROUND, 5.0, np.float32))
    others = [device.tensor(np.full(WINDOW, 9.0, np.float32)) for _ in range(8)]
    inside = x.view((WINDOW,), AROUND), y.view((WINDOW,), AROUND)
    index = device.tensor(np.array(FAR, np.uint32))
    found, kept = device.run(OUTSIDE, (*inside, index), {})
    allowed = {0.0, *map(float, range(AROUND, AROUND + WINDOW))}
    assert set(found.numpy().tolist()) <= allowed, "a read outside the binding saw other memory"
    around = y.numpy()
    around[AROUND : AROUND + WINDOW] = 5.0  # inside its own binding a stray write may land
    assert (around == 5.0).all(), "a write outside the binding changed the buffer around it"
    assert (x.numpy() == np.arange(3 * AROUND)).all()
    assert all((t.numpy() == 9.0).all() for t in others)
    assert (kept.numpy() == np.arange(len(FAR))).all(), "a write outside a shared array changed another one"
    assert gc.ops.add(others[0], others[1]).numpy().tolist() == [18.0] * WINDOW


def test_every_module_is_made_with_bounds_checks_and_without_loop_bounding(gpu, monkeypatch):
    asked = []
    real = native.lib.wgpuDeviceCreateShaderModuleTrusted

    class Watched:
        def __getattr__(self, name):
            return getattr(real_lib, name)

        def wgpuDeviceCreateShaderModuleTrusted(self, device, descriptor, checks):  # noqa: N802
            asked.append(checks)
            return real(device, descriptor, checks)

    real_lib = native.lib
    monkeypatch.setattr(native, "lib", Watched())
    gpu.native.create_module("@compute @workgroup_size(1) fn main() {}", "probe.wgsl")
    assert asked == [real_lib.WGPUShaderRuntimeChecks_BoundsChecks if hasattr(real_lib, "WGPUShaderRuntimeChecks_BoundsChecks") else 1]
