"""One step of training: forward, loss, backward, clip and update as one replayed submission."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from ... import ops
from ...array import Array
from ...autograd import GradientTape
from ...errors import ConfigError
from ...optim import Optimizer
from ...pipeline import Pipeline
from ...train import TrainingDivergedError
from .inputs import device_batch, host_numbers
from .losses import KanLoss, LossFunction
from .optimizers import HostUpdate, check_own, make_optimizer

if TYPE_CHECKING:
    from ...tensor import Tensor
    from .network import KanNetwork

Held = tuple[int, bool]
"""Samples of a batch, and whether it has a mask."""
WHERE = (None, "cpu")
"""Where the update runs: with the network, or on the host."""


def as_loss(loss: str | LossFunction | KanLoss) -> KanLoss:
    """A KanLoss of a name or a function, or the one given."""
    return loss if isinstance(loss, KanLoss) else KanLoss(loss)


class KanStep:
    """The training step of a network: `step(x, y, mask)` changes the parameters and returns the loss, a tensor of shape ().

    loss:      a name of LOSSES, a function (output, target, mask or None) to a scalar, or a KanLoss with its measures.
    optimizer: adam, adamw, sgd or momentum (see `make_optimizer`), or an Optimizer over the network's parameters,
               whose own clipping and decay then count.
    nan_guard: look at every gradient before the update, and raise TrainingDivergedError, naming step and tensor, with
               nothing changed. It waits for the device in each step, and splits it in two submissions.

    optimizer_device: "cpu" keeps the optimizer and its state on the host (see `HostUpdate`); None: beside the network.

    The first call for each shape records; a network whose grids have moved since wants a new KanStep. The step does not
    keep the network alive.
    """

    def __init__(
        self, network: KanNetwork, *, loss: str | LossFunction | KanLoss = "mse", optimizer: str | Optimizer = "adam",
        lr: float | None = None, max_grad_norm: float | None = None, weight_decay: float = 0.0, nan_guard: bool = False,
        optimizer_device: str | None = None,
    ) -> None:  # fmt: skip
        if optimizer_device not in WHERE:
            raise ConfigError(f"KanNetwork: optimizer_device is {optimizer_device!r}; wants None or 'cpu'")
        self.loss, self.nan_guard, self.batches, self.count = as_loss(loss), nan_guard, set[Held](), 0
        self._network, self._changes = ref(network), network.changes
        self._parameters = list(network.named_parameters().values())  # the same objects until `changes` moves on
        self._frozen = frozen(self._parameters)
        self._host: HostUpdate | None = None
        if isinstance(optimizer, Optimizer):
            if optimizer_device is not None:
                raise ConfigError("KanNetwork: optimizer_device goes with an optimizer by name; the one that was given has its place")
            check_own(network, optimizer, max_grad_norm, weight_decay)
            self.optimizer = optimizer
        else:
            settings: dict[str, Any] = dict(lr=lr, max_grad_norm=max_grad_norm, weight_decay=weight_decay)
            if optimizer_device is not None:
                self._host = HostUpdate(network, optimizer, **settings)
            self.optimizer = make_optimizer(network, optimizer, **settings) if self._host is None else self._host.optimizer
        self._record(network)

    def _record(self, network: KanNetwork) -> None:
        """The functions that are recorded; they refer to the network weakly, since it may keep this step."""
        params = network.parameters() if self._host else self.optimizer.params
        trained = [(i, p) for i, p in enumerate(params) if not getattr(p, "frozen", False)]
        names = {id(p): name for name, p in network.named_parameters().items()}
        self._names = [names.get(id(p), f"parameter {i}") for i, p in trained]
        held, loss, guard, optimizer, count = self._network, self.loss, self.nan_guard, self.optimizer, len(params)

        def differentiate(x: Any, y: Any, mask: Any = None) -> list[Any]:
            """[loss, flags, gradients ...]; with the guard, flags [1 + gradients] are 0 where all is finite, else NaN."""
            model = held()
            with GradientTape() as tape:
                value = loss.of_network(model, x, y, mask)
            grads = tape.gradient(value, [p for _, p in trained])
            flags = [ops.concat([ops.reshape(ops.sum(t - t), (1,)) for t in (value, *grads)])] if guard else []
            return [value, *flags, *grads]

        def update(*grads: Any) -> None:
            placed: list[Any] = [None] * count
            for (i, _), g in zip(trained, grads, strict=True):
                placed[i] = g
            optimizer.step(placed)

        def train(*given: Any) -> Any:
            value, *grads = differentiate(*given)
            update(*grads)
            return value

        self._whole, self._differentiate, self._update = Pipeline(train), Pipeline(differentiate), Pipeline(update)

    def __call__(self, x: Any, y: Any, mask: Any = None) -> Tensor:
        """x [n, in], y [n, out] or, for cross_entropy, [n] classes; mask of y's shape. Host arrays are checked for NaN."""
        network = self._network()
        if network is None:
            raise ConfigError("KanStep: its network is gone; keep a reference to it")
        return self.run(checked_batch(network, self.loss, x, y, mask, held=self.batches, optimizer=False))

    def run(self, given: list[Any]) -> Tensor:
        """The same with what `checked_batch` gave."""
        if not self.fits():
            raise ConfigError("KanStep: the grids or parameters of the network have changed since this step was made; make a new one")
        value = self._in_parts(given) if self.nan_guard or self._host else _replayed(self._whole, *given)
        if (self._differentiate if self.nan_guard or self._host else self._whole).takes(*given):
            self.batches.add((given[0].shape[0], len(given) > 2))
        self.count += 1
        return value  # type: ignore[no-any-return]

    def fits(self) -> bool:
        """Whether the network is still as it was recorded: its grids not moved, its parameters not taken over nor frozen since."""
        network = self._network()
        if network is None or self._changes != network.changes or self._frozen != frozen(self._parameters):
            return False
        return self.optimizer._flat.moved() is None

    @property
    def dispatches(self) -> int:
        """Kernel launches in one replay of the latest recording of a whole step; 0 before the first, and where a step has two parts."""
        return self._whole.dispatches

    def _in_parts(self, given: list[Any]) -> Any:
        """Gradients first, then a look at them or the way to the host, then the update."""
        value, *grads = _replayed(self._differentiate, *given)
        if self.nan_guard:
            flags, *grads = grads
            self._look(flags.numpy())
        (self._update if self._host is None else self._hand_over)(*grads)
        return value

    def _hand_over(self, *grads: Any) -> None:
        assert self._host is not None
        self._host.step(grads)

    def _look(self, flags: np.ndarray) -> None:
        """TrainingDivergedError when a flag is not 0; names the first parameter that is the cause, if one is."""
        seen = ("the loss", *(f"the gradient of {name}" for name in self._names))
        bad = [name for name, flag in zip(seen, flags, strict=True) if flag != 0]
        if not bad:
            return
        network = self._network()
        params = {} if network is None else network.named_parameters()
        cause = next((name for name, p in params.items() if not np.isfinite(p.numpy()).all()), " and ".join(bad[:2]))
        raise TrainingDivergedError(f"KanNetwork.train_step: in step {self.count} {cause} is not finite; nothing was changed")


