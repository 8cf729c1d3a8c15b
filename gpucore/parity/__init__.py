"""The parity matrix: every kernel, every case, GPU against the float64 reference."""

from .check import CaseResult, case_label, check_case
from .matrix import ParityReport, choose_kernels, choose_passes, run_parity
from .page import as_html, as_json, as_markdown
from .selftest import probe_subnormals, self_test

__all__ = [
    "CaseResult", "ParityReport", "as_html", "as_json", "as_markdown", "case_label", "check_case", "choose_kernels",
    "choose_passes", "probe_subnormals", "run_parity", "self_test",
]  # fmt: skip
