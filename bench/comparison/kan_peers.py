"""Kolmogorov-Arnold networks as others compute them, in PyTorch, and in float64 NumPy as the truth.

efficient-kan's way is that of `kan.torch_forward`. pykan's, from the paper (Liu et al., arXiv 2404.19756) and its
library: an edge's activation is scale_base·silu(x) + scale_sp·spline(x), all [batch, out, in] of them are made, then
summed over the inputs. Weights are small and inputs within the grid, where all compute the same function.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gpucore.memory import format_bytes

from .context import Context
from .kan import BASIS, SCALE, knots, numpy_basis, torch_basis
from .rows import LeftOut

EFFICIENT, PYKAN = "efficient-kan", "pykan"
EFFICIENT_NUMBERS = 160
"""Numbers per input and sample that the recursion of all basis functions and its gradient keep at once."""
PYKAN_COPIES = 4
"""Tensors [batch, out, in] that pykan's way holds at once in its widest layer."""
MOST_ON_PROCESSOR = 2e8
"""Numbers that a peer may have to write in one call on the processor."""


@dataclass(frozen=True)
class Spec:
    """A network of these widths, with silu on every edge beside the spline or without."""

    widths: tuple[int, ...]
    base: bool = True

    @property
    def name(self) -> str:
        """Its widths, for people."""
        return f"{list(self.widths)}{'' if self.base else ' spline alone'}"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(pairwise(self.widths))

    def weights(self, ctx: Context) -> list[tuple[np.ndarray, np.ndarray]]:
        """(coefficients [out, in, BASIS], base [out, in]) of each layer, random and small."""
        made = []
        for i, o in self.layers:
            scale = np.float32(SCALE / np.sqrt(i))
            made.append((scale * ctx.normal(o, i, BASIS), scale * ctx.normal(o, i)))
        return made

    def flops(self, batch: int) -> float:
        """Of a forward pass as a dense product of all basis functions."""
        return sum(2.0 * batch * i * o * (BASIS + self.base) for i, o in self.layers)


Weights = Sequence[tuple[np.ndarray, np.ndarray]]
Model = tuple[list[Any], Callable[[Any], Any]]
"""(parameters, function of x)."""


def efficient_kan(torch: Any, spec: Spec, weights: Weights, where: str, dtype: Any, *, bias: bool = False) -> Model:
    """bias: one per output, 0 at first, which that library has not; for checks of ours."""

    def made(a: np.ndarray) -> Any:
        return torch.from_numpy(a).to(where, dtype).requires_grad_()

    layers = [(made(c), made(w) if spec.base else None, made(np.zeros(len(c), np.float32)) if bias else None) for c, w in weights]
    grids = [knots(torch, c, c.shape[1]) for c, _, _ in layers]
    linear = torch.nn.functional.linear

    def apply(x: Any) -> Any:
        for (c, w, b), t in zip(layers, grids, strict=True):
            y = linear(torch_basis(x, t).reshape(x.shape[0], -1), c.reshape(c.shape[0], -1), b)
            x = y if w is None else linear(torch.nn.functional.silu(x), w) + y
        return x

    return [p for layer in layers for p in layer if p is not None], apply


def pykan(torch: Any, spec: Spec, weights: Weights, where: str, dtype: Any) -> Model:
    """Every edge's activation is made; scale_sp begins at 1."""
    made = [[torch.from_numpy(a).to(where, dtype).requires_grad_() for a in (c, w, np.ones_like(w))] for c, w in weights]
    grids = [knots(torch, c, c.shape[1]) for c, _, _ in made]

    def apply(x: Any) -> Any:
        for (c, scale_base, scale_sp), t in zip(made, grids, strict=True):
            edges = scale_sp * torch.einsum("bik,oik->boi", torch_basis(x, t), c)
            if spec.base:
                edges = scale_base * torch.nn.functional.silu(x)[:, None, :] + edges
            x = edges.sum(dim=2)
        return x

    return [p for c, w, s in made for p in ((c, w, s) if spec.base else (c, s))], apply


PEERS: dict[str, Callable[..., Model]] = {EFFICIENT: efficient_kan, PYKAN: pykan}


# ---- what does not fit


def refuse(ctx: Context, peer: str, spec: Spec, batch: int, *, training: bool) -> None:
    """LeftOut, with the reason, for a peer that does not fit into memory or takes too long."""
    if peer == PYKAN:
        each = [float(batch * i * o) for i, o in spec.layers]
        numbers = sum(each) * training + (PYKAN_COPIES - training) * max(each)
    else:
        numbers = float(EFFICIENT_NUMBERS * batch * (sum(spec.widths[:-1]) if training else max(spec.widths[:-1])))
    free = room(ctx)
    if 4 * numbers > free:
        raise LeftOut(f"out of memory: it would need about {format_bytes(4 * numbers)}, and {format_bytes(free)} are free")
    if not ctx.cuda and numbers > MOST_ON_PROCESSOR:
        raise LeftOut(f"skipped: too slow on the processor, where it would write {numbers:.2g} numbers a call")


def room(ctx: Context) -> float:
    """Bytes that PyTorch's device has left."""
    if ctx.cuda:
        cuda = ctx.torch.cuda
        return float(cuda.mem_get_info()[0] + cuda.memory_reserved() - cuda.memory_allocated())
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return float("inf")


# ---- the truth


def numpy_forward(spec: Spec, weights: Weights, x: np.ndarray) -> np.ndarray:
    """The outputs in float64."""
    return _numpy_layers(spec, [(c, w, np.zeros(len(c))) for c, w in weights], x.astype(np.float64))[-1][0]


def numpy_losses(spec: Spec, weights: Weights, x: np.ndarray, y: np.ndarray, rate: float) -> Iterator[float]:
    """The mean squared errors of a training with Adam in float64, with a bias per output; gradients by hand."""
    layers = [tuple(a.astype(np.float64) for a in (c, w, np.zeros(len(c)))) for c, w in weights]
    moments = [[[np.zeros_like(p), np.zeros_like(p)] for p in layer] for layer in layers]
    x, y, step = x.astype(np.float64), y.astype(np.float64), 0
    while True:
        saved = _numpy_layers(spec, layers, x)
        gap = saved[-1][0] - y
        yield float(np.mean(gap * gap))
        grads, g, step = [], 2 / gap.size * gap, step + 1
        for (c, w, _), (z, flat, slope) in zip(reversed(layers), [s[1:] for s in reversed(saved)], strict=True):
            s = 1 / (1 + np.exp(-z))
            grads.append(((g.T @ flat).reshape(c.shape), g.T @ (z * s) * spec.base, g.sum(axis=0)))
            arriving = (g @ c.reshape(len(c), -1)).reshape(slope.shape)
            g = (arriving * slope).sum(axis=-1) + (g @ w) * (s * (1 + z * (1 - s))) * spec.base
        for layer, layer_grads, layer_moments in zip(layers, reversed(grads), moments, strict=True):
            for p, grad, (m, v) in zip(layer, layer_grads, layer_moments, strict=True):
                m += 0.1 * (grad - m)
                v += 0.001 * (grad * grad - v)
                p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)


def _numpy_layers(spec: Spec, layers: Sequence[Any], z: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """(output, input, its basis functions, their slopes) of each layer."""
    saved = []
    for c, w, b in layers:
        basis, slope = numpy_basis(z)
        flat = basis.reshape(len(z), -1)
        y = flat @ c.reshape(len(c), -1).T.astype(np.float64) + b
        y = y + (z / (1 + np.exp(-z))) @ w.T if spec.base else y
        saved.append((y, z, flat, slope))
        z = y
    return saved
