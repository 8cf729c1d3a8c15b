"""Finding and fetching MNIST, with small stand-ins for the four files and a server on this machine."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import threading

import numpy as np
import pytest
from test_data import idx

from gpucore import data
from gpucore.data import mnist
from gpucore.errors import ConfigError, FormatError


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Stand-ins for the four files: {name: uncompressed bytes}; the expected checksums and shapes are theirs."""
    rng = np.random.default_rng(0)
    made, table = {}, {}
    for name in mnist.FILES:
        n = 12 if name.startswith("train") else 5
        array = rng.integers(0, 256, (n, 28, 28), np.uint8) if "images" in name else rng.integers(0, 10, n, np.uint8)
        made[name] = idx(array, 8)
        table[name] = (hashlib.md5(made[name]).hexdigest(), array.shape)
    monkeypatch.setattr(mnist, "FILES", table)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GPUCORE_DATA", raising=False)
    return made


def put(folder, files, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(raw) if packed else raw)
    return folder


@pytest.fixture
def server(tmp_path):
    """(url, folder, requests): a web server whose files are in the folder."""
    folder = tmp_path / "www"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_address[1]}/", folder, asked
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("packed", [True, False])
def test_a_named_folder(small, tmp_path, packed):
    train, test = data.load_mnist(put(tmp_path / "here", small, packed))
    assert train.x.shape == (12, 1, 28, 28)
    assert test.y.shape == (5,)
    pixel = small["train-images-idx3-ubyte"][16]
    assert train.x[0, 0, 0, 0] == np.float32(pixel) / np.float32(255)
    assert train.y[3] == small["train-labels-idx1-ubyte"][8 + 3]


def test_a_named_folder_without_the_files_is_an_error(small, tmp_path):
    put(data.mnist_cache(), small)
    with pytest.raises(ConfigError, match="has no train-images"):
        data.load_mnist(tmp_path / "nowhere")


def test_environment_before_cache(small, tmp_path, monkeypatch):
    assert data.find_mnist() is None
    cached = put(data.mnist_cache(), small)
    assert data.find_mnist() == cached
    named = put(tmp_path / "data" / "mnist", small)
    monkeypatch.setenv("GPUCORE_DATA", str(tmp_path / "data"))
    assert data.find_mnist() == named
    (named / "t10k-labels-idx1-ubyte.gz").unlink()
    assert data.find_mnist() == cached


def test_damaged_files_are_refused(small, tmp_path):
    folder = put(tmp_path / "here", small)
    raw = bytearray(small["t10k-images-idx3-ubyte"])
    raw[100] ^= 1
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(FormatError, match="md5"):
        data.load_mnist(folder)


def test_download_fills_the_cache(small, server):
    url, folder, asked = server
    put(folder, small)
    told = []
    train, _ = data.load_mnist(mirrors=(url,), progress=lambda *a: told.append(a))
    assert len(train) == 12
    assert len(asked) == 4
    assert all(done == total for _, done, total in told)
    data.load_mnist(mirrors=(url,))
    assert len(asked) == 4
    mode = os.stat(data.mnist_cache() / "train-labels-idx1-ubyte.gz").st_mode & 0o777
    assert mode & 0o400


def test_the_next_mirror_serves_when_the_first_does_not(small, server):
    url, folder, _ = server
    put(folder / "good", small)
    data.fetch_mnist(data.mnist_cache(), mirrors=("http://127.0.0.1:9/", url + "missing/", url + "good/"))
    assert len(data.load_mnist(download=False)[1]) == 5


def test_a_bad_download_leaves_nothing(small, server):
    url, folder, _ = server
    put(folder, small)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros((12, 28, 28), np.uint8), 8)))
    with pytest.raises(ConfigError, match=r"could not be downloaded.*md5.*GPUCORE_DATA"):
        data.load_mnist(mirrors=(url,))
    assert not list(data.mnist_cache().parent.parent.rglob("*ubyte*"))


def test_without_download(small):
    with pytest.raises(ConfigError, match="data_dir"):
        data.load_mnist(download=False)


@pytest.mark.data
@pytest.mark.skipif("GPUCORE_DATA" not in os.environ, reason="GPUCORE_DATA is not set")
def test_the_real_files():
    train, test = data.load_mnist()
    assert (len(train), len(test)) == (60000, 10000)
    assert np.array_equal(np.bincount(test.y), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    assert float(train.x.mean()) == pytest.approx(0.1307, abs=1e-4)


def test_atomic_file_leaves_the_old_one_when_writing_fails(tmp_path):
    path = tmp_path / "a" / "file.bin"
    data.write_atomic(path, b"old")

    def fail():
        with data.atomic_file(path) as file:
            file.write(b"half of the ne")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]
