"""One step of training: forward, loss, backward, clip and update as one replayed submission."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ... import ops, optim
from ...array import Array
from ...autograd import GradientTape
from ...errors import ConfigError
from ...optim import Optimizer
from ...optim.base import check_range
from ...pipeline import Pipeline
from ...train import TrainingDivergedError
from .inputs import device_batch, host_numbers
from .losses import KanLoss

if TYPE_CHECKING:
    from ...tensor import Tensor
    from .network import KanNetwork

OPTIMIZERS = {"adam": 1e-2, "adamw": 1e-2, "sgd": 1e-1, "momentum": 1e-2}
"""The optimizers by name, with the learning rate each has unless one is given."""
MOMENTUM = 0.9


def as_loss(loss: str | KanLoss) -> KanLoss:
    """A KanLoss of a name, or the one given."""
    return loss if isinstance(loss, KanLoss) else KanLoss(loss)


def make_optimizer(
    network: KanNetwork, name: str = "adam", *, lr: float | None = None, max_grad_norm: float | None = None, weight_decay: float = 0.0
) -> Optimizer:
    """An optimizer over the network's parameters whose weight decay shrinks coefficients alone, never biases or bases.

    The decay is decoupled: c is multiplied by 1 - lr·weight_decay beside the step. ConfigError for an unknown name, and
    for decay with momentum, which would carry it along.
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"KanNetwork: optimizer is {name!r}; wants one of {', '.join(OPTIMIZERS)}, or an Optimizer")
    check_range("KanNetwork", "weight_decay", weight_decay, low=0.0)
    if name == "momentum" and weight_decay:
        raise ConfigError("KanNetwork: momentum would carry weight decay along; use adam, adamw or sgd with weight_decay")
    params = network.named_parameters()
    mask = [float(key.endswith("coefficients")) for key, p in params.items() if not p.frozen]
    rate = OPTIMIZERS[name] if lr is None else lr
    options: dict[str, Any] = dict(weight_decay=weight_decay, decay_mask=mask, max_grad_norm=max_grad_norm)
    if name in ("adam", "adamw"):
        return optim.AdamW(network.parameters(), rate, **options)
    return optim.SGD(network.parameters(), rate, momentum=MOMENTUM if name == "momentum" else 0.0, **options)


class KanStep:
    """The training step of a network: `step(x, y, mask)` changes the parameters and returns the loss, a tensor of shape ().

    loss:      a name of LOSSES, or a KanLoss with its measures of the coefficients.
    optimizer: adam, adamw, sgd or momentum (see `make_optimizer`), or an Optimizer over the network's parameters,
               whose own clipping and decay then count.
    nan_guard: look at every gradient before the update, and raise TrainingDivergedError, naming step and tensor, with
               nothing changed. It waits for the device in each step, and splits it in two submissions.

    The first call for each shape records; a network whose grids have moved since wants a new KanStep.
    """

    def __init__(
        self, network: KanNetwork, *, loss: str | KanLoss = "mse", optimizer: str | Optimizer = "adam", lr: float | None = None,
        max_grad_norm: float | None = None, weight_decay: float = 0.0, nan_guard: bool = False,
    ) -> None:  # fmt: skip
        self.network, self.loss, self.nan_guard = network, as_loss(loss), nan_guard
        self._changes = network.changes
        self._own = not isinstance(optimizer, Optimizer)
        if isinstance(optimizer, Optimizer):
            if max_grad_norm is not None or weight_decay:
                raise ConfigError("KanNetwork: max_grad_norm and weight_decay belong to the optimizer that was given; set them there")
            known = {id(p) for p in optimizer.params}
            unknown = [name for name, p in network.named_parameters().items() if not p.frozen and id(p) not in known]
            if unknown:
                raise ConfigError(
                    f"KanNetwork: the optimizer does not have {unknown[0]}; make it from network.parameters(), anew after refine"
                )
            self.optimizer = optimizer
        else:
            self.optimizer = make_optimizer(network, optimizer, lr=lr, max_grad_norm=max_grad_norm, weight_decay=weight_decay)
        self._trained = [(i, p) for i, p in enumerate(self.optimizer.params) if not getattr(p, "frozen", False)]
        names = {id(p): name for name, p in network.named_parameters().items()}
        self._names = [names.get(id(p), f"parameter {i}") for i, p in self._trained]
        self._whole, self._gradients, self._update = Pipeline(self._run), Pipeline(self._differentiate), Pipeline(self._apply)
        self.batches: set[int] = set()
        self.count = 0

    def __call__(self, x: Any, y: Any, mask: Any = None) -> Tensor:
        """x [n, in], y [n, out] or, for cross_entropy, [n] classes; mask of y's shape. Host arrays are checked for NaN."""
        return self.run(checked_batch(self.network, self.loss, x, y, mask, self.batches))

    def run(self, given: list[Any]) -> Tensor:
        """The same with what `checked_batch` gave."""
        if not self.fits():
            raise ConfigError("KanStep: the grids or parameters of the network have changed since this step was made; make a new one")
        value = self._guarded(given) if self.nan_guard else self._whole(*given)
        self.batches.add(given[0].shape[0])
        self.count += 1
        return value  # type: ignore[no-any-return]

    def fits(self) -> bool:
        """Whether the network is still as it was recorded: its grids not moved, its parameters not taken over."""
        return self._changes == self.network.changes and self.optimizer._flat.moved() is None

    # ---- what is recorded

    def _differentiate(self, x: Any, y: Any, mask: Any = None) -> list[Any]:
        """[loss, flags, gradients ...]; with the guard, flags [1 + gradients] are 0 where all is finite, else NaN."""
        with GradientTape() as tape:
            value = self.loss(self.network, self.network(x), y, mask)
        grads = tape.gradient(value, [p for _, p in self._trained])
        flags = [ops.reshape(ops.sum(t - t), (1,)) for t in (value, *grads)] if self.nan_guard else []
        return [value, ops.concat(flags) if flags else value, *grads]

    def _apply(self, *grads: Any) -> None:
        placed: list[Any] = [None] * len(self.optimizer.params)
        for (i, _), g in zip(self._trained, grads, strict=True):
            placed[i] = g
        self.optimizer.step(placed)

    def _run(self, *given: Any) -> Any:
        value, _, *grads = self._differentiate(*given)
        self._apply(*grads)
        return value

    def _guarded(self, given: list[Any]) -> Any:
        value, flags, *grads = self._gradients(*given)
        found = flags.numpy()
        bad = [name for name, flag in zip(("the loss", *(f"the gradient of {n}" for n in self._names)), found, strict=True) if flag != 0]
        if bad:
            raise TrainingDivergedError(
                f"KanNetwork.train_step: in step {self.count} {self._suspect() or ' and '.join(bad[:2])} is not finite; nothing was changed"
            )
        self._update(*grads)
        return value

    def _suspect(self) -> str | None:
        """The first parameter that is not finite itself, the cause of all the rest."""
        for name, p in self.network.named_parameters().items():
            if not np.isfinite(p.numpy()).all():
                return name
        return None


