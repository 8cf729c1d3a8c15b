"""The parity matrix: every kernel, every case, GPU against the float64 reference."""

from .check import CaseResult, case_label, check_case

__all__ = ["CaseResult", "case_label", "check_case"]
