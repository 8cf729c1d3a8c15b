#!/usr/bin/env python3
"""gpucore beside PyTorch and NumPy in one run: `python bench/compare.py`, or `make bench-compare`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.comparison.rows import all_rows
from bench.comparison.script import Script

EXAMPLES = """\
examples:
  python bench/compare.py                           everything on the best adapter; writes bench/reports/<adapter>/compare.*
  python bench/compare.py --only matmul --only KAN  rows whose "group: name" holds one of these words (or fits a pattern)
  python bench/compare.py --only 'gemv: * bf16' --no-save
  python bench/compare.py --quick --device llvmpipe
  python bench/compare.py --list                    the rows and their targets
  python bench/compare.py --redraw FILE.json        the table, the page and the picture of an earlier run

PyTorch takes part where it is installed, on CUDA where there is one, else on the processor. A software driver gets
smaller sizes and other targets. Exits with 1 when a result is wrong or a row fails; a missed target is no failure.
"""

description = "Measures gpucore beside PyTorch and NumPy: same shapes, same data, checked against float64."
main = Script("compare", description, EXAMPLES, all_rows).main

if __name__ == "__main__":
    sys.exit(main())