def checked_batch(network: KanNetwork, loss: KanLoss, x: Any, y: Any, mask: Any = None, held: Collection[int] = ()) -> list[Any]:
    """[x, y] or [x, y, mask] as tensors of the network's device and dtype, or one sentence about what is wrong with them.

    held: batch sizes whose memory is there already; any other is measured against the device's limit before it is uploaded.
    """
    x = x if isinstance(x, Array) else host_numbers("KanNetwork.train_step", "x", x)
    if x.ndim == 2 and x.shape[0] and x.shape[0] not in held:
        network.check_room("KanNetwork.train_step", x.shape[0], training=True)
    widths = network.config.input_dim, network.config.output_dim
    options: dict[str, Any] = dict(classes=loss.classes, device=network.device, dtype=network.dtype)
    return device_batch("KanNetwork.train_step", x, y, mask, widths, **options)


def run_step(
    network: KanNetwork, x: Any, y: Any, *, loss: str | KanLoss = "mse", optimizer: str | Optimizer = "adam", lr: float | None = None,
    mask: Any = None, max_grad_norm: float | None = None, weight_decay: float = 0.0, nan_guard: bool = False,
) -> Any:  # fmt: skip
    """`KanNetwork.train_step`: keeps the network's KanStep while its settings stay.

    With another loss the optimizer goes on; with another optimizer, clipping or decay, or after grids moved, a new one
    begins. lr is set anew in each call in which it is given.
    """
    loss = as_loss(loss)
    held = network._steps
    # First of all: what is wrong must not cost the optimizer its state.
    given = checked_batch(network, loss, x, y, mask, held.first.batches if held else ())
    settings = (optimizer if isinstance(optimizer, str) else id(optimizer), max_grad_norm, weight_decay)
    if held is None or held.network is not network or held.settings != settings or not held.first.fits():
        first = KanStep(
            network, loss=loss, optimizer=optimizer, lr=lr, max_grad_norm=max_grad_norm, weight_decay=weight_decay, nan_guard=nan_guard
        )
        held = network._steps = KeptSteps(network, settings, first, {(loss, nan_guard): first})
    step = held.steps.get((loss, nan_guard))
    if step is None:
        step = held.steps[loss, nan_guard] = KanStep(network, loss=loss, optimizer=held.first.optimizer, nan_guard=nan_guard)
    if lr is not None and lr != step.optimizer.lr:
        step.optimizer.lr = lr
    return step.run(given)


class KeptSteps(NamedTuple):
    """The steps that a network keeps, all with the optimizer of the first, by (loss, nan_guard)."""

    network: KanNetwork
    settings: Any
    first: KanStep
    steps: dict[Any, KanStep]
