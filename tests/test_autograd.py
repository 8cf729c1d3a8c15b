"""The tape."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.autograd import differentiable
from gpucore.errors import GradientError, ShapeError

add, multiply, exp = gc.ops.add, gc.ops.multiply, gc.ops.exp


def _scalar(device, value):
    return device.tensor(np.array(value, np.float64), "float64" if device.is_cpu else None)


def test_gradients_accumulate_over_paths(cpu):
    x = _scalar(cpu, 1.5)
    with gc.GradientTape() as tape:
        y = add(multiply(x, x), multiply(x, exp(x)))
    (g,) = tape.gradient(y, [x])
    assert g.item() == pytest.approx(2 * 1.5 + np.exp(1.5) * 2.5)


def test_zeros_where_nothing_flows_in_the_order_asked(cpu):
    x, y, z = (_scalar(cpu, v) for v in (2.0, 3.0, 4.0))
    with gc.GradientTape() as tape:
        out = multiply(x, z)
    assert [g.item() for g in tape.gradient(out, [y, z, x])] == [0.0, 2.0, 4.0]


def test_second_derivatives_by_nested_tapes(cpu):
    x = _scalar(cpu, 0.7)
    with gc.GradientTape() as outer:
        with gc.GradientTape() as inner:
            y = multiply(exp(x), x)
        (first,) = inner.gradient(y, [x])
    (second,) = outer.gradient(first, [x])
    assert first.item() == pytest.approx(np.exp(0.7) * 1.7)
    assert second.item() == pytest.approx(np.exp(0.7) * 2.7)


def test_the_target_itself_and_intermediates_can_be_sources(cpu):
    x = _scalar(cpu, 3.0)
    with gc.GradientTape() as tape:
        y = multiply(x, x)
        z = multiply(y, x)
    assert [g.item() for g in tape.gradient(z, [y, z, x])] == [3.0, 1.0, 27.0]


def test_a_missing_gradient_names_the_operation(cpu):
    @differentiable
    def rounding(x):
        return multiply(x, x), None

    x = _scalar(cpu, 1.0)
    with gc.GradientTape() as tape:
        y = rounding(x)
    with pytest.raises(GradientError, match="rounding has no gradient"):
        tape.gradient(y, [x])


def test_no_grad_and_unneeded_branches_cost_nothing(cpu):
    calls = []

    @differentiable
    def watched(a, b):
        return multiply(a, b), lambda g: (lambda: calls.append("a") or multiply(g, b), lambda: calls.append("b") or multiply(g, a))

    a, b = _scalar(cpu, 2.0), _scalar(cpu, 5.0)
    with gc.GradientTape() as tape:
        with gc.no_grad():
            watched(a, b)
        y = watched(a, b)
    assert len(tape.nodes) == 1
    assert tape.gradient(y, [a])[0].item() == 5.0
    assert calls == ["a"]


def test_misuse_says_what_is_wanted(cpu):
    x = cpu.tensor([1.0, 2.0])
    with gc.GradientTape() as tape:
        y = multiply(x, x)
    with pytest.raises(ShapeError, match="one element, or seed="):
        tape.gradient(y, [x])
    with pytest.raises(GradientError, match="a list of tensors"):
        tape.gradient(y, x)
    with pytest.raises(ShapeError, match="seed has shape"):
        tape.gradient(y, [x], seed=cpu.ones(3))
    tape.gradient(y, [x], seed=cpu.ones(2))
    with pytest.raises(GradientError, match="persistent=True"):
        tape.gradient(y, [x], seed=cpu.ones(2))


def test_a_persistent_tape_gives_gradients_again(cpu):
    x = _scalar(cpu, 2.0)
    with gc.GradientTape(persistent=True) as tape:
        y = multiply(x, x)
    assert tape.gradient(y, [x])[0].item() == tape.gradient(y, [x])[0].item() == 4.0


def test_a_backward_of_the_wrong_shape_is_named(cpu):
    @differentiable
    def crooked(x):
        return multiply(x, x), lambda g: (cpu.ones(5),)

    x = cpu.tensor([1.0, 2.0])
    with gc.GradientTape() as tape:
        y = crooked(x)
    with pytest.raises(GradientError, match=r"crooked: its backward gave shape \(5,\)"):
        tape.gradient(y, [x], seed=cpu.ones(2))
