"""The benchmark: every kernel at real sizes, beside the ceilings of the same adapter measured in the same run."""

from .ceilings import Ceilings, measure_ceilings
from .measure import KernelTiming, measure_kernel
from .page import as_html, as_json, as_markdown
from .report import BenchReport, run_bench

__all__ = [
    "BenchReport", "Ceilings", "KernelTiming", "as_html", "as_json", "as_markdown", "measure_ceilings", "measure_kernel", "run_bench",
]  # fmt: skip
