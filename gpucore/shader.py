"""Reads a .wgsl file: includes, bindings, the layout of `Params`, constants. The file is the single truth.

Includes are lines `//!include lib/name.wgsl`, a comment to WGSL; their text is appended after the file's own, so the
line numbers of errors stay those of the file. Where `lib/name.subgroup.wgsl` (or `.f16.wgsl`, `.int64.wgsl`) stands beside
`lib/name.wgsl`, it replaces it on adapters with that feature.

A launch may ask for `lib/name.half.wgsl` in the same way: the variants that bind weights of float16 as f16, on adapters
that have it, where the others read them as pairs in a u32. Such a shader is named as in `linalg/gemv:half`.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from .errors import KernelDeclarationError

_HERE = Path(__file__).parent
ROOT = _HERE / "shaders" if (_HERE / "shaders").is_dir() else _HERE.parent / "shaders"
"""The shader folder: package data in an installed copy, beside the package in a checkout."""

_INCLUDE = re.compile(r"^//!include (\S+)[ \t]*$", re.M)
_BINDING = re.compile(r"@group\(0\)\s*@binding\((\d+)\)\s*var<([\w, ]+)>\s*(\w+)\s*:\s*([^;]+);")
_PARAMS_VAR = re.compile(r"@group\(0\)\s*@binding\(\d+\)\s*var<uniform>\s*params\s*:")
_PARAMS = re.compile(r"struct Params\s*\{([^}]*)\}")
_FIELD = re.compile(r"(\w+)\s*:\s*(vec4<u32>|vec4<i32>|vec4<f32>|u32|i32|f32)")
_OVERRIDE = re.compile(r"^override (\w+)", re.M)
_ACCESS = {"storage, read": "read", "storage, read_write": "read_write", "uniform": "uniform"}
_FORMATS = {"u32": ("I", 1), "i32": ("i", 1), "f32": ("f", 1), "vec4<u32>": ("I", 4), "vec4<i32>": ("i", 4), "vec4<f32>": ("f", 4)}


class Features(NamedTuple):
    """What an adapter offers to shaders; chooses between the variants of included files."""

    subgroups: bool = False
    f16: bool = False
    immediates: bool = False
    int64: bool = False


class Binding(NamedTuple):
    """One resource of a shader: its slot, its access (read, read_write, uniform), its name and its WGSL type."""

    slot: int
    access: str
    name: str
    type: str


class Field(NamedTuple):
    """One member of `Params`: its byte offset and its struct format."""

    name: str
    offset: int
    format: str
    lanes: int


@dataclass(frozen=True)
class Shader:
    """One .wgsl file by its name below the shader folder, without the ending; `:half` after it for its variant."""

    name: str

    @property
    def path(self) -> Path:
        """The file."""
        return ROOT / f"{self.name.partition(':')[0]}.wgsl"

    @property
    def with_half(self) -> Shader:
        """The same file with the variants that load float16 as such."""
        return Shader(f"{self.name.partition(':')[0]}:half")

    def code(self, features: Features = Features()) -> str:
        """The text given to the compiler for these features."""
        return _code(self.name, features)

    def source_hash(self) -> str:
        """A short hash of the text in every variant, for reports and tuning files."""
        text = "".join(self.code(Features(s, h, False, i)) for s in (False, True) for h in (False, True) for i in (False, True))
        half = self.with_half.code(Features(True, True, False))
        if half != self.code(Features(True, True, False)):
            text += half
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """All resources but `params`, by slot."""
        return tuple(b for b in _bindings(self.name) if b.access != "uniform")

    @property
    def params_slot(self) -> int | None:
        """The slot of the uniform `params`, or None."""
        return next((b.slot for b in _bindings(self.name) if b.access == "uniform"), None)

    @property
    def params(self) -> tuple[Field, ...]:
        """The members of `Params` with WGSL's uniform layout."""
        return _params(self.name)[0]

    @property
    def params_size(self) -> int:
        """Bytes of `Params`, rounded up to its alignment; 0 without one."""
        return _params(self.name)[1]

    @property
    def overrides(self) -> frozenset[str]:
        """The names of the constants that a launch may set."""
        return frozenset(_OVERRIDE.findall(_strip(self.code())))

    @property
    def formula(self) -> str:
        """Line 1 of the file: what it computes."""
        return self.path.read_text().splitlines()[0].lstrip("/ ").strip()

    def pack(self, values: dict[str, Any]) -> bytes:
        """The bytes of `Params`; the names must be exactly those of the struct."""
        names = [f.name for f in self.params]
        if set(names) != set(values):
            differ = sorted(set(names) ^ set(values))
            raise KernelDeclarationError(f"{self.name}.wgsl: Params has {names}, the launch gave {sorted(values)}; differ in {differ}")
        block = bytearray(self.params_size)
        for name, offset, fmt, lanes in self.params:
            value = values[name] if lanes > 1 else (values[name],)
            struct.pack_into(f"<{lanes}{fmt}", block, offset, *value)
        return bytes(block)


@cache
def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _variant(name: str, features: Features, half: bool) -> str:
    stem = name.removesuffix(".wgsl")
    for on, suffix in ((half and features.f16, "half"), (features.subgroups, "subgroup"), (features.f16, "f16"), (features.int64, "int64")):
        if on and (ROOT / f"{stem}.{suffix}.wgsl").exists():
            return f"{stem}.{suffix}.wgsl"
    return name


@cache
def _code(name: str, features: Features) -> str:
    file, _, variant = name.partition(":")
    parts, queue, seen = [], [f"{file}.wgsl"], set()
    while queue:
        text = _text(queue.pop(0))
        parts.append(text)
        for wanted in _INCLUDE.findall(text):
            chosen = _variant(wanted, features, variant == "half")
            if chosen not in seen:
                seen.add(chosen)
                queue.append(chosen)
    code = "\n".join(parts)
    if features.immediates:
        code = _PARAMS_VAR.sub("var<immediate> params:", code)
    # A directive must stand before all declarations; on the first line's own line it moves no line number.
    return ("enable f16; " if re.search(r"\bf16\b", _strip(code)) else "") + code


def _strip(code: str) -> str:
    return re.sub(r"//.*", "", code)


@cache
def _bindings(name: str) -> tuple[Binding, ...]:
    found = _BINDING.findall(_strip(_code(name, Features())))
    return tuple(sorted(Binding(int(slot), _ACCESS[access], var, kind.strip()) for slot, access, var, kind in found))


@cache
def _params(name: str) -> tuple[tuple[Field, ...], int]:
    found = _PARAMS.search(_strip(_code(name, Features())))
    if not found:
        return (), 0
    fields, offset, align = [], 0, 4
    for var, kind in _FIELD.findall(found[1]):
        fmt, count = _FORMATS[kind]
        step = 16 if count == 4 else 4
        align = max(align, step)
        offset = -(-offset // step) * step
        fields.append(Field(var, offset, fmt, count))
        offset += 4 * count
    return tuple(fields), -(-offset // align) * align
