"""The network: layers of splines, its inputs standardised, its grids moved and refined."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ... import ops
from ...array import Array
from ...autograd import no_grad
from ...device import Device
from ...device import device as open_device
from ...device.transfer import Readback
from ...errors import ConfigError, FormatError, OutOfVramError
from ...kernels.spline import MAX_GRID, MIN_GRID
from ...memory import format_bytes
from ...nn import Module
from ...nn.state import checked_state
from ...optim import sourced
from .adaptive import AnyGrid, fitted_knots, grid_in_state, refit
from .config import KanConfig
from .derivatives import Jet, jet, pure_derivatives
from .grid import Grid, fitted_range
from .inputs import check_finite, check_width, host_numbers, to_device
from .interpretation import Interpretation
from .layer import KanLayer, standardization, standardized
from .memory import MemoryEstimate, Sizes, estimate_memory, room_for

if TYPE_CHECKING:
    from ...tensor import Tensor
    from .training import KeptSteps


Working = Callable[[int], int] | None
"""Bytes by samples."""
MOST_SAMPLES = 1 << 31
"""No batch is larger: kernels count in 32 bits."""


class OutOfRange(NamedTuple):
    """How many of a layer's input values lay outside its grid, on either side; NaN counts on neither."""

    layer: int
    below: int
    above: int
    total: int

    @property
    def share(self) -> float:
        """The part of all values that lay outside."""
        return (self.below + self.above) / self.total


