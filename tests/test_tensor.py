"""The tensor's operators, methods and conversions, on both devices."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import DTypeError, ShapeError


@pytest.fixture(params=["gpu", "cpu"])
def dev(request):
    return request.getfixturevalue(request.param)


A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]], np.float32)


def close(got, want):
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)


def test_operators_with_numbers_arrays_and_lists_on_either_side(dev):
    x = dev.tensor(A)
    for other in (2, 0.5, np.float32(2), np.int64(3), A, A[0], A.astype(np.float64), [1.0, 2.0, 3.0]):
        wanted = np.asarray(other, np.float32)
        close(x + other, A + wanted)
        close(other + x, wanted + A)
        close(x - other, A - wanted)
        close(other - x, wanted - A)
        close(x * other, A * wanted)
        close(other * x, wanted * A)
        close(x / other, A / wanted)
        close(other / x, wanted / A)
        close(abs(x) ** other, np.abs(A) ** wanted)
        assert ((x < other).numpy() == (wanted > A)).all()
        assert ((other < x).numpy() == (wanted < A)).all()
        assert ((x == other).numpy() == (wanted == A)).all()
        assert ((other != x).numpy() == (wanted != A)).all()
    close(2 ** abs(x), 2 ** np.abs(A))
    close(-x, -A)
    assert +x is x


def test_matmul_operator(dev):
    x = dev.tensor(A)
    close(x @ x.T, A @ A.T)
    close(x @ A.T, A @ A.T)
    close(A.T @ x, A.T @ A)


def test_foreign_operands_are_left_to_python(dev):
    x = dev.tensor(A)
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        x < None  # noqa: B015


def test_hash_is_by_identity(dev):
    x, y = dev.tensor(A), dev.tensor(A)
    assert len({x, y}) == 2
    assert {x: 1}[x] == 1


def test_python_numbers(dev):
    assert float(dev.tensor([[2.5]])) == 2.5
    assert int(dev.tensor(7)) == 7
    assert [10, 20, 30][dev.tensor(2)] == 30
    assert bool(dev.tensor([1.0]))
    assert not dev.tensor(False)
    with pytest.raises(ShapeError, match=r"^the truth value of a tensor of shape \(2, 3\) has no meaning; wants one element$"):
        bool(dev.tensor(A))
    with pytest.raises(ShapeError, match="wants exactly one element"):
        float(dev.tensor(A))
    with pytest.raises(TypeError):
        [1, 2][dev.tensor(1.0)]


def test_as_an_array(dev):
    x = dev.tensor(A)
    np.testing.assert_array_equal(np.asarray(x), A)
    assert np.asarray(x, np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.array(x), A)
    with pytest.raises(ValueError, match="copy=False"):
        np.asarray(x, copy=False)


def test_iteration_and_length(dev):
    x = dev.tensor(A)
    assert len(x) == 2
    assert [row.numpy().tolist() for row in x] == A.tolist()
    with pytest.raises(TypeError):
        iter(dev.tensor(1.0))
    assert "shape=(2, 3)" in repr(x)


def test_methods(dev):
    x = dev.tensor(A)
    close(x.T, A.T)
    close(x.mT, A.T)
    close(x.reshape(3, -1), A.reshape(3, 2))
    close(x.reshape((6,)), A.reshape(6))
    close(x.flatten(), A.reshape(6))
    close(x.permute_dims((1, 0)), A.T)
    assert x.astype("int32").numpy().tolist() == A.astype(np.int32).tolist()
    close(x.sum(axis=1), A.sum(1))
    close(x.mean(), A.mean())
    close(x.max(axis=0, keepdims=True), A.max(0, keepdims=True))
    close(x.min(), A.min())
    assert x.argmax(axis=1).numpy().tolist() == [0, 0]
    close(x.exp(), np.exp(A))
    close(abs(x).log(), np.log(np.abs(A)))
    close(abs(x).sqrt(), np.sqrt(np.abs(A)))
    close(x.tanh(), np.tanh(A))
    close(x.clip(min=-1, max=1.0), np.clip(A, -1, 1))


def test_assign(dev):
    x = dev.tensor(A)
    x.assign(A * 2)
    x.assign(x + 1)
    close(x, A * 2 + 1)
    with pytest.raises(ShapeError):
        x.assign(A[0])
    with pytest.raises(DTypeError):
        x.assign(dev.tensor(A).astype("int32"))


@pytest.mark.parametrize("offset", [0, 1, 4, 5, 63, 64])
def test_a_view_at_any_place_can_be_computed_with(gpu, offset):
    """Adapters bind memory from aligned places only; a view elsewhere is copied, and written back where it is changed."""
    x = gpu.tensor(np.arange(100, dtype=np.float32))
    part = x.view((7,), offset)
    assert (part + 1).numpy().tolist() == list(range(offset + 1, offset + 8))
    assert (part + part).numpy().tolist() == [2.0 * k for k in range(offset, offset + 7)]
    gc.KERNELS["sgd"](part, gpu.ones(7), gpu.tensor(np.zeros(1, np.uint32)), gpu.tensor([0.5]))
    changed = np.arange(100, dtype=np.float32)
    changed[offset : offset + 7] -= 0.5
    assert np.array_equal(x.numpy(), changed)
