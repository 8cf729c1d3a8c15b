"""What a KAN layer writes beside its result: counted from the same rules by which it is run, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..kernel import ceil_div
from ..kernels import spline_table as K
from . import spline, spline_knots, spline_table
from .linalg import product_workspace


@dataclass
class Workspace:
    """Elements of each float32 tensor of one layer.

    kept: made by the forward pass, and needed by the backward pass. forward, backward: gone when that pass is over.
    to_inputs: part of a backward pass only where the gradient to the inputs is wanted.
    """

    kept: list[int] = field(default_factory=list)
    forward: list[int] = field(default_factory=list)
    backward: list[int] = field(default_factory=list)
    to_inputs: list[int] = field(default_factory=list)


def layer_workspace(
    batch: int, inputs: int, outputs: int, *, degree: int, grid_size: int, base: bool, kind: str, knots: bool = False
) -> Workspace:  # fmt: skip
    """Of `kan_layer` on coefficients and a bias, on a kind of device, with its gradients to everything; knots: of `kan_knot_layer`."""
    rows = grid_size + degree + base
    if not knots and rows <= K.MOST_ROWS and spline_table.TABLED.get(kind, True) and batch > spline.FEW_SAMPLES:
        return _on_a_table(batch, inputs, outputs, rows, cubic=_is_cubic(rows - base, degree, outputs))
    if knots:
        found = _on_knots(batch, inputs, outputs, grid_size + degree, kind)
    else:
        found = _of_the_spline(batch, inputs, outputs, degree, grid_size, kind)
    if base:
        found.kept += [batch * inputs, batch * outputs, batch * outputs]  # its SiLU; both sums, of which the result is the sum
        found.to_inputs += [batch * inputs] * 3
        _add_products(found, batch, inputs, outputs, kind)
    return found


def _add_products(found: Workspace, rows: int, inner: int, outputs: int, kind: str, *, bias: bool = False) -> None:
    """Partial sums of y = x·Wᵀ, x [rows, inner] and W [outputs, inner], and of the gradients to both."""
    found.forward += product_workspace(rows, outputs, inner, kind, transpose_b=True, bias=bias)
    found.backward += product_workspace(outputs, inner, rows, kind, transpose_a=True)
    found.to_inputs += product_workspace(rows, inner, outputs, kind)


def _is_cubic(basis: int, degree: int, outputs: int) -> bool:
    """Whether the gradient comes from its own kernel for few functions; see `kernels.spline_table.is_cubic`."""
    return degree <= 3 and basis <= K.CUBIC_FUNCTIONS and outputs % 4 == 0 and outputs > 128


def _on_a_table(batch: int, inputs: int, outputs: int, rows: int, *, cubic: bool) -> Workspace:
    """The table and its gradient; partial sums where they are split."""
    table = inputs * rows * outputs
    split = spline_table.layer_split(batch, inputs, outputs)
    found = Workspace(kept=[table], backward=[table + outputs])
    if split < inputs:
        found.forward.append(ceil_div(inputs, split) * batch * outputs)
    split = spline_table.input_split(batch, inputs, outputs, rows)
    if split < outputs:
        found.to_inputs.append(ceil_div(outputs, split) * batch * inputs)
    if cubic:
        tiles = ceil_div(inputs, K.CUBIC_INPUTS) * ceil_div(outputs, K.CUBIC_OUTPUTS)
        split = spline_table._share(batch, tiles, spline_table.WORKGROUPS[128], 128)
    else:
        tile = K.best_tile(inputs * rows, outputs)
        tiles = ceil_div(inputs, min(16, tile // rows)) * ceil_div(outputs, tile)
        split = spline_table._share(batch, tiles, spline_table.WORKGROUPS[tile], 64)
    split = ceil_div(split, K.SLICE) * K.SLICE
    if split < batch:
        found.backward.append(ceil_div(batch, split) * (table + outputs))
    return found


def _on_knots(batch: int, inputs: int, outputs: int, basis: int, kind: str) -> Workspace:
    """All functions of all inputs, kept when they fit one block; else by blocks, two of them held at a time, and results twice."""
    block = spline_knots.samples_per_block(inputs * basis)
    if batch <= block:
        written = batch * inputs * basis
        found = Workspace(kept=[written], to_inputs=[written])
    else:
        samples = [min(block, batch - start) for start in range(0, batch, block)]
        two, weights = [block * inputs * basis] * 2, [inputs * basis * outputs] * 2
        forward, to_inputs = ([n * width for n in samples] for width in (outputs, inputs))
        found = Workspace(forward=[*two, *forward], backward=[*two, *weights], to_inputs=[*two, *to_inputs])
    _add_products(found, min(batch, block), inputs * basis, outputs, kind, bias=True)
    return found


def _of_the_spline(batch: int, inputs: int, outputs: int, degree: int, grid_size: int, kind: str) -> Workspace:
    """All functions of all inputs where they are written out, else partial sums of the gradient."""
    basis = grid_size + degree
    written, few = batch * inputs * basis, batch <= spline.FEW_SAMPLES
    if 4 * written <= spline.DENSE_BYTES and basis <= spline.DENSE_SHARE.get(kind, 3) * (degree + 1):
        early = not few or kind == "software"
        found = Workspace(kept=[written] if early else [], backward=[] if early else [written], to_inputs=[written])
        _add_products(found, batch, inputs * basis, outputs, kind, bias=True)
        if not early:  # the layer itself reads its coefficients as they lie
            found.forward.clear()
        return found
    weights = inputs * basis * outputs
    splits = ceil_div(batch, spline.samples_per_split(batch, inputs, outputs, kind))
    return Workspace(forward=[] if few or kind == "cpu" else [weights], backward=[splits * weights])