class KanNetwork(Interpretation, Module):
    """A Kolmogorov-Arnold network as `config` says, its first weights set by the config's seed alone.

    Each layer draws from a stream of its own, (seed, layer). Inputs are tensors of the network's device and dtype or
    host arrays: one sample [input_dim], a batch [n, input_dim] or any [..., input_dim]. NaN in gives NaN out; infinite
    values count as the ends of the grid. dtype: "float32", or "float64" on the NumPy device.
    """

    uncopied = ("_steps",)

    def __init__(self, config: KanConfig, *, device: Device | None = None, dtype: Any = "float32") -> None:
        device = device or open_device()
        self.config = config
        grid = Grid(config.degree, config.grid_size, *config.grid_range)
        _check_room("KanNetwork", device, config.parameter_count() * 4, "parameters")
        self.layers = [
            KanLayer(i, o, grid, base=config.base is not None, rng=np.random.default_rng([config.seed, k]), device=device, dtype=dtype)
            for k, (i, o) in enumerate(pairwise(config.widths))
        ]
        self.mean, self.std = standardization(config, device, dtype)
        self._changes = 0
        self._steps: KeptSteps | None = None

    def options(self) -> str:
        """Widths."""
        return f"{list(self.config.widths)}"

    # ---- forward

    def forward(self, x: Any) -> Tensor:
        """[..., input_dim] to [..., output_dim]; on a tape, with gradients to parameters and input."""
        x, lead = self._samples("KanNetwork", x)
        z = self.standardize(x)
        for layer in self.layers:
            z = layer(z)
        return z if lead == z.shape[:1] else ops.reshape(z, (*lead, self.config.output_dim))  # type: ignore[no-any-return]

    def forward_async(self, x: Any) -> Readback:
        """Starts computing outputs without waiting: poll the Readback, wait for it, or await it; several may be on the way."""
        with no_grad():
            return self.forward(x).read_async()

    def standardize(self, x: Any) -> Any:
        """(x - mean) / max(std, 1e-6), what the first layer gets; the layer clamps it to its grid."""
        return standardized(x, self.mean, self.std)

    def layer_inputs(self, x: Any) -> list[Any]:
        """What each layer gets, [n, in] each, and the network's output at the end."""
        x, _ = self._samples("KanNetwork.layer_inputs", x)
        found = [self.standardize(x)]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found

    def derivatives(self, x: Any, order: int = 2) -> Tensor:
        """d^order y_o / d x_i^order: [n, input_dim] to [n, output_dim, input_dim]; 0 outside the grid.

        Made by nested tapes, so that losses of them, as of a differential equation, can be differentiated further.
        """
        if not isinstance(order, int) or order < 1:
            raise ConfigError(f"KanNetwork.derivatives: order is {order!r}; wants a whole number of 1 or more")
        who = "KanNetwork.derivatives"
        x = to_device(who, "x", x, self.device, self.dtype)
        check_width(who, x.shape, self.config.input_dim)
        return pure_derivatives(self.forward, x, self.config.output_dim, order)  # type: ignore[no-any-return]

    def jet(self, x: Any) -> Jet:
        """Values, first and second derivatives at points [n, input_dim] together, for losses of differential equations.

        (x, value [n, output_dim], first and second [n, output_dim, input_dim]); see `derivatives`.
        """
        x = to_device("KanNetwork.jet", "x", x, self.device, self.dtype)
        check_width("KanNetwork.jet", x.shape, self.config.input_dim)
        return jet(self, x)

    def out_of_range(self, x: Any) -> list[OutOfRange]:
        """For every layer how many of its input values lie outside its grid; waits for the device."""
        with no_grad():
            inputs = self.layer_inputs(x)[:-1]
        pending = [values.read_async() for values in inputs]
        found = []
        for k, (layer, readback) in enumerate(zip(self.layers, pending, strict=True)):
            values = readback.result()
            low, high = layer.grid.ends
            found.append(OutOfRange(k, int((values < low).sum()), int((values > high).sum()), values.size))
        return found

    # ---- grids

    def update_grid(self, samples: Any, *, margin: float = 0.01, adaptive: float | None = None) -> list[tuple[float, float]]:
        """Fits the grid of every layer to what it gets from these samples [n, input_dim]; returns the new ranges.

        The new range runs from the least to the largest input, moved out by `margin` of it at both ends; the
        coefficients are refitted by least squares, so that the function stays on it as far as the new cells can follow.

        adaptive: None for one uniform grid per layer, or a number from 0 to 1 for knots of each input's own, of which that
                  part goes to the quantiles of its samples: 0 is uniform over the input's own range, 1 as many samples in
                  every cell (pykan's 1 - grid_eps). The range returned for a layer is then what all its inputs' lie in.

        Nothing is changed when something is wrong.
        """
        who = "KanNetwork.update_grid"
        if not (isinstance(margin, int | float) and isfinite(margin) and margin >= 0):
            raise ConfigError(f"{who}: margin is {margin!r}; wants a number of 0 or more")
        if adaptive is not None and not (isinstance(adaptive, int | float) and 0 <= adaptive <= 1):
            raise ConfigError(f"{who}: adaptive is {adaptive!r}; wants a number from 0 to 1, or None for uniform grids")
        values = host_numbers(who, "samples", samples.numpy() if hasattr(samples, "storage") else samples)
        check_width(who, values.shape, self.config.input_dim, name="samples")
        check_finite(who, "samples", values)
        moved = []
        with no_grad():
            z = self.standardize(self._samples(who, values)[0])
            for layer in self.layers:
                given, trial = z.numpy(), layer.to(self.device)
                grid = fitted_range(given, layer.grid, margin) if adaptive is None else fitted_knots(given, layer.grid, margin, adaptive)
                moved.append((grid, self._refitted(layer, grid)))
                trial.set_grid(*moved[-1])
                z = trial(z)  # the next layer's grid is for what it will get
        self._move(moved)
        return [layer.grid.range for layer in self.layers]

    def refine(self, grid_size: int) -> Self:
        """Moves every layer to so many cells over the same ranges, 2 to 128, by least squares that keep the function.

        With another number of cells the coefficients are new parameters: make an optimizer of your own anew. Returns
        the network. More cells that are a multiple of the present ones keep the function but for rounding.
        """
        if not isinstance(grid_size, int | np.integer) or isinstance(grid_size, bool) or not MIN_GRID <= grid_size <= MAX_GRID:
            raise ConfigError(f"KanNetwork.refine: grid size is {grid_size!r}; wants a whole number from {MIN_GRID} to {MAX_GRID}")
        grids = [layer.grid.refined(int(grid_size)) for layer in self.layers]
        self._move([(grid, self._refitted(layer, grid)) for layer, grid in zip(self.layers, grids, strict=True)])
        return self

    def _refitted(self, layer: KanLayer, grid: AnyGrid) -> np.ndarray:
        """A layer's coefficients on another grid; ConfigError where they are not finite."""
        values = refit(layer.coefficients.numpy(), layer.grid, grid)
        if not np.isfinite(values).all():
            raise ConfigError(f"KanNetwork: {layer!r} has coefficients that are not finite; wants finite ones to move to another grid")
        return values

    def _move(self, moved: Sequence[tuple[AnyGrid, np.ndarray]]) -> None:
        """All layers to other grids, with the coefficients that were computed for these before anything is changed."""
        for layer, (grid, values) in zip(self.layers, moved, strict=True):
            if grid != layer.grid:
                layer.set_grid(grid, values)
        self.outdate()

    def scale_output(self, scale: Any, shift: Any) -> Self:
        """Makes output j scale_j·y_j + shift_j by the parameters of the last layer; numbers, or one per output. Returns the network.

        What was trained on scaled targets so answers in their own units. ConfigError for numbers that are not finite.
        """
        outputs = self.config.output_dim
        given = []
        for name, values in (("scale", scale), ("shift", shift)):
            numbers = host_numbers("KanNetwork.scale_output", name, values).astype(np.float64)
            if numbers.shape not in ((), (outputs,)) or not np.isfinite(numbers).all():
                raise ConfigError(f"KanNetwork.scale_output: {name} is {numbers.tolist()}; wants a finite number or {outputs} of them")
            given.append(np.broadcast_to(numbers, (outputs,)))
        self.layers[-1].scale_output(*given)
        return self

    @property
    def changes(self) -> int:
        """How often grids were moved, or edges pruned or fixed: what was recorded before such a change is out of date."""
        return self._changes

    def outdate(self) -> None:
        """Notes such a change; the kept steps of training, with their optimizer and recordings, are let go at once."""
        self._changes += 1
        self._steps = None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See Module; the grids come with the values, uniform ones and those with knots of their own.

        The same edges must be functions, of the same names.
        """
        self.take_state(f"{type(self).__name__}.load_state_dict", state)

    def take_state(self, who: str, state: Mapping[str, Any]) -> None:
        """`load_state_dict`, for `who` in the sentence of a FormatError, after which nothing was changed."""
        values, grids = self.checked_state(who, state)
        mine, before = self.state_tensors(), [layer.grid for layer in self.layers]
        for name, value in values.items():
            mine[name].assign(value)
        for layer, grid in zip(self.layers, grids, strict=True):
            layer.place(grid)
        if before != grids:
            self.outdate()

    def checked_state(
        self, who: str, state: Mapping[str, Any], besides: Collection[str] = ()
    ) -> tuple[dict[str, np.ndarray], list[AnyGrid]]:
        """(values by name, grid of each layer) of a state that fits, or FormatError; names in `besides` are looked at by others."""
        knots = [f"layers.{k}.knots" for k in range(len(self.layers))]
        others = {*knots, *besides}
        mine = {name: t for name, t in self.state_tensors().items() if name not in others}
        values = checked_state(who, mine, {name: v for name, v in state.items() if name not in others})
        grids = [
            grid_in_state(f"{who}: layer {k}", layer.grid, layer.inputs, values[f"layers.{k}.grid_range"], state.get(knots[k]))
            for k, layer in enumerate(self.layers)
        ]
        for k, layer in enumerate(self.layers):
            kinds = values.get(f"layers.{k}.symbolic.kinds")
            if layer.symbolic is not None and kinds is not None and not np.array_equal(kinds, layer.symbolic.kinds.numpy()):
                raise FormatError(f"{who}: layer {k} has other symbolic edges; wants {layer.symbolic.options()}")
        return values, grids

    # ---- training, and files

    def train_step(self, x: Any, y: Any, **settings: Any) -> Tensor:
        """One step of training, replayed as one submission; returns the loss as a tensor without waiting for it.

        Settings: loss, optimizer, lr, mask, max_grad_norm, weight_decay, nan_guard, optimizer_device: see `KanStep`, which
        is kept while they stay.
        """
        from .training import run_step

        return run_step(self, x, y, **settings)  # type: ignore[no-any-return]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the network to a safetensors file, whole or not at all."""
        from .saving import save

        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: Device | None = None, dtype: Any = None) -> KanNetwork:
        """The network in a file; FormatError for one that is damaged, foreign or from the future.

        dtype: float64 for a file of it on the NumPy device and float32 elsewhere, unless another is named.
        """
        from .saving import load

        return load(path, device=device, dtype=dtype)

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Takes over the values of a file of the same sizes; FormatError, and nothing is changed, otherwise."""
        from .saving import restore

        restore(self, path)

    # ---- sizes

    @property
    def device(self) -> Device:
        """Where the network is."""
        return self.layers[0].bias.device

    @property
    def dtype(self) -> Any:
        """The dtype of parameters and outputs."""
        return self.layers[0].bias.dtype

    def parameter_count(self) -> int:
        """Trained numbers, on the present grids."""
        return sum(p.size for p in self.named_parameters().values())

    def memory_estimate(self, batch: int) -> MemoryEstimate:
        """Bytes at a batch size, on the present grids; see KanConfig.memory_estimate."""
        device = self.device
        packs = not sourced.granted(device)
        return estimate_memory(self._sizes(), batch, kind=device.kind, packs=packs, standardised=self.config.standardised)

    def _sizes(self) -> list[Sizes]:
        return [
            Sizes(
                n.inputs, n.outputs, n.grid.degree, n.grid.size, base=n.base is not None, knots=n.knots is not None,
                masked=n.mask is not None, functions=len(n.symbolic.edges) if n.symbolic else 0,
            )
            for n in self.layers
        ]  # fmt: skip

    def largest_batch(self, room: int, *, training: bool = False, more: Working = None) -> int:
        """Samples of a batch from the host that fits in so many bytes while one sample more does not; 0 when not even one does."""

        def fits(batch: int) -> bool:
            return room_for(self._sizes(), self.memory_estimate(batch), batch, training=training) + (more(batch) if more else 0) <= room

        low, high = 0, 1
        while high < MOST_SAMPLES and fits(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def check_room(self, who: str, batch: int, *, training: bool = False, optimizer: bool = True, more: Working = None) -> None:
        """OutOfVramError, naming the batch that would fit, when this one passes the device's limit; nothing is allocated.

        optimizer: whether training also makes a new one. more: bytes that so many samples want besides.
        """
        memory = self.device.memory
        if memory.limit is None:
            return
        estimate = self.memory_estimate(batch)
        needed = room_for(self._sizes(), estimate, batch, training=training) + (more(batch) if more else 0)
        free = memory.limit - memory.in_use - (estimate.optimizer if training and optimizer else 0)
        if needed > free:
            fits = self.largest_batch(free, training=training, more=more)
            raise OutOfVramError(
                f"{who}: a batch of {batch:,} needs about {format_bytes(needed)} and {format_bytes(max(0, free))} are free; "
                f"{f'one of {fits:,} would fit' if fits else 'none would fit'}"
            )

    def _samples(self, who: str, x: Any) -> tuple[Any, tuple[int, ...]]:
        """x as a tensor [n, input_dim], and the axes before the last."""
        x = x if isinstance(x, Array) else host_numbers(who, "x", x)
        check_width(who, x.shape, self.config.input_dim, single=True)
        lead, samples = x.shape[:-1], x.size // self.config.input_dim
        self.check_room(who, samples)  # before it is uploaded
        x = to_device(who, "x", x, self.device, self.dtype)
        return x if x.ndim == 2 else ops.reshape(x, (samples, self.config.input_dim)), lead


def _check_room(who: str, device: Device, needed: int, what: str) -> None:
    memory = device.memory
    if memory.limit is not None and needed > memory.limit - memory.in_use:
        free = format_bytes(max(0, memory.limit - memory.in_use))
        raise OutOfVramError(f"{who}: the {what} need {format_bytes(needed)} and {free} are free")
