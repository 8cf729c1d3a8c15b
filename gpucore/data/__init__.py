"""Data on their way to a device: files, datasets, scaling, batches."""

from ..files import atomic_file, write_atomic
from .batches import Batches, BatchIterator
from .dataset import ArrayDataset
from .digits import load_digits, resize
from .idx import parse_idx, read_idx
from .mnist import fetch_mnist, find_mnist, load_mnist, mnist_cache
from .scaling import Standardiser
from .table import Table, find_column, read_table

__all__ = [
    "ArrayDataset", "BatchIterator", "Batches", "Standardiser", "Table", "atomic_file", "fetch_mnist", "find_column", "find_mnist",
    "load_digits", "load_mnist", "mnist_cache", "parse_idx", "read_idx", "read_table", "resize", "write_atomic",
]  # fmt: skip
