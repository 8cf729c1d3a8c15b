"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..kernels import optim as K
from ..kernels import optim_many as M
from .base import check_range
from .first_order import FirstOrder
from .update import Update


class SGD(FirstOrder):
    """θ -= lr·g, or with momentum μ: u = μ·u + g;  θ -= lr·u  (nesterov: lr·(g + μ·u)).

    The momentum is a running sum, as in PyTorch: the learning rate multiplies at the update. weight_decay is added to
    the gradient (L2). Other settings: see FirstOrder.
    """

    def __init__(
        self, params: Sequence[Any], lr: float, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0,
        decay_mask: Sequence[float] | None = None, max_grad_norm: float | None = None, clip_value: float | None = None,
    ) -> None:  # fmt: skip
        self.momentum = check_range("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = nesterov
        if nesterov and not momentum:
            raise ConfigError("SGD: nesterov is on and momentum 0; wants a positive momentum")
        self.slots = ("velocity",) if momentum else ()  # type: ignore[misc]
        super().__init__(params, lr, weight_decay=weight_decay, decay_mask=decay_mask, max_grad_norm=max_grad_norm, clip_value=clip_value)

    def _update(self) -> Update:
        if not self.momentum:
            return Update(K.sgd, M.sgd_many, {})
        return Update(K.sgd_momentum, M.sgd_momentum_many, dict(momentum=self.momentum, nesterov=self.nesterov))
