"""Elementwise kernels."""

from __future__ import annotations

from math import prod
from typing import Any

from kernels_ref import elementwise as ref

from ..array import Array
from ..errors import ShapeError
from ..kernel import Launch, ceil_div, kernel

WORKGROUP = 256
MAX_RANK = 6
UNARY = tuple(ref.UNARY)
BINARY = tuple(ref.BINARY)

_SHAPES = [(1,), (257,), (3, 5, 7), (0,), (1009,)]


@kernel(
    "elementwise/unary", ref=ref.unary, flops=1, bench=dict(x=(1 << 24,), op="exp"),
    cases=[dict(x=shape, op=op, id=f"{op} {shape}") for op in UNARY for shape in _SHAPES] + [dict(x=(65536 * 256 + 1,), op="negative", large=True)],
)  # fmt: skip
def unary(x: Array, *, op: str) -> Launch:
    """op(x), elementwise."""
    return Launch(x.shape, groups=ceil_div(x.size, WORKGROUP), params=dict(size=x.size), constants=dict(OP=UNARY.index(op)))


def broadcast_shapes(who: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to; ShapeError names `who` and the shapes."""
    rank = max(map(len, shapes))
    if rank > MAX_RANK:
        raise ShapeError(f"{who}: {rank} axes are more than the {MAX_RANK} supported")
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    result = []
    for axis in zip(*padded, strict=True):
        sizes = {n for n in axis if n != 1}
        if len(sizes) > 1:
            raise ShapeError(f"{who}: shapes {' and '.join(map(str, shapes))} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def broadcast_strides(shape: tuple[int, ...], to: tuple[int, ...]) -> list[int]:
    """Strides in elements of a contiguous `shape` walked as six axes of `to`; 0 along broadcast axes."""
    padded = (1,) * (MAX_RANK - len(shape)) + shape
    target = (1,) * (MAX_RANK - len(to)) + to
    return [0 if n == 1 and m != 1 else prod(padded[i + 1 :]) for i, (n, m) in enumerate(zip(padded, target, strict=True))]


def vec4_pair(name: str, six: list[int] | tuple[int, ...]) -> dict[str, Any]:
    """Six numbers as the two vec4s `name_low` and `name_high` of a Params."""
    return {f"{name}_low": tuple(six[:4]), f"{name}_high": (*six[4:], 0, 0)}


@kernel(
    "elementwise/binary", ref=ref.binary, flops=1, bench=dict(a=(1 << 24,), b=(1 << 24,), op="add"),
    cases=[dict(a=a, b=b, op=op) for op in BINARY for a, b in (((1,), (1,)), ((257,), (257,)), ((3, 1, 5), (4, 1)), ((0, 3), (3,)))],
)  # fmt: skip
def binary(a: Array, b: Array, *, op: str) -> Launch:
    """a op b, elementwise, with NumPy broadcasting over up to six axes."""
    shape = broadcast_shapes(op, a.shape, b.shape)
    size = prod(shape)
    params = vec4_pair("n", (1,) * (MAX_RANK - len(shape)) + shape)
    params |= vec4_pair("a", broadcast_strides(a.shape, shape)) | vec4_pair("b", broadcast_strides(b.shape, shape))
    mode = 0 if a.shape == b.shape else 1
    return Launch(shape, groups=ceil_div(size, WORKGROUP), params=params | dict(size=size), constants=dict(OP=BINARY.index(op), MODE=mode))