def frozen(parameters: Sequence[Any]) -> list[bool]:
    """Which of the parameters are not trained."""
    return [bool(getattr(p, "frozen", False)) for p in parameters]


def _replayed(pipeline: Pipeline, *given: Any) -> Any:
    """What a pipeline gives; past the shapes that it may record, its function step by step, which is slower."""
    return pipeline(*given) if pipeline.takes(*given) else pipeline.fn(*given)


def checked_batch(
    network: KanNetwork, loss: KanLoss, x: Any, y: Any, mask: Any = None, *, held: Collection[Held] = (), optimizer: bool, extra: int = 0,
    who: str = "KanNetwork.train_step",
) -> list[Any]:  # fmt: skip
    """[x, y] or [x, y, mask] as tensors of the network's device and dtype, or one sentence about what is wrong with them.

    held: batches whose memory is there already; any other is measured against the device's limit before it is uploaded,
    and with it, where `optimizer` says so, a new optimizer, and `extra` bytes.
    """
    x = x if isinstance(x, Array) else host_numbers(who, "x", x)
    if x.ndim == 2 and x.shape[0] and (x.shape[0], mask is not None) not in held:
        more = (lambda n: loss.working_bytes(network, n) + extra) if extra else partial(loss.working_bytes, network)
        network.check_room(who, x.shape[0], training=True, optimizer=optimizer, more=more)
    widths = network.config.input_dim, network.config.output_dim
    options: dict[str, Any] = dict(classes=loss.classes, device=network.device, dtype=network.dtype)
    return device_batch(who, x, y, mask, widths, **options)


def run_step(
    network: KanNetwork, x: Any, y: Any, *, loss: str | LossFunction | KanLoss = "mse", optimizer: str | Optimizer = "adam",
    lr: float | None = None, mask: Any = None, max_grad_norm: float | None = None, weight_decay: float = 0.0, nan_guard: bool = False,
    optimizer_device: str | None = None,
) -> Any:  # fmt: skip
    """`KanNetwork.train_step`: keeps the network's KanStep while its settings stay.

    With another optimizer or settings of it, or after grids moved, a new optimizer begins; with another loss it goes on,
    unless it is on the host. lr is set anew in each call in which it is given.
    """
    loss = as_loss(loss)
    held = network._steps
    settings = (optimizer if isinstance(optimizer, str) else id(optimizer), max_grad_norm, weight_decay, optimizer_device)
    key = (loss, nan_guard)
    if held is not None and (held.settings != settings or not held.first.fits()):
        held = None
    there = held.steps[key].batches if held and key in held.steps else ()
    made = held is None and isinstance(optimizer, str) and optimizer_device is None
    # First of all: what is wrong must not cost the optimizer its state.
    given = checked_batch(network, loss, x, y, mask, held=there, optimizer=made)
    if held is None:
        options: dict[str, Any] = dict(max_grad_norm=max_grad_norm, weight_decay=weight_decay, optimizer_device=optimizer_device)
        first = KanStep(network, loss=loss, optimizer=optimizer, lr=lr, nan_guard=nan_guard, **options)
        held = network._steps = KeptSteps(settings, first, {key: first})
    step = held.steps.get(key)
    if step is None:
        over: Any = optimizer if optimizer_device else held.first.optimizer
        step = held.steps[key] = KanStep(network, loss=loss, optimizer=over, nan_guard=nan_guard, optimizer_device=optimizer_device)
    if lr is not None and lr != step.optimizer.lr:
        step.optimizer.lr = lr
    return step.run(given)


@dataclass(eq=False)
class KeptSteps:
    """The steps that a network keeps, with the optimizer of the first, by (loss, nan_guard)."""

    settings: Any
    first: KanStep
    steps: dict[Any, KanStep]
