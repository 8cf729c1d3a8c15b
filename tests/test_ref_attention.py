"""The references of rotary embedding and attention, against hand cases, the plain formulas and identities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from gpucore.kernels.rope import rope_turns
from kernels_ref import attention as ref


def rotated(x, positions, base=10000.0):
    """The plain formula in float64."""
    half = x.shape[-1] // 2
    angles = np.asarray(positions, np.float64)[:, None] * base ** (-np.arange(half) / half)
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag], axis=-1)


def test_rope_by_hand():
    x = np.array([[[1.0, 0.0]], [[0.0, 2.0]]])  # two entries, one position, one plane of frequency 1
    got = ref.rope(x, np.array([[1], [2]]), rope_turns(2, 10000.0))
    np.testing.assert_allclose(got, [[[np.cos(1), np.sin(1)]], [[-2 * np.sin(2), 2 * np.cos(2)]]], atol=1e-12)


@pytest.mark.parametrize("base", [2.0, 10000.0, 1e6])
def test_rope_is_a_complex_rotation(rng, base):
    x, positions = rng.standard_normal((2, 3, 6, 10)), np.array([0, 1, 5, 1000, 32768, 131071])
    got = ref.rope(x, positions, rope_turns(10, base))
    np.testing.assert_allclose(got, rotated(x, positions, base), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(ref.rope(got, positions, rope_turns(10, base), inverse=True), x, atol=1e-12)


def test_rope_scores_depend_on_the_distance_alone(rng):
    q, k, turns = rng.standard_normal((1, 8)), rng.standard_normal((1, 8)), rope_turns(8, 100.0)
    scores = [float(np.sum(ref.rope(q, np.array([p]), turns) * ref.rope(k, np.array([p - 7]), turns))) for p in (7, 100, 100000)]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-9)


def test_attention_by_hand():
    q = np.array([[[[0.0], [np.log(3.0)]]]])
    k, v = np.array([[[[0.0], [1.0]]]]), np.array([[[[4.0], [8.0]]]])
    out, lse = ref.attention(q, k, v, scale=1.0)
    np.testing.assert_allclose(out[0, 0, :, 0], [6, 7], rtol=1e-12)  # weights 1/2 1/2, then 1/4 3/4
    np.testing.assert_allclose(lse[0, 0], np.log([2, 4]), rtol=1e-12)
    np.testing.assert_allclose(ref.attention(q, k, v, scale=1.0, causal=True)[0][0, 0, :, 0], [4, 7], rtol=1e-12)


def naive(q, k, v, mask=None, lengths=None, causal=False):
    """softmax row by row over the keys that are seen."""
    batch, heads, q_len, dim = q.shape
    out = np.zeros_like(q)
    for b, h, i in np.ndindex(batch, heads, q_len):
        n = k.shape[2] if lengths is None else int(np.resize(lengths, batch)[b])
        kv = h // (heads // k.shape[1])
        keys = [j for j in range(n) if (not causal or j <= i + n - q_len) and (mask is None or mask.dtype != bool or mask[b, h, i, j])]
        if keys:
            scores = k[b, kv, keys] @ q[b, h, i] / np.sqrt(dim)
            scores = scores + (mask[b, h, i, keys] if mask is not None and mask.dtype != bool else 0)
            out[b, h, i] = special.softmax(scores) @ v[b, kv, keys]
    return out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["none", "bool", "float"])
@pytest.mark.parametrize("lengths", [None, [5], [2, 9]])
def test_attention_is_softmax_over_the_visible_keys(rng, causal, kind, lengths):
    q, k, v = rng.standard_normal((2, 4, 3, 6)), rng.standard_normal((2, 2, 9, 6)), rng.standard_normal((2, 2, 9, 6))
    mask = {"none": None, "bool": rng.random((2, 4, 3, 9)) < 0.5, "float": rng.standard_normal((2, 4, 3, 9))}[kind]
    lengths = None if lengths is None else np.array(lengths, np.int32)
    out, _ = ref.attention(q, k, v, mask, lengths, causal=causal)
    np.testing.assert_allclose(out, naive(q, k, v, mask, lengths, causal), atol=1e-12)


def test_masked_rows_are_zeros_and_low_scores_no_keys(rng):
    q, k, v = (rng.standard_normal((1, 1, 3, 4)) for _ in range(3))
    with np.errstate(divide="ignore"):
        out, lse = ref.attention(q, k, v, np.array([[True] * 3, [False] * 3, [False, True, False]]))
    assert not out[0, 0, 1].any()
    assert lse[0, 0, 1] == -np.inf
    np.testing.assert_allclose(out[0, 0, 2], v[0, 0, 1])
    low = np.where([[True] * 3, [True] * 3, [False, True, False]], 0, np.finfo(np.float32).min)
    np.testing.assert_allclose(ref.attention(q, k, v, low)[0][0, 0, 2], v[0, 0, 1])


def test_backward_against_finite_differences(rng):
    inputs = [rng.standard_normal(s) for s in ((1, 4, 3, 2), (1, 2, 5, 2), (1, 2, 5, 2))]
    g, options = rng.standard_normal((1, 4, 3, 2)), dict(mask=rng.standard_normal((3, 5)), causal=True)
    out, lse = ref.attention(*inputs, **options)
    stats = ref.attention_stats(g, out, lse)
    for n, of in enumerate("qkv"):
        grad = ref.attention_backward(*inputs, g, stats, of=of, **options)
        for at in np.ndindex(*grad.shape):
            ends = []
            for sign in (1, -1):
                moved = [x.copy() for x in inputs]
                moved[n][at] += sign * 1e-6
                ends.append((ref.attention(*moved, **options)[0] * g).sum())
            np.testing.assert_allclose(grad[at], (ends[0] - ends[1]) / 2e-6, atol=1e-8)
