"""Self-contained HTML pages: style, script and data inside, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from .text import escape, plain

_ASSETS = files(__package__) / "assets"


def page(title: str, body: str, *, scripts: Sequence[str] = (), data: Any = None) -> str:
    """One page: `body` is HTML, `scripts` are files in assets/, `data` reaches them as the constant DATA."""
    style = (_ASSETS / "page.css").read_text()
    code = "\n".join((_ASSETS / name).read_text() for name in scripts)
    # "</" inside a script would end it, whatever it stands in.
    payload = json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    inner = f"<script>\nconst DATA = {payload};\n{code}\n</script>" if scripts else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n{inner}\n</body>\n</html>\n"
    )


def facts(values: Mapping[str, Any]) -> str:
    """A list of labelled facts."""
    return '<dl class="facts">' + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in values.items()) + "</dl>"


def table(
    head: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = (), sortable: bool = False, caption: str = ""
) -> str:
    """An HTML table. A cell is text, or (text, sort value), or a Cell with markup of its own."""
    aligned = ['class="num"' if i in right else "" for i in range(len(head))]
    top = "".join(f'<th scope="col" {a}>{escape(h)}</th>' for h, a in zip(head, aligned, strict=True))
    lines = "".join("<tr>" + "".join(_cell(c, a) for c, a in zip(row, aligned, strict=True)) + "</tr>\n" for row in rows)
    shown = f"<caption>{escape(caption)}</caption>" if caption else ""
    start = f'<div class="wide"><table{" data-sortable" if sortable else ""}>'
    return f"{start}{shown}<thead><tr>{top}</tr></thead><tbody>\n{lines}</tbody></table></div>"


class Cell:
    """A table cell with markup of its own and a value to sort by."""

    def __init__(self, markup: str, value: Any = "") -> None:
        self.markup, self.value = markup, value


def _cell(cell: Any, attributes: str) -> str:
    if isinstance(cell, Cell):
        return f'<td {attributes} data-value="{escape(cell.value)}">{cell.markup}</td>'
    if isinstance(cell, tuple):
        return f'<td {attributes} data-value="{escape(cell[1])}">{escape(cell[0])}</td>'
    return f"<td {attributes}>{escape(cell)}</td>"


def bar(share: float | None, label: str) -> Cell:
    """A share as a bar with its text; more than 1 is drawn full."""
    if share is None:
        return Cell("-", -1)
    width = round(100 * min(1.0, max(0.0, share)), 1)
    return Cell(f'<span class="share"><span class="bar"><span style="width:{width}%"></span></span> {escape(label)}</span>', share)


def png_uri(image: bytes) -> str:
    """An image as a data: address."""
    return "data:image/png;base64," + base64.b64encode(image).decode()
