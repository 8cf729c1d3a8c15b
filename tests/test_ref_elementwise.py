"""The elementwise references against scipy, hand-worked cases and identities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kernels_ref import elementwise as ref

X = np.concatenate([np.linspace(-12, 12, 481), [-1e-9, 1e-9, 0.0]])


def close(got, want, rtol=1e-13, atol=0.0):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("op", "known"),
    [
        ("sigmoid", special.expit),
        ("gelu", lambda x: x * special.ndtr(x)),
        ("silu", lambda x: x * special.expit(x)),
        ("softplus", lambda x: special.log1p(np.exp(x))),
        ("relu", lambda x: x * (x > 0)),
        ("abs", np.fabs),
        ("rsqrt", lambda x: x**-0.5),
        ("sin", lambda x: np.imag(np.exp(1j * x))),
        ("cos", lambda x: np.real(np.exp(1j * x))),
        ("atan", lambda x: np.angle(1 + 1j * x)),
    ],
)
def test_unary_against_scipy(op, known):
    x = np.abs(X) + 0.01 if op == "rsqrt" else X
    close(ref.unary(x, op=op), known(x))


def test_erf_and_normal_cdf_against_scipy():
    close(ref.erf(X), special.erf(X))
    close(ref.normal_cdf(X), special.ndtr(X), rtol=1e-12)


def test_gelu_tanh_is_near_gelu_and_exact_at_a_known_point():
    assert np.abs(ref.unary(X, op="gelu_tanh") - ref.unary(X, op="gelu")).max() < 5e-4
    # ½ (1 + tanh(0.7978845608 · 1.044715)), worked out by hand to ten places
    close(ref.gelu_tanh(np.array([1.0])), [0.8411919906], rtol=1e-9)


def test_clip_and_leaky_relu_by_hand():
    x = np.array([-3.0, -1.0, 0.0, 2.0, np.nan])
    np.testing.assert_array_equal(ref.unary(x, op="clip", low=-2.0, high=1.0), [-2, -1, 0, 1, np.nan])
    np.testing.assert_array_equal(ref.unary(x, op="leaky_relu", low=0.5), [-1.5, -0.5, 0, 2, np.nan])


@pytest.mark.parametrize("op", ref.UNARY_BACKWARD)
def test_derivatives_against_central_differences(op):
    x = np.linspace(0.13, 2.9, 41) if op in ("sqrt", "rsqrt") else np.linspace(-2.93, 2.91, 41)
    numbers = dict(low=-0.5, high=1.5)
    h = 1e-6
    numeric = (ref.unary(x + h, op=op, **numbers) - ref.unary(x - h, op=op, **numbers)) / (2 * h)
    t = ref.unary(x, op=op) if op in ("sqrt", "rsqrt", "tanh", "sigmoid") else x
    close(ref.unary_backward(np.full(41, 3.0), t, op=op, **numbers), 3 * numeric, rtol=1e-7, atol=1e-8)


def test_binary_by_hand():
    a, b = np.array([[1.0], [np.nan]]), np.array([2.0, 1.0, np.nan])
    np.testing.assert_array_equal(ref.binary(a, b, op="maximum"), [[2, 1, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(ref.binary(a, b, op="not_equal"), [[True, False, True], [True] * 3])
    np.testing.assert_array_equal(ref.binary(a, b, op="greater_share"), [[0, 0.5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(ref.binary_scalar(np.array([2.0, 3.0]), value=2.0, op="power", swap=True), [4, 8])


def test_where_and_fill_by_hand():
    mask = np.array([True, False])
    np.testing.assert_array_equal(ref.where(mask, np.array([1.0, 2.0]), b_value=-1.0), [1, -1])
    np.testing.assert_array_equal(ref.where(mask, None, None, a_value=3.0, b_value=4.0), [3, 4])
    assert ref.fill(np.zeros((2, 3)), value=7, dtype="int32").dtype == np.int32


def test_cast_rounds_to_bfloat16_like_the_bits_say():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2**32, 20000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    bits = x.view(np.uint32).astype(np.uint64)
    want = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ref.cast(x.astype(np.float64), dtype="bfloat16"), want.astype(np.float64))


def test_cast_to_whole_numbers():
    x = np.array([1.9, -1.9, 3e9, -3e9, np.nan, np.inf])
    np.testing.assert_array_equal(ref.cast(x, dtype="int32"), [1, -1, 2**31 - 1, -(2**31), 0, 2**31 - 1])
    np.testing.assert_array_equal(ref.cast(x, dtype="uint32"), [1, 0, 3000000000, 0, 0, 2**32 - 1])
    np.testing.assert_array_equal(ref.cast(x, dtype="bool"), [True] * 6)
    np.testing.assert_array_equal(ref.cast(np.array([-1, 5], np.int32), dtype="uint32"), [2**32 - 1, 5])
