"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .module import Module


class Sequential(Module):
    """f_n(... f_2(f_1(x))): modules, or functions such as `gc.ops.relu`."""

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        self.layers = list(layers)

    def forward(self, x: Any) -> Any:
        """Each layer gets what the one before it gave."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable[[Any], Any]]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Callable[[Any], Any]:
        return self.layers[index]
