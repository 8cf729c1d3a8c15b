"""Shapes under NumPy's broadcasting, as shaders want them."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from ..errors import ShapeError

MAX_RANK = 6

SAME, ONE, LAST_AXES, REPEATED, STRIDED = range(5)
"""How an operand is read; see shaders/elementwise/binary.wgsl."""


def broadcast_shapes(who: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to; ShapeError names `who` and the shapes."""
    rank = max(map(len, shapes))
    if rank > MAX_RANK and any(s != shapes[0] for s in shapes):
        raise ShapeError(f"{who}: broadcasting over {rank} axes; wants at most {MAX_RANK}")
    if all(s == shapes[0] for s in shapes):
        return shapes[0]
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    result = []
    for axis in zip(*padded, strict=True):
        sizes = {n for n in axis if n != 1}
        if len(sizes) > 1:
            raise ShapeError(f"{who}: shapes {' and '.join(map(str, shapes))} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def six_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with leading axes of 1, six in all."""
    return (1,) * (MAX_RANK - len(shape)) + shape


def broadcast_strides(shape: tuple[int, ...], to: tuple[int, ...]) -> list[int]:
    """Strides in elements of a contiguous `shape` walked as six axes of `to`; 0 along broadcast axes."""
    padded, target = six_axes(shape), six_axes(to)
    return [0 if n == 1 and m != 1 else prod(padded[i + 1 :]) for i, (n, m) in enumerate(zip(padded, target, strict=True))]


def vec4_pair(name: str, six: list[int] | tuple[int, ...]) -> dict[str, Any]:
    """Six numbers as the two vec4s `name_low` and `name_high` of a Params."""
    return {f"{name}_low": tuple(six[:4]), f"{name}_high": (*six[4:], 0, 0)}


class Reading(NamedTuple):
    """How a broadcast operand's elements are found from a result's flat index: a mode, and (i / inner) % period."""

    mode: int
    inner: int = 1
    period: int = 1


def reading(shape: tuple[int, ...], to: tuple[int, ...]) -> Reading:
    """The cheapest way to read an operand of this shape while walking the result `to`."""
    if shape == to or prod(shape) == prod(to):
        return Reading(SAME)
    if prod(shape) == 1:
        return Reading(ONE)
    padded = (1,) * (len(to) - len(shape)) + shape
    kept = [i for i, (n, m) in enumerate(zip(padded, to, strict=True)) if n == m and m != 1]
    if any(padded[i] == 1 and to[i] != 1 for i in range(kept[0], kept[-1])):
        return Reading(STRIDED)
    inner, period = prod(to[kept[-1] + 1 :]), prod(shape)
    if inner == 1:
        return Reading(LAST_AXES if period % 4 == 0 else STRIDED, 1, period)
    return Reading(REPEATED if inner % 4 == 0 else STRIDED, inner, period)


class Walk(NamedTuple):
    """A walk over a result: six extents (leading ones 1), six strides per operand, and how many axes count."""

    sizes: list[int]
    strides: list[list[int]]
    rank: int


def joint_walk(to: tuple[int, ...], *shapes: tuple[int, ...]) -> Walk:
    """The walk over `to` for operands of these shapes, with as few axes as they allow: fewer divisions per element.

    Axes of 1 go, and neighbours become one where every operand steps through both as through one.
    """
    if len(to) > MAX_RANK:  # so many only where nothing is broadcast
        return Walk([1] * MAX_RANK, [[0] * MAX_RANK for _ in shapes], 1)
    steps = [broadcast_strides(shape, to) for shape in shapes]
    axes: list[tuple[int, ...]] = []  # (extent, stride of each operand)
    for n, *at in zip(six_axes(to), *steps, strict=True):
        if n == 1:
            continue
        if axes and all(before == n * s for before, s in zip(axes[-1][1:], at, strict=True)):
            axes[-1] = (axes[-1][0] * n, *at)
        else:
            axes.append((n, *at))
    axes = axes or [(1, *[0] * len(shapes))]
    lead = MAX_RANK - len(axes)
    columns = [list(c) for c in zip(*axes, strict=True)]
    return Walk([1] * lead + columns[0], [[0] * lead + c for c in columns[1:]], len(axes))
