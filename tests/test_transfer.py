"""Values survive the way to the device and back bit for bit, also while the device works."""

from __future__ import annotations

import asyncio
import os
import threading

import numpy as np
import pytest

import gpucore as gc
from gpucore.device import transfer
from gpucore.errors import DeviceLostError, DTypeError, GpucoreError, RecordingError

SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-40, 1.17e-38, 3.4e38, -3.4e38, 1.0], np.float32)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 255, 257, 4097, 16383, 16385, 100_003, 3_000_001])
def test_round_trip_of_every_size(gpu, rng, size):
    values = rng.standard_normal(size).astype(np.float32)
    back = gpu.tensor(values).numpy()
    assert back.dtype == np.float32
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize("repeat", [1, 9001])
def test_special_values_survive_bit_for_bit(gpu, repeat):
    values = np.tile(SPECIAL, repeat)
    assert gpu.tensor(values).numpy().tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "int32", "uint32", "bool"])
@pytest.mark.parametrize("size", [0, 1, 7, 1001])
def test_other_dtypes_survive(gpu, cpu, rng, dtype, size):
    values = (rng.standard_normal(size) * 5).astype(np.float32).astype(np.dtype(dtype) if dtype != "uint32" else np.int64)
    values = np.abs(values) if dtype == "uint32" else values
    for device in (gpu, cpu):
        back = device.tensor(values, dtype).numpy()
        assert back.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(back, values.astype(np.dtype(dtype)))


def test_bfloat16_rounds_to_nearest_even(gpu, cpu):
    exact = np.array([1.0, -2.5, 0.0, np.inf, -np.inf, 3.389531389e38], np.float32)
    assert gpu.tensor(exact, "bfloat16").numpy().tolist() == exact.tolist() == cpu.tensor(exact, "bfloat16").numpy().tolist()
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20], np.float32)
    assert gpu.tensor(ties, "bfloat16").numpy().tolist() == [1.0, 1 + 2**-6, 1 + 2**-7]
    assert np.isnan(gpu.tensor([np.nan], "bfloat16").numpy()[0])


def test_strided_and_readonly_arrays_upload(gpu):
    base = np.arange(60.0).reshape(3, 4, 5)
    view = base[::-1, ::2, 1::2]
    view.flags.writeable = False
    np.testing.assert_array_equal(gpu.tensor(view).numpy(), view)
    np.testing.assert_array_equal(gpu.tensor(base.astype(">f8").T).numpy(), base.T)


def test_what_has_no_place_is_refused(gpu):
    with pytest.raises(DTypeError, match="do not fit int32"):
        gpu.tensor([2**40])
    with pytest.raises(DTypeError, match="numbers and booleans only"):
        gpu.tensor(["a"])
    with pytest.raises(DTypeError, match="numbers and booleans only"):
        gpu.tensor([1j])
    with pytest.raises(DTypeError, match="NumPy device only"):
        gpu.tensor([1.0], "float64")
    with pytest.raises(DTypeError, match="NaN"):
        gpu.tensor([np.nan], "int32")
    with pytest.raises(DTypeError, match="is not one of"):
        gpu.tensor([1.0], "complex64")


def test_the_numpy_device_keeps_its_own_copy(cpu):
    values = np.arange(5, dtype=np.float32)
    t = cpu.tensor(values)
    values[:] = 9
    assert t.numpy().tolist() == [0, 1, 2, 3, 4]
    t.numpy()[:] = 7
    assert t.numpy().tolist() == [0, 1, 2, 3, 4]


def test_several_readbacks_are_in_flight_and_see_their_moment(gpu):
    x = gpu.tensor(np.zeros(50_000))
    one = gpu.ones(50_000)
    readbacks = []
    for _ in range(8):
        readbacks.append(x.read_async())
        x = gc.ops.add(x, one)
    for i, r in reversed(list(enumerate(readbacks))):
        assert set(r.result().tolist()) == {float(i)}


def test_a_readback_is_resolved_exactly_once(gpu):
    r = gpu.tensor([1.0, 2.0]).read_async()
    first = r.result(timeout=10)
    assert r.ready()
    assert r.result() is first


def test_await(gpu):
    async def main():
        tensors = [gpu.full(10_000, float(i)) for i in range(4)]
        return await asyncio.gather(*[_first(t.read_async()) for t in tensors])

    async def _first(readback):
        return float((await readback)[0])

    assert asyncio.run(main()) == [0.0, 1.0, 2.0, 3.0]


