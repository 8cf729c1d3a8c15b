"""The reference generator against published vectors, and its distributions against theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kernels_ref import random as ref

ONES = 0xFFFFFFFF
STATE = np.array([2024, 7, 0, 0], np.uint32)

# The known-answer vectors of the authors' Random123 distribution for philox4x32-10: counter, key, words.
VECTORS = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0], [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
]


@pytest.mark.parametrize(("counter", "key", "words"), VECTORS)
def test_philox_known_answers(counter, key, words):
    assert ref.philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32)).tolist() == words


def test_neighbouring_seeds_share_nothing():
    a = ref.random_bits(STATE, shape=(4096,)).view(np.uint8)
    b = ref.random_bits(np.array([2025, 7, 0, 0], np.uint32), shape=(4096,)).view(np.uint8)
    flipped = np.unpackbits(a ^ b).mean()
    assert abs(flipped - 0.5) < 4 * 0.5 / np.sqrt(8 * a.size)  # a neighbouring seed flips half of all bits


def test_draws_continue_where_the_counter_stands():
    state = STATE.copy()
    whole = ref.random_bits(state, shape=(40,))
    ref.advance_generator(state, blocks=6)
    np.testing.assert_array_equal(ref.random_bits(state, shape=(16,)), whole[24:])


def test_the_counter_carries_and_wraps():
    state = np.array([1, 2, 0xFFFFFFFF, 0xFFFFFFFF], np.uint32)
    before = ref.advance_generator(state, blocks=1)
    assert before.tolist() == [1, 2, ONES, ONES]
    assert state.tolist() == [1, 2, 0, 0]
    start = np.array([1, 2, 0xFFFFFFFF, 5], np.uint32)
    np.testing.assert_array_equal(ref.random_bits(start, shape=(8,))[4:], ref.random_bits(np.array([1, 2, 0, 6], np.uint32), shape=(4,)))


def test_words_are_uniform():
    words = ref.random_bits(STATE, shape=(1 << 18,))
    counts = np.bincount(words >> 24, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3
    ones = np.unpackbits(words.view(np.uint8)).reshape(-1, 32).mean(0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(words.size)


def test_uniform_distribution():
    u = ref.random_uniform(STATE, shape=(200_000,))
    assert u.min() >= 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert stats.kstest((ref.random_uniform(STATE, shape=(50_000,), low=-3, high=5) + 3) / 8, "uniform").pvalue > 1e-3


def test_normal_distribution():
    z = ref.random_normal(STATE, shape=(200_000,))
    assert stats.kstest(z, "norm").pvalue > 1e-3
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / n)
    assert abs(np.corrcoef(z[0::2], z[1::2])[0, 1]) < 4 / np.sqrt(n / 2)


def test_normal_is_finite_at_the_smallest_uniform(monkeypatch):
    monkeypatch.setattr(ref, "_words", lambda state, size: np.zeros(4 * -(-size // 4), np.uint32))
    z = ref.random_normal(STATE, shape=(2,), mean=1.0, std=2.0)
    np.testing.assert_allclose(z, [1 + 2 * np.sqrt(2 * 24 * np.log(2)), 1.0], atol=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(p):
    x = np.ones(100_000)
    y = ref.dropout(x, STATE, p=p)
    dropped = (y == 0).mean()
    assert abs(dropped - p) < 4 * np.sqrt(p * (1 - p) / x.size)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p))
