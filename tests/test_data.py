from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from gpucore import data
from gpucore.errors import ConfigError, DTypeError, FormatError, ShapeError


def idx(array: np.ndarray, code: int) -> bytes:
    """The bytes of an idx file, written from the format's description."""
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


# ---- idx files


@pytest.mark.parametrize(("dtype", "code"), [("u1", 8), ("i1", 9), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_round_trip(tmp_path, rng, dtype, code, packed):
    array = (rng.standard_normal((3, 4, 5)) * 50).astype(np.int8 if dtype != "u1" else np.uint8).astype(dtype)
    raw = idx(array, code)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    got = data.read_idx(path)
    assert got.dtype == np.dtype(dtype)
    assert np.array_equal(got, array)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b[:3], "too few"),
        (lambda b: b"\x00\x01" + b[2:], "begins with 00 01"),
        (lambda b: b[:2] + b"\x0a" + b[3:], "begins with"),
        (lambda b: b[:3] + b"\x00" + b[4:], "begins with"),
        (lambda b: b[:9], "cut off"),
        (lambda b: b[:-1], "truncated"),
        (lambda b: b + b"\x00", "followed by other bytes"),
        (lambda b: gzip.compress(b)[:-9], "damaged or cut off"),
        (lambda b: gzip.compress(b)[:14] + b"\xff\xff" + gzip.compress(b)[16:], "damaged or cut off"),
        (lambda b: b"\x89PNG\r\n\x1a\n" + b, "begins with"),
    ],
)
def test_bad_idx_files_are_refused_whole(tmp_path, spoil, message):
    path = tmp_path / "bad"
    path.write_bytes(spoil(idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 8)))
    with pytest.raises(FormatError, match=message):
        data.read_idx(path)


def test_idx_sizes_that_promise_gigabytes_allocate_nothing():
    with pytest.raises(FormatError, match="truncated"):
        data.parse_idx(b"\x00\x00\x08\x03" + b"\xff\xff\xff\xff" * 3 + b"abc")


def test_idx_checksum(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(idx(np.zeros(3, np.uint8), 8))
    with pytest.raises(FormatError, match="wants 0000"):
        data.read_idx(path, md5="0000")


# ---- datasets


def test_dataset_holds_what_devices_hold():
    d = data.ArrayDataset([[1.0, 2.0], [3.0, 4.0]], np.array([0, 1], np.int64))
    assert d.x.dtype == np.float32
    assert d.y.dtype == np.int32
    assert len(d) == 2
    assert data.ArrayDataset([[True], [False]], [1, 2]).x.dtype == np.bool_


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), ShapeError, "x has 3 samples and y 4"),
        (np.zeros((0, 2)), np.zeros(0), ShapeError, "no samples"),
        (1.0, [1.0], ShapeError, "single value"),
        ([[0.0], [np.nan], [np.nan]], [0, 0, 0], DTypeError, "row 1 of x holds nan"),
        ([[0.0], [1.0]], [0.0, -np.inf], DTypeError, "row 1 of y holds -inf"),
        ([["a"]], [0], DTypeError, "wants numbers"),
        ([[0]], [2**31], DTypeError, "integers from 2147483648"),
    ],
)
def test_bad_datasets(x, y, error, message):
    with pytest.raises(error, match=message):
        data.ArrayDataset(x, y)


def test_split_is_a_partition_set_by_the_seed():
    d = data.ArrayDataset(np.arange(101)[:, None], np.arange(101))
    first, second = d.split(0.25, seed=3)
    assert (len(first), len(second)) == (25, 76)
    assert sorted([*first.y, *second.y]) == list(range(101))
    assert np.array_equal(first.x[:, 0], first.y)
    assert np.array_equal(first.y, d.split(0.25, seed=3)[0].y)
    assert not np.array_equal(first.y, d.split(0.25, seed=4)[0].y)
    for bad in (0, 1, -0.5, 0.001, float("nan")):
        with pytest.raises(ConfigError, match="empty"):
            d.split(bad)


# ---- scaling


def test_standardiser_centres_and_scales(rng):
    x = rng.standard_normal((500, 3)) * [1, 20, 0.01] + [5, -100, 1e6]
    s = data.Standardiser().fit(x)
    z = s.transform(x)
    assert z.dtype == np.float32
    assert np.allclose(z.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(z.std(axis=0), 1, atol=1e-4)
    assert np.allclose(s.inverse(z), x, rtol=1e-6)


def test_standardiser_uses_the_training_data_alone():
    s = data.Standardiser().fit([[0.0], [2.0]])
    assert s.transform([[3.0]])[0, 0] == 2.0


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -3e-7])
def test_constant_columns_survive(value):
    x = np.full((7, 1), value)
    s = data.Standardiser().fit(x)
    assert np.allclose(s.transform(x), 0, atol=1e-6)
    assert s.transform(x + 1)[0, 0] == pytest.approx(1.0)


def test_standardiser_state_and_errors():
    s = data.Standardiser()
    with pytest.raises(ConfigError, match="not fitted"):
        s.transform([[1.0]])
    with pytest.raises(ConfigError, match="sample 1 holds NaN"):
        s.fit([[1.0], [np.nan]])
    with pytest.raises(ShapeError, match="at least one sample"):
        s.fit(np.zeros((0, 3)))
    s.fit([[1.0, 2.0], [3.0, 5.0]])
    other = data.Standardiser()
    other.load_state_dict(s.state_dict())
    assert np.array_equal(other.transform([[4.0, 4.0]]), s.transform([[4.0, 4.0]]))
    with pytest.raises(FormatError, match="wants mean and std"):
        other.load_state_dict({"mean": np.zeros(2)})
    with pytest.raises(ShapeError, match="wants 2 features"):
        s.transform([[1.0]])


# ---- digits


def test_digits_are_split_and_scaled():
    train, test = data.load_digits()
    assert (len(train), len(test)) == (1438, 359)
    assert train.x.shape[1:] == (1, 8, 8)
    assert train.x.min() == 0
    assert train.x.max() == 1
    assert set(train.y) == set(range(10))
    big, _ = data.load_digits(size=28)
    assert big.x.shape == (1438, 1, 28, 28)
    assert np.array_equal(big.y, train.y)
    padded, _ = data.load_digits(size=28, scaling="pad")
    assert np.array_equal(padded.x[:, :, 10:18, 10:18], train.x)
    assert np.allclose(padded.x.sum(), train.x.sum(), rtol=1e-5)
    with pytest.raises(ConfigError, match="wants 8 or more"):
        data.load_digits(size=4)


def test_resize():
    ramp = np.arange(4, dtype=np.float32)[None, None].repeat(4, 1)
    assert np.array_equal(data.resize(ramp, 8, "nearest")[0, 0], [0, 0, 1, 1, 2, 2, 3, 3])
    assert np.allclose(data.resize(ramp, 8)[0, 3], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    assert np.array_equal(data.resize(ramp, 4), ramp)
    assert np.allclose(data.resize(np.ones((2, 8, 8), np.float32), 28), 1)
    assert np.allclose(data.resize(np.full((1, 1, 1), 5.0), 3), 5)
