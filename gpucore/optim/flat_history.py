"""The vectors of a quasi-Newton method on the device, beside flat parameters."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..kernel import ceil_div
from ..kernels import quasi_newton as K
from .flat import ALIGN, RANGE, FlatParameters
from .packed import Piece

MOST_BLOCKS = (256, 64)
"""Workgroups of one launch for the displacement and the gradient, and per four rows for the products."""
PER_BLOCK = (1024, 4096)
"""Elements from which on they get another workgroup."""
PER_BLOCK_ON = {"software": (16384, 32768)}
"""The same for kinds of device where it differs: what a workgroup does once is dear there."""


class Stretch(NamedTuple):
    """A part of the flat vectors whose matrix one dispatch can bind; its gradient is in `piece`, from `offset` on.

    vectors: [rows, size], the rows of `gpucore.kernels.quasi_newton`. measures and partials are views of the report.
    """

    start: int
    size: int
    piece: int
    offset: int
    vectors: Any
    measures: Any
    partials: Any


class Observed(NamedTuple):
    """What the host learns of one evaluation, in one readback.

    dots[r] = vectors[r]·(s, y, g, d), s being the displacement from the origin, g the gradient, y its change and d the direction.
    """

    loss: float
    dots: np.ndarray
    s_max: float
    g_sum: float
    g_max: float


class FlatHistory:
    """The matrix of s, y and gradients, the origin of a line search and its direction, all in the layout of the parameters."""

    def __init__(self, flat: FlatParameters, pieces: Sequence[Piece], slots: int) -> None:
        self.flat, self.pieces, self.slots, self.rows = flat, pieces, slots, 2 * slots + 2
        device, dtype = flat.device, flat.dtype
        self.origin, self.direction = flat.zeros("origin of a line search"), flat.zeros("direction of a line search")
        self._step = device.zeros((1,), dtype, name="step of a line search")
        self._coefficients = device.zeros((self.rows,), dtype, name="coefficients of a direction")
        spans, end = [], ALIGN
        least = PER_BLOCK_ON.get(device.kind, PER_BLOCK)
        for piece, p in enumerate(pieces):
            most = RANGE // self.rows // ALIGN * ALIGN
            for offset in range(0, p.size, most):
                size = min(most, p.size - offset)
                blocks = [max(1, min(m, ceil_div(size, e))) for m, e in zip(MOST_BLOCKS, least, strict=True)]
                shapes = ((blocks[0], 4), (blocks[1], self.rows, 4))
                starts = (end, end + ceil_div(prod(shapes[0]), ALIGN) * ALIGN)
                end = starts[1] + ceil_div(prod(shapes[1]), ALIGN) * ALIGN
                spans.append((p.start + offset, size, piece, offset, shapes, starts))
        self._report = device.zeros((end,), dtype, name="report of an evaluation")
        self.stretches = []
        for start, size, piece, offset, shapes, starts in spans:
            vectors = device.zeros((self.rows, size), dtype, name="history")
            views = [self._report.view(shape, at) for shape, at in zip(shapes, starts, strict=True)]
            self.stretches.append(Stretch(start, size, piece, offset, vectors, *views))

    # ---- on the device

    def keep(self) -> None:
        """The origin becomes the present parameters."""
        self.origin.assign(self.flat.theta)

    def restore(self) -> None:
        """The parameters become the origin."""
        self.flat.theta.assign(self.origin)

    def aim(self, coefficients: np.ndarray) -> None:
        """direction = Σ coefficients[r]·vectors[r]."""
        self._coefficients.assign(coefficients.astype(self.flat.dtype.host))
        for part in self.stretches:
            K.combine_rows(self.direction.view((part.size,), part.start), part.vectors, self._coefficients)

    def move(self, step: float) -> None:
        """parameters = origin + step·direction."""
        self._step.assign(np.array([step], self.flat.dtype.host))
        for p in self.pieces:
            if p.size:
                theta, origin = (t.view((p.size,), p.start) for t in (self.flat.theta, self.origin))
                K.combine_rows(theta, self.direction.view((1, p.size), p.start), self._step, origin)

    def observe(self, loss: Any, gradients: Sequence[Any], slot: int, row: int) -> Observed:
        """Writes s and y into a slot and the gradient into its row, and reads the report: the only wait of an evaluation."""
        self._report.view((1,)).assign(loss.view((1,)))
        for part in self.stretches:
            theta, origin = (t.view((part.size,), part.start) for t in (self.flat.theta, self.origin))
            gradient = gradients[part.piece].view((part.size,), part.offset)
            K.secant_pair(part.vectors, part.measures, theta, origin, gradient, slot=slot, row=row)
            K.dot_rows(part.vectors, self.direction.view((part.size,), part.start), part.partials, slot=slot, row=row)
        return self._read()

    def _read(self) -> Observed:
        report = self._report.numpy().astype(np.float64)
        dots, measures = np.zeros((self.rows, 4)), [np.zeros((1, 4))]
        with np.errstate(invalid="ignore", over="ignore"):
            for part in self.stretches:
                measured, products = (_within(report, view, self._report) for view in (part.measures, part.partials))
                dots += products.sum(axis=0)
                measures.append(measured)
            whole = np.concatenate(measures)
            s_max, g_sum, g_max = float(whole[:, 1].max()), float(whole[:, 2].sum()), float(whole[:, 3].max())
        return Observed(float(report[0]), dots, s_max, g_sum, g_max)

    # ---- on the host

    def pairs(self) -> np.ndarray:
        """s of each slot and y of each slot as flat host arrays, [2·slots, size]."""
        found = np.zeros((2 * self.slots, self.flat.size), self.flat.dtype.host)
        for part in self.stretches:
            found[:, part.start : part.start + part.size] = part.vectors.numpy()[: 2 * self.slots]
        return found

    def assign_pairs(self, values: np.ndarray) -> None:
        """Takes up what `pairs` gave."""
        for part in self.stretches:
            columns = np.ascontiguousarray(values[:, part.start : part.start + part.size])
            part.vectors.view(columns.shape).assign(columns)


def _within(report: np.ndarray, view: Any, whole: Any) -> np.ndarray:
    start = view.offset - whole.offset
    return report[start : start + view.size].reshape(view.shape)
