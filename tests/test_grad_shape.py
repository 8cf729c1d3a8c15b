"""Gradients of operations that move elements."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc
from gpucore import ops

INDEX = np.array([[1, -1, 1], [0, 2, 1]], np.int32)

ONE = [
    ("reshape", lambda x: ops.reshape(x, (4, -1))), ("flatten", lambda x: ops.flatten(x, start_axis=1)),
    ("expand", lambda x: ops.expand_dims(x, axis=1)),
    ("squeeze", lambda x: ops.squeeze(ops.expand_dims(x, axis=(0, -1)), axis=(0, -1))),
    ("permute", lambda x: ops.permute_dims(x, (2, 0, 1))),
    ("transpose", ops.matrix_transpose), ("slice", lambda x: x[1:, ::-2, 1]), ("broadcast", lambda x: ops.broadcast_to(x, (2, 2, 3, 4))),
    ("pad", lambda x: ops.pad(x, [(1, 0), (0, 2), (1, 1)], value=3.0)), ("concat", lambda x: ops.concat([x, x * 2.0, x[:, :1]], axis=1)),
    ("stack", lambda x: ops.stack([x, x * x], axis=-1)), ("split", lambda x: ops.split(x, [1, 3], axis=2)[1]),
    ("take", lambda x: ops.take(x, x.device.tensor(INDEX), axis=1)),
    ("rows", lambda x: x[x.device.tensor(np.array([0, 1, 0, -1], np.int32))]),
    ("many", lambda x: ops.concat([x * float(i) for i in range(1, 18)], axis=2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fn"), ONE, ids=[o[0] for o in ONE])
def test_gradient(gpu, rng, name, fn):
    check_gradient(gpu, fn, rng.standard_normal((2, 3, 4)))


def test_tiled_transpose(gpu, rng):
    check_gradient(gpu, lambda x: ops.matrix_transpose(x), rng.standard_normal((9, 11)))


def test_scatter_add(gpu, rng):
    def fn(x, updates):
        return ops.scatter_add(x, np.array([2, 0, 2, -1, 9], np.int32), updates, axis=1)

    check_gradient(gpu, fn, rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 5, 2)))


def test_embedding(gpu, rng):
    check_gradient(gpu, lambda w: ops.embedding(w, np.array([[1, 1], [3, 0]])), rng.standard_normal((4, 3)))


def test_second_derivative_through_take(gpu, rng):
    def slope(x):
        with gc.GradientTape() as tape:
            y = ops.take(x * x, np.array([0, 2, 0]), axis=0)
        return tape.gradient(y, [x], seed=ops.ones_like(y))[0]

    check_gradient(gpu, slope, rng.standard_normal((3, 2)))
