"""The geometry that convolution, its columns and pooling share: windows over [batch, channels, height, width] images."""

from __future__ import annotations

from ..array import Array
from ..errors import ConfigError, ShapeError

Pair = tuple[int, int]
"""A number per axis: (vertical, horizontal)."""


def out_size(who: str, image: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """How many windows fit along each axis; ShapeError when none does, ConfigError for numbers out of range."""
    if min(*kernel_size, *stride, *dilation) < 1:
        raise ConfigError(f"{who}: kernel size {kernel_size}, stride {stride} and dilation {dilation} must be at least 1")
    if min(padding) < 0:
        raise ConfigError(f"{who}: padding {padding} is negative; wants at least 0")
    found = []
    for n, k, s, p, d in zip(image, kernel_size, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        if span > n + 2 * p:
            raise ShapeError(
                f"{who}: the kernel {kernel_size} with dilation {dilation} is larger than the image {image} padded by {padding}"
            )
        found.append((n + 2 * p - span) // s + 1)
    return found[0], found[1]


def rank4(who: str, **tensors: Array) -> None:
    """ShapeError for the first of these tensors that has not four axes."""
    for name, t in tensors.items():
        if t.ndim != 4:
            raise ShapeError(f"{who}: {name} has shape {t.shape}; wants four axes")


def geometry(image: Pair, kernel_size: Pair, out: Pair, stride: Pair, padding: Pair, dilation: Pair | None = None) -> dict[str, int]:
    """The members of `Params` that describe images, windows and places."""
    pairs = dict(kernel=kernel_size, out=out, stride=stride, pad=padding) | (dict(dilation=dilation) if dilation else {})
    found = {f"{name}_{end}": pair[i] for name, pair in pairs.items() for i, end in enumerate("hw")}
    return found | dict(height=image[0], width=image[1])
