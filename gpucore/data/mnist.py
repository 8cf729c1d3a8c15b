"""The MNIST database: found on this machine, or fetched once; checked before anything is made of it."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import ConfigError, FormatError
from ..files import write_atomic
from .dataset import ArrayDataset
from .idx import read_idx, unpacked

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")

FILES = {
    "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", (60000, 28, 28)),
    "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", (60000,)),
    "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", (10000,)),
}
"""Each file with the md5 of its uncompressed contents, which no repacking changes, and its shape."""

Progress = Callable[[str, int, int | None], None]
"""Told the file's name, the bytes so far, and all of them where the server says."""

_ADVICE = "put the four idx files there, plain or gzipped, or name their folder as data_dir or as $GPUCORE_DATA/mnist"


def load_mnist(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True, progress: Progress | None = None,
    mirrors: Sequence[str] = MIRRORS, timeout: float = 30.0,
) -> tuple[ArrayDataset, ArrayDataset]:  # fmt: skip
    """(train, test): 60,000 and 10,000 images [n, 1, 28, 28] from 0 to 1, labels int32 [n].

    Looks in `data_dir`; without one in $GPUCORE_DATA/mnist, then in the user's cache folder (`mnist_cache`), and
    fetches the four files there, 11 MB in all, when they are missing and `download` allows it. Raises ConfigError when
    the files cannot be had, FormatError when one of them is damaged.
    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", CC BY-SA 3.0.
    """
    folder = find_mnist(data_dir)
    if folder is None:
        if not download:
            raise ConfigError(f"load_mnist: no MNIST files in {mnist_cache()}; {_ADVICE}")
        folder = mnist_cache()
        fetch_mnist(folder, progress=progress, mirrors=mirrors, timeout=timeout)
    return _read(folder, "train"), _read(folder, "t10k")


def find_mnist(data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that holds all four files, or None; ConfigError when a folder that was named does not."""
    if data_dir is not None:
        missing = _missing(Path(data_dir))
        if missing:
            raise ConfigError(f"load_mnist: {data_dir} has no {missing[0]}; {_ADVICE}")
        return Path(data_dir)
    root = os.environ.get("GPUCORE_DATA")
    places = [Path(root) / "mnist"] if root else []
    return next((p for p in [*places, mnist_cache()] if not _missing(p)), None)


def mnist_cache() -> Path:
    """The folder of the downloaded files: $XDG_CACHE_HOME/gpucore/mnist, or ~/.cache/gpucore/mnist."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gpucore" / "mnist"


def fetch_mnist(
    folder: str | os.PathLike[str], *, progress: Progress | None = None, mirrors: Sequence[str] = MIRRORS, timeout: float = 30.0
) -> None:
    """Downloads what is missing of the four files, each checked and then put in place at once.

    Tries the mirrors in order. Raises ConfigError with what each of them said when none has a good file.
    """
    for name in _missing(Path(folder)):
        said = []
        for mirror in mirrors:
            try:
                _download(f"{mirror.rstrip('/')}/{name}.gz", Path(folder) / f"{name}.gz", name, progress, timeout)
                break
            except (OSError, http.client.HTTPException, FormatError) as error:  # URLError and timeouts are OSErrors
                said.append(f"{mirror}: {getattr(error, 'reason', error)}")
        else:
            raise ConfigError(f"load_mnist: {name}.gz could not be downloaded to {folder} ({'; '.join(said)}); {_ADVICE}")


def _download(url: str, target: Path, name: str, progress: Progress | None, timeout: float) -> None:
    parts: list[bytes] = []
    with urllib.request.urlopen(url, timeout=timeout) as response:
        length = response.headers.get("Content-Length")
        total, done = int(length) if length else None, 0
        while chunk := response.read(1 << 16):
            parts.append(chunk)
            done += len(chunk)
            if progress is not None:
                progress(target.name, done, total)
    raw = b"".join(parts)
    if total is not None and done != total:
        raise FormatError(f"the connection ended after {done} of {total} bytes")
    unpacked(raw, url, md5=FILES[name][0])
    write_atomic(target, raw)


def _path(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)


def _missing(folder: Path) -> list[str]:
    return [name for name in FILES if _path(folder, name) is None]


def _read(folder: Path, part: str) -> ArrayDataset:
    images, labels = (_verified(folder, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
    return ArrayDataset(images[:, None].astype(np.float32) / np.float32(255), labels)


def _verified(folder: Path, name: str) -> np.ndarray:
    md5, shape = FILES[name]
    path = _path(folder, name)
    assert path is not None
    values = read_idx(path, md5=md5)
    if values.shape != shape:
        raise FormatError(f"load_mnist: {path} has shape {values.shape}; wants {shape}")
    return values
