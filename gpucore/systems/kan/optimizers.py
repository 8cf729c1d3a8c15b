"""The optimizers of a network by name, on its own device or on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import optim
from ...device import device as open_device
from ...errors import ConfigError
from ...nn import Parameter
from ...optim import Optimizer
from ...optim.base import check_range

if TYPE_CHECKING:
    from .network import KanNetwork

OPTIMIZERS = {"adam": 1e-2, "adamw": 1e-2, "sgd": 1e-1, "momentum": 1e-2}
"""The optimizers by name, with the learning rate each has unless one is given.

These are for layers of up to some tens of inputs. All edges of an output move together, so hundreds of inputs want less
(2e-3 with Adam for MNIST, warmed up): with more, the first steps throw the hidden values out of their grids, where gradients end.
`KanNetwork.out_of_range` shows it.
"""
MOMENTUM = 0.9


def make_optimizer(
    network: KanNetwork, name: str = "adam", *, lr: float | None = None, max_grad_norm: float | None = None, weight_decay: float = 0.0,
    params: Sequence[Parameter] | None = None,
) -> Optimizer:  # fmt: skip
    """An optimizer over the network's parameters whose weight decay shrinks coefficients alone, never biases or bases.

    The decay is decoupled: c is multiplied by 1 - lr·weight_decay beside the step. params: stand-ins for the network's
    trained parameters, in their order. ConfigError for an unknown name, and for decay with momentum, which would carry
    it along.
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"KanNetwork: optimizer is {name!r}; wants one of {', '.join(OPTIMIZERS)}, or an Optimizer")
    check_range("KanNetwork", "weight_decay", weight_decay, low=0.0)
    if name == "momentum" and weight_decay:
        raise ConfigError("KanNetwork: momentum would carry weight decay along; use adam, adamw or sgd with weight_decay")
    mask = [float(key.endswith("coefficients")) for key, p in network.named_parameters().items() if not p.frozen]
    rate = OPTIMIZERS[name] if lr is None else lr
    options: dict[str, Any] = dict(weight_decay=weight_decay, decay_mask=mask, max_grad_norm=max_grad_norm)
    over = network.parameters() if params is None else list(params)
    if name in ("adam", "adamw"):
        return optim.AdamW(over, rate, **options)
    return optim.SGD(over, rate, momentum=MOMENTUM if name == "momentum" else 0.0, **options)


def check_own(network: KanNetwork, optimizer: Optimizer, max_grad_norm: float | None, weight_decay: float) -> None:
    """ConfigError when settings come with an optimizer that has its own, or when it lacks a parameter of the network."""
    if max_grad_norm is not None or weight_decay:
        raise ConfigError("KanNetwork: max_grad_norm and weight_decay belong to the optimizer that was given; set them there")
    known = {id(p) for p in optimizer.params}
    unknown = [name for name, p in network.named_parameters().items() if not p.frozen and id(p) not in known]
    if unknown:
        wanted = "make it from network.parameters(), anew after refine"
        raise ConfigError(f"KanNetwork: the optimizer does not have {unknown[0]}; {wanted}")


class HostUpdate:
    """The update of a step on the NumPy device: parameters and gradients go there, and the new values come back.

    The moments stay on the host, which frees two thirds of the training's memory on the device, at the price of
    copying everything in each step.
    """

    def __init__(self, network: KanNetwork, name: str, **settings: Any) -> None:
        cpu = open_device("cpu")
        self._real = network.parameters()
        self._twins = [Parameter(cpu.tensor(p, p.dtype)) for p in self._real]
        self.optimizer = make_optimizer(network, name, params=self._twins, **settings)

    def step(self, grads: Sequence[Any]) -> None:
        """One update from gradients on the network's device, in the order of its trained parameters."""
        pending = [t.read_async() for t in (*self._real, *grads)]
        values = [readback.result() for readback in pending]
        count, cpu = len(self._real), self._twins[0].device
        for twin, value in zip(self._twins, values[:count], strict=True):
            twin.assign(value)
        self.optimizer.step([cpu.tensor(value, value.dtype) for value in values[count:]])
        for real, twin in zip(self._real, self._twins, strict=True):
            real.assign(twin.numpy())
