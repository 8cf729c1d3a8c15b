"""The table of a module's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import no_grad
from .module import output_shapes

if TYPE_CHECKING:
    from .module import Module


def summary_table(module: Module, input_shape: tuple[int, ...] | None, dtype: Any = "float32") -> str:
    """A row per part without parts of its own (and per part with parameters of its own): see `Module.summary`."""
    shapes = {} if input_shape is None else _shapes(module, input_shape, dtype)
    rows, counted = [], set[int]()
    for name, part in module.modules():
        inner = part.parts()
        nested = {id(p) for m in inner.values() for p in m.named_parameters().values()}
        own = [p for p in part.named_parameters().values() if id(p) not in nested]
        if inner and not own:
            continue
        new = [p for p in own if id(p) not in counted]
        counted.update(id(p) for p in new)
        label = f"{name}: " if name else ""
        count, frozen = sum(p.size for p in new), sum(p.size for p in new if p.frozen)
        note = "frozen" if frozen and frozen == count else f"{frozen:,} frozen" if frozen else ""
        if own and not new:
            note = "shared"
        rows.append((f"{label}{type(part).__name__}({part.options()})", str(shapes.get(id(part), "")), f"{count:,}" if count else "", note))
    return _table(rows, with_shapes=input_shape is not None) + _totals(module)


def _shapes(module: Module, input_shape: tuple[int, ...], dtype: Any) -> dict[int, Any]:
    modes = [(m, m.training) for _, m in module.modules()]
    module.eval()
    try:
        with no_grad(), output_shapes() as shapes:
            module(module.device.zeros(input_shape, dtype))
    finally:
        for m, mode in modes:
            m.training = mode
    return shapes


def _table(rows: list[tuple[str, str, str, str]], *, with_shapes: bool) -> str:
    columns = [("layer", "output shape", "parameters", ""), *rows]
    widths = [max(len(row[i]) for row in columns) for i in range(4)]
    lines = []
    for layer, shape, count, note in columns:
        middle = f"  {shape:<{widths[1]}}" if with_shapes else ""
        lines.append(f"{layer:<{widths[0]}}{middle}  {count:>{widths[2]}}  {note}".rstrip())
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule]) + "\n"


def _totals(module: Module) -> str:
    sizes = [(p.size, p.frozen) for p in module.named_parameters().values()]
    total, frozen = sum(n for n, _ in sizes), sum(n for n, is_frozen in sizes if is_frozen)
    text = f"{total:,} parameters: {total - frozen:,} trainable, {frozen:,} frozen"
    held = sum(t.size for t in module.named_buffers().values())
    return text + (f"; {held:,} buffer elements" if held else "")
