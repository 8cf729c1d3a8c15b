"""One layer: a spline, and a SiLU when wanted, on every edge."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from ... import ops
from ...device import Device
from ...device import device as open_device
from ...errors import ConfigError, ShapeError
from ...nn import Module, Parameter, draw
from ...nn.init import Rng, sizes
from .adaptive import AnyGrid
from .config import LEAST_STD, KanConfig
from .grid import Grid
from .symbolic_edges import Functions, SymbolicEdge, SymbolicEdges


class KanLayer(Module):
    """y_j = bias_j + Σ_i (Σ_k coefficients[j,i,k]·B_k(clamp(x_i, a, b)) + base[j,i]·silu(x_i)): [n, in] to [n, out].

    coefficients [out, in, G + p] begin uniform in ±½·√(2/(in + out)), bias [out] at 0, base [out, in], when there is
    one, uniform in ±√(6/(in + out)) (Glorot and Bengio). `grid` says where the knots are; the buffer `grid_range`
    holds its ends with the weights, so that they are saved and restored together, and the buffer `knots` [in, G + 2p + 1]
    all knots of an AdaptiveGrid (None on a uniform one). rng: a seed or a NumPy generator.

    mask, a buffer [out, in] of bool, is None or says which edges have their spline and base; the others are exactly 0,
    whatever their coefficients hold, unless they are among `symbolic`, the edges that are functions. See `set_edges`.
    """

    def __init__(
        self, inputs: int, outputs: int, grid: AnyGrid, *, base: bool = False, rng: Rng = None, device: Device | None = None,
        dtype: Any = "float32",
    ) -> None:  # fmt: skip
        sizes("KanLayer", inputs=inputs, outputs=outputs)
        device, rng = device or open_device(), np.random.default_rng(rng)
        self.inputs, self.outputs, self.grid = inputs, outputs, grid
        limit = np.float32(sqrt(2 / (inputs + outputs)))
        values = (rng.random((outputs, inputs, grid.basis), np.float32) - np.float32(0.5)) * limit
        self.coefficients = Parameter(device.tensor(values, dtype), "coefficients")
        self.bias = Parameter(device.zeros((outputs,), dtype), "bias")
        self.base = Parameter(device.tensor(draw("KanLayer", "xavier", (outputs, inputs), rng), dtype), "base") if base else None
        self.grid_range = device.tensor(np.array(grid.range, np.float32), name="grid_range")
        self.knots: Any = None
        self.mask: Any = None
        self.symbolic: SymbolicEdges | None = None
        self.place(grid)

    def options(self) -> str:
        """Widths and grid."""
        g = self.grid
        more = ("" if self.knots is None else ", knots per input") + ("" if self.base is None else ", base=True")
        more += "" if self.mask is None else f", {int(self.live().sum())} of {self.inputs * self.outputs} edges"
        return f"{self.inputs}, {self.outputs}, degree={g.degree}, grid_size={g.size}, grid_range=({g.low:g}, {g.high:g}){more}"

    def forward(self, x: Any) -> Any:
        """[n, in] to [n, out]."""
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ShapeError(f"KanLayer: x has shape {x.shape}; wants [n, {self.inputs}]")
        y = edge_sums(x, *self.splines(), self.grid, self.knots)
        return y if self.symbolic is None else y + self.symbolic(x)

    def splines(self) -> tuple[Any, Any, Any]:
        """(coefficients, bias, base) as they count: 0 at edges that are masked. Without a mask the parameters themselves."""
        if self.mask is None:
            return self.coefficients, self.bias, self.base
        kept = ops.where(ops.reshape(self.mask, (*self.mask.shape, 1)), self.coefficients, 0.0)
        return kept, self.bias, None if self.base is None else ops.where(self.mask, self.base, 0.0)

    # ---- edges that are no splines

    def host_mask(self) -> np.ndarray:
        """[out, in]: which edges are splines."""
        return np.ones((self.outputs, self.inputs), bool) if self.mask is None else self.mask.numpy()

    def live(self) -> np.ndarray:
        """[out, in]: which edges are there at all, as splines or as functions."""
        found = self.host_mask().copy()
        for edge in self.symbolic.edges if self.symbolic else ():
            found[edge.j, edge.i] = True
        return found

    def set_edges(self, mask: np.ndarray, functions: Functions) -> None:
        """Makes edges splines where mask [out, in] says so, functions where {(i, j): (name, (a, b, c, d))} does, and 0 elsewhere.

        An optimizer over the parameters before must be made anew when other edges are functions than before; recordings always.
        """
        device, dtype = self.bias.device, self.bias.dtype
        self.mask = None if mask.all() else device.tensor(np.ascontiguousarray(mask, bool), name="mask")
        edges = [SymbolicEdge(i, j, name) for (i, j), (name, _) in functions.items()]
        if self.symbolic is not None and set(edges) == set(self.symbolic.edges):
            self.symbolic.assign(functions)
        else:
            self.symbolic = None
        if edges and self.symbolic is None:
            affine = np.array([values for _, values in functions.values()], np.float64).T
            self.symbolic = SymbolicEdges(edges, affine, self.outputs, device, dtype)
            self.symbolic.affine.frozen = self.coefficients.frozen

    def remove_edges(self, gone: np.ndarray) -> None:
        """Makes the edges where gone [out, in] says so exactly 0, for good: their coefficients and bases become 0 too."""
        functions = {(i, j): f for (i, j), f in self.functions().items() if not gone[j, i]}
        mask = self.host_mask() & ~gone
        for values in (self.coefficients, self.base):
            if values is not None:
                held = values.numpy()
                held[gone] = 0
                values.assign(held)
        self.set_edges(mask, functions)

    def functions(self) -> Functions:
        """The edges that are functions, as `set_edges` takes them; waits for the device."""
        return {} if self.symbolic is None else self.symbolic.functions()

    def scale_output(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Makes the output scale_j·y_j + shift_j, [out] each, by its parameters alone. ConfigError where these would be no numbers."""
        functions: Functions = {
            (i, j): (name, (a, b, float(scale[j] * c), float(scale[j] * d))) for (i, j), (name, (a, b, c, d)) in self.functions().items()
        }
        made = [(self.coefficients, self.coefficients.numpy() * scale[:, None, None]), (self.bias, self.bias.numpy() * scale + shift)]
        if self.base is not None:
            made.append((self.base, self.base.numpy() * scale[:, None]))
        numbers = [values for _, values in made] + [np.array(affine) for _, affine in functions.values()]
        if any((np.abs(values) > np.finfo(self.bias.dtype.host).max).any() for values in numbers):
            raise ConfigError(f"KanLayer.scale_output: parameters would be too large for {self.bias.dtype}; wants a smaller scale")
        for parameter, values in made:
            parameter.assign(values.astype(parameter.dtype.host))
        if self.symbolic is not None:
            self.symbolic.assign(functions)

    # ---- knots

    def set_grid(self, grid: AnyGrid, coefficients: np.ndarray) -> None:
        """Puts other knots, and the coefficients [out, in, G + p] that go with them, in the place of the present ones.

        As many coefficients as before go into the same parameter. Otherwise it is a new one, and an optimizer over the
        old must be made anew. What was recorded before still has the old knots.
        """
        wanted = (self.outputs, self.inputs, grid.basis)
        if coefficients.shape != wanted:
            raise ShapeError(f"KanLayer.set_grid: the coefficients have shape {coefficients.shape}; wants {wanted}")
        self.place(grid)
        old = self.coefficients
        values = old.device.tensor(coefficients.astype(old.dtype.host), old.dtype)
        if values.shape == old.shape:
            old.assign(values)
        else:
            self.coefficients = Parameter(values, "coefficients")
            self.coefficients.frozen = old.frozen

    def place(self, grid: AnyGrid) -> None:
        """Makes this the grid, of as many cells as there are coefficients for; knots go into the present buffer where there is one."""
        if isinstance(grid, Grid):
            self.knots = None
        elif grid.inputs != self.inputs:
            raise ShapeError(f"KanLayer: the grid has knots for {grid.inputs} inputs; wants {self.inputs}")
        elif self.knots is not None and self.knots.shape == grid.knots.shape:
            self.knots.assign(grid.knots)
        else:
            self.knots = self.grid_range.device.tensor(grid.knots, "float32", name="knots")
        self.grid = grid
        self.grid_range.assign(np.array(grid.range, np.float32))


def edge_sums(x: Any, coefficients: Any, bias: Any, base: Any, grid: AnyGrid, knots: Any = None) -> Any:
    """The formula of KanLayer by the operation that computes it; knots: those of an AdaptiveGrid on the device."""
    if knots is not None:
        return ops.kan_knot_layer(x, knots, coefficients, bias, base, degree=grid.degree)
    return ops.kan_layer(x, coefficients, bias, base, degree=grid.degree, grid_size=grid.size, grid_range=grid.range)


def standardization(config: KanConfig, device: Device, dtype: Any = "float32") -> tuple[Any, Any]:
    """(mean, std) as tensors [input_dim] of a configuration, std at least 1e-6; None for what it does not have."""

    def row(values: Any, name: str) -> Any:
        return device.tensor(np.array(np.broadcast_to(np.asarray(values, np.float64), (config.input_dim,))), dtype, name=name)

    mean = None if config.mean is None else row(config.mean, "mean")
    return mean, None if config.std is None else row(np.maximum(config.std, LEAST_STD), "std")


def standardized(x: Any, mean: Any, std: Any) -> Any:
    """(x - mean) / std."""
    x = x if mean is None else x - mean
    return x if std is None else x / std
