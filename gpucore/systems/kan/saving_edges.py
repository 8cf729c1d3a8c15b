"""The edges of a network in its file: which are masked, and which are functions. Part of version 3, absent where there are none.

A layer's mask is the tensor "layers.K.mask", [out, in] of bool. Its functions are the tensor "layers.K.symbolic.affine",
[4, edges], and the metadata "symbolic": for every layer a JSON list of [input, output, name], in the order of the columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .config import KanConfig
from .library import LIBRARY
from .symbolic_edges import Functions

if TYPE_CHECKING:
    from .network import KanNetwork

KEY = "symbolic"
MASK, AFFINE, KINDS = "layers.{}.mask", "layers.{}.symbolic.affine", "layers.{}.symbolic.kinds"


class LayerEdges(NamedTuple):
    """What `KanLayer.set_edges` takes."""

    mask: np.ndarray
    functions: Functions


def edge_names(layers: int) -> set[str]:
    """The state's names that belong to edges."""
    return {name.format(k) for k in range(layers) for name in (MASK, AFFINE, KINDS)}


def edges_metadata(network: KanNetwork) -> dict[str, str]:
    """The metadata of a network's functions: nothing when it has none."""
    lists = [[list(edge) for edge in layer.symbolic.edges] if layer.symbolic else [] for layer in network.layers]
    return {KEY: json.dumps(lists)} if any(lists) else {}


def take_edges(config: KanConfig, metadata: Mapping[str, str], tensors: dict[str, np.ndarray]) -> list[LayerEdges]:
    """The edges of every layer, their tensors taken out of `tensors`; ValueError for what does not fit the configuration."""
    shapes = [(outputs, inputs) for inputs, outputs in pairwise(config.widths)]
    lists = json.loads(metadata[KEY]) if KEY in metadata else [[] for _ in shapes]
    if not isinstance(lists, list) or len(lists) != len(shapes):
        raise ValueError(f"symbolic edges for {len(shapes)} layers are missing")
    return [_layer_edges(k, shape, listed, tensors) for k, (shape, listed) in enumerate(zip(shapes, lists, strict=True))]


def _layer_edges(k: int, shape: tuple[int, int], listed: list[tuple[int, int, str]], tensors: dict[str, np.ndarray]) -> LayerEdges:
    mask = tensors.pop(MASK.format(k), np.ones(shape, bool))
    if mask.shape != shape or mask.dtype != bool:
        raise ValueError(f"{MASK.format(k)} is {mask.dtype} {mask.shape}; wants bool {shape}")
    if not listed:
        return LayerEdges(mask, {})
    if AFFINE.format(k) not in tensors:
        raise ValueError(f"{AFFINE.format(k)} is missing")
    affine = tensors.pop(AFFINE.format(k))
    if affine.shape != (4, len(listed)) or affine.dtype.kind != "f":
        raise ValueError(f"{AFFINE.format(k)} is {affine.dtype} {affine.shape}; wants floats (4, {len(listed)})")
    functions: Functions = {}
    for column, (i, j, name) in enumerate(listed):
        if name not in LIBRARY or not (0 <= i < shape[1] and 0 <= j < shape[0]) or (i, j) in functions or mask[j, i]:
            raise ValueError(f"symbolic edge {[i, j, name]} of layer {k} does not fit")
        functions[i, j] = (name, tuple(map(float, affine[:, column])))
    return LayerEdges(mask, functions)
