"""Reverse-mode differentiation: each operation leaves on the tape how its gradient flows back.

A differentiable operation is a function that returns its result together with a function `backward(g)`:

    @differentiable
    def exp(x):
        y = K.unary(x, op="exp")
        return y, lambda g: (multiply(g, y),)

`backward` gets the gradient of the result (a tuple of them, None where nothing flows, when the operation returns a
tuple) and gives one entry per positional tensor argument: a tensor, None (no gradient has a meaning, as for an index),
or a function without arguments that computes it, called only when it is needed. Built from differentiable
operations, gradients can be differentiated again.
An operation whose gradient is not known returns `backward` None: a GradientError names it when one is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from .array import Array
from .errors import GradientError, ShapeError

_state = threading.local()

Backward = Callable[..., Sequence[Any]] | None


class Node(NamedTuple):
    """One operation on the tape."""

    name: str
    inputs: tuple[Any, ...]
    outputs: tuple[Array, ...]
    backward: Backward


def _tapes() -> list[GradientTape]:
    try:
        return _state.tapes  # type: ignore[no-any-return]
    except AttributeError:
        _state.tapes = []
        return _state.tapes  # type: ignore[no-any-return]


def _one(target: Any) -> Any:
    """The gradient of a target by itself: a tensor of ones that its device keeps, so that it costs no launch."""
    kept = target.device.cache
    key = ("one", target.shape, target.dtype)
    if key not in kept:
        kept[key] = target.device.ones(target.shape, target.dtype)
    return kept[key]


def is_one(g: Any) -> bool:
    """True for the gradient that a tape starts with: an operation need not multiply by it."""
    return g is g.device.cache.get(("one", g.shape, g.dtype))


def is_recording() -> bool:
    """True when a tape is watching; operations may then keep what their gradients need."""
    return bool(_tapes())


@contextmanager
def no_grad() -> Iterator[None]:
    """Inside, nothing is recorded on any tape."""
    held, _state.tapes = _tapes(), []
    try:
        yield
    finally:
        _state.tapes = held


def differentiable(fn: Callable[..., tuple[Any, Backward]]) -> Callable[..., Any]:
    """Makes an operation of a function that returns (result, backward); see the module's text."""

    @wraps(fn)
    def operation(*inputs: Any, **options: Any) -> Any:
        tapes = _tapes()
        if not tapes:
            return fn(*inputs, **options)[0]
        _state.tapes = []  # what the function calls inside is its own affair
        try:
            result, backward = fn(*inputs, **options)
        finally:
            _state.tapes = tapes
        outputs = result if isinstance(result, tuple) else (result,)
        node = Node(fn.__name__, inputs, outputs, backward)
        for tape in tapes:
            tape.nodes.append(node)
        return result

    return operation


class GradientTape:
    """Records the operations inside its context; `gradient` runs them backwards.

        with gc.GradientTape() as tape:
            loss = f(params)
        grads = tape.gradient(loss, params)

    Tapes nest: a gradient taken inside an outer tape's context can be differentiated by the outer one.
    A tape gives gradients once and lets its tensors go; with persistent=True, as often as asked.
    """

    def __init__(self, *, persistent: bool = False) -> None:
        self.nodes: list[Node] = []
        self._persistent = persistent
        self._used = False

    def __enter__(self) -> GradientTape:
        if self._used:
            raise GradientError("GradientTape: this tape was used already; make a new one")
        _tapes().append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        tapes = _tapes()
        if self in tapes:
            tapes.remove(self)

    def gradient(self, target: Any, sources: Sequence[Any], *, seed: Any = None) -> list[Any]:
        """d target / d source for each source, in order; zeros where nothing flows.

        target: a tensor of one element, or of any shape with `seed`, the gradient that arrives at it.
        Raises GradientError when an operation on the way has no gradient, or the tape was used up.
        """
        from .ops import ones_like, zeros_like

        one = _one(target)

        if self._used and not self._persistent:
            raise GradientError("GradientTape.gradient: this tape has given its gradients; use persistent=True for several")
        if isinstance(sources, Array):
            raise GradientError("GradientTape.gradient: sources is one tensor; wants a list of tensors")
        if seed is None and target.size != 1:
            raise ShapeError(f"GradientTape.gradient: the target has shape {target.shape}; wants one element, or seed=")
        if seed is not None and seed.shape != target.shape:
            raise ShapeError(f"GradientTape.gradient: seed has shape {seed.shape} and the target {target.shape}")
        recording = self in _tapes()
        if recording:
            self.__exit__()  # its own backward pass is not part of this tape
        try:
            grads = self._backward(target, sources, one if seed is None else seed)
        finally:
            if recording:
                _tapes().append(self)
        result = [g if (g := grads.get(id(s))) is not None else zeros_like(s) for s in sources]
        result = [ones_like(g) if g is one else g for g in result]  # the caller may change what it gets
        self._used = True
        if not self._persistent:
            self.nodes = []
        return result

    def _backward(self, target: Any, sources: Sequence[Any], seed: Any) -> dict[int, Any]:
        needed = self._reached_from(sources)
        wanted = {id(s) for s in sources}
        grads: dict[int, Any] = {id(target): seed}
        for node in reversed(self.nodes):
            arriving = [grads.get(id(out)) for out in node.outputs]
            if all(g is None for g in arriving) or not any(id(out) in needed for out in node.outputs):
                continue
            for out in node.outputs:
                if id(out) not in wanted:
                    grads.pop(id(out), None)
            if node.backward is None:
                raise GradientError(f"{node.name} has no gradient; compute it under no_grad() if none is wanted")
            self._accumulate(node, node.backward(arriving[0] if len(arriving) == 1 else tuple(arriving)), needed, grads)
        return grads

    @staticmethod
    def _accumulate(node: Node, flowing: Sequence[Any], needed: set[int], grads: dict[int, Any]) -> None:
        from .ops import add

        for given, g in zip(node.inputs, flowing, strict=True):
            if not isinstance(given, Array) or id(given) not in needed or g is None:
                continue
            value = g if isinstance(g, Array) else g()
            if value is None:
                continue
            if value.shape != given.shape:
                raise GradientError(f"{node.name}: its backward gave shape {value.shape} for an input of shape {given.shape}")
            before = grads.get(id(given))
            grads[id(given)] = value if before is None else add(before, value)

    def _reached_from(self, sources: Sequence[Any]) -> set[int]:
        """The ids of all tensors that depend on a source: only towards these do gradients flow."""
        reached = {id(s) for s in sources}
        for node in self.nodes:
            if any(isinstance(t, Array) and id(t) in reached for t in node.inputs):
                reached.update(id(out) for out in node.outputs)
        return reached
