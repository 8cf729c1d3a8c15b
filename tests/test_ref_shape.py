"""The references that move elements, against NumPy's own ways to do the same and by hand."""

from __future__ import annotations

import numpy as np

from kernels_ref import shape as ref

X = np.arange(60.0).reshape(3, 4, 5)


def same(a, b):
    np.testing.assert_array_equal(a, b)


def test_strided_permutes_slices_and_repeats():
    same(ref.strided(X, shape=(5, 3, 4), strides=(1, 20, 5)), X.transpose(2, 0, 1))
    same(ref.strided(X, shape=(2, 4, 2), strides=(20, -5, 3), start=36), X[1:, ::-1, 1::3])
    same(ref.strided(X[0], shape=(2, 4, 5), strides=(0, 5, 1)), np.broadcast_to(X[0], (2, 4, 5)))


def test_transpose():
    same(ref.transpose(X), np.stack([x.T for x in X]))


def test_place_is_pad_and_undoes_a_slice():
    padded = np.pad(X, ((1, 1), (0, 0), (3, 0)), constant_values=-1)
    same(ref.place(X, shape=(5, 4, 8), start=(1, 0, 3), step=(1, 1, 1), value=-1.0), padded)
    want = np.zeros_like(X)
    want[::2, ::-1, 1:4] = X[::2, ::-1, 1:4]
    same(ref.place(X[::2, ::-1, 1:4], shape=X.shape, start=(0, 3, 1), step=(2, -1, 1)), want)


def test_concat():
    same(ref.concat(X, X[:, :1], axis=1), np.concatenate([X, X[:, :1]], 1))


def test_take_by_hand():
    got = ref.take(X[0], np.array([1, -1, 4, -5]), axis=0)
    same(got, [X[0, 1], X[0, 3], [np.nan] * 5, [np.nan] * 5])
    same(ref.take(np.array([[1, 2]]), np.array([[5], [0]]), axis=1), [[[0], [1]]])


def test_sorted_indices_by_hand():
    pairs = ref.sort_indices(np.array([2, 0, -1, 9, 2, 0], np.int32), along=3)
    same(pairs, [[0, 1], [0, 5], [2, 0], [2, 2], [2, 4], [2**32 - 1, 3]])
    halves = np.concatenate([pairs[::2], pairs[1::2]])
    same(ref.merge_runs(halves, run=3), pairs)


def test_chunks_carry_what_began_before_them():
    pairs = np.stack([np.repeat([0, 1, 2], [20, 60, 16]), np.arange(96)], 1).astype(np.uint32)
    carried = ref.carried_sums(pairs, np.ones((1, 96, 1)))
    same(carried, [[[0], [32], [16]]])


def test_scatter_add_is_a_product_with_one_hot_rows(rng):
    x, updates = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 7, 3))
    indices = np.array([0, 3, 3, -1, 2, 8, 0], np.int32)
    hot = np.zeros((7, 4))
    for j, index in enumerate(indices):
        if index < 4:
            hot[j, index] = 1
    want = x + np.einsum("jn,ijk->ink", hot, updates)
    pairs = ref.sort_indices(indices, along=4)
    ref.scatter_add_sorted(x, pairs, updates, ref.carried_sums(pairs, updates))
    np.testing.assert_allclose(x, want, rtol=1e-14)


def test_one_hot():
    same(ref.one_hot(np.array([1, 0, 3, -1]), num_classes=3), [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
