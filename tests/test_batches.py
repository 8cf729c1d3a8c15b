from __future__ import annotations

import gc as garbage
import threading
import time

import numpy as np
import pytest

from gpucore import data
from gpucore.errors import ConfigError


def numbers(n: int) -> data.ArrayDataset:
    return data.ArrayDataset(np.arange(n, dtype=np.float32)[:, None], np.arange(n))


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "gpucore-batches"]


def one_epoch(batches: data.Batches) -> list[np.ndarray]:
    return [y.numpy() for _, y in batches]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_every_sample_comes_once(gpu, prefetch):
    batches = data.Batches(numbers(103), 10, seed=5, device=gpu, prefetch=prefetch)
    seen = []
    for x, y in batches:
        assert x.device is gpu
        assert np.array_equal(x.numpy()[:, 0], y.numpy())
        seen.append(y.numpy())
    assert [len(s) for s in seen] == [10] * 10 + [3]
    assert len(batches) == 11
    assert sorted(np.concatenate(seen)) == list(range(103))
    assert not threads()


def test_resident_batches_are_the_others(gpu):
    d = data.ArrayDataset(np.random.default_rng(0).standard_normal((53, 2, 3)), np.arange(53))
    for shuffle in (True, False):
        held = data.Batches(d, 8, seed=4, shuffle=shuffle, device=gpu, resident=True)
        sent = data.Batches(d, 8, seed=4, shuffle=shuffle, device=gpu)
        for _ in range(2):
            for (x, y), (u, v) in zip(held, sent, strict=True):
                assert np.array_equal(x.numpy(), u.numpy())
                assert np.array_equal(y.numpy(), v.numpy())
    assert not threads()


def test_order_is_set_by_seed_and_epoch(cpu):
    a = data.Batches(numbers(50), 7, seed=1, device=cpu)
    b = data.Batches(numbers(50), 7, seed=1, device=cpu, prefetch=0)
    first, second = one_epoch(a), one_epoch(a)
    assert all(np.array_equal(x, y) for x, y in zip(first, one_epoch(b), strict=True))
    assert not np.array_equal(first[0], second[0])
    b.epoch = 0
    assert all(np.array_equal(x, y) for x, y in zip(first, one_epoch(b), strict=True))
    assert not np.array_equal(first[0], one_epoch(data.Batches(numbers(50), 7, seed=2, device=cpu))[0])
    assert np.array_equal(np.concatenate(one_epoch(data.Batches(numbers(50), 7, shuffle=False, device=cpu))), np.arange(50))


def test_drop_last(cpu):
    batches = data.Batches(numbers(25), 10, drop_last=True, device=cpu)
    assert [len(y) for y in one_epoch(batches)] == [10, 10]
    assert (len(batches), batches.samples) == (2, 20)
    with pytest.raises(ConfigError, match="leaves nothing"):
        data.Batches(numbers(5), 10, drop_last=True, device=cpu)
    for bad in (0, -1, 2.5, True):
        with pytest.raises(ConfigError, match="batch_size"):
            data.Batches(numbers(5), bad, device=cpu)


class Failing:
    """A dataset whose third batch cannot be read."""

    def __len__(self):
        return 100

    def __getitem__(self, rows):
        if 25 in rows:
            raise OSError("the disk is gone")
        return np.zeros((len(rows), 1), np.float32), np.zeros(len(rows), np.int32)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_errors_of_the_thread_surface_in_the_loop(cpu, prefetch):
    loop = iter(data.Batches(Failing(), 10, shuffle=False, device=cpu, prefetch=prefetch))
    next(loop), next(loop)
    with pytest.raises(OSError, match="the disk is gone"):
        next(loop)
    loop.close()
    with pytest.raises(StopIteration):
        next(loop)
    assert not threads()


def test_leaving_the_loop_ends_the_thread(gpu):
    batches = data.Batches(numbers(1000), 3, device=gpu)
    for i, _ in enumerate(batches):
        if i == 4:
            break
    garbage.collect()
    assert not threads()
    loop = iter(batches)
    next(loop)
    assert len(threads()) == 1
    loop.close()
    loop.close()
    assert not threads()
    with pytest.raises(StopIteration):
        next(loop)


def test_an_iterator_that_is_never_used_ends_its_thread(cpu):
    loop = iter(data.Batches(numbers(1000), 1, device=cpu))
    time.sleep(0.01)
    del loop
    garbage.collect()
    assert not threads()


def test_prefetch_works_ahead_of_a_slow_loop(cpu):
    loaded = []

    class Spy:
        def __len__(self):
            return 10

        def __getitem__(self, rows):
            loaded.append(len(rows))
            return np.zeros((len(rows), 1), np.float32), np.zeros(len(rows), np.int32)

    loop = iter(data.Batches(Spy(), 1, device=cpu, prefetch=2))
    next(loop)
    end = time.perf_counter() + 5
    while len(loaded) < 4 and time.perf_counter() < end:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(loaded) == 4  # one taken, two in the queue, one in the thread's hands
    loop.close()


def test_batches_leave_no_memory_behind(gpu):
    batches = data.Batches(numbers(500), 50, device=gpu)
    one_epoch(batches)
    before = gpu.memory
    for _ in range(20):
        one_epoch(batches)
    assert gpu.memory.in_use == before.in_use
    assert gpu.memory.allocations <= before.allocations + 4
