"""The two classifiers: images [n, 1, 28, 28] to logits [n, 10].

Weights start small (the MLP's by Glorot and Bengio's rule, LeNet's within ±1/√fan_in): so are the first logits and
steps, even with momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn, ops
from ...device import Device
from ...errors import ConfigError

Layer = Callable[[Any], Any]


class Classifier(nn.Module):
    """A chain of named layers. A subclass says in `layers` which; `forward` applies them in turn."""

    def layers(self) -> list[tuple[str, Layer]]:
        """(name, function) of each layer, from the image to the logits."""
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        """The logits [n, 10] of images [n, 1, 28, 28]."""
        for _, layer in self.layers():
            x = layer(x)
        return x

    def outputs(self, x: Any) -> list[Any]:
        """The output of every layer, in the order of `layers`."""
        found = []
        for _, layer in self.layers():
            x = layer(x)
            found.append(x)
        return found


class MLP(Classifier):
    """784 - 128 - 10 with a ReLU between: 101,770 parameters."""

    def __init__(self, *, device: Device, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.fc1 = nn.Linear(784, 128, activation="relu", init="xavier", rng=rng, device=device)
        self.fc2 = nn.Linear(128, 10, init="xavier", rng=rng, device=device)

    def layers(self) -> list[tuple[str, Layer]]:
        """flatten, fc1 with a ReLU, fc2."""
        return [("flatten", _flatten), ("fc1", self.fc1), ("fc2", self.fc2)]


class LeNet5(Classifier):
    """Convolution 6 of 5 x 5, pooling, convolution 16 of 5 x 5, pooling, 120, 84, 10: 61,706 parameters.

    The first convolution is padded by 2, as the original's 32 x 32 input was; ReLU and maximum pooling take the place
    of the original's scaled tanh and averaging. Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning
    applied to document recognition", 1998.
    """

    def __init__(self, *, device: Device, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2, init="fan_in_uniform", rng=rng, device=device)
        self.conv2 = nn.Conv2d(6, 16, 5, init="fan_in_uniform", rng=rng, device=device)
        self.fc1 = nn.Linear(400, 120, activation="relu", init="fan_in_uniform", rng=rng, device=device)
        self.fc2 = nn.Linear(120, 84, activation="relu", init="fan_in_uniform", rng=rng, device=device)
        self.fc3 = nn.Linear(84, 10, init="fan_in_uniform", rng=rng, device=device)

    def layers(self) -> list[tuple[str, Layer]]:
        """conv1, pool1, conv2, pool2, flatten, fc1, fc2, fc3; a ReLU in the pools, fc1 and fc2.

        The ReLU of a maximum is the maximum of the ReLUs, so the pools apply it to a quarter of the elements.
        """
        return [
            ("conv1", self.conv1), ("pool1", _pool), ("conv2", self.conv2), ("pool2", _pool),
            ("flatten", _flatten), ("fc1", self.fc1), ("fc2", self.fc2), ("fc3", self.fc3),
        ]  # fmt: skip


def _pool(x: Any) -> Any:
    return ops.max_pool2d(x, kernel_size=2, activation="relu")


def _flatten(x: Any) -> Any:
    return ops.flatten(x, start_axis=1)


MODELS: dict[str, type[Classifier]] = {"mlp": MLP, "lenet": LeNet5}
"""The classifiers by name."""


def make_model(name: str, device: Device, seed: int = 0) -> Classifier:
    """A classifier with first weights that `seed` alone decides, the same on every device."""
    if name not in MODELS:
        raise ConfigError(f"mnist: model is {name!r}; wants one of {', '.join(MODELS)}")
    return MODELS[name](device=device, seed=seed)  # type: ignore[call-arg]
