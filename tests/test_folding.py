"""Grids of more workgroups than an axis holds: folded over two axes, the last row may overhang.

What takes gigabytes, or seconds of the reference, at the real limit is shown here at a small one.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import gpucore as gc
from gpucore import ops
from gpucore.kernels import shape as K
from gpucore.kernels import spline_knots
from gpucore.optim import SGD, Adam

N = 15 * 1024 + 5


@pytest.fixture
def narrow(gpu, monkeypatch):
    """A device of its own, so that no launch is prepared yet, whose grids are at most twelve workgroups wide."""
    monkeypatch.setattr(sys.modules["gpucore.kernel"], "MAX_GROUPS", 12)
    monkeypatch.setattr(K, "MAX_GROUPS", 12)
    return gc.device(gpu.info.index)


def knots(x):
    """Points [N / 5, 5] and a row of knots for each of the five inputs, all of them different."""
    rows = np.arange(-3.0, 5.0) * np.linspace(0.5, 1.0, 5)[:, None] + np.array([[0.0], [0.1], [-0.3], [0.2], [0.7]])
    return ops.reshape(x, (N // 5, 5)), x.device.tensor(rows.astype(np.float32))


def knot_contract(x):
    points, rows = knots(x)
    weights = ops.reshape(ops.concat([x] * 5), (*points.shape, 5))
    return spline_knots.knot_contract(points, weights, rows, degree=2)


OPERATIONS = {
    "unary": lambda x: ops.relu(x),
    "binary": lambda x: x + x,
    "scalar": lambda x: x * 3.0,
    "broadcast": lambda x: x + x[:1],
    "where": lambda x: ops.where(x > 0, x, 1.0),
    "fill": lambda x: ops.full_like(x, 2.0),
    "halves": lambda x: x.astype("float16"),
    "reversed": lambda x: x[::-1],
    "pad": lambda x: ops.pad(x, ((3, 2),)),
    "concat": lambda x: ops.concat([x, x]),
    "take": lambda x: ops.take(x, np.arange(N - 1, -1, -1)),
    "one_hot": lambda x: ops.one_hot(ops.astype(x, "int32"), num_classes=3),
    "transpose": lambda x: ops.matrix_transpose(ops.reshape(x[: 15 * 1024], (480, 32))),
    "random": lambda x: gc.ops.random_bits(x.device.tensor(np.array([1, 2, 3, 4], np.uint32)), shape=(N,)),
    "dropout": lambda x: gc.ops.dropout(x, x.device.tensor(np.array([1, 2, 3, 4], np.uint32)), p=0.5),
    "knot_basis": lambda x: ops.knot_basis(*knots(x), degree=2),
    "knot_contract": knot_contract,
    "scatter": lambda x: ops.scatter_add(x, np.arange(5000) % 40, x[:5000]),
}


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_folded_grids(narrow, cpu, rng, name):
    x = rng.standard_normal(N).astype(np.float32)
    found, want = (OPERATIONS[name](device.tensor(x)).numpy() for device in (narrow, cpu))
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("packs", [False, True], ids=["", "packed"])
@pytest.mark.parametrize("make", [Adam, lambda p, **k: SGD(p, 0.1, momentum=0.9, **k)], ids=["adam", "momentum"])
def test_folded_updates(narrow, cpu, rng, make, monkeypatch, packs):
    monkeypatch.setattr("gpucore.optim.first_order.granted", lambda device: device.kind != "cpu" and not packs)
    monkeypatch.setattr("gpucore.optim.packed.DIRECT_ON", {})
    p, g = (rng.standard_normal(8 * N).astype(np.float32) for _ in range(2))
    found = []
    for device in (narrow, cpu):
        t = device.tensor(p)
        optimizer = make([t], max_grad_norm=1.0)
        optimizer.step([device.tensor(g)])
        assert optimizer.steps == 1
        found.append(t.numpy())
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
