"""Numbers and tables as text."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def escape(value: Any) -> str:
    """Text that is safe inside HTML, attributes included."""
    return html.escape(str(value), quote=True)


def number(value: Any, digits: int = 3) -> str:
    """A number for people: significant digits, no needless exponent; "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, bool | str | int):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e6:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{places}f}"
    return f"{value:.{digits - 1}e}"


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """A quantity with the prefix that fits: si(0.0000031, "s") is "3.10 µs"."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = min(4, max(-3, math.floor(math.log10(abs(value)) / 3)))
    prefix = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T"}[exponent]
    scaled = value / 1000.0**exponent
    places = max(0, digits - 1 - max(0, math.floor(math.log10(abs(scaled)))))
    return f"{scaled:.{places}f} {prefix}{unit}"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """A Markdown table; the columns in `right` are aligned right."""
    cells = [[str(c).replace("|", "\\|").replace("\n", " ") for c in row] for row in rows]
    widths = [max([len(h), *(len(r[i]) for r in cells)]) for i, h in enumerate(head)]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ":" if i in right else "-" * (w + 2) for i, w in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *(line(r) for r in cells)])


def plain(value: Any, digits: int = 6) -> Any:
    """The value in JSON's types: floats rounded to `digits`, NaN and infinities as the strings "nan", "inf", "-inf"."""
    if isinstance(value, dict):
        return {str(k): plain(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v, digits) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return int(value) if value == 0 else float(f"{value:.{digits}g}")
    return value


def to_json(value: Any) -> str:
    """Strict JSON of `plain(value)`, each member of the outer lists on a line of its own."""
    data = plain(value)
    parts = []
    for key, member in data.items():
        if isinstance(member, list) and member:
            lines = ",\n  ".join(json.dumps(m, ensure_ascii=False, allow_nan=False) for m in member)
            parts.append(f"{json.dumps(key)}: [\n  {lines}\n ]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(member, ensure_ascii=False, allow_nan=False)}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"