def test_a_timeout_says_so_and_the_value_still_comes(gpu):
    x = gpu.tensor(np.random.default_rng(0).random(4_000_000, dtype=np.float32))
    for _ in range(40):
        x = gc.ops.multiply(x, x)
    r = x.read_async()
    with pytest.raises(TimeoutError, match=r"not ready within 0\.0 s"):
        r.result(timeout=0.0)
    assert r.result().shape == (4_000_000,)


def test_assign_overwrites_in_place(gpu, cpu):
    for device in (gpu, cpu):
        x = device.tensor(np.zeros((2, 3)))
        y = gc.ops.add(x, x)
        x.assign(np.arange(6.0).reshape(2, 3))
        z = gc.ops.add(x, x)
        x.assign(device.tensor(np.full((2, 3), 9.0)))
        assert y.numpy().sum() == 0
        assert z.numpy().tolist() == [[0, 2, 4], [6, 8, 10]]
        assert set(x.numpy().ravel()) == {9.0}
        with pytest.raises(ValueError, match="cannot take values of shape"):
            x.assign(np.zeros((3, 2)))


def test_work_queued_before_an_assignment_sees_the_old_values(gpu):
    x = gpu.tensor(np.full(1000, 1.0))
    results = []
    for i in range(20):
        x.assign(np.full(1000, float(i)))
        results.append(gc.ops.add(x, x))
    assert [r.numpy()[7] for r in results] == [2.0 * i for i in range(20)]


def test_reading_inside_a_recording_is_an_error_that_says_what_to_do(gpu):
    x = gpu.tensor([1.0])
    with pytest.raises(RecordingError, match="return the tensor from the pipeline"):
        gc.Pipeline(lambda a: gc.ops.add(a, gpu.tensor(a.numpy())))(x)
    assert gc.ops.add(x, x).numpy()[0] == 2.0


def test_after_device_loss_every_call_is_a_clear_error(gpu, caplog, capfd):
    lost = gc.device(gpu.info.index, vram_limit="64MiB")
    x = lost.tensor(np.arange(4.0))
    lost.native.destroy()
    with pytest.raises(DeviceLostError, match="open it anew"):
        gc.ops.add(x, x).numpy()
    with pytest.raises(DeviceLostError, match="open it anew"):
        lost.tensor([1.0])
    again = gc.device(gpu.info.index, vram_limit="64MiB")
    assert again is not lost
    assert gc.ops.add(again.ones(3), again.ones(3)).numpy().tolist() == [2, 2, 2]
    assert not caplog.records  # the exception is all that is said
    assert "".join(capfd.readouterr()) == ""


def test_an_error_that_no_call_awaits_is_raised_by_the_next_one(gpu):
    gpu.native._outcome.report("Validation", "something\nwas wrong")  # what the library's callback does outside a call
    x = gpu.native
    with pytest.raises(GpucoreError, match="an earlier call: Validation error: something was wrong"):
        x.poll()
    assert gc.ops.add(gpu.ones(3), gpu.ones(3)).numpy().tolist() == [2, 2, 2]


def test_errors_go_to_the_thread_whose_call_went_wrong(gpu):
    """A validation error in one thread is that thread's alone, though another is inside a call meanwhile."""
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        try:
            with gpu.native.checked("waiting in another thread"):
                inside.set()
                done.wait(10)
        except GpucoreError as error:
            seen.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with pytest.raises(GpucoreError, match="creating a buffer"):
        gpu.native.create_buffer(1 << 60, 0x80)
    done.set()
    thread.join()
    assert not seen


@pytest.mark.parametrize("workers", [1, 3])
def test_large_copies_by_threads_are_whole(monkeypatch, workers):
    monkeypatch.setattr(transfer, "WORKERS", workers)
    monkeypatch.setattr(transfer, "PARALLEL", 1000)
    transfer._copiers.cache_clear()
    for size in (0, 999, 1000, 1001, 4096, 12347):
        raw = np.random.default_rng(size).integers(0, 256, size, np.uint8)
        got = transfer.copied(raw)
        assert np.array_equal(got, raw)
        assert not np.shares_memory(got, raw)
    transfer._copiers.cache_clear()


def test_large_round_trip(gpu):
    """500 MB where the adapter and the machine have room; 60 MB on a software driver."""
    nbytes = 500_000_000 if gpu.kind != "software" or os.environ.get("GPUCORE_LARGE") else 60_000_000
    values = np.arange(nbytes // 4, dtype=np.float32)
    assert np.array_equal(gpu.tensor(values).numpy(), values)
    gpu.trim()
