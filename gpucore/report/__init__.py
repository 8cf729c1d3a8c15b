"""What the reports share: the head with versions, number formats, Markdown tables, self-contained HTML pages, progress."""

from .environment import environment, slug
from .html import page, png_uri
from .progress import Progress
from .text import escape, markdown_table, number, plain, si, to_json

__all__ = ["Progress", "environment", "escape", "markdown_table", "number", "page", "plain", "png_uri", "si", "slug", "to_json"]
