"""Rotary embedding and attention: the operations."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable
from ..device.base import Device
from ..errors import ConfigError, ShapeError
from ..kernel import Kernel
from ..kernels import attention as K
from ..kernels import attention_backward as B
from ..kernels import attention_split as S
from ..kernels import rope as R
from ..kernels.heads import check_attention, tiles_fit

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["rope", "scaled_dot_product_attention"]


def rope(x: Array, positions: Array, *, base: float = 10000.0) -> Tensor:
    """Rotary position embedding in the rotate-half form: elements i and i + d/2 turn by position · base^(-2i/d).

    x: [batch, heads, seq, d] (any axes between the first and seq), d even; positions: int32 [seq] or [batch, seq].
    Angles are reduced exactly in 64-bit fixed point on the device, so the error stays about 1e-7 at any position.
    Su et al., RoFormer (2021). Raises ShapeError, DTypeError, ConfigError.
    """
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(f"rope: x is {x.shape}; wants [..., seq, d] with an even d")
    if base <= 0:
        raise ConfigError(f"rope: base is {base}; wants a positive number")
    return _rope(x, positions, base=float(base), inverse=False)  # type: ignore[no-any-return]


@differentiable
def _rope(x: Any, positions: Any, *, base: float, inverse: bool) -> tuple[Any, Backward]:
    y = R.rope(x, positions, _table(x.device, x.shape[-1], base), inverse=inverse)
    return y, lambda g: (lambda: _rope(g, positions, base=base, inverse=not inverse), None)


def _table(device: Device, dim: int, base: float) -> Array:
    """The fixed-point turns of every plane, uploaded once per device, width and base."""
    key = ("rope turns", dim, base)
    if key not in device.cache:
        device.cache[key] = device.tensor(R.rope_turns(dim, base), name="rope turns")
    table: Array = device.cache[key]
    return table


def scaled_dot_product_attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, cache_length: Array | None = None, *,
    causal: bool = False, scale: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(scale·q·kᵀ + mask)·v per head, without storing the scores.

    q: [batch, heads, q_len, d]; k, v: [batch, kv_heads, k_len, d] with heads a multiple of kv_heads (grouped queries);
    d up to 256. scale: 1/√d unless given.
    mask, broadcastable to [batch, heads, q_len, k_len]: bool (True: attend) or float32, added to the scaled scores;
    a masked score of -1e30 or less counts as no key at all.
    cache_length: int32 [1] or [batch] on the device, how many keys hold values; the others are never used.
    causal: query i sees key j where j ≤ i + n - q_len for n valid keys: the queries are the last ones, as with a cache.
    A query that sees no key gives zeros. Gradients flow to q, k and v, not to a mask, and once (no second derivatives).
    Raises ShapeError, DTypeError.
    """
    return _attention(q, k, v, mask, cache_length, causal=causal, scale=scale)  # type: ignore[no-any-return]


@differentiable
def _attention(q: Any, k: Any, v: Any, mask: Any, cache_length: Any, **options: Any) -> tuple[Any, Backward]:
    out, lse = _forward(q, k, v, mask, cache_length, **options)

    def backward(g: Any) -> tuple[Any, ...]:
        return (*_gradients(q, k, v, g, (out, lse), mask, cache_length, **options), None, None)

    return out, backward


def _gradients(q: Any, k: Any, v: Any, g: Any, result: Any, mask: Any, cache_length: Any, **options: Any) -> tuple[Any, Any, Any]:
    """Functions that compute the gradients towards q, k and v when they are asked for; what two of them need is computed once."""

    @cache
    def stats() -> Any:
        return B.attention_stats(g, *result)

    def towards(kernel: Kernel, **more: Any) -> Any:
        return lambda: _attention_gradient(kernel, q, k, v, g, stats(), mask, cache_length, **options, **more)

    if not tiles_fit(q.device, q.shape[3]):
        return towards(B.attention_backward, of="q"), towards(B.attention_backward, of="k"), towards(B.attention_backward, of="v")
    both = cache(towards(B.attention_backward_kv))
    return towards(B.attention_backward_q), lambda: both()[0], lambda: both()[1]


def _forward(q: Array, k: Array, v: Array, mask: Array | None, cache_length: Array | None, **options: Any) -> tuple[Any, Any]:
    """(result, lse): few queries split the keys over workgroups, many walk them."""
    check_attention("scaled_dot_product_attention", q, k, v, mask, cache_length)
    if not 0 < q.shape[2] <= S.FEW_QUERIES or k.shape[2] <= K.TILE:
        kernel = K.attention_tiled if tiles_fit(q.device, q.shape[3]) else K.attention
        return kernel(q, k, v, mask, cache_length, **options)  # type: ignore[no-any-return]
    chunk, count = S.split_plan(q, k)
    parts, part_lse = S.attention_split(q, k, v, mask, cache_length, chunk=chunk, parts=count, **options)
    if count == 1:
        return parts.view(q.shape), part_lse.view(q.shape[:3])
    return S.attention_merge(parts, part_lse)  # type: ignore[no-any-return]


@differentiable
def _attention_gradient(kernel: Kernel, q: Any, k: Any, v: Any, g: Any, stats: Any, *masks: Any, **options: Any) -> tuple[Any, Backward]:
    found = kernel(q, k, v, g, stats, *masks, **options)
    return (found.view(k.shape), found.view(k.shape, k.size)) if kernel is B.attention_backward_kv else found, None
