"""What the optimizers that step along gradients share: clipping, the step count and rate on the device, moments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import isfinite, isinf
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import ConfigError
from ..kernel import ceil_div
from ..ops import reshape, sqrt, sum
from .base import Optimizer, check_range, check_rate, checked_state
from .flat import ALIGN
from .packed import PackedGradients
from .sourced import SourcedGradients, granted
from .update import Part, Update

if TYPE_CHECKING:
    from ..tensor import Tensor


FOLDED = {"software": 1}
"""By kind of device: more partial sums than this are added up before the update, instead of by each of its workgroups, which on a
software driver costs more than a dispatch."""
MOST_PARTIALS = 1024
"""The same for the other kinds."""


class FirstOrder(Optimizer):
    """Updates parameters in place from their gradients; the whole step runs on the device.

    params: see Optimizer.
    lr: the learning rate; it lives on the device, so setting `optimizer.lr` reaches recorded steps too.
    weight_decay: strength of the decay; decay_mask: one multiplier per parameter (0 for biases), all 1 without.
    max_grad_norm: gradients are scaled by min(1, max_grad_norm / (norm + 1e-6)), norm being the Euclidean norm of all
        of them (Pascanu et al. 2013); `inf` only measures it. clip_value: each element is then kept within ±clip_value.

    A NaN gradient makes the norm NaN and then, with a finite max_grad_norm, every parameter; an infinite one makes
    the factor 0, which spoils its own element alone. ConfigError for settings outside their range.

    Where the adapter binds enough buffers to a kernel, an update reads up to 24 gradients where they lie; elsewhere small
    ones are packed, six per dispatch, and updated together, and large ones have a dispatch each.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the flat tensors that the optimizer keeps beside the parameters."""

    def __init__(
        self, params: Sequence[Any], lr: float, *, weight_decay: float = 0.0, decay_mask: Sequence[float] | None = None,
        max_grad_norm: float | None = None, clip_value: float | None = None,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        check_rate(who, lr)
        self.weight_decay = check_range(who, "weight_decay", weight_decay, low=0.0)
        if max_grad_norm is not None and not (isinstance(max_grad_norm, Real) and max_grad_norm > 0):
            raise ConfigError(f"{who}: max_grad_norm is {max_grad_norm!r}; wants a positive number")
        if clip_value is not None and not (clip_value > 0 and isfinite(clip_value)):
            raise ConfigError(f"{who}: clip_value is {clip_value}; wants a positive number")
        self.max_grad_norm, self.clip_value = max_grad_norm, clip_value
        trained = [not getattr(p, "frozen", False) for p in params]
        mask = None if decay_mask is None else _checked_mask(who, decay_mask, trained)
        super().__init__(params, lr, lambda found: _gradients_on(found[0].device).order(found))
        self._gradients = _gradients_on(self._flat.device)(self._flat, measured=max_grad_norm is not None)
        self._allocate(mask)

    def _allocate(self, mask: list[float] | None) -> None:
        flat, device, dtype = self._flat, self._flat.device, self._flat.dtype
        self._state = {name: flat.zeros(name) for name in self.slots}
        self._lr = device.full((1,), self._lr_value, dtype, name="learning rate")
        self._decay = None
        if mask is not None and self.weight_decay:
            blocks = np.zeros(flat.size // ALIGN)
            for strength, offset, span in zip(mask, flat.offsets, flat.spans, strict=True):
                blocks[offset // ALIGN : (offset + span) // ALIGN] = strength
            self._decay = device.tensor(blocks, dtype, name="decay mask")

    @abstractmethod
    def _update(self) -> Update:
        """The kernels of the update, and the settings of this optimizer alone."""

    def step(self, grads: Sequence[Any]) -> None:
        """One update from gradients in the order of the parameters; None counts as zeros, those of frozen ones as nothing.

        ShapeError for the wrong number or shape of gradients. Can be recorded by a Pipeline.
        """
        self._check_grads(grads)
        gradients = self._gradients.take([grads[i] for i in self._trained])
        limit = None if self.max_grad_norm is None or isinf(self.max_grad_norm) else float(self.max_grad_norm)
        options: dict[str, Any] = dict(weight_decay=self.weight_decay, clip_value=self.clip_value, max_norm=limit)
        partials = None if limit is None else self._gradients.partials
        if partials is not None and partials.size > FOLDED.get(self._flat.device.kind, MOST_PARTIALS):
            partials = reshape(sum(partials), (1,))
        update = self._update()
        for number, (piece, gradient) in enumerate(zip(self._gradients.pieces, gradients, strict=True)):
            flats = [t.view((piece.size,), piece.start) for t in (self._flat.theta, *(self._state[name] for name in self.slots))]
            blocks = ceil_div(piece.size, ALIGN)
            decay = None if self._decay is None else self._decay.view((blocks,), piece.start // ALIGN)
            self._gradients.update(number, gradient, update, flats, Part(self._lr, partials, decay), options)

    # ---- what can be read and set

    @property
    def lr(self) -> float:
        """The learning rate; setting it writes the device's, which recorded steps read."""
        return self._lr_value

    @lr.setter
    def lr(self, value: float) -> None:
        checked = check_rate(type(self).__name__, value)
        self._lr.assign(np.array([checked]))
        self._lr_value = checked

    @property
    def steps(self) -> int:
        """Steps taken, replayed ones included; reads the device's counter."""
        return int(self._gradients.counts[0].view((1,)).item())

    @property
    def last_grad_norm(self) -> Tensor | None:
        """The Euclidean norm of the last step's gradients before clipping, a tensor of shape (); None without max_grad_norm.

        It is worked out when it is asked for, also inside a recording.
        """
        return None if self.max_grad_norm is None else sqrt(sum(self._gradients.partials))  # type: ignore[no-any-return]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Step, learning rate and moments as host arrays: "step", "lr", and "<slot>.<parameter>" in the parameter's shape."""
        state = {"step": self._gradients.counts[0].view((1,)).numpy(), "lr": np.array([self._lr_value])}
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
        lr = check_rate(who, float(arrays["lr"][0]))
        flats = {name: self._flat.join([arrays[f"{name}.{i}"] for i in self._trained]) for name in self.slots}
        for name, values in flats.items():
            self._state[name].assign(values)
        for counts in self._gradients.counts:
            counts.assign(np.full(counts.size, step, np.uint32))
        self.lr = lr


def _gradients_on(device: Any) -> Any:
    """How an update on this device gets at the gradients."""
    return SourcedGradients if granted(device) else PackedGradients


def _checked_mask(who: str, mask: Sequence[float], trained: Sequence[bool]) -> list[float]:
    """The multipliers of the trained parameters."""
    values = [float(m) for m in mask]
    if len(values) != len(trained):
        raise ConfigError(f"{who}: decay_mask has {len(values)} entries for {len(trained)} parameters; wants one each")
    if not all(isfinite(m) and m >= 0 for m in values):
        raise ConfigError(f"{who}: decay_mask {values} wants finite numbers of 0 or more")
    return [m for m, t in zip(values, trained, strict=True) if t]
