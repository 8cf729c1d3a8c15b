"""Checkpoints: everything that a training needs to go on, in one safetensors file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from ..errors import ConfigError, FormatError
from ..files import write_atomic
from ..nn import Module
from ..nn.state import checked_state, compare_states

FORMAT = "gpucore-checkpoint"
VERSION = 1
_GROUPS = ("model", "optimizer", "generator")


@dataclass
class Checkpoint:
    """Values by name on the host. `info` is plain data: epoch, step, history, early stopping.

    In the file the tensors are called "model.<name>", "optimizer.<name>" and "generator.<name>"; the metadata hold
    the format's name, its version and `info` as JSON.
    """

    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    generator: dict[str, np.ndarray] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Module, optimizer: Any = None, info: Mapping[str, Any] | None = None) -> Checkpoint:
        """The state of a model, with its generators, and of an optimizer now."""
        state = {} if optimizer is None else {k: np.asarray(v) for k, v in optimizer.state_dict().items()}
        return cls(model.state_dict(), state, {k: g.state for k, g in model.generators().items()}, dict(info or {}))

    def save(self, *paths: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all, under each of these names."""
        tensors = {
            f"{group}.{k}": np.ascontiguousarray(v).reshape(np.shape(v)) for group in _GROUPS for k, v in getattr(self, group).items()
        }
        metadata = {"format": FORMAT, "version": str(VERSION), "info": json.dumps(self.info)}
        data = safetensors.numpy.save(tensors, metadata)
        for path in paths:
            write_atomic(path, data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Reads a file; FormatError for one that is foreign, cut off, or of a newer version."""
        if not Path(path).is_file():
            raise FormatError(f"checkpoint: there is no file {path}")
        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                _check_version(path, metadata)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise FormatError(f"checkpoint: {path} is damaged or no safetensors file ({error})") from None
        try:
            info = json.loads(metadata["info"])
        except (KeyError, ValueError) as error:
            raise FormatError(f"checkpoint: {path} has unreadable metadata ({error})") from None
        groups: dict[str, dict[str, np.ndarray]] = {g: {} for g in _GROUPS}
        for name, values in tensors.items():
            group, _, key = name.partition(".")
            if group not in groups:
                raise FormatError(f"checkpoint: {path} holds {name!r}, which belongs to none of {', '.join(_GROUPS)}")
            groups[group][key] = values
        return cls(**groups, info=info)

    def restore(self, model: Module, optimizer: Any = None) -> None:
        """Puts the values back, all or nothing; FormatError when they are of another model or optimizer.

        Without an optimizer the model alone is restored.
        """
        generators = model.generators()
        checked_state("checkpoint, model", model.state_tensors(), self.model)
        compare_states("checkpoint, generators", dict.fromkeys(generators, (4,)), self.generator)
        if optimizer is not None:
            compare_states("checkpoint, optimizer", {k: np.shape(v) for k, v in optimizer.state_dict().items()}, self.optimizer)
            try:
                optimizer.load_state_dict(self.optimizer)
            except ConfigError as error:
                raise FormatError(f"checkpoint, optimizer: {error}") from None
        model.load_state_dict(self.model)
        for name, generator in generators.items():
            generator.state = self.generator[name].astype(np.uint32)


def _check_version(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise FormatError(f"checkpoint: {path} is a safetensors file of something else; wants the format {FORMAT!r} in its metadata")
    version = metadata.get("version", "")
    if not version.isdigit() or not 1 <= int(version) <= VERSION:
        raise FormatError(f"checkpoint: {path} has version {version or 'none'}; this build knows versions 1 to {VERSION}")
