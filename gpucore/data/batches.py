"""Batches of a dataset as tensors, uploaded by a thread while the device works on the ones before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..device import Device
from ..device import device as open_device
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..tensor import Tensor

    Batch = tuple[Tensor, Tensor]


class Batches:
    """Iterates over (x, y) tensors of `batch_size` samples; each pass over it is an epoch.

    dataset:   an ArrayDataset, or anything with `len()` and `dataset[indices] -> (x, y)`.
    shuffle:   a new order every epoch, set by (seed, epoch) alone; `epoch` is the number of the next one and may be
               set, to continue a training where it stopped.
    drop_last: leave out the last batch when it is smaller than the others; by default it comes.
    prefetch:  batches that a thread uploads ahead, 0 for none. What goes wrong in the thread is raised in the loop;
               leaving the loop ends the thread.
    resident:  the whole dataset is uploaded once, and batches are gathered there by their indices: the fastest way
               for what fits in the device's memory. No thread is used then.
    """

    def __init__(
        self, dataset: Any, batch_size: int, *, shuffle: bool = True, seed: int = 0, device: Device | None = None,
        drop_last: bool = False, prefetch: int = 2, resident: bool = False,
    ) -> None:  # fmt: skip
        if not _whole(batch_size) or batch_size < 1:
            raise ConfigError(f"Batches: batch_size is {batch_size!r}; wants a whole number of 1 or more")
        if not _whole(prefetch) or prefetch < 0:
            raise ConfigError(f"Batches: prefetch is {prefetch!r}; wants a whole number of 0 or more")
        if drop_last and len(dataset) < batch_size:
            raise ConfigError(f"Batches: drop_last leaves nothing of {len(dataset)} samples in batches of {batch_size}")
        self.dataset, self.batch_size, self.shuffle, self.seed = dataset, int(batch_size), shuffle, seed
        self.device = open_device() if device is None else device
        self.drop_last, self.prefetch = drop_last, prefetch
        self.resident = resident
        self._held: Batch | None = None
        self.epoch = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    @property
    def samples(self) -> int:
        """Samples in one epoch."""
        return len(self) * self.batch_size if self.drop_last else len(self.dataset)

    def order(self, epoch: int) -> np.ndarray:
        """The indices of the samples in the order of an epoch."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def __iter__(self) -> BatchIterator:
        order = self.order(self.epoch)
        self.epoch += 1
        dataset, target, size = self.dataset, self.device, self.batch_size

        def load(index: int) -> Batch:
            x, y = dataset[order[index * size : (index + 1) * size]]
            return target.tensor(x), target.tensor(y)

        if not self.resident:
            return BatchIterator(load, len(self), self.prefetch)
        if self._held is None:
            x, y = dataset[np.arange(len(dataset))]
            self._held = target.tensor(x, name="samples"), target.tensor(y, name="targets")
        held = self._held

        def gather(index: int) -> Batch:
            rows = target.tensor(order[index * size : (index + 1) * size])
            return ops.take(held[0], rows), ops.take(held[1], rows)

        return BatchIterator(gather, len(self), 0)


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


class BatchIterator:
    """One pass over the batches; `close()`, the end of the loop or the last reference's end stops its thread."""

    def __init__(self, load: Callable[[int], Batch], count: int, prefetch: int) -> None:
        self._feed: _Feed | None = _Feed(load, count, prefetch) if prefetch else None
        self._direct = iter(()) if prefetch else map(load, range(count))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._feed is None:
            return next(self._direct)
        item = self._feed.items.get()
        if isinstance(item, tuple):
            return item
        self.close()
        try:
            raise item
        finally:
            # The traceback holds this frame and with it the caller's, its last batch included: no cycle through here.
            del item

    def close(self) -> None:
        """Ends the pass and its thread; later `next` calls raise StopIteration."""
        feed, self._feed, self._direct = self._feed, None, iter(())
        if feed is not None:
            feed.stop()

    def __del__(self) -> None:
        if getattr(self, "_feed", None) is not None:
            self.close()


class _Feed:
    """The thread and its queue. It knows nothing of the iterator, so that an abandoned iterator is collected."""

    def __init__(self, load: Callable[[int], Batch], count: int, prefetch: int) -> None:
        self.items: queue.Queue[Batch | Exception] = queue.Queue(prefetch)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(load, count), name="gpucore-batches", daemon=True)
        self._thread.start()

    def _run(self, load: Callable[[int], Batch], count: int) -> None:
        try:
            for index in range(count):
                if self._stopped.is_set():
                    return
                self._put(load(index))
        except Exception as error:
            self._put(error)
        else:
            self._put(StopIteration())

    def _put(self, item: Batch | Exception) -> None:
        while not self._stopped.is_set():
            try:
                self.items.put(item, timeout=1.0)
            except queue.Full:
                continue
            return

    def stop(self) -> None:
        """Asks the thread to end and waits for it, unless it is the thread that asks."""
        self._stopped.set()
        self._drain()  # wakes a put that waits for room
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._drain()

    def _drain(self) -> None:
        try:
            while True:
                self.items.get_nowait()
        except queue.Empty:
            return
