"""Gradients of elementwise operations: finite differences in float64, then the GPU against those; second derivatives too."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc
from gpucore import ops

POSITIVE = np.array([[0.31, 1.7, 2.9], [0.83, 0.12, 1.1]])
MIXED = np.array([[-2.3, -0.71, 0.37], [1.9, 0.052, -0.11]])

UNARY = [
    ("negative", ops.negative, MIXED), ("abs", ops.abs, MIXED), ("sqrt", ops.sqrt, POSITIVE), ("rsqrt", ops.rsqrt, POSITIVE),
    ("exp", ops.exp, MIXED), ("log", ops.log, POSITIVE), ("tanh", ops.tanh, MIXED), ("sigmoid", ops.sigmoid, MIXED),
    ("sin", ops.sin, MIXED), ("cos", ops.cos, MIXED), ("atan", ops.atan, MIXED),
    ("relu", ops.relu, MIXED), ("leaky_relu", lambda x: ops.leaky_relu(x, negative_slope=0.2), MIXED), ("silu", ops.silu, MIXED),
    ("softplus", ops.softplus, MIXED), ("gelu", ops.gelu, MIXED), ("gelu_tanh", lambda x: ops.gelu(x, approximate="tanh"), MIXED),
    ("clip", lambda x: ops.clip(x, min=-1.0, max=0.2), MIXED), ("clip open", lambda x: ops.clip(x, max=0.2), MIXED),
    ("copy", ops.copy, MIXED), ("where", lambda x: ops.where(ops.greater(x, 0), x * 3.0, -1.0), MIXED),
]  # fmt: skip

BINARY = [
    ("add", ops.add), ("subtract", ops.subtract), ("multiply", ops.multiply), ("divide", ops.divide), ("power", ops.power),
    ("minimum", ops.minimum), ("maximum", ops.maximum),
    ("where", lambda a, b: ops.where(ops.less(a, 1.0), a, b)),
]  # fmt: skip

SCALAR = [
    ("x + 2", lambda x: x + 2), ("2 - x", lambda x: 2 - x), ("x - 2", lambda x: x - 2), ("3 x", lambda x: 3 * x),
    ("x / 3", lambda x: x / 3),
    ("2 / x", lambda x: 2 / x), ("x^3", lambda x: x**3), ("x^2", lambda x: x**2), ("x^-0.5", lambda x: x**-0.5), ("x^1", lambda x: x**1),
    ("x^0", lambda x: x**0 + x), ("3^x", lambda x: 3**x), ("1^x", lambda x: 1**x + x), ("max(x, 1)", lambda x: ops.maximum(x, 1.0)),
    ("min(1, x)", lambda x: ops.minimum(1.0, x)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fn", "x"), UNARY, ids=[u[0] for u in UNARY])
def test_unary(gpu, name, fn, x):
    check_gradient(gpu, fn, x)


@pytest.mark.parametrize(("name", "fn"), BINARY, ids=[b[0] for b in BINARY])
@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 1), ()], ids=str)
def test_binary_with_broadcasting(gpu, rng, name, fn, shape):
    b = rng.uniform(0.4, 2.4, shape)
    check_gradient(gpu, fn, POSITIVE, b)
    check_gradient(gpu, lambda a, b: fn(b, a), POSITIVE, b)


@pytest.mark.parametrize(("name", "fn"), SCALAR, ids=[s[0] for s in SCALAR])
def test_with_a_number(gpu, name, fn):
    check_gradient(gpu, fn, POSITIVE)


def _slope(fn):
    """The gradient of sum(sin-like weights · fn) as a differentiable function."""

    def slope(*xs):
        with gc.GradientTape() as tape:
            y = fn(*xs)
        return tape.gradient(y, [xs[0]], seed=ops.ones_like(y) * 1.3)[0]

    return slope


CURVED = ["exp", "log", "tanh", "sigmoid", "silu", "sqrt", "rsqrt", "softplus", "gelu", "gelu_tanh", "sin", "cos", "atan"]
SECOND = [u for u in UNARY if u[0] in CURVED]


@pytest.mark.parametrize(("name", "fn", "x"), SECOND, ids=[u[0] for u in SECOND])
def test_second_derivatives(gpu, name, fn, x):
    check_gradient(gpu, _slope(fn), x)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power"])
def test_second_derivatives_of_two(gpu, rng, name):
    fn = getattr(ops, name)
    b = rng.uniform(0.4, 2.4, (2, 3))
    if name in ("add", "subtract"):
        check_gradient(gpu, _slope(lambda a, b: fn(a, b) * fn(a, b)), POSITIVE, b)
    else:
        check_gradient(gpu, _slope(lambda a, b: fn(a, b) * b), POSITIVE, b)


@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_ties_share_the_gradient(request, device):
    dev = request.getfixturevalue(device)
    a, b = dev.tensor([1.0, 2.0, 3.0]), dev.tensor([1.0, 3.0, 2.0])
    for op, want in ((ops.maximum, [0.5, 0, 1]), (ops.minimum, [0.5, 1, 0])):
        with gc.GradientTape() as tape:
            y = op(a, b)
        ga, gb = tape.gradient(y, [a, b], seed=ops.ones_like(y))
        np.testing.assert_array_equal(ga.numpy(), want)
        np.testing.assert_array_equal(gb.numpy(), 1 - np.array(want))


def test_no_gradient_flows_through_comparisons_numbers_and_stopped_tensors(gpu):
    x = gpu.tensor([1.0, 2.0])
    with gc.GradientTape() as tape:
        y = ops.stop_gradient(x) * ops.astype(ops.less(x, 1.5), "float32") + ops.sign(x)
    np.testing.assert_array_equal(tape.gradient(y, [x], seed=ops.ones_like(y))[0].numpy(), [0, 0])


def test_gradient_through_a_cast_comes_back_in_the_source_type(gpu):
    x = gpu.tensor([1.0, 2.0], "bfloat16")
    with gc.GradientTape() as tape:
        y = ops.astype(x, "float32") * 3.0 + ops.astype(x, "float32")
    g = tape.gradient(y, [x], seed=ops.ones_like(y))[0]
    np.testing.assert_array_equal(g.numpy(), [4, 4])


def test_zero_to_the_zero_has_gradient_zero(gpu):
    a, b = gpu.tensor([0.0, 2.0]), gpu.tensor([0.0, 0.0])
    with gc.GradientTape() as tape:
        y = a**b
    ga, _ = tape.gradient(y, [a, b], seed=ops.ones_like(y))
    np.testing.assert_array_equal(ga.numpy(), [0, 0])
