"""Networks in files: safetensors with the configuration, the grids and a format version in the metadata.

Version 3 (this one): a layer may have knots of its own, as the tensor layers.K.knots, and edges that are masked or functions
(see `saving_edges`). Version 2 notes the grid of every layer, all of them uniform. Version 1 did not: all its layers have the
configuration's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from ...device import Device
from ...device import device as open_device
from ...errors import ConfigError, FormatError
from ...files import write_atomic
from .config import KanConfig
from .grid import Grid
from .saving_edges import LayerEdges, edge_names, edges_metadata, take_edges

if TYPE_CHECKING:
    from .network import KanNetwork

FORMAT = "gpucore-kan"
VERSION = 3


def save(network: KanNetwork, path: str | os.PathLike[str]) -> None:
    """Writes a network, whole or not at all."""
    tensors = {name: np.ascontiguousarray(v) for name, v in network.state_dict().items() if not name.endswith(".symbolic.kinds")}
    metadata = {
        "format": FORMAT, "version": str(VERSION), "config": json.dumps(network.config.to_dict()),
        "grids": json.dumps([[layer.grid.size, *layer.grid.range] for layer in network.layers]),
    } | edges_metadata(network)  # fmt: skip
    write_atomic(path, safetensors.numpy.save(tensors, metadata))


def load(path: str | os.PathLike[str], *, device: Device | None = None, dtype: Any = None) -> KanNetwork:
    """The network in a file, on a device; FormatError, one sentence, when there is none in it.

    dtype None: what the file holds, where the device has it: float64 on the NumPy device, else float32.
    """
    from .network import KanNetwork

    config, grids, edges, tensors = read(path)
    device = device or open_device()
    if dtype is None:
        bias = tensors.get("layers.0.bias")
        dtype = "float64" if device.kind == "cpu" and bias is not None and bias.dtype == np.float64 else "float32"
    network = KanNetwork(config, device=device, dtype=dtype)
    for layer, grid in zip(network.layers, grids, strict=True):
        layer.set_grid(grid, np.zeros((layer.outputs, layer.inputs, grid.basis)))
    _take(network, edges, tensors, path)
    return network


def restore(network: KanNetwork, path: str | os.PathLike[str]) -> None:
    """Puts the values of a file into a network of the same sizes; FormatError, and nothing is changed, otherwise."""
    config, grids, edges, tensors = read(path)
    mine = network.config
    for name in ("widths", "degree", "base"):
        if getattr(config, name) != getattr(mine, name):
            raise FormatError(f"kan: {path} has {name} {_said(getattr(config, name))} and the network {_said(getattr(mine, name))}")
    sizes, wanted = [g.size for g in grids], [layer.grid.size for layer in network.layers]
    if sizes != wanted:
        raise FormatError(f"kan: {path} has grids of {sizes} cells and the network {wanted}; refine it first, or use KanNetwork.load")
    _take(network, edges, tensors, path)


def read(path: str | os.PathLike[str]) -> tuple[KanConfig, list[Grid], list[LayerEdges], dict[str, np.ndarray]]:
    """(configuration, grid and edges of each layer, other values by name) of a file of any known version, checked."""
    if not Path(path).is_file():
        raise FormatError(f"kan: there is no file {path}")
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            version = _version(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, TypeError) as error:
        raise FormatError(f"kan: {path} is damaged or no safetensors file ({error})") from None
    try:
        config = KanConfig.from_dict(json.loads(metadata["config"]))
        grids = READERS[version](config, metadata)
        edges = take_edges(config, metadata if version > 2 else {}, tensors if version > 2 else {})
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"kan: {path} has unreadable metadata ({error})") from None
    if len(grids) != len(config.widths) - 1:
        raise FormatError(f"kan: {path} has {len(grids)} grids for {len(config.widths) - 1} layers")
    for k, grid in enumerate(grids):
        if version < 3 and f"layers.{k}.knots" in tensors:
            raise FormatError(f"kan: {path} has version {version} and layers.{k}.knots, which began with version 3")
        tensors.setdefault(f"layers.{k}.grid_range", np.array(grid.range, np.float32))
    return config, grids, edges, tensors


def _version(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> int:
    if metadata.get("format") != FORMAT:
        raise FormatError(f"kan: {path} is a safetensors file of something else; wants the format {FORMAT!r} in its metadata")
    version = metadata.get("version", "")
    if not (version.isascii() and version.isdigit()) or int(version) not in READERS:
        raise FormatError(f"kan: {path} has version {version or 'none'}; this build knows versions 1 to {VERSION}")
    return int(version)


def _grids_of_config(config: KanConfig, metadata: Mapping[str, str]) -> list[Grid]:
    """Version 1."""
    return [Grid(config.degree, config.grid_size, *config.grid_range)] * (len(config.widths) - 1)


def _grids_of_layers(config: KanConfig, metadata: Mapping[str, str]) -> list[Grid]:
    """Version 2 and later."""
    try:
        return [Grid(config.degree, size, low, high) for size, low, high in json.loads(metadata["grids"])]
    except ConfigError as error:
        raise ValueError(str(error)) from None


READERS: dict[int, Callable[[KanConfig, Mapping[str, str]], list[Grid]]] = {
    1: _grids_of_config, 2: _grids_of_layers, 3: _grids_of_layers,
}  # fmt: skip
"""How each version says where its knots are, but for those that are tensors."""


def _take(network: KanNetwork, edges: list[LayerEdges], tensors: dict[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Edges and values into a network with grids of as many cells; all is checked before anything is changed."""
    who, names = f"kan: {path}", edge_names(len(network.layers))
    network.checked_state(who, tensors, besides=names)
    for layer, (mask, functions) in zip(network.layers, edges, strict=True):
        layer.set_edges(mask, functions)
    network.outdate()
    network.take_state(who, tensors | {name: t for name, t in network.state_dict().items() if name in names})


def _said(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else repr(value)
