"""Compiled shaders: a module per shader, a pipeline per shader and constants, each made once."""

from __future__ import annotations

from typing import Any

from ..errors import KernelDeclarationError
from ..shader import Features, Shader
from .native import Native


class CompiledShaders:
    """The modules and pipelines of one device."""

    def __init__(self, native: Native, features: Features) -> None:
        self._native, self._features = native, features
        self._modules: dict[str, Any] = {}
        self._made: dict[Any, tuple[Any, Any]] = {}

    def get(self, shader: Shader, constants: dict[str, Any]) -> tuple[Any, Any]:
        """(pipeline, bind group layout) of a shader with these constants.

        KernelDeclarationError for constants that the shader has not, ShaderError where it does not compile.
        """
        key = (shader.name, tuple(sorted(constants.items())))
        found = self._made.get(key)
        if found is None:
            unknown = sorted(set(constants) - shader.overrides)
            if unknown:
                raise KernelDeclarationError(f"{shader.name}.wgsl has no constants {', '.join(unknown)}")
            found = self._made[key] = self._make(shader, constants)
        return found

    def _make(self, shader: Shader, constants: dict[str, Any]) -> tuple[Any, Any]:
        file, immediates = f"{shader.name}.wgsl", self._features.immediates
        if shader.name not in self._modules:
            self._modules[shader.name] = self._native.create_module(shader.code(self._features), file)
        entries = [(b.slot, b.access) for b in shader.bindings]
        if shader.params_slot is not None and not immediates:
            entries.append((shader.params_slot, "uniform"))
        return self._native.create_pipeline(self._modules[shader.name], entries, constants, shader.params_size if immediates else 0, file)
