"""What all optimizers share: flat parameters, packed gradients, clipping, the step count and rate on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..errors import ConfigError, DTypeError, ShapeError
from ..kernel import ceil_div
from ..kernels import optim as K
from ..ops import reshape, sqrt, sum
from .flat import ALIGN, FlatParameters

if TYPE_CHECKING:
    from ..tensor import Tensor


FOLDED = {"software": 1}
"""By kind of device: more partial sums than this are added up before the update, instead of by each of its workgroups, which on a
software driver costs more than a dispatch."""
MOST_PARTIALS = 1024
"""The same for the other kinds."""


class Part(NamedTuple):
    """What an update takes beside the flat tensors of a piece: step counters, learning rate, partial sums, decay mask."""

    steps: Any
    lr: Any
    partials: Any
    decay: Any


class Optimizer(ABC):
    """Updates parameters in place from their gradients; the whole step runs on the device.

    params: tensors of one device. They are moved into one flat storage and stay the same objects, now views of it:
        make the optimizer before recording a pipeline over them, and make no second one while this one is used.
        Parameters with a true attribute `frozen` at this moment are left alone.
    lr: the learning rate; it lives on the device, so setting `optimizer.lr` reaches recorded steps too.
    weight_decay: strength of the decay; decay_mask: one multiplier per parameter (0 for biases), all 1 without.
    max_grad_norm: gradients are scaled by min(1, max_grad_norm / (norm + 1e-6)), norm being the Euclidean norm of all
        of them (Pascanu et al. 2013); `inf` only measures it. clip_value: each element is then kept within ±clip_value.

    A NaN gradient makes the norm NaN and then, with a finite max_grad_norm, every parameter; an infinite one makes
    the factor 0, which spoils its own element alone. ConfigError for settings outside their range.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the flat tensors that the optimizer keeps beside the parameters."""

    def __init__(
        self, params: Sequence[Any], lr: float, *, weight_decay: float = 0.0, decay_mask: Sequence[float] | None = None,
        max_grad_norm: float | None = None, clip_value: float | None = None,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        self._lr_value = _rate(who, lr)
        self.weight_decay = check_range(who, "weight_decay", weight_decay, low=0.0)
        if max_grad_norm is not None and not (isinstance(max_grad_norm, Real) and max_grad_norm > 0):
            raise ConfigError(f"{who}: max_grad_norm is {max_grad_norm!r}; wants a positive number")
        if clip_value is not None and not (clip_value > 0 and isfinite(clip_value)):
            raise ConfigError(f"{who}: clip_value is {clip_value}; wants a positive number")
        self.max_grad_norm, self.clip_value = max_grad_norm, clip_value
        self.params = list(params)
        self._trained = [i for i, p in enumerate(self.params) if not getattr(p, "frozen", False)]
        mask = None if decay_mask is None else self._check_mask(who, decay_mask)
        self._flat = FlatParameters([self.params[i] for i in self._trained], who)
        self._allocate(mask)

    def _check_mask(self, who: str, mask: Sequence[float]) -> list[float]:
        values = [float(m) for m in mask]
        if len(values) != len(self.params):
            raise ConfigError(f"{who}: decay_mask has {len(values)} entries for {len(self.params)} parameters; wants one each")
        if not all(isfinite(m) and m >= 0 for m in values):
            raise ConfigError(f"{who}: decay_mask {values} wants finite numbers of 0 or more")
        return [values[i] for i in self._trained]

    def _allocate(self, mask: list[float] | None) -> None:
        flat, device, dtype = self._flat, self._flat.device, self._flat.dtype
        self._gradient = device.zeros((flat.packed,), dtype, name="gradients")
        self._state = {name: flat.zeros(name) for name in self.slots}
        self._lr = device.full((1,), self._lr_value, dtype, name="learning rate")
        self._counts = device.zeros((flat.counters,), "uint32", name="optimizer steps")
        shares, end = [], 0
        for size in [*[b.size for b in flat.batches], *[p.size for p in flat.pieces if p.param is not None]]:
            count = flat.shares(size) if self.max_grad_norm is not None else 1
            shares.append((end, count))
            end += ceil_div(count, ALIGN) * ALIGN
        self._partials = device.zeros((end,), dtype, name="gradient square sums")
        self._shares = [self._partials.view((count,), start) for start, count in shares]
        self._decay = None
        if mask is not None and self.weight_decay:
            blocks = np.zeros(flat.size // ALIGN)
            for strength, offset, span in zip(mask, flat.offsets, flat.spans, strict=True):
                blocks[offset // ALIGN : (offset + span) // ALIGN] = strength
            self._decay = device.tensor(blocks, dtype, name="decay mask")

    # ---- the step

    def step(self, grads: Sequence[Any]) -> None:
        """One update from gradients in the order of the parameters; None counts as zeros, those of frozen ones as nothing.

        ShapeError for the wrong number or shape of gradients. Can be recorded by a Pipeline. Gradients of small
        parameters are packed, six per dispatch, and updated together; large ones have a dispatch each.
        """
        self._check_grads(grads)
        gradients = self._gathered([grads[i] for i in self._trained])
        limit = None if self.max_grad_norm is None or isinf(self.max_grad_norm) else float(self.max_grad_norm)
        options: dict[str, Any] = dict(weight_decay=self.weight_decay, clip_value=self.clip_value, max_norm=limit)
        partials = None if limit is None else self._partials
        if partials is not None and partials.size > FOLDED.get(self._flat.device.kind, MOST_PARTIALS):
            partials = reshape(sum(partials), (1,))
        flat = self._flat
        for piece, gradient in zip(flat.pieces, gradients, strict=True):
            state = [self._state[name].view((piece.size,), piece.start) for name in self.slots]
            blocks = ceil_div(piece.size, ALIGN)
            decay = None if self._decay is None else self._decay.view((blocks,), piece.start // ALIGN)
            counts = self._counts.view((flat.blocks(piece.size),), piece.counter)
            part = Part(counts, self._lr, partials, decay)
            self._update(flat.theta.view((piece.size,), piece.start), state, gradient, part, options)

    def _gathered(self, grads: list[Any]) -> list[Any]:
        """The gradient of each piece: packed, or where it lies; the sums of squares are taken on the way, where they are wanted."""
        flat, measured = self._flat, self.max_grad_norm is not None
        shares = iter(self._shares)
        for batch in flat.batches:
            target = self._gradient.view((batch.size,), batch.start)
            spans = tuple(flat.spans[i] for i in batch.params)
            K.pack(target, next(shares), *[grads[i] for i in batch.params], spans=spans, squares=measured)
        found = []
        for piece in flat.pieces:
            if piece.param is None:
                found.append(self._gradient.view((piece.size,), piece.start))
                continue
            whole = grads[piece.param]
            gradient = flat.device.zeros((piece.size,), flat.dtype) if whole is None else whole.view((piece.size,), piece.offset)
            share = next(shares)
            if measured:
                K.square_sums(gradient, share)
            found.append(gradient)
        return found

    @abstractmethod
    def _update(self, theta: Any, state: list[Any], gradient: Any, part: Part, options: dict[str, Any]) -> None:
        """Launches the update of one piece; `options` are weight_decay, clip_value and max_norm."""

    def _check_grads(self, grads: Sequence[Any]) -> None:
        who = type(self).__name__
        if len(grads) != len(self.params):
            raise ShapeError(f"{who}.step: got {len(grads)} gradients for {len(self.params)} parameters; wants one each")
        for i in self._trained:
            g, p = grads[i], self.params[i]
            if g is not None and g.shape != p.shape:
                raise ShapeError(f"{who}.step: gradient {i} has shape {g.shape} and its parameter {p.describe()}; wants the same shape")
            if g is not None and not g.dtype.is_float:
                raise DTypeError(f"{who}.step: gradient {i} is {g.dtype}; wants {p.dtype}")
        moved = self._flat.moved()
        if moved is not None:
            raise ConfigError(f"{who}.step: {moved.describe()} was taken over by another optimizer; use that one")

    # ---- what can be read and set

    @property
    def lr(self) -> float:
        """The learning rate; setting it writes the device's, which recorded steps read."""
        return self._lr_value

    @lr.setter
    def lr(self, value: float) -> None:
        checked = _rate(type(self).__name__, value)
        self._lr.assign(np.array([checked]))
        self._lr_value = checked

    @property
    def steps(self) -> int:
        """Steps taken, replayed ones included; reads the device's counter."""
        return int(self._counts.view((1,)).item())

    @property
    def last_grad_norm(self) -> Tensor | None:
        """The Euclidean norm of the last step's gradients before clipping, a tensor of shape (); None without max_grad_norm.

        It is worked out when it is asked for, also inside a recording.
        """
        return None if self.max_grad_norm is None else sqrt(sum(self._partials))  # type: ignore[no-any-return]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Step, learning rate and moments as host arrays: "step", "lr", and "<slot>.<parameter>" in the parameter's shape."""
        state = {"step": self._counts.view((1,)).numpy(), "lr": np.array([self._lr_value])}
        for name in self.slots:
            parts = self._flat.split(self._state[name].numpy())
            state |= {f"{name}.{i}": part for i, part in zip(self._trained, parts, strict=True)}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave. ConfigError, and nothing is changed, when an entry is missing, foreign or misshapen."""
        who = f"{type(self).__name__}.load_state_dict"
        shapes = {"step": (1,), "lr": (1,)}
        shapes |= {f"{name}.{i}": self.params[i].shape for name in self.slots for i in self._trained}
        arrays = checked_state(who, state, shapes)
        step = int(arrays["step"][0])
        if step != arrays["step"][0] or not 0 <= step < 2**32:
            raise ConfigError(f"{who}: step is {arrays['step'][0]}; wants a whole number from 0 to 2^32 - 1")
        lr = _rate(who, float(arrays["lr"][0]))
        flats = {name: self._flat.join([arrays[f"{name}.{i}"] for i in self._trained]) for name in self.slots}
        for name, values in flats.items():
            self._state[name].assign(values)
        self._counts.assign(np.full(self._flat.counters, step, np.uint32))
        self.lr = lr


def checked_state(who: str, state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The entries as arrays; ConfigError unless they are exactly those of `shapes`, of these shapes, and numbers."""
    differ = sorted(set(state) ^ set(shapes))
    if differ:
        raise ConfigError(f"{who}: entries {', '.join(differ)} are missing or foreign; wants {', '.join(shapes)}")
    arrays = {name: np.asarray(value) for name, value in state.items()}
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise ConfigError(f"{who}: {name} has shape {array.shape}; wants {shapes[name]}")
        if array.dtype.kind not in "fiu":
            raise ConfigError(f"{who}: {name} holds {array.dtype}; wants numbers")
    return arrays


def check_range(who: str, name: str, value: float, low: float = -inf, below: float = inf) -> float:
    """The value as a float; ConfigError unless it is a finite number with low ≤ value < below."""
    if not (isinstance(value, int | float | np.number) and isfinite(value) and low <= value < below):
        upper = "" if isinf(below) else f" and less than {below:g}"
        raise ConfigError(f"{who}: {name} is {value!r}; wants a number of {low:g} or more{upper}")
    return float(value)


def _rate(who: str, lr: float) -> float:
    return check_range(who, "lr", lr, low=0.0)
