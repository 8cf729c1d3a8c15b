"""A network baked for inference: coefficients in 16 or 8 bits, with the error that this makes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from ... import ops
from ...autograd import no_grad
from ...device import Device
from ...device import device as open_device
from ...device.transfer import Readback
from ...errors import ConfigError, FormatError
from .adaptive import AdaptiveGrid, AnyGrid, grid_in_state
from .config import KanConfig
from .edges import grid_samples
from .grid import Grid
from .inputs import check_finite, check_width, host_numbers, to_device
from .layer import edge_sums, standardization, standardized
from .network import KanNetwork

FORMAT = "gpucore-kan-baked"
VERSION = 2
"""Of bytes in which a layer has knots of its own; all others are of version 1, which older builds read."""
DTYPES = ("float16", "int8")
SCALES = ("output", "layer")
SILU_SLOPE = 1.1
"""The steepest slope of silu, 1.0998, rounded up."""


@dataclass(frozen=True)
class BakedError:
    """How far the outputs are from the network's: the largest and the relative Euclidean distance on the samples at which
    it was measured, and a `bound` [out] of the distance that holds for every input, in exact arithmetic."""

    largest: float
    relative_l2: float
    bound: tuple[float, ...]


@dataclass
class BakedLayer:
    """One layer on the host: stored coefficients [out, in, G + p], their scale per output (1 for float16), bias, base."""

    grid: AnyGrid
    stored: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    base: np.ndarray | None

    def coefficients(self) -> np.ndarray:
        """What is computed with, float32."""
        widened: np.ndarray = self.stored.astype(np.float32) * self.scale[:, None, None]
        return widened

    @property
    def nbytes(self) -> int:
        """Bytes of the stored numbers."""
        knots = self.grid.knots if isinstance(self.grid, AdaptiveGrid) else None
        return sum(a.nbytes for a in (self.stored, self.scale, self.bias, self.base, knots) if a is not None)


class BakedKan:
    """A network for inference alone, smaller and not to be trained; made by `BakedKan.of(network)`.

    In memory of the host and in bytes its coefficients have 16 or 8 bits; biases and bases stay float32. On the device
    they are widened to float32 once, as kernels compute with these, so speed is that of the network. `error` says
    what was lost.
    """

    def __init__(self, config: KanConfig, dtype: str, layers: list[BakedLayer], error: BakedError, *, device: Device | None = None) -> None:
        self.config, self.dtype, self.layers, self.error = config, dtype, layers, error
        self.device = device or open_device()
        self._ready: list[tuple[Any, ...]] = [self._upload(layer) for layer in layers]
        self._mean, self._std = standardization(config, self.device)

    def _upload(self, layer: BakedLayer) -> tuple[Any, ...]:
        made, base = self.device.tensor, layer.base
        knots = made(layer.grid.knots) if isinstance(layer.grid, AdaptiveGrid) else None
        return made(layer.coefficients()), made(layer.bias), None if base is None else made(base), layer.grid, knots

    @classmethod
    def of(cls, network: KanNetwork, dtype: str = "float16", *, per: str = "output", samples: Any = None) -> BakedKan:
        """Bakes a network. per: int8 has one scale per "output" of a layer or one per "layer".

        The error is measured on samples [n, input_dim], or else on 1,024 points drawn evenly from the first grid.
        ConfigError for coefficients that are not finite, or too large for float16.
        """
        if dtype not in DTYPES or per not in SCALES:
            raise ConfigError(f"BakedKan: dtype is {dtype!r} and per {per!r}; wants one of {', '.join(DTYPES)} and of {', '.join(SCALES)}")
        functions = [k for k, layer in enumerate(network.layers) if layer.symbolic is not None]
        if functions:
            raise ConfigError(f"BakedKan: layer {functions[0]} has symbolic edges; wants splines alone, or use the network itself")
        layers = [_bake(k, layer, dtype, per) for k, layer in enumerate(network.layers)]
        bound = error_bound(network, layers)
        baked = cls(network.config, dtype, layers, BakedError(0.0, 0.0, bound), device=network.device)
        x = grid_samples(network) if samples is None else host_numbers("BakedKan", "samples", samples)
        check_width("BakedKan", x.shape, network.config.input_dim, name="samples")
        check_finite("BakedKan", "samples", x)
        with no_grad():
            exact = network(x).numpy().astype(np.float64)
        gap = baked(x).numpy() - exact
        scale = float(np.linalg.norm(exact)) or 1.0
        baked.error = BakedError(float(np.abs(gap).max()), float(np.linalg.norm(gap)) / scale, bound)
        return baked

    # ---- inference

    def __call__(self, x: Any) -> Any:
        """[..., input_dim] to [..., output_dim], as the network's forward."""
        x = to_device("BakedKan", "x", x, self.device, self.device._dtype("float32"))
        check_width("BakedKan", x.shape, self.config.input_dim, single=True)
        lead = x.shape[:-1]
        with no_grad():
            z = x if x.ndim == 2 else ops.reshape(x, (x.size // x.shape[-1], x.shape[-1]))
            z = standardized(z, self._mean, self._std)
            for parts in self._ready:
                z = edge_sums(z, *parts)
            return z if lead == z.shape[:1] else ops.reshape(z, (*lead, self.config.output_dim))

    def forward_async(self, x: Any) -> Readback:
        """Starts computing outputs without waiting."""
        return self(x).read_async()  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of all stored numbers."""
        return sum(layer.nbytes for layer in self.layers)

    def __repr__(self) -> str:
        return f"BakedKan({list(self.config.widths)}, {self.dtype}, {self.nbytes:,} bytes, error {self.error.largest:.2g})"

    # ---- bytes

    def to_bytes(self) -> bytes:
        """A safetensors image; the configuration lies in it as JSON, in the tensor "header"."""
        uneven = any(isinstance(layer.grid, AdaptiveGrid) for layer in self.layers)
        header = {
            "format": FORMAT, "version": VERSION if uneven else 1, "dtype": self.dtype, "config": self.config.to_dict(),
            "grids": [[layer.grid.size, *layer.grid.range] for layer in self.layers],
            "error": [self.error.largest, self.error.relative_l2, list(self.error.bound)],
        }  # fmt: skip
        tensors = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
        for k, layer in enumerate(self.layers):
            parts = {"coefficients": layer.stored, "scale": layer.scale, "bias": layer.bias, "base": layer.base}
            parts |= {"knots": layer.grid.knots} if isinstance(layer.grid, AdaptiveGrid) else {}
            tensors |= {f"{k}.{name}": np.ascontiguousarray(part) for name, part in parts.items() if part is not None}
        return safetensors.numpy.save(tensors)

    @classmethod
    def from_bytes(cls, data: bytes, *, device: Device | None = None) -> BakedKan:
        """The opposite of `to_bytes`; FormatError for bytes that are damaged, foreign or from the future."""
        try:
            tensors = safetensors.numpy.load(data)
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise FormatError(f"BakedKan: the bytes are damaged or no safetensors image ({error})") from None
        try:
            header = json.loads(tensors["header"].tobytes())
            form, version = header["format"], header["version"]
        except (KeyError, TypeError, ValueError):
            raise FormatError("BakedKan: the bytes are of something else; wants those of to_bytes()") from None
        if form != FORMAT or version not in range(1, VERSION + 1):
            raise FormatError(f"BakedKan: the bytes are {form!r} version {version}; this build knows {FORMAT!r} versions 1 to {VERSION}")
        try:
            config, dtype = KanConfig.from_dict(header["config"]), header["dtype"]
            grids = _grids(config, header, tensors)
            largest, relative, bound = header["error"]
            layers = _layers(config, dtype, grids, tensors)
        except (KeyError, TypeError, ValueError, FormatError) as error:
            raise FormatError(f"BakedKan: the bytes do not fit together ({error})") from None
        return cls(config, dtype, layers, BakedError(float(largest), float(relative), tuple(map(float, bound))), device=device)


def _grids(config: KanConfig, header: dict[str, Any], tensors: dict[str, np.ndarray]) -> list[AnyGrid]:
    """The grid of every layer: uniform, as in version 1, unless the layer has knots."""
    plain = [Grid(config.degree, size, low, high) for size, low, high in header["grids"]]
    if header["version"] == 1:
        return list(plain)
    knots = [tensors.get(f"{k}.knots") for k in range(len(plain))]
    return [
        grid_in_state(f"layer {k}", grid, inputs, grid.range, given)
        for k, (grid, inputs, given) in enumerate(zip(plain, config.widths, knots, strict=False))
    ]


def _layers(config: KanConfig, dtype: str, grids: list[AnyGrid], tensors: dict[str, np.ndarray]) -> list[BakedLayer]:
    """The layers among the tensors of an image; ValueError or KeyError where they do not fit the configuration."""
    shapes = list(pairwise(config.widths))
    if dtype not in DTYPES or len(grids) != len(shapes):
        raise ValueError(f"{dtype!r} with {len(grids)} grids for {len(shapes)} layers")
    layers = []
    for k, ((inputs, outputs), grid) in enumerate(zip(shapes, grids, strict=True)):
        wanted = {"coefficients": (outputs, inputs, grid.basis), "scale": (outputs,), "bias": (outputs,)}
        wanted |= {"base": (outputs, inputs)} if config.base is not None else {}
        parts = {name: tensors[f"{k}.{name}"] for name in wanted}
        for name, shape in wanted.items():
            kind = dtype if name == "coefficients" else "float32"
            if parts[name].shape != shape or parts[name].dtype != kind:
                raise ValueError(f"{k}.{name} is {parts[name].dtype} {parts[name].shape}; wants {kind} {shape}")
        layers.append(BakedLayer(grid, parts["coefficients"], parts["scale"], parts["bias"], parts.get("base")))
    return layers


def _bake(k: int, layer: Any, dtype: str, per: str) -> BakedLayer:
    """A layer of a network with its coefficients rounded."""
    exact, bias, base = (None if part is None else part.numpy().astype(np.float32) for part in layer.splines())
    assert exact is not None
    assert bias is not None
    if not np.isfinite(exact).all() or (dtype == "float16" and np.abs(exact).max() > 65504):
        raise ConfigError(f"BakedKan: layer {k} has coefficients that are not finite or too large for {dtype}")
    scale = np.ones(layer.outputs, np.float32)
    if dtype == "float16":
        stored = exact.astype(np.float16)
    else:
        most = np.abs(exact).max(axis=(1, 2) if per == "output" else None)
        scale = np.broadcast_to(np.maximum(most, np.float32(1e-30)) / np.float32(127), scale.shape).astype(np.float32)
        stored = np.clip(np.rint(exact / scale[:, None, None]), -127, 127).astype(np.int8)
    return BakedLayer(layer.grid, stored, scale, bias, base)


def error_bound(network: KanNetwork, layers: list[BakedLayer]) -> tuple[float, ...]:
    """For each output how far it can be from the network's, for any input, in exact arithmetic.

    The basis functions of a point are positive with sum 1, so an edge is off by at most its worst coefficient; and a
    spline's slope is at most max |c_{k+1} - c_k| / h, so an error e of its input adds at most that slope times e, and its jumps
    where knots meet.
    """
    error = np.zeros(network.config.input_dim)
    for layer, baked in zip(network.layers, layers, strict=True):
        exact, c = layer.splines()[0].numpy().astype(np.float64), baked.coefficients().astype(np.float64)
        slope, jumps = baked.grid.steepness(c)
        if baked.base is not None:
            slope = slope + SILU_SLOPE * np.abs(baked.base)
        error = np.abs(exact - c).max(axis=2).sum(axis=1) + slope @ error + jumps @ (error > 0)
    return tuple(map(float, error))
