"""The memory limit, the pool, and that nothing grows."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError, OutOfVramError, ShapeError
from gpucore.memory import VramLimit, bucket_size

MIB = 1 << 20


@pytest.fixture
def small(gpu):
    """A device with a limit of 8 MiB, empty at the start of each test."""
    device = gc.device(gpu.info.index, vram_limit="8MiB")
    device.trim()
    return device


@pytest.mark.parametrize(
    ("spec", "total", "want"),
    [(None, None, None), (4096, None, 4096), ("512MiB", None, 512 * MIB), ("8GiB", None, 8 << 30), ("1.5 GB", None, 1_500_000_000),
     ("30%", 10 << 30, int(0.3 * (10 << 30))), ("4096", None, 4096)],
)  # fmt: skip
def test_limits_are_read(spec, total, want):
    assert VramLimit(spec).resolve(total) == want


@pytest.mark.parametrize("spec", ["", "lots", "-5MiB", 0, -1, "0%", "120%", "8 GiBs", [1]])
def test_bad_limits_are_refused(spec):
    with pytest.raises(ConfigError, match="vram_limit"):
        VramLimit(spec).resolve(8 << 30)


@pytest.mark.parametrize("total", [None, 2**63, 0])
def test_a_percentage_of_an_absurd_total_is_refused(total):
    with pytest.raises(ConfigError, match="means nothing here"):
        VramLimit("30%").resolve(total)


def test_buckets_waste_little():
    for n in (1, 255, 256, 257, 5000, MIB, MIB + 1, 3 * MIB + 7, 100 * MIB + 1):
        assert n <= bucket_size(n)
        assert bucket_size(bucket_size(n)) == bucket_size(n)
        if n > MIB:
            assert bucket_size(n) <= 1.125 * n


def test_too_large_is_refused_before_anything_is_allocated(small):
    keep = small.tensor(np.arange(10.0))
    before = small.memory
    with pytest.raises(OutOfVramError, match=r"weights float32 \(4096, 4096\) needs 64.00 MiB.*8.00 MiB limit"):
        small.empty((4096, 4096), name="weights")
    assert small.memory == before
    np.testing.assert_array_equal(keep.numpy(), np.arange(10.0))


def test_the_pool_gives_way_under_pressure(small):
    for size in (1, 2, 3, 4, 5, 6):
        small.zeros(size * MIB // 4)
    assert small.memory.in_use == 0
    assert small.memory.in_use + small.memory.pooled + small.memory.staging <= 8 * MIB


def test_the_limit_holds_while_tensors_live(small):
    held = [small.zeros(MIB // 4) for _ in range(6)]
    with pytest.raises(OutOfVramError):
        held += [small.zeros(MIB // 4) for _ in range(4)]
    assert small.memory.in_use <= 8 * MIB
    held.clear()
    assert small.zeros(4 * MIB // 4).size == MIB


def test_a_kernel_without_room_for_its_result_leaves_the_device_usable(small):
    a = small.zeros(3 * MIB // 4)
    b = small.zeros(3 * MIB // 4)
    with pytest.raises(OutOfVramError):
        _ = [gc.ops.add(a, b) for _ in range(2)] + [small.zeros(MIB)]
    np.testing.assert_array_equal(gc.ops.add(small.ones(5), small.ones(5)).numpy(), np.full(5, 2.0))


def test_a_thousand_small_tensors_leave_no_growth(gpu):
    for _ in range(2):
        tensors = [gpu.tensor(np.full(3, i)) for i in range(1000)]
        assert tensors[777].numpy()[0] == 777
        del tensors
        allocations = gpu.memory.allocations
    tensors = [gpu.tensor(np.full(3, i)) for i in range(1000)]
    assert gpu.memory.allocations == allocations
    assert len(tensors) == 1000


def test_rapid_cycles_leave_no_growth(gpu):
    values = np.random.default_rng(0).random(100_000, dtype=np.float32)
    for _ in range(5):
        gpu.tensor(values).numpy()
    before = gpu.memory
    for _ in range(100):
        np.testing.assert_array_equal(gpu.tensor(values).numpy(), values)
    after = gpu.memory
    assert (after.in_use, after.allocations, after.live) == (before.in_use, before.allocations, before.live)
    assert after.staging <= before.staging + MIB


def test_a_long_loop_leaves_no_growth(gpu):
    x = gpu.tensor(np.linspace(-1, 1, 1000))
    step = gc.Pipeline(lambda a: gc.ops.multiply(gc.ops.exp(a), a))
    for _ in range(50):
        y = step(gc.ops.multiply(x, x))
    before = gpu.memory
    for _ in range(2000):
        y = step(gc.ops.multiply(x, x))
    assert np.isfinite(y.numpy()).all()
    assert gpu.memory.allocations == before.allocations
    assert gpu.memory.in_use == before.in_use


def test_a_binding_too_large_is_refused_with_the_limit(gpu):
    limit = gpu.limits["max_storage_binding"]
    if limit + 4096 > gpu.limits["max_buffer"] or limit > 2**28:
        limit_device = gc.device("cpu")
        assert limit_device.memory.in_use == 0  # this adapter binds whatever fits in a buffer; nothing to refuse
        return
    x = gpu.empty(limit // 4 + 1000)
    with pytest.raises(ShapeError, match=r"more than the 128\.00 MiB"):
        gc.ops.exp(x)


def test_sizes_that_shaders_cannot_index_are_refused(gpu):
    with pytest.raises(ShapeError, match="more than shaders can index"):
        gpu.empty((2**20, 2**13))


def test_a_tensor_that_dies_in_a_cycle_gives_back_a_living_buffer(gpu):
    import gc as collector

    class Node:
        pass

    for _ in range(5):
        node = Node()
        node.self, node.tensor = node, gpu.tensor(np.arange(3000.0))
        del node
        collector.collect()
        again = gpu.tensor(np.arange(3000.0))
        np.testing.assert_array_equal(again.numpy(), np.arange(3000.0))


def test_readbacks_that_nobody_takes_leave_no_growth(gpu):
    x = gpu.ones(100_000)
    x.numpy()
    before = gpu.memory.staging
    for _ in range(50):
        x.read_async()
        gpu.synchronize()
    x.numpy()
    gpu.synchronize()
    assert gpu.memory.staging <= before + 2**20


def test_a_fast_uploader_waits_instead_of_filling_memory(gpu):
    values = np.zeros(1 << 18, np.float32)
    target = gpu.tensor(values)
    total = gpu.zeros(1 << 18)
    before = gpu.memory.staging
    for _ in range(200):
        target.assign(values)
        total = gc.ops.add(total, target)
        gpu.flush()
    assert gpu.memory.staging - before <= 40 << 20
    assert not total.numpy().any()
