"""Matrix products: the direct kernel, with weights in 32 or 16 bits, and the names of the family."""

from __future__ import annotations

from collections.abc import Sequence

from kernels_ref import linalg as ref

from ..array import Array
from ..kernel import Case, Kernel, Launch, ceil_div, kernel
from .gemv import (
    GEMV,
    VECMAT,
    gemv,
    gemv_bf16,
    gemv_direct,
    gemv_f16,
    takes_direct,
    vecmat,
    vecmat_bf16,
    vecmat_f16,
    vecmat_parts,
)  # fmt: skip
from .product_cases import BENCH, DIRECT_CASES, HALF_CASES
from .products import ACTIVATIONS, activation_index, batch_shape, matmul_flops, matmul_launch, product_shape, stored
from .tiles import TILED, matmul_fold, matmul_tiled, matmul_tiled_bf16, matmul_tiled_f16, plan, usual_parts

__all__ = [
    "ACTIVATIONS", "DIRECT", "GEMV", "TILED", "VECMAT", "activation_index", "batch_shape", "gemv", "gemv_bf16", "gemv_direct", "gemv_f16",
    "matmul", "matmul_bf16", "matmul_f16", "matmul_fold", "matmul_tiled", "matmul_tiled_bf16", "matmul_tiled_f16", "plan", "product_shape",
    "takes_direct", "usual_parts", "vecmat", "vecmat_bf16", "vecmat_f16", "vecmat_parts",
]  # fmt: skip

MOST_ROWS, COLUMNS = 32, 32
LANES = 8


def block_rows(rows: int) -> int:
    """Rows of a block: as few blocks as the kernel can, each of as few eights of rows as they need."""
    blocks = max(1, ceil_div(rows, MOST_ROWS))
    return max(8, 8 * ceil_div(ceil_div(rows, blocks), 8))


def _declare_matmul(name: str, storage: str, cases: Sequence[Case]) -> Kernel:
    def rule(
        a: Array, b: Array, bias: Array | None = None, *,
        transpose_a: bool = False, transpose_b: bool = False, activation: str | None = None,
    ) -> Launch:  # fmt: skip
        """activation(A·B + bias) with A = a or aᵀ and B = b or bᵀ, batch axes broadcast; straight from memory, 16×4 per invocation."""
        spread = a.device.info.subgroup_size >= LANES
        shape, inner = product_shape(name, a, b, bias, transpose_a, transpose_b)
        rows = block_rows(shape[-2])
        whole = dict(WHOLE=inner % 4 == 0, VECTOR_OUT=shape[-1] % 4 == 0)
        return matmul_launch(name, a, b, bias, transpose_a, transpose_b, activation, (rows, COLUMNS), SPREAD=spread, ROWS=rows, **whole)

    rule.__name__ = name
    return kernel(
        "linalg/matmul", ref=getattr(ref, name), flops=matmul_flops, atol=2e-5, dtypes={"a": ("float32", "float64"), "b": (storage,)},
        cases=stored(cases, storage), bench=stored(BENCH, storage),
    )(rule)  # fmt: skip


matmul = _declare_matmul("matmul", "float32", DIRECT_CASES)
matmul_f16 = _declare_matmul("matmul_f16", "float16", HALF_CASES)
matmul_bf16 = _declare_matmul("matmul_bf16", "bfloat16", HALF_CASES)

DIRECT = {"float32": matmul, "float64": matmul, "float16": matmul_f16, "bfloat16": matmul_bf16}
