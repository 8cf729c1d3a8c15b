"""The README's kernel table, from the declarations: `python -m gpucore.report.tables README.md` rewrites it."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from ..kernel import KERNELS


def kernel_table() -> str:
    """A Markdown table of every kernel by family, with the formula on line 1 of its shader."""
    lines = ["| family | kernel | computes |", "|---|---|---|"]
    ordered = sorted(KERNELS.values(), key=lambda k: k.family)
    for family, members in groupby(ordered, key=lambda k: k.family):
        for i, k in enumerate(sorted(members, key=lambda k: k.name)):
            formula = k.shader.formula.replace("|", "\\|")
            lines.append(f"| {family if i == 0 else ''} | `{k.name}` | {formula} |")
    return "\n".join(lines) + "\n"


def main(path: str) -> None:
    """Rewrites the table between the markers of a file."""
    file = Path(path)
    before, rest = file.read_text().split("<!-- kernels -->\n")
    after = rest.split("<!-- /kernels -->")[1]
    file.write_text(f"{before}<!-- kernels -->\n{kernel_table()}<!-- /kernels -->{after}")


if __name__ == "__main__":
    main(sys.argv[1])
