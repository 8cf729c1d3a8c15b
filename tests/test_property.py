"""Every operation on random shapes, layouts and dtypes: the GPU agrees with NumPy, or both refuse in one sentence.

Each entry of OPERATIONS draws host arrays and a call. Floats are quarters between -4 and 4, so that comparisons, ties
and signs are exact in every dtype. Afterwards the device must still work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpucore import ops
from gpucore.errors import GpucoreError

DTYPES = ("<f4", "<f4", "<f4", ">f4", "<f8", ">f8", "<f2", "<i4", ">i4", "<i8", "<u4", "?")
FLOATS = ("<f4", "<f4", ">f4", "<f8")
SIZES = st.integers(0, 6)
SHAPES = st.lists(SIZES, max_size=4).map(tuple)
POSITIVE_SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)
SEEDS = st.integers(0, 2**32 - 1)
LAYOUTS = ("plain", "read-only", "strided", "reversed", "transposed", "repeated")


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """The same values in memory of another order."""
    if values.ndim == 0 or layout in ("plain", "read-only"):
        values = values.copy()
        values.flags.writeable = layout == "plain"
        return values
    if layout == "strided":
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1, ...])[::-1, ...]
    if layout == "transposed":
        return np.ascontiguousarray(values.T).T
    return np.broadcast_to(values[:1], values.shape)


class Draw:
    """What an entry draws from: shapes, arrays, options."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def one(self, strategy: Any) -> Any:
        return self._data.draw(strategy)

    def shape(self) -> tuple[int, ...]:
        return self.one(SHAPES)

    def array(self, shape: tuple[int, ...] | None = None, dtypes: tuple[str, ...] = DTYPES) -> np.ndarray:
        shape = self.shape() if shape is None else shape
        dtype = np.dtype(self.one(st.sampled_from(dtypes)))
        low = 0 if dtype.kind in "ub" else -16
        values = np.random.default_rng(self.one(SEEDS)).integers(low, 17, shape)
        values = values > 8 if dtype.kind == "b" else values / 4 if dtype.kind == "f" else values
        return laid_out(np.asarray(values).astype(dtype), self.one(st.sampled_from(LAYOUTS)))

    def floats(self, shape: tuple[int, ...] | None = None) -> np.ndarray:
        return self.array(shape, FLOATS)

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Mostly shapes that broadcast, sometimes any two."""
        shape = self.shape()
        if self.one(st.integers(0, 5)) == 0:
            return self.array(shape), self.array()
        keep = self.one(st.integers(0, len(shape)))
        other = tuple(1 if self.one(st.booleans()) else n for n in shape[keep:])
        both = [self.array(shape), self.array(other)]
        return tuple(both if self.one(st.booleans()) else both[::-1])

    def ints(self, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
        return np.random.default_rng(self.one(SEEDS)).integers(low, max(high, low + 1), shape).astype(np.int32)

    def axis(self, x: np.ndarray) -> int:
        """Mostly inside."""
        beyond = self.one(st.integers(0, 7)) == 0
        return self.one(st.integers(-x.ndim - beyond, max(0, x.ndim - 1) + beyond))


Call = tuple[list[np.ndarray], Callable[..., Any]]


def one(op: Callable[..., Any], **options: Any) -> Callable[[Draw], Call]:
    return lambda d: ([d.array()], lambda x: op(x, **options))


def two(op: Callable[..., Any]) -> Callable[[Draw], Call]:
    return lambda d: (list(d.pair()), op)


def along(op: Callable[..., Any], keep: bool = False) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        x = d.array()
        options: dict[str, Any] = dict(axis=d.axis(x))
        if keep:
            options["keepdims"] = d.one(st.booleans())
            options["axis"] = None if d.one(st.booleans()) else options["axis"]
        return [x], lambda t: op(t, **options)

    return entry


def entries(names: str, make: Callable[..., Callable[[Draw], Call]], **options: Any) -> dict[str, Callable[[Draw], Call]]:
    return {name: make(getattr(ops, name), **options) for name in names.split()}


def mixed(op: Callable[..., Any]) -> Callable[[Draw], Call]:
    """A tensor with a number or an array on either side."""

    def entry(d: Draw) -> Call:
        x = d.array()
        other = d.one(st.sampled_from([2, -1, 0, 0.5, True, np.float32(3), np.int64(2)]))
        return [x], (lambda t: op(t, other)) if d.one(st.booleans()) else (lambda t: op(other, t))

    return entry


def _where(d: Draw) -> Call:
    a, b = d.pair()
    return [d.array(d.one(st.sampled_from([a.shape, b.shape, ()])), ("?",)), a, b], ops.where


def _reshape(d: Draw) -> Call:
    x = d.array()
    shape = d.one(st.sampled_from([(-1,), (x.size,), x.shape[::-1], (2, -1), (*x.shape, 1), (0, -1), (3, 5)]))
    return [x], lambda t: ops.reshape(t, shape)


def _permute(d: Draw) -> Call:
    x = d.array()
    axes = d.one(st.permutations(range(x.ndim)))
    return [x], lambda t: ops.permute_dims(t, axes)


def _slice(d: Draw) -> Call:
    x = d.array()
    ends = st.one_of(st.none(), st.integers(-8, 8))
    parts = [(d.one(ends), d.one(ends), d.one(st.sampled_from([None, 1, 2, -1, -3]))) for _ in range(d.one(st.integers(0, x.ndim)))]
    return [x], lambda t: ops.slice(t, [p[0] for p in parts], [p[1] for p in parts], [p[2] for p in parts])


def _joined(op: Callable[..., Any]) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        shape = d.shape()
        arrays = [d.array(shape, FLOATS) for _ in range(d.one(st.sampled_from([1, 2, 3, 9])))]
        if d.one(st.integers(0, 5)) == 0:
            arrays.append(d.array())
        axis = d.axis(arrays[0])
        return arrays, lambda *ts: op(list(ts), axis=axis)

    return entry


def _split(d: Draw) -> Call:
    x, sections = d.array(), d.one(st.integers(0, 3))
    axis = d.axis(x)
    return [x], lambda t: ops.split(t, sections, axis=axis)


def _take(d: Draw) -> Call:
    x, indices = d.array(), d.ints(d.one(st.lists(SIZES, max_size=2).map(tuple)), -7, 7)
    axis = d.axis(x)
    return [x, indices], lambda t, i: ops.take(t, i, axis=axis)


def _scatter(d: Draw) -> Call:
    x = d.floats()
    axis, indices = d.axis(x), d.ints((d.one(SIZES),), -7, 7)
    inside = axis % x.ndim if x.ndim else 0
    updates = d.floats((*x.shape[:inside], *indices.shape, *x.shape[inside + 1 :]))
    return [x, indices, updates], lambda t, i, u: ops.scatter_add(t, i, u, axis=axis)


def _pad(d: Draw) -> Call:
    x = d.array()
    widths = [(d.one(st.integers(0, 3)), d.one(st.integers(0, 2))) for _ in x.shape]
    return [x], lambda t: ops.pad(t, widths, value=1)


def _broadcast_to(d: Draw) -> Call:
    a, b = d.pair()
    return [a], lambda t: ops.broadcast_to(t, b.shape)


def _sum_to(d: Draw) -> Call:
    a, b = d.pair()
    return [a], lambda t: ops.sum_to(t, b.shape)


def _matmul(d: Draw) -> Call:
    m, k, n, other = (d.one(SIZES) for _ in range(4))
    lead = d.one(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    inner = other if d.one(st.integers(0, 5)) == 0 else k
    return [d.floats((*lead, m, k)), d.floats((*(lead if d.one(st.booleans()) else ()), inner, n))], ops.matmul


def _linear(d: Draw) -> Call:
    x = d.floats()
    out, width = d.one(SIZES), x.shape[-1] if x.ndim else 1
    return [x, d.floats((out, width)), d.floats((out,))], ops.linear


def _masked_softmax(d: Draw) -> Call:
    x = d.floats()
    axis = d.axis(x)
    return [x, d.array(x.shape, ("?",))], lambda t, m: ops.masked_softmax(t, m, axis=axis)


def _normed(op: Callable[..., Any], bias: bool) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        x = d.floats()
        width = x.shape[-1:] if d.one(st.integers(0, 5)) else (7,)
        return [x, d.floats(width), *([d.floats(width)] if bias else [])], op

    return entry


def _normed_sum(op: Callable[..., Any], bias: bool) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        (x, *vectors), _ = _normed(op, bias)(d)
        return [x, d.floats(x.shape if d.one(st.integers(0, 5)) else (7,)), *vectors], op

    return entry


def _batch_norm(d: Draw) -> Call:
    x = d.floats((d.one(st.integers(1, 6)), d.one(st.integers(1, 6))))
    per = [d.floats(x.shape[1:]) for _ in range(3)]
    return [x, *per, np.abs(d.floats(x.shape[1:])) + 1], lambda *ts: ops.batch_norm1d(*ts, training=False)


def _attention(d: Draw) -> Call:
    batch, heads, q, k, width = (d.one(st.integers(1, 4)) for _ in range(5))
    return [d.floats((batch, heads, n, 2 * width)) for n in (q, k, k)], ops.scaled_dot_product_attention


def _rope(d: Draw) -> Call:
    seq, width = d.one(st.integers(1, 5)), d.one(st.integers(1, 7))
    return [d.floats((2, 3, seq, width)), d.ints((seq,), 0, 50)], ops.rope


def _conv(op: Callable[..., Any], axes: int) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        channels, out = d.one(st.integers(1, 3)), d.one(st.integers(1, 3))
        x = d.floats((d.one(st.integers(1, 2)), channels, *(d.one(st.integers(1, 6)) for _ in range(axes))))
        weight = d.floats((out, channels, *(d.one(st.integers(1, 3)) for _ in range(axes))))
        options = dict(stride=d.one(st.integers(1, 2)), padding=d.one(st.integers(0, 1)), dilation=d.one(st.integers(1, 2)))
        return [x, weight], lambda t, w: op(t, w, **options)

    return entry


def _images(op: Callable[..., Any]) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        x, size = d.floats((1, *(d.one(st.integers(1, 6)) for _ in range(3)))), d.one(st.integers(1, 3))
        options = {} if op is ops.global_avg_pool2d else dict(kernel_size=size, stride=d.one(st.integers(1, 2)))
        return [x], lambda t: op(t, **options)

    return entry


def _col2im(d: Draw) -> Call:
    size = (d.one(st.integers(2, 5)), d.one(st.integers(2, 5)))
    columns = d.floats((1, 2 * 4, (size[0] - 1) * (size[1] - 1)))
    return [columns], lambda t: ops.col2im(t, size=size, kernel_size=2)


def _spline(op: Callable[..., Any]) -> Callable[[Draw], Call]:
    options = dict(degree=3, grid_size=5, grid_range=(-2.0, 2.0))
    return lambda d: ([d.floats((d.one(SIZES), d.one(SIZES)))], lambda t: op(t, **options))


def _kan(d: Draw) -> Call:
    n, i, o = (d.one(st.integers(1, 5)) for _ in range(3))
    return [d.floats((n, i)), d.floats((o, i, 8))], lambda x, c: ops.kan_layer(x, c, degree=3, grid_size=5, grid_range=(-2.0, 2.0))


def _knots(d: Draw, inputs: int, count: int) -> np.ndarray:
    """Mostly rows that never decrease, with knots that meet and, at times, a row too many or too few."""
    inputs += d.one(st.sampled_from([0] * 8 + [1]))
    steps = np.random.default_rng(d.one(SEEDS)).integers(0, 4, (inputs, count)) / 4
    steps[:, count // 2] = 1.0  # a cell that holds points
    rows = (steps.cumsum(axis=1) - count / 4).astype(d.one(st.sampled_from(FLOATS)))
    return laid_out(rows, d.one(st.sampled_from(LAYOUTS)))


def _knot_basis(d: Draw) -> Call:
    x, degree, order = d.floats(), d.one(st.sampled_from([3, 1, 2, 4, 6] * 2 + [0])), d.one(st.sampled_from([0, 1, 2, 3] * 3 + [-1]))
    cells = d.one(st.sampled_from([5, 2, 3, 7] * 3 + [1]))
    knots = _knots(d, x.shape[-1] if x.ndim else 1, cells + 2 * degree + 1)
    return [x, knots], lambda t, k: ops.knot_basis(t, k, degree=degree, order=order)


def _kan_options(d: Draw, i: int, o: int, functions: int) -> tuple[list[np.ndarray], Callable[..., dict[str, Any]]]:
    """Coefficients, mostly with a bias and a base, and what names them again."""
    more = d.one(st.booleans())
    arrays = [d.floats((o, i, functions)), *([d.floats((o,)), d.floats((o, i + d.one(st.sampled_from([0] * 8 + [1]))))] if more else [])]
    return arrays, lambda *given: dict(zip(("coefficients", "bias", "base"), given, strict=False))


def _kan_knots(d: Draw) -> Call:
    (i, o), degree, cells = (d.one(st.integers(1, 5)) for _ in range(2)), d.one(st.integers(1, 4)), d.one(st.integers(2, 6))
    arrays, named = _kan_options(d, i, o, cells + degree)
    knots = _knots(d, i, cells + 2 * degree + 1)
    return [d.floats((d.one(SIZES), i)), knots, *arrays], lambda x, k, *rest: ops.kan_knot_layer(x, k, degree=degree, **named(*rest))


def _kan_jet(d: Draw) -> Call:
    n, i, o = (d.one(st.integers(1, 5)) for _ in range(3))
    n *= d.one(st.sampled_from([1] * 6 + [0]))
    own, second = d.one(st.booleans()), d.one(st.booleans())
    moving = d.floats((n * d.one(st.integers(1, 3)) + d.one(st.sampled_from([0] * 6 + [1])), i))
    speeding = moving.shape if d.one(st.integers(0, 5)) else d.shape()
    arrays, named = _kan_options(d, i, o, 8)
    beside = [*([d.floats(speeding)] if second else []), *([_knots(d, i, 12)] if own else [])]

    def call(z: Any, first: Any, *rest: Any) -> Any:
        given = list(rest)
        options = dict(degree=3, grid_size=5, grid_range=(-2.0, 2.0))
        kept = given.pop(0) if second else None
        options["knots"] = given.pop(0) if own else None
        return ops.kan_jet(z, first, kept, **named(*given), **options)

    return [d.floats((n, i)), moving, *beside, *arrays], call


def _kan_table(d: Draw) -> Call:
    n, i, o = (d.one(st.integers(1, 5)) for _ in range(3))
    base = d.one(st.booleans())
    grid = dict(degree=3, grid_size=5, grid_range=(-2.0, 2.0), base=base)
    return [d.floats((n, i)), d.floats((i, 8 + base, o))], lambda x, table: ops.kan_table_layer(x, table, **grid)


def _kan_pack(d: Draw) -> Call:
    i, o = (d.one(st.integers(1, 5)) for _ in range(2))
    return [d.floats((o, i, 8)), d.floats((o, i))], ops.kan_pack


def _kan_unpack(d: Draw) -> Call:
    i, o = (d.one(st.integers(1, 5)) for _ in range(2))
    return [d.floats((i, 9, o))], lambda table: list(ops.kan_unpack(table, base=True))


def _compared(op: Callable[..., Any]) -> Callable[[Draw], Call]:
    def entry(d: Draw) -> Call:
        shape = d.one(POSITIVE_SHAPES)
        return [d.floats(shape), d.floats(shape if d.one(st.integers(0, 5)) else (7,))], op

    return entry


def _cross_entropy(d: Draw) -> Call:
    n, classes = d.one(st.integers(1, 6)), d.one(st.integers(1, 6))
    return [d.floats((n, classes)), d.ints((n,), 0, classes)], ops.cross_entropy


WITH_NUMBERS = ("add", "subtract", "multiply", "divide", "power", "minimum", "maximum", "equal", "less", "greater_equal")

OPERATIONS: dict[str, Callable[[Draw], Call]] = {
    **entries("negative abs sign sqrt rsqrt exp log tanh sigmoid relu silu softplus leaky_relu gelu sin cos atan", one),
    **entries("copy zeros_like ones_like stop_gradient", one),
    **entries("matrix_transpose flatten", one),
    **{f"gelu {a}": one(ops.gelu, approximate=a) for a in ("tanh", "other")},
    **{f"clip {low} {high}": one(ops.clip, min=low, max=high) for low, high in ((-1, 2), (None, 0.5), (0.25, None))},
    **{f"astype {t}": one(ops.astype, dtype=t) for t in ("float32", "float16", "bfloat16", "int32", "uint32", "bool")},
    **entries("add subtract multiply divide power minimum maximum equal not_equal less less_equal greater greater_equal", two),
    **{f"{name} number": mixed(getattr(ops, name)) for name in WITH_NUMBERS},
    **entries("sum mean max min var logsumexp argmax argmin", along, keep=True), **entries("cumulative_sum softmax log_softmax", along),
    **entries("concat stack", _joined), **entries("mse_loss l1_loss huber_loss binary_cross_entropy_with_logits", _compared),
    **entries("im2col max_pool2d avg_pool2d global_avg_pool2d", _images), **entries("spline_basis spline_basis_derivative", _spline),
    "full_like": one(ops.full_like, value=2), "where": _where, "reshape": _reshape, "permute_dims": _permute, "slice": _slice,
    "split": _split,
    "take": _take, "scatter_add": _scatter, "pad": _pad, "broadcast_to": _broadcast_to, "sum_to": _sum_to, "matmul": _matmul,
    "linear": _linear,
    "expand_dims": along(ops.expand_dims), "squeeze": along(ops.squeeze),
    "one_hot": lambda d: ([d.ints(d.shape(), -1, 4)], lambda i: ops.one_hot(i, num_classes=3)),
    "embedding": lambda d: ([d.floats((d.one(SIZES), d.one(SIZES))), d.ints(d.shape(), -4, 6)], ops.embedding),
    "masked_softmax": _masked_softmax,
    "layer_norm": _normed(ops.layer_norm, True), "rms_norm": _normed(ops.rms_norm, False),
    "add_layer_norm": _normed_sum(ops.add_layer_norm, True), "add_rms_norm": _normed_sum(ops.add_rms_norm, False),
    "batch_norm1d": _batch_norm, "rope": _rope,
    "scaled_dot_product_attention": _attention, "conv1d": _conv(ops.conv1d, 1), "conv2d": _conv(ops.conv2d, 2), "col2im": _col2im,
    "kan_jet": _kan_jet, "kan_knot_layer": _kan_knots, "kan_layer": _kan, "kan_pack": _kan_pack,
    "kan_table_layer": _kan_table, "kan_unpack": _kan_unpack,
    "knot_basis": _knot_basis, "cross_entropy": _cross_entropy, "as_tensor": lambda d: ([d.array()], lambda t: ops.as_tensor([1, 2], t)),
}  # fmt: skip

RANDOM = {"dropout", "random_bits", "random_normal", "random_uniform"}
"""Operations that draw from a generator; their own tests compare the streams."""


def test_the_table_names_every_operation():
    public = {n for n in dir(ops) if not n.startswith("_") and callable(getattr(ops, n)) and not isinstance(getattr(ops, n), type(ops))}
    assert public - RANDOM == {name.split()[0] for name in OPERATIONS}


def outcome(device: Any, arrays: list[np.ndarray], call: Callable[..., Any], wide: bool) -> Any:
    """The resulting arrays, or the error."""
    try:
        tensors = [device.tensor(a, "float64" if wide and a.dtype.kind == "f" and a.dtype.itemsize > 2 else None) for a in arrays]
        return [np.asarray(t) for t in flat(call(*tensors))]
    except GpucoreError as error:
        return error


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


@pytest.mark.parametrize("name", OPERATIONS)
def test_agrees_with_numpy_or_refuses(gpu, cpu, name):
    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        arrays, call = OPERATIONS[name](Draw(data))
        with np.errstate(all="ignore"):
            got, want = outcome(gpu, arrays, call, False), outcome(cpu, arrays, call, True)
        if isinstance(want, GpucoreError) or isinstance(got, GpucoreError):
            assert type(got) is type(want), (got, want)
            assert str(got).count("\n") == 0
            assert str(got)
            return
        assert [a.shape for a in got] == [b.shape for b in want]
        for a, b in zip(got, want, strict=True):
            scale = np.abs(b, where=np.isfinite(b), out=np.zeros(b.shape)).max(initial=1.0) if b.dtype.kind == "f" else 1.0
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6 * scale)

    check()
    assert (gpu.tensor([1.0, 2.0]) + 1).numpy().tolist() == [2, 3]
