"""Random numbers from a counter: Philox4x32-10 and what is made of its words.

A state is four 32-bit words: seed low, seed high, counter low, counter high. Block b of a draw is Philox of the 128-bit
counter (counter + b, 0) under the seed as key, and gives elements 4b to 4b+3.
"""

import numpy as np

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = np.uint64(0xFFFFFFFF)


def philox4x32(counter, key):
    """Philox4x32-10 (Salmon et al., SC11): counter [..., 4] and key [2] of 32-bit words to words [..., 4]."""
    c0, c1, c2, c3 = (np.asarray(counter)[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(ROUNDS):
        p, q = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (q >> np.uint64(32)) ^ c1 ^ np.uint64(k0), q & MASK, (p >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p & MASK
        k0, k1 = (k0 + WEYL[0]) % 2**32, (k1 + WEYL[1]) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def _words(state, size):
    """The first `size` words after the state's counter."""
    blocks = -(-size // 4)
    counter = np.uint64((int(state[3]) << 32) + int(state[2])) + np.arange(blocks, dtype=np.uint64)  # wraps at 2^64
    zero = np.zeros_like(counter)
    return philox4x32(np.stack([counter & MASK, counter >> np.uint64(32), zero, zero], axis=-1), state[:2]).reshape(-1)[: 4 * blocks]


def advance_generator(state, *, blocks):
    """Gives the state as it was and moves its counter on by `blocks`, in place."""
    before = state.copy()
    counter = ((int(state[3]) << 32) + int(state[2]) + blocks) % 2**64
    state[2], state[3] = counter % 2**32, counter >> 32
    return before


def random_bits(state, *, shape):
    """Uniform 32-bit words."""
    size = int(np.prod(shape))
    return _words(state, size)[:size].reshape(shape)


def random_uniform(state, *, shape, low=0.0, high=1.0):
    """low + (high - low)·u with u = (word >> 8) / 2^24 in [0, 1)."""
    return low + (high - low) * ((random_bits(state, shape=shape) >> 8) / 2.0**24)


def random_normal(state, *, shape, mean=0.0, std=1.0):
    """Box and Muller: words (a, b) give √(-2 ln u)·(cos 2πv, sin 2πv) with u = ((a >> 8) + 1) / 2^24, v = (b >> 8) / 2^24."""
    size = int(np.prod(shape))
    pairs = (_words(state, size).reshape(-1, 2) >> 8).astype(np.float64)
    radius = np.sqrt(-2 * np.log((pairs[:, 0] + 1) / 2.0**24))
    angle = 2 * np.pi * pairs[:, 1] / 2.0**24
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return mean + std * z.reshape(-1)[:size].reshape(shape)


def dropout(x, state, *, p):
    """x / (1 - p) where the element's u = (word >> 8) / 2^24 is at least p, else 0."""
    kept = (random_bits(state, shape=x.shape) >> 8) / 2.0**24 >= p
    return np.where(kept, x / (1 - p), 0)
