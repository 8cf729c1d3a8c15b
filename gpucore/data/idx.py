"""The idx format of the MNIST files: a magic number, the sizes of the axes, the elements, all big-endian."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from ..errors import FormatError

_ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str], *, md5: str | None = None) -> np.ndarray:
    """The array in an idx file, plain or gzipped.

    The file is two zero bytes, the code of the element type, the number of axes, each axis as a big-endian u32, then
    the elements. Raises FormatError for a foreign, truncated or longer file and, with `md5`, when the uncompressed
    contents have another checksum; nothing of a bad file is returned.
    Source: Y. LeCun, "The MNIST database of handwritten digits", the section on file formats.
    """
    return parse_idx(unpacked(Path(path).read_bytes(), str(path), md5=md5), str(path))


def unpacked(raw: bytes, name: str, *, md5: str | None = None) -> bytes:
    """The bytes of a file that may be gzipped; FormatError for a damaged archive and for another checksum."""
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise FormatError(f"{name}: the gzip archive is damaged or cut off ({error})") from None
    if md5 is not None:
        found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        if found != md5:
            raise FormatError(f"{name}: the uncompressed contents have the md5 {found}; wants {md5}")
    return raw


def parse_idx(contents: bytes, name: str = "idx data") -> np.ndarray:
    """The array in the bytes of an idx file; `name` stands in the messages. FormatError for anything else."""
    if len(contents) < 4:
        raise FormatError(f"{name}: {len(contents)} bytes are too few for an idx header")
    zero, code, rank = struct.unpack(">HBB", contents[:4])
    if zero != 0 or code not in _ELEMENTS or rank == 0:
        raise FormatError(
            f"{name}: begins with {contents[:4].hex(' ')}; an idx file begins with 00 00, an element type and a number of axes"
        )
    start = 4 + 4 * rank
    if len(contents) < start:
        raise FormatError(f"{name}: the header of {rank} axes is cut off after {len(contents)} bytes")
    shape = struct.unpack(f">{rank}I", contents[4:start])
    dtype = np.dtype(_ELEMENTS[code])
    wanted, got = prod(shape) * dtype.itemsize, len(contents) - start
    if got != wanted:
        what = "truncated" if got < wanted else "followed by other bytes"
        raise FormatError(f"{name}: {what}, {got} bytes of elements for shape {shape}; wants {wanted}")
    return np.frombuffer(contents, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
