"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import ConfigError
from ..kernels import optim as K
from ..kernels import optim_many as M
from .base import check_range
from .first_order import FirstOrder
from .update import Update


class Adam(FirstOrder):
    """m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  θ -= lr·m̂ / (√v̂ + eps), with m̂ = m/(1-β1^t), v̂ = v/(1-β2^t).

    Kingma & Ba 2015. weight_decay is added to the gradient (L2). Other settings: see FirstOrder.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    _decoupled = False

    def __init__(
        self, params: Sequence[Any], lr: float = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, decay_mask: Sequence[float] | None = None, max_grad_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        self.betas = (check_range(who, "beta1", betas[0], 0.0, 1.0), check_range(who, "beta2", betas[1], 0.0, 1.0))
        self.eps = check_range(who, "eps", eps, 0.0)
        if self.eps == 0:
            raise ConfigError(f"{who}: eps is 0; wants a positive number")
        super().__init__(params, lr, weight_decay=weight_decay, decay_mask=decay_mask, max_grad_norm=max_grad_norm, clip_value=clip_value)

    def _update(self) -> Update:
        beta1, beta2 = self.betas
        return Update(K.adam, M.adam_many, dict(beta1=beta1, beta2=beta2, eps=self.eps, decoupled=self._decoupled))


class AdamW(Adam):
    """Adam with decoupled weight decay: θ is first multiplied by 1 - lr·weight_decay (Loshchilov & Hutter 2019)."""

    _decoupled = True

    def __init__(
        self, params: Sequence[Any], lr: float = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, decay_mask: Sequence[float] | None = None, max_grad_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas=betas, eps=eps, weight_decay=weight_decay, decay_mask=decay_mask, max_grad_norm=max_grad_norm,
            clip_value=clip_value,
        )  # fmt: skip
