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


def attention(q, k, v, mask=None, cache_length=None, *, causal=False, scale=None, config=None):
    """(softmax(scale·q·kᵀ + mask)·v, logsumexp of the scores); a query without any key gives zeros and -inf."""
    scores = _scores(q, k, mask, cache_length, causal, scale)
    greatest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    greatest = np.where(np.isneginf(greatest), 0, greatest)
    weights = np.exp(scores - greatest)
    total = weights.sum(axis=-1, keepdims=True)
    lse = np.where(total == 0, -np.inf, greatest + np.log(np.where(total == 0, 1, total)))[..., 0]
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total != 0)
    return weights @ _filled(v, cache_length, q.shape[1] // k.shape[1]), lse


def attention_split(q, k, v, mask=None, cache_length=None, *, chunk, parts, causal=False, scale=None):
    """Attention over every parts-th chunk of the keys alone: results [..., q_len, parts, d], their lse [..., q_len, parts]."""
    q_len, k_len = q.shape[2], k.shape[2]
    added = np.zeros((q_len, k_len), q.dtype) if mask is None or mask.dtype == bool else mask
    visible = _visible(q, k, cache_length, causal) & ~(_scores(q, k, mask, cache_length, causal, scale) == -np.inf)
    held = _filled(k, cache_length, 1), _filled(v, cache_length, 1)
    found = []
    for part in range(parts):
        mine = visible & (np.arange(k_len) // chunk % parts == part)
        found.append(attention(q, *held, np.where(mine, added, -np.inf).astype(q.dtype), scale=scale))
    return np.stack([f[0] for f in found], axis=3), np.stack([f[1] for f in found], axis=3)


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


def attention_backward_q(q, k, v, g, stats, mask=None, cache_length=None, **options):
    """attention_backward towards q."""
    options.pop("config", None)
    return attention_backward(q, k, v, g, stats, mask, cache_length, of="q", **options)


def attention_backward_kv(q, k, v, g, stats, mask=None, cache_length=None, **options):
    """attention_backward towards k and towards v."""
    options.pop("config", None)
    return np.stack([attention_backward(q, k, v, g, stats, mask, cache_length, of=of, **options) for of in "kv"])
