"""Rotary embedding and attention."""

import math

import numpy as np

MASKED = -1e30


def rope(x, positions, turns, *, inverse=False):
    """Rotates the plane of elements i and i + d/2 of every row by position · turns[i] full turns.

    x [batch, ..., seq, d]; positions [seq] or [batch, seq]; turns [d/2, 2]: 64-bit fractions of a turn, upper word first.
    """
    fractions = turns[:, 0] / 2.0**32 + turns[:, 1] / 2.0**64
    angles = 2 * math.pi * np.remainder(positions[..., None].astype(np.float64) * fractions, 1.0)
    if positions.ndim == 2:  # one axis for each between batch and sequence
        angles = angles.reshape(angles.shape[0], *[1] * (x.ndim - 3), *angles.shape[1:])
    cos, sin = np.cos(angles), np.sin(angles) * (-1 if inverse else 1)
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def _visible(q, k, cache_length, causal):
    """[batch or 1, 1, q_len, k_len]: which keys hold values and are not in a query's future."""
    q_len, k_len = q.shape[2], k.shape[2]
    length = np.array([k_len]) if cache_length is None else np.clip(cache_length, 0, k_len)
    length = length.astype(np.int64).reshape(-1, 1, 1, 1)
    i, j = np.arange(q_len)[:, None], np.arange(k_len)
    seen = (j < length) & np.ones((q_len, 1), bool)
    return seen & (j <= i + length - q_len) if causal else seen


def _scores(q, k, mask, cache_length, causal, scale):
    """scale·q·kᵀ + mask; -inf where masked."""
    k = np.repeat(k, q.shape[1] // k.shape[1], axis=1)
    scores = (q @ k.swapaxes(-1, -2)) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    visible = _visible(q, k, cache_length, causal)
    if mask is not None and mask.dtype == bool:
        visible = visible & mask
    elif mask is not None:
        scores = scores + mask
        visible = visible & ~(scores <= MASKED)
    return np.where(visible, scores, -np.inf).astype(q.dtype)


def _filled(x, cache_length, group):
    """Keys' rows for every query head; rows that hold no values are zeros."""
    if cache_length is not None:
        held = np.arange(x.shape[2]) < np.asarray(cache_length).reshape(-1, 1)
        x = np.where(held[:, None, :, None], x, 0).astype(x.dtype)
    return np.repeat(x, group, axis=1)


def attention(q, k, v, mask=None, cache_length=None, *, causal=False, scale=None):
    """(softmax(scale·q·kᵀ + mask)·v, logsumexp of the scores); a query without any key gives zeros and -inf."""
    scores = _scores(q, k, mask, cache_length, causal, scale)
    greatest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    greatest = np.where(np.isneginf(greatest), 0, greatest)
    weights = np.exp(scores - greatest)
    total = weights.sum(axis=-1, keepdims=True)
    lse = np.where(total == 0, -np.inf, greatest + np.log(np.where(total == 0, 1, total)))[..., 0]
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total != 0)
    return weights @ _filled(v, cache_length, q.shape[1] // k.shape[1]), lse


def attention_split(q, k, v, mask=None, cache_length=None, *, chunk=128, causal=False, scale=None):
    """Attention over each chunk of the keys alone: results [batch, heads, q_len, chunks, d], their lse [batch, heads, q_len, chunks]."""
    q_len, k_len = q.shape[2], k.shape[2]
    visible = np.broadcast_to(_visible(q, k, cache_length, causal), (q.shape[0], 1, q_len, k_len))
    full = np.zeros((1, 1, 1, k_len), q.dtype) if mask is None else mask
    wide = np.broadcast_to(full, np.broadcast_shapes(full.shape, (1, 1, 1, k_len)))
    added = np.where(wide, 0, -np.inf) if wide.dtype == bool else wide
    added = np.where(visible, added, -np.inf).astype(q.dtype)
    held = _filled(k, cache_length, 1), _filled(v, cache_length, 1)
    parts = []
    for start in range(0, k_len, chunk):
        part = slice(start, start + chunk)
        if mask is not None and mask.dtype != bool:
            parts.append(attention(q, held[0][:, :, part], held[1][:, :, part], added[..., part], scale=scale))
        else:
            parts.append(attention(q, held[0][:, :, part], held[1][:, :, part], added[..., part] == 0, scale=scale))
    return np.stack([p[0] for p in parts], axis=3), np.stack([p[1] for p in parts], axis=3)


def attention_merge(parts, part_lse):
    """Σ exp(lse_i - lse)·part_i with lse = log Σ exp(lse_i): one result from those of disjoint chunks of the keys."""
    greatest = part_lse.max(axis=-1, keepdims=True)
    greatest = np.where(np.isneginf(greatest), 0, greatest)
    weights = np.exp(part_lse - greatest)
    total = weights.sum(axis=-1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    lse = np.where(total == 0, -np.inf, greatest + np.log(np.where(total == 0, 1, total)))[..., 0]
    return (weights[..., None] * parts).sum(axis=-2), lse


def attention_stats(g, result, lse):
    """(lse, delta) of each row, delta = Σ g·result."""
    return np.stack([lse, (g * result).sum(-1)], axis=-1)


def attention_backward(q, k, v, g, stats, mask=None, cache_length=None, *, of, causal=False, scale=None):
    """The gradient towards q, k or v from the one that arrives, g: dv = pᵀ·g; ds = p·(g·vᵀ - delta); dq = scale·ds·k; dk = scale·dsᵀ·q."""
    group = q.shape[1] // k.shape[1]
    scores = _scores(q, k, mask, cache_length, causal, scale)
    p = np.where(np.isneginf(scores), 0, np.exp(scores - stats[..., :1]))

    def over_groups(x):
        return x.reshape(x.shape[0], k.shape[1], group, *x.shape[2:]).sum(axis=2)

    if of == "v":
        return over_groups(p.swapaxes(-1, -2) @ g)
    dp = g @ _filled(v, cache_length, group).swapaxes(-1, -2)
    ds = p * (dp - stats[..., 1:]) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if of == "q":
        return ds @ _filled(k, cache_length, group)
    return over_groups(ds.swapaxes(-1, -2) @ q)
