"""The references of reductions against scipy, NumPy's own functions, identities and hand cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kernels_ref import reduce as ref

FUNCTIONS = {
    "sum": np.sum,
    "squares": lambda x, axis: np.sum(x * x, axis=axis),
    "max": np.max,
    "min": np.min,
    "logsumexp": special.logsumexp,
}


@pytest.mark.parametrize("op", ref.REDUCE)
def test_rows_and_columns_are_numpys(rng, op):
    x = rng.standard_normal((3, 17, 5))
    np.testing.assert_allclose(ref.reduce_columns(x, op=op)[:, 0], FUNCTIONS[op](x, axis=1), rtol=1e-13)
    np.testing.assert_allclose(ref.reduce_rows(x[:, :, 0], op=op)[:, 0], FUNCTIONS[op](x[:, :, 0], axis=1), rtol=1e-13)


@pytest.mark.parametrize("op", ["sum", "max", "min", "logsumexp"])
def test_parts_reduce_to_the_whole(rng, op):
    x = rng.standard_normal((3, 17, 5))
    parts = ref.reduce_columns(x, op=op, chunk=4)
    assert parts.shape == (3, 5, 5)
    np.testing.assert_allclose(ref.reduce_columns(parts, op=op), ref.reduce_columns(x, op=op), rtol=1e-13)


def test_center_repeats_and_divisor_divides():
    x = np.array([[1.0, 3.0], [10.0, 30.0], [2.0, 4.0], [20.0, 60.0]])
    got = ref.reduce_rows(x, np.array([2.0, 20.0]), op="squares", divisor=2.0)
    np.testing.assert_array_equal(got[:, 0], [1, 100, 2, 800])


def test_logsumexp_at_infinities():
    x = np.array([[-np.inf, -np.inf], [np.inf, 0], [np.inf, -np.inf], [np.nan, 0], [1000, 1000]])
    with np.errstate(all="ignore"):
        got = ref.reduce_rows(x, op="logsumexp")[:, 0]
    np.testing.assert_allclose(got, [-np.inf, np.inf, np.inf, np.nan, 1000 + np.log(2)])


def test_integers_wrap_and_booleans_count():
    x = np.array([2**31 - 1, 1], np.int32).reshape(1, 2, 1)
    assert ref.reduce_integers(x, op="sum").item() == -(2**31)
    assert ref.reduce_integers(x, op="max").item() == 2**31 - 1
    assert ref.reduce_integers(np.array([[[True], [False], [True]]]), op="sum").item() == 2


def test_argument_takes_the_first_and_nan_above_all():
    x = np.array([1.0, 5, 5, np.nan, 7, np.nan, -3, -3]).reshape(1, 8, 1)
    assert ref.argument(x, op="argmax").item() == 3
    assert ref.argument(x[:, :3], op="argmax").item() == 1
    assert ref.argument(x[:, 6:], op="argmin").item() == 0
    assert ref.argument(x, op="argmax", chunk=3)[0, :, 0].tolist() == [1, 3, 6]
    candidates = np.array([0, 2, 4, 6], np.int32).reshape(1, 4, 1)
    assert ref.argument(x, candidates, op="argmax").item() == 4


@pytest.mark.parametrize("reverse", [False, True])
def test_running_sums_in_parts_are_those_of_the_whole(rng, reverse):
    x = rng.standard_normal((2, 11, 3))
    whole = np.cumsum(x[:, ::-1], axis=1)[:, ::-1] if reverse else np.cumsum(x, axis=1)
    np.testing.assert_allclose(ref.cumulative_columns(x, reverse=reverse), whole, rtol=1e-12)
    start = ref.cumulative_columns(ref.reduce_columns(x, op="sum", chunk=4), reverse=reverse)
    np.testing.assert_allclose(ref.cumulative_columns(x, start, chunk=4, reverse=reverse), whole, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ref.cumulative_rows(x[:, :, 0], reverse=reverse), whole[:, :, 0], rtol=1e-12)
