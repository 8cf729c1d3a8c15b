"""rope and scaled_dot_product_attention: accuracy far out, caches, replays, error sentences."""

from __future__ import annotations

import numpy as np
import pytest
from test_ref_attention import naive, rotated

import gpucore as gc
from gpucore import ops


@pytest.mark.parametrize("base", [10000.0, 1e6])
def test_rope_is_accurate_at_far_positions(gpu, rng, base):
    x = rng.standard_normal((1, 2, 6, 128), np.float32)
    positions = np.array([0, 1, 4095, 32767, 131071, 2_000_000_000], np.int32)
    got = ops.rope(gpu.tensor(x), gpu.tensor(positions), base=base).numpy()
    np.testing.assert_allclose(got[:, :, :5], rotated(x[:, :, :5].astype(np.float64), positions[:5], base), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-6)


def test_positions_are_read_at_each_replay(gpu, rng):
    x = rng.standard_normal((1, 2, 1, 8), np.float32)
    step = gc.Pipeline(lambda x, p: ops.rope(x, p))
    for p in (0, 5, 70000):
        got = step(gpu.tensor(x), gpu.tensor(np.array([p], np.int32))).numpy()
        np.testing.assert_allclose(got, rotated(x.astype(np.float64), [p]), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (6, 2)])
@pytest.mark.parametrize(("q_len", "k_len", "dim"), [(1, 300, 64), (33, 33, 80), (3, 100, 5)])
def test_attention_is_the_plain_formula(gpu, rng, causal, heads, kv_heads, q_len, k_len, dim):
    q, k, v = rng.standard_normal((2, heads, q_len, dim), np.float32), *rng.standard_normal((2, 2, kv_heads, k_len, dim), np.float32)
    got = ops.scaled_dot_product_attention(*(gpu.tensor(x) for x in (q, k, v)), causal=causal)
    np.testing.assert_allclose(got.numpy(), naive(*(x.astype(np.float64) for x in (q, k, v)), causal=causal), rtol=1e-5, atol=2e-6)


def test_a_growing_cache_in_one_recording(gpu, rng):
    """The length is read on the device: one recording serves every step, and the last token sees what full attention sees."""
    steps, dim = 40, 8
    q, k, v = (rng.standard_normal((1, 2, steps, dim), np.float32) for _ in range(3))
    full = naive(*(x.astype(np.float64) for x in (q, k, v)), causal=True)
    step = gc.Pipeline(lambda q, k, v, n: ops.scaled_dot_product_attention(q, k, v, None, n, causal=True))
    cache_k, cache_v = np.full_like(k, np.nan), np.full_like(v, np.nan)
    for t in range(steps):
        cache_k[:, :, t], cache_v[:, :, t] = k[:, :, t], v[:, :, t]
        got = step(gpu.tensor(q[:, :, t : t + 1]), gpu.tensor(cache_k), gpu.tensor(cache_v), gpu.tensor(np.array([t + 1], np.int32)))
        np.testing.assert_allclose(got.numpy(), full[:, :, t : t + 1], rtol=1e-5, atol=1e-6)


def test_no_score_matrix(gpu):
    q = gpu.ones((1, 1, 2048, 8))
    before = gpu.memory.in_use
    out = ops.scaled_dot_product_attention(q, q, q)
    assert gpu.memory.in_use - before < 1 << 20  # a score matrix would be 16 MiB
    np.testing.assert_allclose(out.numpy(), 1, rtol=1e-5)


ShapeError, ConfigError = gc.errors.ShapeError, gc.errors.ConfigError


@pytest.mark.parametrize(("call", "error", "sentence"), [
    (lambda t: ops.rope(t((1, 2, 3, 5)), t((3,), "int32")), ShapeError, r"rope: x is \(1, 2, 3, 5\); wants .* even d"),
    (lambda t: ops.rope(t((1, 2, 3, 4)), t((2,), "int32")), ShapeError, r"positions are \(2,\); wants positions \[seq\]"),
    (lambda t: ops.rope(t((1, 2, 3, 4)), t((3,), "int32"), base=0), ConfigError, r"base is 0; wants a positive"),
    (lambda t: sdpa(t((1, 2, 3, 4)), t((1, 2, 5, 4)), t((1, 2, 6, 4))), ShapeError, r"attention: q is \(1, 2, 3, 4\), k is \(1, 2, 5, 4\)"),
    (lambda t: sdpa(t((1, 3, 3, 4)), t((1, 2, 5, 4)), t((1, 2, 5, 4))), ShapeError, r"3 query heads are not a multiple of 2"),
    (lambda t: sdpa(*[t((1, 1, 3, 257))] * 3), ShapeError, r"heads have 257 elements; wants 1 to 256"),
    (lambda t: sdpa(*[t((1, 1, 3, 4))] * 3, t((3, 4))), ShapeError, r"mask \(3, 4\) does not broadcast .* \(1, 1, 3, 3\)"),
    (lambda t: sdpa(*[t((2, 1, 3, 4))] * 3, None, t((3,), "int32")), ShapeError, r"cache_length is \(3,\); wants \(1,\) or \(2,\)"),
])  # fmt: skip
def test_error_sentences(gpu, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(lambda shape, dtype="float32": gpu.zeros(shape, dtype))


def sdpa(*tensors):
    return ops.scaled_dot_product_attention(*tensors)


def test_dtypes_refused(gpu):
    with pytest.raises(gc.errors.DTypeError, match="rope: positions is float32; wants int32"):
        ops.rope(gpu.zeros((1, 1, 2, 4)), gpu.zeros((2,)))
    q = gpu.zeros((1, 1, 2, 4))
    with pytest.raises(gc.errors.DTypeError, match="mask is int32; wants float32 or bool"):
        sdpa(q, q, q, gpu.zeros((2, 2), "int32"))
