"""The network as formulas, by sympy."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError
from .layer import KanLayer
from .library import LIBRARY, Function

if TYPE_CHECKING:
    from .network import KanNetwork

MOST_SHOWN = 5
MOST_TERMS = 60
"""Polynomials of up to so many terms are multiplied out, so that their numbers come together."""


def load_sympy(who: str) -> Any:
    """The package, or one sentence about how to get it."""
    try:
        import sympy
    except ImportError:
        raise ConfigError(f"{who}: sympy is not installed; install gpucore[symbolic] or sympy") from None
    return sympy


def formula(
    network: KanNetwork, *, digits: int | None = None, significant: int | None = None, splines: bool = False,
    names: Sequence[str] | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """See `KanNetwork.formula`."""
    who = "KanNetwork.formula"
    sympy = load_sympy(who)
    check_digits(who, digits, significant)
    check_names(who, names, network.config.input_dim)
    if not splines:
        _check_fixed(who, network)
    nodes = _inputs(network, sympy, names)
    for k, layer in enumerate(network.layers):
        nodes = _outputs(sympy, k, layer, nodes)
    return tuple(_rounded(sympy, node, digits, significant) for node in nodes)


def check_digits(who: str, digits: Any = None, significant: Any = None) -> None:
    """ConfigError for numbers of digits that a float does not have."""
    for name, value, least in (("digits", digits, 0), ("significant", significant, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 15):
            raise ConfigError(f"{who}: {name} is {value!r}; wants a whole number from {least} to 15, or None")


def check_names(who: str, names: Any, count: int) -> None:
    """ConfigError unless they are None or so many different texts."""
    if names is None:
        return
    if isinstance(names, str) or len(names) != count or len(set(names)) != count or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{who}: names is {names!r}; wants {count} different names")


def _check_fixed(who: str, network: KanNetwork) -> None:
    """ConfigError that names edges which are still splines."""
    left = [f"{i} to {j} in layer {k}" for k, layer in enumerate(network.layers) for j, i in np.argwhere(layer.host_mask())]
    if left:
        more = f" and {len(left) - MOST_SHOWN} more" if len(left) > MOST_SHOWN else ""
        wanted = "fix or prune them, or ask with splines=True"
        raise ConfigError(f"{who}: edges are still splines, {', '.join(left[:MOST_SHOWN])}{more}; {wanted}")


def _inputs(network: KanNetwork, sympy: Any, names: Sequence[str] | None) -> list[Any]:
    """The inputs as symbols x_1 to x_n, standardised as the network does it."""
    count = network.config.input_dim
    nodes = [sympy.Symbol(name, real=True) for name in (names or [f"x_{i + 1}" for i in range(count)])]
    if network.mean is not None:
        nodes = [x - float(m) for x, m in zip(nodes, network.mean.numpy(), strict=True)]
    if network.std is not None:
        nodes = [x / float(s) for x, s in zip(nodes, network.std.numpy(), strict=True)]
    return nodes


def _outputs(sympy: Any, k: int, layer: KanLayer, nodes: Sequence[Any]) -> list[Any]:
    """What a layer makes of these expressions; an edge that is a spline becomes φ_{layer, output, input} of its input."""
    functions, splines = layer.functions(), layer.host_mask()
    made = [sympy.Float(float(b)) for b in layer.bias.numpy()]
    for (i, j), (name, affine) in functions.items():
        made[j] += _edge(sympy, LIBRARY[name], nodes[i], affine)
    for j, i in np.argwhere(splines):
        made[j] += sympy.Function(f"phi_{k + 1}_{j + 1}_{i + 1}")(nodes[i])
    return made


def _edge(sympy: Any, function: Function, x: Any, affine: Sequence[float]) -> Any:
    """c·f(a·x + b) + d; c goes inside where f(k·u) is k^r·f(u), so that factors cancel: 2·sqrt(x/4) is sqrt(x)."""
    a, b, c, d = affine
    sign = 1.0 if c >= 0 else -1.0
    if function.power is not None and function.power != 1 and c != 0:
        factor = abs(c) ** (1 / function.power)
        if 1e-6 < factor < 1e6:
            a, b, c = a * factor, b * factor, sign
    argument = a * x + b
    terms = _terms(sympy, x)
    argument = sympy.expand(argument) if terms <= MOST_TERMS else argument
    value = function.expression(sympy, argument)
    if function.power in (1, 2, 3, 4) and function.name != "abs" and comb(terms + int(function.power), int(function.power)) <= MOST_TERMS:
        value = sympy.expand(value)
    value = value if c == 1 else -value if c == -1 else c * value
    return value + d if d else value


def _terms(sympy: Any, x: Any) -> int:
    """The terms of a polynomial; more than any limit for other expressions, which are not multiplied out."""
    polynomial = not x.free_symbols or x.is_polynomial(*x.free_symbols)
    return len(sympy.Add.make_args(x)) if polynomial else MOST_TERMS + 1


def _rounded(sympy: Any, expression: Any, digits: int | None, significant: int | None) -> Any:
    """The expression with every number rounded to so many digits after the point, or to so many significant ones."""
    if digits is None and significant is None:
        return expression

    def rounded(number: Any) -> Any:
        value = float(number) if significant is None else float(f"{float(number):.{significant}g}")
        value = value if digits is None else round(value, digits)
        return sympy.Integer(int(value)) if value == int(value) else sympy.Float(repr(value))

    return expression.xreplace({number: rounded(number) for number in expression.atoms(sympy.Float)})
