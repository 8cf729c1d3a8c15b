"""The references of the normalisations: cases by hand, identities, SciPy, and their gradients by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kernels_ref import norm as ref


def difference(fn, x, g, step=1e-6):
    """d Σ g·fn(x) / d x by central differences."""
    found = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            ends.append((g * fn(moved)).sum())
        found[at] = (ends[0] - ends[1]) / (2 * step)
    return found


# ---- over the last axis


def test_layer_norm_by_hand():
    y, offset, rstd = ref.layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), np.array([2.0, 2.0]), np.array([0.5, -0.5]), eps=0.0625)
    # mean 2, variance 1; 1 / √1.0625 = 0.9701425...
    np.testing.assert_allclose(y, [[-2 / np.sqrt(1.0625) + 0.5, 2 / np.sqrt(1.0625) - 0.5], [0.5, -0.5]])
    np.testing.assert_allclose(offset, [1, 0])
    np.testing.assert_allclose(rstd, [1 / np.sqrt(1.0625), 4])


def test_rms_norm_by_hand():
    y, rstd = ref.rms_norm(np.array([[3.0, 4.0]]), np.array([1.0, 10.0]), eps=0.0)
    np.testing.assert_allclose(y[0], [3 / np.sqrt(12.5), 40 / np.sqrt(12.5)])
    np.testing.assert_allclose(rstd[0], 1 / np.sqrt(12.5))
    y, rstd = ref.rms_norm(np.zeros((1, 2)), np.ones(2), eps=0.25)  # inside the root: 1 / √0.25
    assert y.tolist() == [[0, 0]]
    assert rstd.tolist() == [2]


@pytest.mark.parametrize("shape", [(1, 2), (3, 31), (2, 3, 257)], ids=str)
def test_layer_norm_without_eps_is_the_z_score(rng, shape):
    x = rng.standard_normal(shape) * 3 + 7
    y, offset, rstd = ref.layer_norm(x, eps=0)
    np.testing.assert_allclose(y, stats.zscore(x, axis=-1), atol=1e-12)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(offset + x[..., 0], x.mean(-1))
    np.testing.assert_allclose(rstd, 1 / x.std(-1))


def test_rms_norm_has_mean_square_one_and_is_layer_norm_of_a_centred_row(rng):
    x = rng.standard_normal((5, 33))
    y, _ = ref.rms_norm(x, eps=0)
    np.testing.assert_allclose((y * y).mean(-1), 1, rtol=1e-12)
    centred = x - x.mean(-1, keepdims=True)
    np.testing.assert_allclose(ref.rms_norm(centred, eps=0.1)[0], ref.layer_norm(x, eps=0.1)[0], atol=1e-12)


@pytest.mark.parametrize("kind", ["layer", "rms"])
@pytest.mark.parametrize("weighted", [True, False])
def test_norm_gradients(rng, kind, weighted):
    x, g, w = rng.standard_normal((3, 7)), rng.standard_normal((3, 7)), rng.standard_normal(7) if weighted else None
    fn = ref.layer_norm if kind == "layer" else ref.rms_norm
    _, *saved = fn(x, w, eps=0.1)
    offset, rstd = saved if kind == "layer" else (None, saved[0])
    np.testing.assert_allclose(ref.norm_backward(g, x, rstd, offset, w), difference(lambda x: fn(x, w, eps=0.1)[0], x, g), atol=1e-8)
    ones, zeros = np.ones(7) if w is None else w, np.zeros(7)
    dw, db = ref.norm_weight_backward(g, x, rstd, offset)
    np.testing.assert_allclose(dw[0], difference(lambda w: fn(x, w, eps=0.1)[0], ones, g), atol=1e-8)
    if kind == "layer":
        np.testing.assert_allclose(db[0], difference(lambda b: fn(x, ones, b, eps=0.1)[0], zeros, g), atol=1e-8)


def test_parts_of_the_weight_gradients_add_up(rng):
    x, g, rstd = rng.standard_normal((10, 3)), rng.standard_normal((10, 3)), rng.random(10)
    whole, parts = ref.norm_weight_backward(g, x, rstd), ref.norm_weight_backward(g, x, rstd, chunk=4)
    assert [p.shape for p in parts] == [(3, 3), (3, 3)]
    for one, many in zip(whole, parts, strict=True):
        np.testing.assert_allclose(many.sum(0), one[0])
    np.testing.assert_allclose(parts[1][2], g[8:].sum(0))
    assert [p.shape for p in ref.norm_weight_backward(g[:0], x[:0], rstd[:0])] == [(1, 3), (1, 3)]


# ---- over the batch


def test_batch_norm_by_hand():
    x = np.array([[1.0, 10.0], [3.0, 20.0]])
    y = ref.batch_norm(x, np.array([2.0, 10.0]), np.array([0.75, 99.75]), np.array([1.0, 2.0]), np.array([0.0, 1.0]), eps=0.25)
    np.testing.assert_allclose(y, [[-1, 1], [1, 3]])


def test_batch_norm_of_sequences_is_that_of_their_steps(rng):
    x, mean, var, w, b = rng.standard_normal((4, 3, 5)), *rng.random((4, 3))
    steps = x.transpose(0, 2, 1).reshape(-1, 3)
    np.testing.assert_allclose(
        ref.batch_norm(x, mean, var, w, b), ref.batch_norm(steps, mean, var, w, b).reshape(4, 5, 3).transpose(0, 2, 1)
    )
    for whole, flat in zip(
        ref.batch_norm_weight_backward(x, x, mean, var), ref.batch_norm_weight_backward(steps, steps, mean, var), strict=True
    ):
        np.testing.assert_allclose(whole, flat)


@pytest.mark.parametrize("shape", [(5, 3), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients(rng, shape, training):
    c, axes = shape[1], (0, *range(2, len(shape)))
    x, g, w, b = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(c), rng.standard_normal(c)
    given = rng.standard_normal(c), rng.random(c)

    def fn(x, w=w, b=b):
        mean, var = (x.mean(axes), x.var(axes)) if training else given
        return ref.batch_norm(x, mean, var, w, b, eps=0.1)

    mean, var = (x.mean(axes), x.var(axes)) if training else given
    sums = ref.batch_norm_weight_backward(g, x, mean, var, eps=0.1)
    dw, db = (s[0] for s in sums)
    np.testing.assert_allclose(dw, difference(lambda w: fn(x, w), w, g), atol=1e-8)
    np.testing.assert_allclose(db, difference(lambda b: fn(x, w, b), b, g), atol=1e-8)
    dx = ref.batch_norm_backward(g, x, mean, var, w, *((dw, db) if training else ()), eps=0.1)
    np.testing.assert_allclose(dx, difference(fn, x, g), atol=1e-8)


def test_batch_norm_update_by_hand():
    mean, var = np.array([1.0, 2.0]), np.array([4.0, 8.0])
    assert ref.batch_norm_update(mean, var, np.array([3.0, 2.0]), np.array([6.0, 0.0]), momentum=0.25, count=4) is None
    np.testing.assert_allclose(mean, [1.5, 2])
    np.testing.assert_allclose(var, [0.75 * 4 + 0.25 * 6 * 4 / 3, 6])


def test_batch_norm_update_with_all_momentum_is_the_sample_variance(rng):
    x, mean, var = rng.standard_normal((9, 3)), np.zeros(3), np.ones(3)
    ref.batch_norm_update(mean, var, x.mean(0), x.var(0), momentum=1.0, count=9)
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(var, x.var(0, ddof=1))


def test_batch_norm_update_with_one_sample_divides_by_nothing():
    mean, var = np.zeros(1), np.ones(1)
    ref.batch_norm_update(mean, var, np.array([5.0]), np.array([0.0]), momentum=0.1, count=1)
    np.testing.assert_allclose([*mean, *var], [0.5, 0.9])
