"""Rows of attention: a causal prefill, and one token against a cache with grouped queries."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from gpucore import ops

from .context import Context
from .functions import Function, function_row
from .results import EAGER, Target
from .rows import Row, rows

MATHS, FUSED = EAGER, f"{EAGER} fused"
TARGETS = (Target("ratio", 1.0, MATHS), Target("ratio", 0.5, FUSED))
"""Faster than PyTorch's maths backend, and within twice the time of its fused one."""


@rows("attention")
def attention(ctx: Context) -> list[Row]:
    """Prefill of 2048 tokens, 16 heads of 128; decode: one token, 4096 cached, 16 query heads on 8 key and value heads."""
    heads, groups = 16, 8
    long, cached, width = ctx.of((2048, 4096, 128), (128, 512, 64))
    return [
        Row(
            "attention", f"prefill 1×{heads}×{long}×{width} causal", function_row(lambda: _prefill(heads, long, width)), TARGETS,
            quick=True, note="the first peer is the maths backend; FLOPs are those of the half that the mask leaves",
        ),
        Row(
            "attention", f"decode {cached} keys, {heads} heads on {groups}", function_row(lambda: _decode(heads, groups, cached, width)),
            TARGETS, quick=True, note="the first peer is the maths backend; the fused one gets a cache repeated per head beforehand",
        ),
    ]  # fmt: skip


def _prefill(heads: int, length: int, width: int) -> Function:
    shape = (1, heads, length, width)
    pairs = length * (length + 1) // 2
    return Function(
        inputs=lambda ctx: [ctx.normal(*shape) for _ in range(3)],
        ours=lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, causal=True),
        theirs=lambda torch, q, k, v: _torch(torch, "MATH", q, k, v, is_causal=True),
        numpy=lambda q, k, v: _numpy(q, k, v, causal=True),
        more={FUSED: lambda torch, q, k, v: _torch(torch, "EFFICIENT_ATTENTION", q, k, v, is_causal=True)},
        flops=4.0 * heads * pairs * width, bytes=4.0 * 4 * heads * length * width, rotate=False,
    )  # fmt: skip


def _decode(heads: int, groups: int, cached: int, width: int) -> Function:
    """The last two inputs are the cache repeated per query head, for the backend that has no grouped queries in float32."""
    repeat = heads // groups

    def inputs(ctx: Context) -> list[Any]:
        k, v = (ctx.normal(1, groups, cached, width) for _ in range(2))
        return [ctx.normal(1, heads, 1, width), k, v, *((np.repeat(t, repeat, axis=1) for t in (k, v)) if ctx.torch is not None else ())]

    return Function(
        inputs=inputs,
        ours=lambda q, k, v, *more: ops.scaled_dot_product_attention(q, k, v),
        theirs=lambda torch, q, k, v, *more: _torch(torch, "MATH", q, k, v, enable_gqa=True),
        numpy=lambda q, k, v, *more: _numpy(q, np.repeat(k, repeat, 1), np.repeat(v, repeat, 1), causal=False),
        more={FUSED: lambda torch, q, k, v, k_all, v_all: _torch(torch, "EFFICIENT_ATTENTION", q, k_all, v_all)},
        flops=4.0 * heads * cached * width, bytes=4.0 * 2 * groups * cached * width,
    )  # fmt: skip


def _torch(torch: Any, backend: str, q: Any, k: Any, v: Any, **options: Any) -> Any:
    attention = torch.nn.functional.scaled_dot_product_attention
    if not q.is_cuda:
        return attention(q, k, v, **options)
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(getattr(SDPBackend, backend)) if backend else nullcontext():
        return attention(q, k, v, **options)


def _numpy(q: np.ndarray, k: np.ndarray, v: np.ndarray, *, causal: bool) -> np.ndarray:
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(np.array(q.shape[-1], q.dtype))
    if causal:
        scores = np.where(np.tri(q.shape[2], k.shape[2], dtype=bool), scores, np.array(-np.inf, q.dtype))
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True)) @ v
