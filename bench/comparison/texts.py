"""What a report says around its numbers, by the kind of report."""

from __future__ import annotations

from typing import NamedTuple


class Texts(NamedTuple):
    """title: its heading; how: how it was measured; short: (what, group, how the row's name begins) of the rows that say most.

    marked: a second peer whose ratio the picture shows as well.
    """

    title: str
    how: str
    short: tuple[tuple[str, str, str], ...]
    marked: str = ""


_COMPARE = (
    "One process, one run. Everybody gets the same shapes and the same random data; every result of gpucore is compared with float64 "
    "in the same run, large ones in some hundred rows. «GPU» rows are the GPU's own time: N calls in a row between two marks (gpucore: "
    "timestamps around one submission, PyTorch: CUDA events), all of them queued before the first one runs, so that nobody's host time "
    "counts; median of the runs. The inputs of large rows rotate through more memory than the caches hold. «wall» rows "
    "are what a program waits: gpucore replays a recorded Pipeline, PyTorch is eager, both wait at the end of N calls. "
    "PyTorch computes in float32 without TF32. The ratio is their time over ours: above 1 gpucore is faster. «Share» is the least "
    "time that this adapter's ceilings (a large copy; multiply-adds in registers), measured in the same run by the same method, allow "
    "for the work, over our time."
)
_COMPARE_SHORT = (
    ("matrix product 4096³, float32", "matmul", "4096³"),
    ("matrix times vector 16384², float32", "GEMV", "16384×16384 f32"),
    ("matrix times vector 16384², bfloat16 weights", "GEMV", "16384×16384 bf16"),
    ("softmax of 64 MiB", "memory-bound", "softmax 64"),
    ("layer norm of 64 MiB", "memory-bound", "layer norm 64"),
    ("sum of 64 MiB", "memory-bound", "sum 64"),
    ("Adam step, 25 M parameters (theirs fused)", "memory-bound", "Adam 25"),
    ("attention, 2048 tokens, causal (theirs: maths)", "attention", "prefill 1×16×2048"),
    ("attention, one token on 4096 cached (theirs: maths)", "attention", "decode 4096"),
    ("convolution 64→64, 3×3, 56×56, batch 32", "convolution", "64→64"),
    ("KAN training step [784, 64, 10], batch 64 (theirs: efficient-kan's way)", "KAN", "training step [784, 64, 10], batch 64"),
    ("KAN training step [256, 1024, 256], batch 1024 (likewise)", "KAN", "training step [256"),
    ("MLP training step, batch 128", "training", "MLP 784-128-10 step, batch 128"),
    ("LeNet-5 training step, batch 128", "training", "LeNet-5 step, batch 128"),
    ("cold start: import, device, first product", "host", "cold start"),
)

_KAN = (
    "One process, one run, one device for everybody: PyTorch on CUDA where there is one, else on the processor. The network is a "
    "`KanNetwork` with the base branch unless the row says «spline alone», 5 cells, degree 3, range (-1, 1); everybody has the same "
    "weights and data. «efficient-kan» computes as that library does: all basis functions by the recursion of Cox and de Boor, one matrix "
    "product with the coefficients, a linear layer of silu(x). «pykan» computes as the KAN paper's implementation does (arXiv 2404.19756): "
    "the activation of every edge, [batch, out, in], with a scale of base and spline per edge, then their sum. Both are written here from "
    "these formulas, in eager PyTorch, float32 without TF32. Every time is what a program waits (wall): «training step» is a step of Adam "
    "on the mean squared error, «forward» the outputs of a batch that is on the device, each of them N calls in a row and one wait at the "
    "end; «latency» is one call from host numbers to host numbers, blocking. Median of the runs. Results are checked in the same run: "
    "outputs against float64 NumPy, training by the losses of its first steps. The ratio is their time over ours: above 1 gpucore is "
    "faster. «Memory» is the peak above what was held before: gpucore counts its buffers, PyTorch what its allocator gave out. A peer that "
    "does not fit or would take too long is named with the reason under the tables."
)
_KAN_SHORT = tuple((f"{kind} {network}, batch {batch}", kind, f"{network}, batch {batch}") for kind, network, batch in (
    ("training step", "[2, 5, 1]", 1024), ("training step", "[21, 64, 64, 24]", 64), ("training step", "[21, 64, 64, 24]", 1024),
    ("training step", "[784, 64, 10]", 64), ("training step", "[784, 64, 10]", 1024), ("training step", "[256, 1024, 256]", 1024),
    ("training step", "[1000, 1000, 1000]", 1024), ("forward", "[784, 64, 10]", 1024), ("forward", "[256, 1024, 256]", 1024),
    ("latency", "[21, 64, 64, 24]", 1), ("latency", "[784, 64, 10]", 1),
))  # fmt: skip
TEXTS = {
    "compare": Texts("gpucore beside PyTorch and NumPy", _COMPARE, _COMPARE_SHORT),
    "kan": Texts("gpucore's KAN beside efficient-kan's and pykan's way in PyTorch", _KAN, _KAN_SHORT, "pykan"),
}
