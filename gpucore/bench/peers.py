"""The same work in NumPy and, where it is installed, PyTorch: one line per kernel that has an obvious peer.

A peer gets the inputs by name and the options, and returns the result, or None for options it does not cover.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..device.base import Device
from ..kernel import Kernel
from . import sizes

Peer = Callable[[dict[str, Any], dict[str, Any]], Any]
LONGEST = 1.0
"""Seconds that a peer on the processor may be expected to need; beyond, it is left out."""


def _turned(i: dict[str, Any], o: dict[str, Any]) -> tuple[Any, Any]:
    """The operands of a product after the transpositions its options ask for; works for both libraries."""
    a, b = i["a"], i["b"]
    return (a.swapaxes(-1, -2) if o.get("transpose_a") else a), (b.swapaxes(-1, -2) if o.get("transpose_b") else b)


def _product(i: dict[str, Any], o: dict[str, Any]) -> Any:
    if i.get("bias") is not None or o.get("activation") not in (None, "none"):
        return None
    a, b = _turned(i, o)
    return a @ b


def _numpy_reduce(i: dict[str, Any], o: dict[str, Any]) -> Any:
    by_name: dict[str, Any] = {"sum": np.sum, "max": np.max, "min": np.min, "mean": np.mean}
    fn = by_name.get(o.get("op", "sum"))
    return None if fn is None or i.get("center") is not None else fn(i["x"], axis=-1)


def _numpy_softmax(i: dict[str, Any], o: dict[str, Any]) -> Any:
    if i.get("mask") is not None or o.get("log"):
        return None
    e = np.exp(i["x"] - i["x"].max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _numpy_layer_norm(i: dict[str, Any], o: dict[str, Any]) -> Any:
    x = i["x"]
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = y if i.get("weight") is None else y * i["weight"]
    return y if i.get("bias") is None else y + i["bias"]


def _numpy_rms_norm(i: dict[str, Any], o: dict[str, Any]) -> Any:
    return i["x"] / np.sqrt(np.mean(i["x"] ** 2, -1, keepdims=True) + 1e-6) * i["weight"]


_NUMPY_UNARY: dict[str, Any] = {
    "exp": np.exp, "negative": np.negative, "abs": np.abs, "tanh": np.tanh, "sqrt": np.sqrt, "log": np.log,
    "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip
_BINARY = ("add", "subtract", "multiply", "divide", "power", "minimum", "maximum")


def _numpy_unary(i: dict[str, Any], o: dict[str, Any]) -> Any:
    fn = _NUMPY_UNARY.get(o["op"])
    return None if fn is None else fn(i["x"])


NUMPY: dict[str, Peer] = {
    "unary": _numpy_unary,
    "binary": lambda i, o: getattr(np, o["op"])(i["a"], i["b"]) if o["op"] in _BINARY else None,
    "where": lambda i, o: np.where(i["condition"], i["a"], i["b"]) if i.get("a") is not None and i.get("b") is not None else None,
    "matmul": _product, "matmul_tiled": _product,
    "gemv": lambda i, o: i["b"] @ i["a"] if i.get("bias") is None else None,
    "vecmat": lambda i, o: i["a"] @ i["b"] if i.get("bias") is None else None,
    "reduce_rows": _numpy_reduce,
    "softmax": _numpy_softmax, "layer_norm": _numpy_layer_norm, "rms_norm": _numpy_rms_norm,
    "cumulative_rows": lambda i, o: np.cumsum(i["x"], -1) if i.get("start") is None and not o.get("reverse") else None,
    "take": lambda i, o: np.take(i["x"], i["indices"], o.get("axis", 0)),
    "transpose": lambda i, o: np.ascontiguousarray(i["x"].swapaxes(-1, -2)),
}  # fmt: skip


def _torch_unary(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch

    fn = getattr(torch, o["op"], None) or getattr(torch.nn.functional, o["op"], None)
    return None if fn is None or o["op"] == "clip" else fn(i["x"])


def _torch_conv2d(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch.nn.functional as f

    weight = i["weight"].swapaxes(0, 1).flip(2, 3) if o.get("transposed") else i["weight"]
    y = f.conv2d(i["x"], weight, i.get("bias"), stride=o.get("stride", 1), padding=o.get("padding", 0), dilation=o.get("dilation", 1))
    return {"none": y, None: y}[o.get("activation")] if o.get("activation") in ("none", None) else f.relu(y)


def _torch_conv2d_tiled(i: dict[str, Any], o: dict[str, Any]) -> Any:
    return None if o.get("flip") else _torch_conv2d(i | dict(weight=i["weight"].permute(3, 0, 1, 2)), o)


def _torch_norm(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch.nn.functional as f

    return f.layer_norm(i["x"], i["x"].shape[-1:], i.get("weight"), i.get("bias"))


def _torch_reduce(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch

    fn = {"sum": torch.sum, "max": torch.amax, "min": torch.amin, "mean": torch.mean, "logsumexp": torch.logsumexp}.get(o.get("op", "sum"))
    return None if fn is None or i.get("center") is not None else fn(i["x"], -1)


def _torch_softmax(i: dict[str, Any], o: dict[str, Any]) -> Any:
    return None if i.get("mask") is not None else i["x"].log_softmax(-1) if o.get("log") else i["x"].softmax(-1)


def _torch_pool(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch.nn.functional as f

    return f.max_pool2d(i["x"], o["kernel_size"], o.get("stride"), o.get("padding", 0), return_indices=True)


def _torch_binary(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch

    name = {"power": "pow"}.get(o["op"], o["op"])
    return getattr(torch, name)(i["a"], i["b"]) if o["op"] in _BINARY else None


def _torch_rms_norm(i: dict[str, Any], o: dict[str, Any]) -> Any:
    import torch.nn.functional as f

    return f.rms_norm(i["x"], i["x"].shape[-1:], i["weight"], 1e-6)


TORCH: dict[str, Peer] = {
    "unary": _torch_unary, "binary": _torch_binary, "matmul": _product, "matmul_tiled": _product,
    "gemv": NUMPY["gemv"], "vecmat": NUMPY["vecmat"], "reduce_rows": _torch_reduce, "softmax": _torch_softmax,
    "layer_norm": _torch_norm, "rms_norm": _torch_rms_norm, "conv2d": _torch_conv2d, "max_pool2d": _torch_pool,
    "conv2d_tiled": _torch_conv2d_tiled,
    "cumulative_rows": lambda i, o: i["x"].cumsum(-1) if i.get("start") is None and not o.get("reverse") else None,
    "transpose": lambda i, o: i["x"].swapaxes(-1, -2).contiguous(),
}  # fmt: skip


@cache
def torch_device() -> tuple[Any, str] | None:
    """(PyTorch, "cuda" or "cpu"), or None where it is not installed. TF32 is off: the peers compute in float32."""
    try:
        import torch
    except ImportError:
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch, "cuda" if torch.cuda.is_available() else "cpu"


def peer_versions() -> dict[str, str]:
    """What the peers are, by name."""
    found = {"NumPy": np.__version__}
    if (installed := torch_device()) is not None:
        torch, where = installed
        found["PyTorch"] = (
            f"{torch.__version__} on {torch.cuda.get_device_name() if where == 'cuda' else 'the processor'}, float32 without TF32"
        )
    return found


def time_peers(
    device: Device, kernel: Kernel, arrays: Sequence[np.ndarray | None], options: dict[str, Any]
) -> tuple[dict[str, float], str]:
    """Seconds of each peer on these inputs, and what one raised: a peer's failure says nothing of the kernel."""
    found: dict[str, float] = {}
    named = dict(zip(kernel.inputs, arrays, strict=True))
    flops, moved = sizes.cost(kernel, device, arrays, options)
    quick_enough = flops / 3e10 + moved / 3e9 < LONGEST
    error = ""
    if (peer := NUMPY.get(kernel.name)) is not None and quick_enough:
        found["NumPy"] = _time_numpy(peer, named, options) or 0.0
    installed = torch_device()
    if installed is not None and (peer := TORCH.get(kernel.name)) is not None and (installed[1] == "cuda" or quick_enough):
        try:
            found["PyTorch"] = _time_torch(installed, peer, named, options) or 0.0
        except (RuntimeError, TypeError, AttributeError, ValueError) as problem:
            error = f"PyTorch: {type(problem).__name__}: {problem}"
    return {name: seconds for name, seconds in found.items() if seconds}, error


def _time_numpy(peer: Peer, named: dict[str, Any], options: dict[str, Any]) -> float | None:
    times: list[float] = []
    with np.errstate(all="ignore"):
        while len(times) < 5 and sum(times) < 0.25:
            start = time.perf_counter()
            if peer(named, options) is None:
                return None
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _time_torch(installed: tuple[Any, str], peer: Peer, named: dict[str, Any], options: dict[str, Any]) -> float | None:
    torch, where = installed
    inputs = {k: None if v is None else torch.from_numpy(v).to(where) for k, v in named.items()}
    with torch.no_grad():
        if peer(inputs, options) is None:
            return None
        if where == "cpu":
            return _time_numpy(peer, inputs, options)
        times = []
        for _ in range(12):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            peer(inputs, options)
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) * 1e-3)
    return float(statistics.median(times[2:]))
