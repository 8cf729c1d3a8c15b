"""The functions that can take the place of a spline: each computes on any device, safely, and knows its own formula.

Every function is finite for every finite u, and so are its derivatives, so that training can pass the edge of a domain:
near it the function goes on as written at each. Inside the domain it is the function of its name, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from ... import ops
from ...errors import ConfigError

LARGE = 1e8
"""Arguments count as at most this, on either side, so that a fourth power stays finite."""
ROOT = 1e-10
"""Arguments of sqrt, 1/sqrt and log count as at least this."""
POLE = 1e-8
"""Squares in a denominator count as at least this: 1/x goes through 0 as 1e8·x when |x| < 1e-4."""
INSIDE = 1 - 1e-6
"""Arguments of arcsin, arccos and arctanh count as at most this, on either side."""
TOP = 80.0
"""Arguments of exp count as at most this."""


@dataclass(frozen=True)
class Function:
    """A function f of the library; an edge computes c·f(a·x + b) + d.

    compute:    u to f(u) by operations, on any device.
    inside:     whether all u along the last axis, [..., n], lie in one piece of the domain: [...].
    complexity: how much explaining it takes; simpler ones win where the fit is nearly as good.
    search:     which of (a, b) matter beside (c, d), for finding them: "none", "shift" (f(k·u) is a multiple of f(u), up
                to a constant), "rate" (f(u + k) is a multiple of f(u)), "wave" (periodic), "place" (both).
    power:      r where f(k·u) = k^r·f(u) for k > 0.
    expression: (sympy, u) to the formula.
    """

    name: str
    compute: Callable[[Any], Any]
    expression: Callable[[Any, Any], Any]
    complexity: int
    search: str
    power: float | None = None
    inside: Callable[[np.ndarray], Any] = lambda u: np.ones(u.shape[:-1], bool)
    mirrored: bool = False
    """Whether a must take both signs: f(-u) is neither ±f(u) nor that and a constant."""


def edge_value(function: Function, x: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """c·f(a·x + b) + d, finite for every x that is no NaN."""
    u = ops.clip(ops.clip(x, min=-LARGE, max=LARGE) * a + b, min=-LARGE, max=LARGE)
    return function.compute(u) * c + d


def function_text(name: str, affine: Sequence[float]) -> str:
    """c·f(a·x + b) + d to three digits, as people write it."""
    a, b, c, d = affine
    u = f"{a:.3g}x{b:+.3g}"
    inner = name.replace("x", f"({u})") if name in ("x", "x^2", "x^3", "x^4", "1/x", "1/x^2") else f"{name}({u})"
    return f"{d:.3g}" if name == "0" else f"{c:.3g}·{inner}{d:+.3g}"


def find(who: str, name: Any) -> Function:
    """The function of a name; ConfigError when there is none."""
    if name not in LIBRARY:
        raise ConfigError(f"{who}: function is {name!r}; wants one of {', '.join(LIBRARY)}")
    return LIBRARY[name]


# ---- domains


def _positive(u: np.ndarray) -> Any:
    return (u > ROOT).all(axis=-1)


def _not_negative(u: np.ndarray) -> Any:
    return (u >= 0).all(axis=-1)


def _one_sided(u: np.ndarray) -> Any:
    return (u > np.sqrt(POLE)).all(axis=-1) | (u < -np.sqrt(POLE)).all(axis=-1)


def _one_branch(u: np.ndarray) -> Any:
    turns = np.floor(u / pi + 0.5)
    return (turns == turns[..., :1]).all(axis=-1) & (np.cos(u) ** 2 > POLE).all(axis=-1)


def _within_one(u: np.ndarray) -> Any:
    return (np.abs(u) <= INSIDE).all(axis=-1)


def _moderate(u: np.ndarray) -> Any:
    return (u <= TOP).all(axis=-1)


# ---- functions that the operations do not have


def _inverse(u: Any) -> Any:
    return u / ops.maximum(u * u, POLE)


def _tan(u: Any) -> Any:
    cosine = ops.cos(u)
    return ops.sin(u) * cosine / ops.maximum(cosine * cosine, POLE)


def _arcsin(u: Any) -> Any:
    u = ops.clip(u, min=-INSIDE, max=INSIDE)
    return ops.atan(u * ops.rsqrt((1.0 - u) * (u + 1.0)))


def _arctanh(u: Any) -> Any:
    u = ops.clip(u, min=-INSIDE, max=INSIDE)
    return ops.log((u + 1.0) / (1.0 - u)) * 0.5


def _square(u: Any) -> Any:
    return u * u


_FUNCTIONS = (
    Function("0", lambda u: u * 0.0, lambda s, u: s.Integer(0), 1, "none"),
    Function("x", lambda u: u, lambda s, u: u, 1, "none", 1),
    Function("x^2", _square, lambda s, u: u**2, 2, "shift", 2),
    Function("x^3", lambda u: u * u * u, lambda s, u: u**3, 3, "shift", 3),
    Function("x^4", lambda u: _square(_square(u)), lambda s, u: u**4, 4, "shift", 4),
    Function("1/x", _inverse, lambda s, u: 1 / u, 2, "shift", -1, _one_sided),
    Function("1/x^2", lambda u: 1.0 / ops.maximum(u * u, POLE), lambda s, u: 1 / u**2, 3, "shift", -2, _one_sided),
    Function("sqrt", lambda u: ops.sqrt(ops.maximum(u, ROOT)), lambda s, u: s.sqrt(u), 2, "shift", 0.5, _not_negative, mirrored=True),
    Function("1/sqrt", lambda u: ops.rsqrt(ops.maximum(u, ROOT)), lambda s, u: 1 / s.sqrt(u), 3, "shift", -0.5, _positive, mirrored=True),
    Function("exp", lambda u: ops.exp(ops.minimum(u, TOP)), lambda s, u: s.exp(u), 2, "rate", None, _moderate, mirrored=True),
    Function("log", lambda u: ops.log(ops.maximum(u, ROOT)), lambda s, u: s.log(u), 2, "shift", None, _positive, mirrored=True),
    Function("abs", ops.abs, lambda s, u: s.Abs(u), 3, "shift", 1),
    Function("sin", ops.sin, lambda s, u: s.sin(u), 3, "wave"),
    Function("cos", ops.cos, lambda s, u: s.cos(u), 3, "wave"),
    Function("tan", _tan, lambda s, u: s.tan(u), 4, "place", None, _one_branch),
    Function("tanh", ops.tanh, lambda s, u: s.tanh(u), 4, "place"),
    Function("arctan", ops.atan, lambda s, u: s.atan(u), 4, "place"),
    Function("arcsin", _arcsin, lambda s, u: s.asin(u), 5, "place", None, _within_one),
    Function("arccos", lambda u: pi / 2 - _arcsin(u), lambda s, u: s.acos(u), 5, "place", None, _within_one),
    Function("arctanh", _arctanh, lambda s, u: s.atanh(u), 5, "place", None, _within_one),
    Function("sigmoid", ops.sigmoid, lambda s, u: 1 / (1 + s.exp(-u)), 4, "place"),
    Function("gaussian", lambda u: ops.exp(-(u * u)), lambda s, u: s.exp(-(u**2)), 3, "place"),
    Function("sign", ops.sign, lambda s, u: s.sign(u), 4, "shift"),
)
LIBRARY: dict[str, Function] = {f.name: f for f in _FUNCTIONS}
"""Every function by name, x standing for u = a·x + b; gaussian is e^-u², sigmoid 1/(1 + e^-u), 0 leaves the constant d."""
