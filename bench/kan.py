#!/usr/bin/env python3
"""KAN networks beside efficient-kan's and pykan's way in PyTorch, one run: `python bench/kan.py`, or `make bench-kan`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.comparison.kan_networks import kan_rows
from bench.comparison.script import Script

EXAMPLES = """\
examples:
  python bench/kan.py                               everything on the best adapter; writes bench/reports/<adapter>/kan.*
  python bench/kan.py --only 784 --only latency     rows whose "group: name" holds one of these words (or fits a pattern)
  python bench/kan.py --only 'training step: * batch 64' --no-save
  python bench/kan.py --quick --device llvmpipe
  python bench/kan.py --list                        the rows and their targets
  python bench/kan.py --redraw FILE.json            the table, the page and the picture of an earlier run

Networks from [2, 5, 1] to [1000, 1000, 1000], batches of 1 to 4096: a training step, a batch forward, the latency of one
sample; time, peak memory, results checked against float64. PyTorch takes part where it is installed, on CUDA where there
is one, else on the processor; a peer that does not fit or would take too long is left out with the reason. A software
driver gets the smaller rows. With --compile efficient-kan's training step is also measured through torch.compile. Exits
with 1 when a result is wrong or a row fails; a missed target is no failure.
"""

description = "Measures gpucore's KAN networks beside efficient-kan's and pykan's formulation in PyTorch: time, memory, results."
main = Script("kan", description, EXAMPLES, kan_rows).main

if __name__ == "__main__":
    sys.exit(main())
