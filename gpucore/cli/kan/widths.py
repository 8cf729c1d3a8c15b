"""Hidden widths as tasks take them."""

from __future__ import annotations

from ...errors import ConfigError


def hidden_widths(text: str) -> tuple[int, ...]:
    """ "64,32" as numbers, "0" as none; ConfigError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(f"kan: --hidden is {text!r}; wants whole numbers with commas, such as 64,32, or 0 for none")
    widths = tuple(map(int, parts))
    return () if widths == (0,) else widths
