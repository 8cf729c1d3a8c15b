"""The references of softmax and the normalisations: SciPy, identities, cases by hand, and gradients by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

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


# ---- softmax


def test_softmax_is_scipys(rng):
    x = rng.standard_normal((3, 17)) * 20
    np.testing.assert_allclose(ref.softmax(x), special.softmax(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(ref.softmax(x, log=True), special.log_softmax(x, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("log", [False, True])
def test_softmax_of_columns(rng, log):
    x, g = rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 5, 4))
    np.testing.assert_allclose(ref.softmax_columns(x, log=log), (special.log_softmax if log else special.softmax)(x, axis=1), rtol=1e-12)
    numeric = difference(lambda v: ref.softmax_columns(v, log=log), x, g)
    np.testing.assert_allclose(ref.softmax_columns_backward(g, ref.softmax_columns(x, log=log), log=log), numeric, atol=1e-8)


def test_masked_softmax_is_softmax_of_what_is_open(rng):
    x = rng.standard_normal((4, 9))
    mask = rng.random((4, 9)) < 0.5
    mask[0] = False
    with np.errstate(all="ignore"):
        got = ref.softmax(x, mask)
    assert not got[~mask].any()
    for row, open_, y in zip(x, mask, got, strict=True):
        if open_.any():
            np.testing.assert_allclose(y[open_], special.softmax(row[open_]), rtol=1e-12)


@pytest.mark.parametrize("log", [False, True])
def test_softmax_backward_is_the_jacobian(rng, log):
    x, g = rng.standard_normal(6), rng.standard_normal(6)
    p = special.softmax(x)
    jacobian = np.eye(6) - p[None, :] if log else np.diag(p) - np.outer(p, p)
    y = np.log(p) if log else p
    np.testing.assert_allclose(ref.softmax_backward(g, y, log=log), g @ jacobian, rtol=1e-12)


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


@pytest.mark.parametrize("shape", [(1, 2), (5, 33), (3, 31), (2, 3, 257)], ids=str)
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


def test_layer_norm_by_hand_has_eps_inside_the_root():
    y, offset, rstd = ref.layer_norm(np.array([1.0, 3.0]), np.array([2.0, 10.0]), np.array([0.5, -1.0]), eps=3.0)
    np.testing.assert_allclose(y, [2 * -0.5 + 0.5, 10 * 0.5 - 1])  # μ = 2, σ² = 1, √(1 + 3) = 2: eps is inside the root
    assert (offset, rstd) == (1.0, 0.5)


def test_rms_norm_by_hand_has_eps_inside_the_root():
    y, rstd = ref.rms_norm(np.array([3.0, 4.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0, 1.0]), eps=2.75)
    np.testing.assert_allclose(y, [1, 8 / 3, 0, 0])  # mean of squares 6.25, + 2.75 = 9
    assert rstd == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_norms_of_a_sum(rng, kind):
    x, residual, w = rng.standard_normal((3, 7)), rng.standard_normal((3, 7)), rng.standard_normal(7)
    fn, plain = (ref.add_layer_norm, ref.layer_norm) if kind == "layer" else (ref.add_rms_norm, ref.rms_norm)
    y, total, *saved = fn(x, residual, w)
    want, *per_row = plain(x + residual, w)
    np.testing.assert_array_equal(total, x + residual)
    for got, expected in zip((y, *saved), (want, *per_row), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_norm_backward_adds_more(rng):
    x, g, more, rstd = rng.standard_normal((3, 7)), rng.standard_normal((3, 7)), rng.standard_normal((3, 7)), rng.random(3)
    np.testing.assert_allclose(ref.norm_backward(g, x, rstd, more=more), ref.norm_backward(g, x, rstd) + more)


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


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5)])
def test_batch_norm_with_its_own_statistics_has_mean_0_and_variance_1(rng, shape):
    axes = (0, 2)[: len(shape) - 1]
    x = rng.standard_normal(shape) * 5 + 2
    y = ref.batch_norm(x, x.mean(axes), x.var(axes), eps=0.0)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5)])
def test_parts_of_the_batch_s_sums_add_up(rng, shape):
    x, g = rng.standard_normal(shape), rng.standard_normal(shape)
    axes = (0, 2)[: len(shape) - 1]
    whole = ref.batch_norm_weight_backward(g, x, x.mean(axes), x.var(axes))
    parts = ref.batch_norm_weight_backward(g, x, x.mean(axes), x.var(axes), chunk=3)
    np.testing.assert_allclose([p.sum(0) for p in parts], [w[0] for w in whole], rtol=1e-12)


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5)])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_statistics_of_parts_fold_to_those_of_the_batch(rng, shape, chunk):
    x = rng.standard_normal(shape) * 3 + 50
    axes = (0, 2)[: len(shape) - 1]
    offset, mean, variance = ref.fold_moments(x, *ref.channel_moments(x, chunk=chunk), chunk=chunk)
    np.testing.assert_allclose(mean, x.mean(axes))
    np.testing.assert_allclose(variance, x.var(axes))
    np.testing.assert_allclose(offset, x.mean(axes) - x.reshape(*shape[:2], -1)[0, :, 0])


def test_a_relative_mean_counts_from_the_first_element(rng):
    x, g, mean, variance = rng.standard_normal((4, 3, 5)), rng.standard_normal((4, 3, 5)), rng.random(3), rng.random(3)
    offset, sums = mean - x[0, :, 0], (rng.random(3), rng.random(3))
    np.testing.assert_allclose(ref.batch_norm(x, offset, variance, relative=True), ref.batch_norm(x, mean, variance))
    np.testing.assert_allclose(
        ref.batch_norm_backward(g, x, offset, variance, None, *sums, relative=True),
        ref.batch_norm_backward(g, x, mean, variance, None, *sums),
    )


def test_batch_norm_update_twice_by_hand():
    mean, var = np.array([1.0]), np.array([2.0])
    ref.batch_norm_update(mean, var, np.array([3.0]), np.array([8.0]), momentum=0.25, count=5)
    assert (mean[0], var[0]) == (1.5, 0.75 * 2 + 0.25 * 10)
    ref.batch_norm_update(mean, var, np.array([1.5]), np.array([0.0]), momentum=0.5, count=1)
    assert (mean[0], var[0]) == (1.5, 2.0)
