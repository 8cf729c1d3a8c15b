"""Record and replay, and the comparison of a whole step with the NumPy device."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError, DeviceMismatchError, RecordingError

add, multiply, exp = gc.ops.add, gc.ops.multiply, gc.ops.exp


def test_a_replay_equals_the_eager_run_bit_for_bit(gpu, rng):
    def fn(a, b):
        return add(multiply(exp(a), b), a), multiply(a, a)

    step = gc.Pipeline(fn)
    for _ in range(3):
        a, b = gpu.tensor(rng.standard_normal((7, 5))), gpu.tensor(rng.standard_normal((7, 5)))
        for got, want in zip(step(a, b), fn(a, b), strict=True):
            assert got.numpy().tobytes() == want.numpy().tobytes()
    assert step.dispatches == 4


def test_results_are_not_overwritten_by_later_calls(gpu):
    step = gc.Pipeline(lambda a: add(a, a))
    first = step(gpu.full(4, 1.0))
    second = step(gpu.full(4, 2.0))
    assert first.numpy().tolist() == [2.0] * 4
    assert second.numpy().tolist() == [4.0] * 4


def test_other_shapes_record_anew_until_there_are_too_many(gpu):
    step = gc.Pipeline(lambda a: add(a, a), max_shapes=3)
    for n in (1, 2, 3, 2, 1):
        assert step(gpu.ones(n)).numpy().tolist() == [2.0] * n
    with pytest.raises(RecordingError, match=r"got inputs of \(4,\) and holds recordings for \(1,\), \(2,\), \(3,\), max_shapes=3"):
        step(gpu.ones(4))
    assert step(gpu.ones(3)).numpy().tolist() == [2.0] * 3


def test_a_pinned_shape_that_changes_is_an_error_that_says_what_to_do(gpu):
    step = gc.Pipeline(lambda a, b: add(a, b), max_shapes=1)
    step(gpu.ones((2, 3)), gpu.ones(3))
    with pytest.raises(RecordingError, match=r"\(5, 3\) and \(3,\).*pad the inputs to one of these, call the function itself"):
        step(gpu.ones((5, 3)), gpu.ones(3))
    with pytest.raises(RecordingError, match="pad the inputs"):
        step(gpu.ones((2, 3), "int32"), gpu.ones(3, "int32"))
    assert step(gpu.ones((2, 3)), gpu.ones(3)).numpy().tolist() == [[2.0] * 3] * 2
    with pytest.raises(ConfigError, match="max_shapes is 0"):
        gc.Pipeline(add, max_shapes=0)


def test_buffers_are_reused_inside_a_recording(gpu):
    def deep(a):
        for _ in range(50):
            a = exp(multiply(a, a))
        return a

    step = gc.Pipeline(deep)
    before = gpu.memory.in_use
    held = step(gpu.zeros(100_000))
    grown = gpu.memory.in_use - before
    assert grown < 8 * 2**20, f"fifty steps of 400 kB hold {grown} bytes"
    assert held.shape == (100_000,)


def test_constants_made_while_recording_survive_replays(gpu):
    def fn(a):
        a = multiply(a, a)
        return add(exp(a), gpu.tensor(np.full(300, 5.0)))

    step = gc.Pipeline(fn)
    for value in (0.0, 1.0, 0.5):
        np.testing.assert_allclose(step(gpu.full(300, value)).numpy(), np.exp(value**2) + 5, rtol=1e-6)


def test_misuse_is_an_error_that_says_what_to_do(gpu, cpu):
    with pytest.raises(RecordingError, match="wants tensors"):
        gc.Pipeline(lambda a, n: a)(gpu.ones(2), 3)
    with pytest.raises(RecordingError, match="returned float"):
        gc.Pipeline(lambda a: 1.0)(gpu.ones(2))
    with pytest.raises(DeviceMismatchError):
        gc.Pipeline(lambda a, b: a)(gpu.ones(2), cpu.ones(2))
    with pytest.raises(RecordingError, match="assign"):
        gc.Pipeline(lambda a: a.assign(np.zeros(2)))(gpu.ones(2))
    with pytest.raises(RecordingError, match="capture the tensor instead"):
        gc.Pipeline(lambda a: a.assign(gpu.zeros(2)))(gpu.ones(2))
    assert add(gpu.ones(2), gpu.ones(2)).numpy().tolist() == [2, 2]


def test_an_exception_inside_ends_the_recording(gpu):
    def fails(a):
        add(a, a)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        gc.Pipeline(fails)(gpu.ones(2))
    assert gpu.recording is None
    assert add(gpu.ones(2), gpu.ones(2)).numpy().tolist() == [2, 2]


def test_state_changes_in_place_across_replays(gpu, cpu):
    for device in (gpu, cpu):
        total = device.zeros(3)

        def step(a, total=total):
            total.assign(add(total, a))

        accumulate = gc.Pipeline(step)
        for i in range(5):
            assert accumulate(device.full(3, float(i))) is None
        assert total.numpy().tolist() == [10.0] * 3


def test_a_pipeline_inside_a_pipeline_becomes_part_of_it(gpu):
    inner = gc.Pipeline(lambda a: multiply(a, a))
    outer = gc.Pipeline(lambda a: add(inner(a), a))
    assert outer(gpu.full(2, 3.0)).numpy().tolist() == [12.0, 12.0]
    assert outer.dispatches == 2


def test_uploads_of_another_thread_stay_outside_the_recording(gpu):
    made = []

    def fn(a):
        thread = threading.Thread(target=lambda: made.append(gpu.tensor(np.full(50_000, 7.0))))
        thread.start()
        thread.join()
        return add(a, a)

    step = gc.Pipeline(fn)
    step(gpu.ones(4))
    assert set(made[0].numpy()) == {7.0}


def test_verify_compares_outputs_and_state_with_numpy(gpu):
    state = gpu.tensor(np.linspace(0, 1, 5), name="state")

    def fn(a):
        state.assign(add(state, exp(a)))
        return multiply(state, a)

    step = gc.Pipeline(fn)
    found = step.verify(gpu.tensor(np.linspace(-1, 1, 5)))
    assert [d.name for d in found] == ["output 0", "state"]
    assert all(d.relative_l2 < 1e-6 for d in found)
    np.testing.assert_allclose(state.numpy(), np.linspace(0, 1, 5) + np.exp(np.linspace(-1, 1, 5)), rtol=1e-6)


def test_verify_sees_a_wrong_step(gpu, cpu):
    wrong = gc.Pipeline(lambda a: exp(a) if gpu.recording else multiply(a, a))
    assert wrong.verify(gpu.full(4, 2.0))[0].relative_l2 > 0.1


def test_the_profile_counts_every_kernel(gpu):
    x = gpu.tensor(np.random.default_rng(0).random(200_000))
    step = gc.Pipeline(lambda a: add(exp(a), a))
    step(x)
    with gpu.profile() as p:
        step(x)
        exp(x)
    assert {r.kernel: r.calls for r in p.rows} == {"unary": 2, "binary": 1}
    assert 0 < p.seconds < 10
    assert all(r.gb_per_s > 0 and r.gflop_per_s > 0 for r in p.rows)
    assert "GB/s" in str(p)


# ---- inputs and outputs are bound where they lie, or copied


def _copies(step, *inputs):
    """Copies in one replay."""
    seen = []
    device = inputs[0].device
    real = device.submit_recorded
    device.submit_recorded = lambda items: (seen.append(sum(i[0] is None for i in items)), real(items))
    try:
        step(*inputs)
    finally:
        del device.submit_recorded
    return seen[0]


def test_inputs_and_outputs_are_bound_where_they_lie(gpu):
    step = gc.Pipeline(lambda a, b: (exp(add(a, b)), multiply(a, a)))
    for n in range(4):  # the memory is another one each time
        a, b = gpu.full(100, float(n)), gpu.full(100, 1.0)
        first, second = step(a, b)
        assert np.allclose(first.numpy(), np.exp(n + 1.0))
        assert second.numpy().tolist() == [float(n * n)] * 100
        assert a.numpy().tolist() == [float(n)] * 100
    assert _copies(step, gpu.ones(100), gpu.ones(100)) == 0


def test_an_input_given_twice_is_bound_twice(gpu):
    step = gc.Pipeline(lambda a, b: add(a, b))
    a = gpu.full(5, 3.0)
    assert step(a, gpu.ones(5)).numpy().tolist() == [4.0] * 5
    assert step(a, a).numpy().tolist() == [6.0] * 5


def test_a_result_as_the_next_input_is_never_overwritten(gpu):
    step = gc.Pipeline(lambda a: add(multiply(a, a), a))
    values = [step(gpu.ones(7))]
    for _ in range(6):
        values.append(step(values[-1]))
        gpu.ones(7)  # takes freed memory, if any was freed too early
    want = np.ones(7)
    for v in values:
        want = want * want + want
        assert np.allclose(v.numpy(), want)


def test_views_are_copied_into_the_recording(gpu):
    step = gc.Pipeline(lambda a: add(a, a))
    x = gpu.tensor(np.arange(100, dtype=np.float32))
    for offset in (0, 1, 64):
        assert step(x.view((10,), offset)).numpy().tolist() == [2.0 * k for k in range(offset, offset + 10)]
    assert _copies(step, x.view((10,), 1)) == 1


def test_an_input_that_the_recording_also_changes_as_captured_is_read_as_it_was(gpu):
    state = gpu.full(8, 2.0)

    def fn(a):
        state.assign(add(state, a))
        return multiply(a, a)

    step = gc.Pipeline(fn)
    step(gpu.ones(8))
    assert state.numpy().tolist() == [3.0] * 8
    assert step(state).numpy().tolist() == [9.0] * 8
    assert state.numpy().tolist() == [6.0] * 8


def test_an_input_returned_or_a_view_of_it_is_a_copy(gpu):
    same = gc.Pipeline(lambda a: a)
    head = gc.Pipeline(lambda a: (multiply(a, a).view((2,)), a.view((3,), 1)))
    for value in (1.0, 5.0):
        x = gpu.full(6, value)
        y = same(x)
        assert y.numpy().tolist() == [value] * 6
        assert y.storage is not x.storage
        first, second = head(x)
        assert first.numpy().tolist() == [value * value] * 2
        assert second.numpy().tolist() == [value] * 3


def test_unused_inputs_and_captured_outputs(gpu):
    held = gpu.full(3, 7.0)
    step = gc.Pipeline(lambda a, b: (held, add(a, a)))
    for value in (1.0, 2.0):
        kept, doubled = step(gpu.full(3, value), gpu.ones(9))
        assert kept.numpy().tolist() == [7.0] * 3
        assert kept.storage is not held.storage
        assert doubled.numpy().tolist() == [2 * value] * 3


def test_the_same_tensor_returned_twice(gpu):
    def twice(a):
        b = add(a, a)
        return b, b

    step = gc.Pipeline(twice)
    for value in (1.0, 2.0):
        first, second = step(gpu.full(3, value))
        assert first.numpy().tolist() == second.numpy().tolist() == [2 * value] * 3
