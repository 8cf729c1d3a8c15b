"""Random operations: the same bits everywhere, fresh numbers in each replay, one mask for both directions."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient
from scipy import stats

import gpucore as gc
from gpucore.errors import ConfigError, DTypeError, ShapeError
from gpucore.random import Generator
from kernels_ref import random as ref


def test_known_answer_on_the_adapter(gpu):
    words = Generator(gpu, 0).bits((4,)).numpy()
    assert words.tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
def test_bits_and_uniforms_are_the_same_on_every_device(gpu, plain_gpu, cpu, seed):
    drawn = []
    for device in (gpu, plain_gpu, cpu):
        g = Generator(device, seed)
        drawn.append([g.bits((3, 7)).numpy(), g.uniform((1000,)).numpy(), g.bits((5,)).numpy(), g.state])
    for other in drawn[1:]:
        for a, b in zip(drawn[0], other, strict=True):
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


def test_normals_agree_to_rounding(gpu, cpu):
    a, b = (Generator(d, 11).normal((100_001,), mean=0.5, std=2.0).numpy() for d in (gpu, cpu))
    np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)
    assert stats.kstest((a.astype(np.float64) - 0.5) / 2, "norm").pvalue > 1e-3


def test_draws_never_repeat_and_a_saved_state_repeats_them(gpu):
    g = Generator(gpu, 5)
    saved = g.state
    first, second = g.uniform((10,)).numpy(), g.uniform((10,)).numpy()
    assert not np.intersect1d(first, second).size
    assert g.state.tolist() == [5, 0, 6, 0]  # ten elements take three blocks
    g.state = saved
    np.testing.assert_array_equal(g.uniform((10,)).numpy(), first)
    np.testing.assert_array_equal(g.uniform((10,)).numpy(), second)


def test_a_replayed_recording_draws_fresh_numbers(gpu):
    recorded, eager = Generator(gpu, 3), Generator(gpu, 3)
    x = gpu.ones((100,))
    step = gc.Pipeline(lambda x: (recorded.uniform((7,)), recorded.normal((5,)), recorded.dropout(x, 0.5)))
    for _ in range(4):
        got = step(x)
        want = (eager.uniform((7,)), eager.normal((5,)), eager.dropout(x, 0.5))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_verify_sees_the_state_move(gpu):
    g = Generator(gpu, 3)
    found = gc.Pipeline(lambda x: g.dropout(x, 0.25)).verify(gpu.tensor(np.arange(50.0)))
    assert len(found) == 2  # the result and the state
    assert max(d.relative_l2 for d in found) < 1e-6
    assert g.state.tolist() == [3, 0, 13, 0]


def test_dropout_values_and_gradient_share_the_mask(gpu):
    x = gpu.tensor(np.full(1000, 3.0, np.float32))
    g = Generator(gpu, 1)
    with gc.GradientTape() as tape:
        y = g.dropout(x, 0.25)
    (grad,) = tape.gradient(y, [x], seed=gpu.full((1000,), 2.0))
    kept = y.numpy() != 0
    assert 0.65 < kept.mean() < 0.85
    np.testing.assert_allclose(y.numpy(), np.where(kept, 4.0, 0.0), rtol=1e-6)
    np.testing.assert_allclose(grad.numpy(), np.where(kept, 2 / 0.75, 0.0), rtol=1e-6)


def test_dropout_gradient(gpu, rng):
    words = np.array([9, 0, 0, 0], np.uint32)
    check_gradient(gpu, lambda x: gc.ops.dropout(x, x.device.tensor(words), p=0.4), rng.standard_normal((4, 5)))


def test_dropout_of_zero_is_the_identity_and_draws_nothing(gpu):
    g, x = Generator(gpu, 1), gpu.tensor([1.0, np.nan])
    assert g.dropout(x, 0) is x
    assert g.state.tolist() == [1, 0, 0, 0]


def test_dropout_matches_the_reference_in_float64(cpu, rng):
    x = rng.standard_normal(100)
    got = Generator(cpu, 8).dropout(cpu.tensor(x, "float64"), 0.3).numpy()
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, ref.dropout(x, np.array([8, 0, 0, 0], np.uint32), p=0.3))


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0, float("nan")])
def test_dropout_refuses_p_outside_its_range(gpu, p):
    with pytest.raises(ConfigError, match="wants 0 ≤ p < 1"):
        Generator(gpu, 0).dropout(gpu.ones((3,)), p)


def test_refusals(gpu):
    g = Generator(gpu, 0)
    for seed in (-1, 2**64, 1.5):
        with pytest.raises(ConfigError, match="seed"):
            Generator(gpu, seed)
    with pytest.raises(ConfigError, match="std is -1"):
        g.normal((3,), std=-1.0)
    with pytest.raises(ConfigError, match="low is 2"):
        g.uniform((3,), 2.0, 1.0)
    with pytest.raises(ConfigError, match="finite"):
        g.uniform((3,), 0.0, float("inf"))
    with pytest.raises(ConfigError, match="wants uint32"):
        g.state = [1, 2, 3]
    assert g.state.tolist() == [0, 0, 0, 0]
    with pytest.raises(ShapeError, match="state has shape"):
        gc.ops.random_bits(gpu.tensor(np.zeros(3, np.uint32)), shape=(3,))
    with pytest.raises(DTypeError, match="state is float32"):
        gc.ops.random_bits(gpu.zeros((4,)), shape=(3,))
