"""Operations that move elements, on both devices, against NumPy; error sentences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gpucore as gc
from gpucore import ops
from gpucore.errors import DTypeError, ShapeError


@pytest.fixture(params=["gpu", "cpu"])
def dev(request):
    return request.getfixturevalue(request.param)


X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def same(got, want):
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (9, 40, 33), (3, 1, 5), (0, 2, 3)], ids=str)
def test_permute_all_ways(dev, rng, shape, dtype):
    x = rng.integers(-99, 99, shape)
    t = dev.tensor(x.astype(np.float32)).astype(dtype)
    for axes in itertools.permutations(range(3)):
        same(ops.permute_dims(t, axes), x.transpose(axes).astype(t.numpy().dtype))


def test_permute_many_axes(dev, rng):
    x = rng.standard_normal((2, 3, 2, 3, 2, 3)).astype(np.float32)
    same(ops.permute_dims(dev.tensor(x), (5, 0, 3, 2, 4, 1)), x.transpose(5, 0, 3, 2, 4, 1))
    y = x.reshape(2, 3, 2, 3, 1, 2, 1, 3)
    same(ops.permute_dims(dev.tensor(y), (7, 4, 0, 3, 6, 2, 5, 1)), y.transpose(7, 4, 0, 3, 6, 2, 5, 1))


def test_other_shapes_are_views(dev):
    x = dev.tensor(X)
    same(ops.reshape(x, (4, -1)), X.reshape(4, 6))
    same(ops.flatten(x, start_axis=1), X.reshape(2, 12))
    same(ops.expand_dims(x, axis=(0, -1)), X[None, ..., None])
    same(ops.squeeze(ops.expand_dims(x, axis=1), axis=1), X)
    same(ops.permute_dims(dev.tensor(X[:, :1]), (1, 0, 2)), X[:, :1].transpose(1, 0, 2))
    assert ops.reshape(x, (24,)).storage is x.storage
    assert ops.reshape(dev.tensor(np.zeros((0, 3))), (3, -1)).shape == (3, 0)


KEYS = [
    0, -1, slice(1, None), slice(None, None, -1), (slice(None), slice(2, None, -2), slice(0, 4, 3)), (Ellipsis, 1),
    (1, Ellipsis, slice(1, 3)), None,
    (0, None, slice(None), 2), (slice(5, 1),), (slice(None), slice(-2, 99)), (1, 2, 3), Ellipsis, (slice(0, 0), 1),
    (slice(None), slice(0, None, -1)),
    np.int64(1), (slice(None, None, 2), slice(None, None, 2), slice(None, None, 2)),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(dev, key):
    same(dev.tensor(X)[key], X[key])
    same(dev.tensor(X, "bfloat16")[key], X[key])


def test_indexing_by_indices(dev):
    x = dev.tensor(X)
    index = np.array([1, -1, 0, 1], np.int32)
    same(x[dev.tensor(index)], X[index])
    same(x[index], X[index])
    same(x[[1, 0]], X[[1, 0]])
    same(x[dev.tensor(1)], X[1])
    same(ops.take(x, index.reshape(2, 2), axis=-1), X[..., index.reshape(2, 2)])


def test_indices_outside(dev):
    x = dev.tensor(X)
    got = ops.take(x, np.array([0, 2, -3]), axis=0).numpy()
    np.testing.assert_array_equal(got[0], X[0])
    assert np.isnan(got[1:]).all()
    assert (ops.take(x.astype("int32"), np.array([7])).numpy() == 0).all()


def test_slice_concat_stack_split_pad(dev):
    x, more = dev.tensor(X), dev.tensor(X[:, :1] + 100)
    same(ops.slice(x, (None, -1), (None, None)), X[:, -1:])
    same(ops.concat([x, more, x], axis=-2), np.concatenate([X, X[:, :1] + 100, X], 1))
    same(ops.concat([dev.tensor(np.full((1, 2), i)) for i in range(60)]), np.repeat(np.arange(60), 2).reshape(60, 2))
    same(ops.stack([x, x], axis=-1), np.stack([X, X], -1))
    for got, want in zip(ops.split(x, 2, axis=2), np.split(X, 2, 2), strict=True):
        same(got, want)
    assert [p.shape for p in ops.split(x, [1, 0, 2], axis=1)] == [(2, 1, 4), (2, 0, 4), (2, 2, 4)]
    same(ops.pad(x, [(1, 2), (0, 0), (3, 1)], value=-1.5), np.pad(X, [(1, 2), (0, 0), (3, 1)], constant_values=-1.5))
    same(ops.pad(dev.tensor([1.0, 2.0], "float16"), [(1, 0)]), np.array([0, 1, 2], np.float16))
    same(ops.pad(dev.tensor([1, 2]), [(0, 1)], value=9), np.array([1, 2, 9], np.int32))


def test_broadcast_to(dev):
    same(ops.broadcast_to(dev.tensor(X[:, :1]), (5, 2, 3, 4)), np.broadcast_to(X[:, :1], (5, 2, 3, 4)))
    same(ops.broadcast_to(dev.tensor(2.0), (3,)), np.full(3, 2.0, np.float32))


def test_one_hot_and_embedding(dev):
    same(ops.one_hot(dev.tensor([[0, 2], [5, -1]]), num_classes=3), np.array([[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]], np.float32))
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)
    same(ops.embedding(dev.tensor(weight), dev.tensor([[3, 0], [1, 1]])), weight[[[3, 0], [1, 1]]])
    same(ops.embedding(dev.tensor(weight, "bfloat16"), [2, 1]), weight[[2, 1]])


def test_scatter_add_is_deterministic_and_exact_on_long_chains(gpu, rng):
    updates = rng.standard_normal((20000, 2)).astype(np.float32)
    indices = gpu.tensor(np.where(np.arange(20000) % 5 == 0, np.arange(20000) % 7, 3).astype(np.int32))
    x = gpu.zeros((8, 2))
    runs = [ops.scatter_add(x, indices, gpu.tensor(updates)).numpy() for _ in range(2)]
    assert runs[0].tobytes() == runs[1].tobytes()
    want = np.zeros((8, 2))
    np.add.at(want, indices.numpy(), updates.astype(np.float64))
    np.testing.assert_allclose(runs[0], want, rtol=1e-6, atol=1e-5)
    assert not x.numpy().any()


def test_moving_inside_a_recording(gpu):
    def fn(x):
        y = ops.concat([x[:, ::-1], ops.pad(x, [(0, 0), (1, 0)])], axis=1)
        return ops.take(ops.matrix_transpose(y), np.array([0, -1])) + ops.ones_like(x[0])[0]

    step = gc.Pipeline(fn)
    for scale in (1.0, 2.0):
        x = gpu.tensor(np.arange(12, dtype=np.float32).reshape(3, 4) * scale)
        np.testing.assert_array_equal(step(x).numpy(), fn(x).numpy())
    assert all(d.max_abs == 0 for d in step.verify(x))


def test_error_sentences(dev):
    x = dev.tensor(X)
    for call, sentence in (
        (lambda: ops.reshape(x, (5, -1)), r"^reshape: \(2, 3, 4\) has 24 elements, which do not fill \(5, -1\)$"),
        (lambda: ops.reshape(x, (-1, -1)), r"^reshape: the shape \(-1, -1\) has more than one unknown axis or a negative one$"),
        (lambda: ops.permute_dims(x, (0, 1, 1)), r"^permute_dims: axes \(0, 1, 1\) are no order of the 3 axes of \(2, 3, 4\)$"),
        (lambda: ops.permute_dims(x, (0, 1, 3)), r"^permute_dims: axis 3 is outside a tensor of 3 axes$"),
        (lambda: ops.squeeze(x, axis=1), r"^squeeze: axis 1 of \(2, 3, 4\) has the size 3; wants 1$"),
        (lambda: ops.expand_dims(x, axis=5), r"^expand_dims: axis 5 is outside a tensor of 4 axes$"),
        (lambda: ops.concat([]), r"^concat: got no tensors; wants at least one$"),
        (lambda: ops.concat([x, x[:, 0]], axis=1), r"^concat: shapes \(2, 3, 4\) and \(2, 4\) differ elsewhere than along axis 1$"),
        (lambda: ops.stack([x, x[0]]), r"^stack: shapes \(2, 3, 4\) and \(3, 4\) differ$"),
        (lambda: ops.split(x, 2, axis=1), r"^split: axis 1 of \(2, 3, 4\) does not divide into 2 equal parts$"),
        (lambda: ops.pad(x, [(1, 1)]), r"^pad: widths are \[\(1, 1\)\] for \(2, 3, 4\); wants a pair of numbers of 0 or more per axis$"),
        (lambda: ops.broadcast_to(x, (2, 3, 5)), r"^broadcast_to: shapes \(2, 3, 4\) and \(2, 3, 5\) do not broadcast$"),
        (lambda: ops.broadcast_to(x, (1, 3, 4)), r"^broadcast_to: \(2, 3, 4\) does not broadcast to \(1, 3, 4\)$"),
        (lambda: x[2], r"^index 2 is outside axis 0 of \(2, 3, 4\)$"),
        (lambda: x[0, 0, 0, 0], r"^indexing: got 4 positions and 0 ellipses for the 3 axes of \(2, 3, 4\)$"),
        (lambda: x[True], r"^indexing: got bool beside other positions"),
        (lambda: x["a"], r"^indexing: got str for axis 0; wants whole numbers, slices, None or \.\.\.$"),
        (lambda: x[::0], r"^indexing: slice\(None, None, 0\) along axis 0 of \(2, 3, 4\) is no slice"),
        (lambda: ops.embedding(x, [1]), r"^embedding: the weight has shape \(2, 3, 4\); wants \(rows, width\)$"),
        (lambda: ops.scatter_add(x, [0], x), r"^scatter_add: updates are \(2, 3, 4\); wants \(1, 3, 4\)"),
        (lambda: ops.matrix_transpose(dev.tensor([1.0])), r"^matrix_transpose: \(1,\) has 1 axes; wants two or more$"),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=sentence):
            call()
    for call, sentence in (
        (lambda: ops.take(x, x), r"^take: the indices are float32; wants int32$"),
        (lambda: ops.take(x, [0.5]), r"^take: the indices are float64; wants whole numbers$"),
        (lambda: ops.concat([x, x.astype("int32")]), r"^concat: tensors are float32 and int32; wants one dtype$"),
        (lambda: x[np.array([True, False])], r"^take: the indices are bool; wants whole numbers$"),
    ):
        with pytest.raises(DTypeError, match=sentence):
            call()
    with pytest.raises(IndexError):
        x[-3]
    same(x + 0, X)
