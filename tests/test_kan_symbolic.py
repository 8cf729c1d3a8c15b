from __future__ import annotations

import numpy as np
import pytest
import sympy
from scipy import special

import gpucore as gc
from gpucore.errors import ConfigError, DTypeError, FormatError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan.affine import fit_affine
from gpucore.systems.kan.discovery import TARGETS, discover, train_all
from gpucore.systems.kan.edges import function_values
from gpucore.systems.kan.library import LIBRARY

KNOWN = {
    "0": lambda u: 0 * u, "x": lambda u: u, "x^2": np.square, "x^3": lambda u: u**3, "x^4": lambda u: u**4, "1/x": lambda u: 1 / u,
    "1/x^2": lambda u: u**-2.0, "sqrt": np.sqrt, "1/sqrt": lambda u: u**-0.5, "exp": np.exp, "log": np.log, "abs": np.abs, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "arctan": np.arctan, "arcsin": np.arcsin, "arccos": np.arccos, "arctanh": np.arctanh,
    "sigmoid": special.expit, "gaussian": lambda u: np.exp(-(u**2)), "sign": np.sign,
}  # fmt: skip
POSITIVE = np.linspace(0.05, 0.95, 41)
SIGNED = np.linspace(-0.95, 0.95, 41)  # not 0 itself
POLES = ("1/x", "1/x^2", "sqrt", "1/sqrt", "log")
SHAPES = {"sqrt": (-1.2, 2.6), "log": (1, 1.5), "1/x": (1, 1.6), "1/x^2": (-1, 2.7), "1/sqrt": (1, 1.5), "sin": (4, 0.7), "cos": (2, 1),
          "tan": (0.6, 0.1), "arcsin": (0.4, 0.05), "arccos": (0.4, 0.05), "arctanh": (0.4, 0.02), "exp": (-1.7, 0)}  # fmt: skip
"""(a, b) of an edge that a search must find again, for inputs from -1.3 to 2.1; (1.5, 0.3) for the others."""


def domain(name):
    return POSITIVE if name in POLES else SIGNED


def points(n=200, inputs=2, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (n, inputs)).astype(np.float32)


def make(device, *hidden, **more):
    return kan.KanNetwork(kan.KanConfig(2, hidden or (3,), 1, seed=3, **({"base": "silu"} | more)), device=device)


# ---- the library


def test_every_function_is_known_here():
    assert list(LIBRARY) == list(KNOWN)


@pytest.mark.parametrize("name", LIBRARY)
def test_functions_are_those_of_numpy_and_of_sympy(gpu, name):
    u = domain(name)
    want = KNOWN[name](u)
    assert function_values(name, u, (1, 0, 1, 0)) == pytest.approx(want, rel=1e-12, abs=1e-14)
    assert function_values(name, (u - 0.3) / 2, (2, 0.3, -3, 1.5)) == pytest.approx(1.5 - 3 * want, rel=1e-11, abs=1e-12)
    got = LIBRARY[name].compute(gpu.tensor(u.astype(np.float32))).numpy()
    assert got == pytest.approx(KNOWN[name](u.astype(np.float32).astype(np.float64)), rel=3e-6, abs=3e-7)
    x = sympy.Symbol("x", real=True)
    formula = sympy.lambdify(x, LIBRARY[name].expression(sympy, x), "numpy")
    assert np.broadcast_to(formula(u), u.shape) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", LIBRARY)
def test_no_function_makes_nan(gpu, name):
    """Anywhere: beyond the domain, on poles, far out; and neither does its gradient."""
    u = np.array([0, -0.0, 1, -1, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf, 1.0000001, -2, 1e-5, np.pi / 2, 90, -90], np.float32)
    network = kan.KanNetwork(kan.KanConfig(1, (), 1), device=gpu)
    network.fix_symbolic(0, 0, 0, name, affine=(1, 0, 1, 0))
    x = gpu.tensor(u[:, None])
    with gc.GradientTape() as tape:
        y = network(x)
    grads = [g.numpy() for g in tape.gradient(y, [x, network.layers[0].symbolic.affine], seed=gpu.ones(y.shape))]
    assert np.isfinite(y.numpy()).all()
    assert all(np.isfinite(g).all() for g in grads)
    assert np.isnan(network(np.float32([[np.nan]])).numpy()).all()


# ---- fitting


@pytest.mark.parametrize("name", LIBRARY)
def test_the_search_finds_a_function_again(name):
    x = np.random.default_rng(0).uniform(-1.3, 2.1, 400)
    a, b = SHAPES.get(name, (1.5, 0.3))
    y = 2 * KNOWN[name](a * x + b) - 0.7
    found = fit_affine(LIBRARY[name], x, y)
    assert found.r2 > (0.98 if name == "sign" else 0.9999)
    values = function_values(name, x, found[:4])
    assert 1 - found.r2 == pytest.approx(((values - y) ** 2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-300), abs=1e-9)


def test_a_fit_without_a_domain_or_a_spread_is_the_mean():
    x, y = np.linspace(-3, 3, 50), np.full(50, 0.25)
    for function in LIBRARY.values():
        a, b, c, d, r2 = fit_affine(function, x, y)
        assert (c, d, r2) == (0, 0.25, 1)
        assert np.isfinite([a, b]).all()
        assert np.isfinite(fit_affine(function, np.zeros(50), x)).all()
        assert 0 <= fit_affine(function, x, np.random.default_rng(0).normal(size=50)).r2 < 0.6


@pytest.mark.parametrize("size", [2.0**-400, 2.0**-40, 2.0**400])
def test_a_fit_does_not_depend_on_the_size_of_the_values(size):
    """Functions that underflow far from their places are no candidates; warnings are errors here."""
    x = np.linspace(-1, 2, 300)
    for name in LIBRARY:
        one, found = (fit_affine(LIBRARY[name], x, scale * (np.sin(3 * x) + x)) for scale in (1.0, size))
        assert found == one._replace(c=one.c * size, d=one.d * size), "powers of two round nothing"


def test_suggestions_rank_and_read_as_a_table(gpu):
    network = make(gpu, 1)
    x = points()
    c = network.layers[0].grid.functions(np.linspace(-1, 1, 200))
    wanted = np.linspace(-1, 1, 200) ** 2
    fitted = np.linalg.lstsq(c, wanted, rcond=None)[0]
    held = network.layers[0].coefficients.numpy()
    held[0, 0] = fitted
    network.layers[0].coefficients.assign(held)
    network.layers[0].base.assign(np.zeros((1, 2), np.float32))
    for samples in (x, None):
        found = network.suggest_symbolic(0, 0, 0, samples)
        assert found[0].name == "x^2"
        assert found[0].r2 > 0.99999
        assert {s.name for s in found} == set(LIBRARY)
        assert [s.score for s in found] == sorted(s.score for s in found)
        assert np.isfinite([[s.r2, *s.affine] for s in found]).all()
    assert str(found).splitlines()[1].split()[0] == "x^2"
    by_fit = network.suggest_symbolic(0, 0, 0, x, functions=["cos", "x", "x^4"], simplicity=0)
    assert [s.r2 for s in by_fit] == sorted((s.r2 for s in by_fit), reverse=True)


# ---- edges that are functions


def test_a_fixed_edge_computes_its_function_and_comes_back(gpu):
    network, x = make(gpu), points()
    before, count = network(x).numpy(), network.parameter_count()
    fit = network.fix_symbolic(0, 1, 2, "tanh", x)
    z = np.linspace(-4, 4, 30)
    a, b, c, d = fit.affine
    assert network.edge_values(0, 1, 2, z) == pytest.approx(c * np.tanh(a * z + b) + d, rel=1e-5, abs=1e-5)
    assert network.parameter_count() == count + 4
    assert network.named_parameters()["layers.0.symbolic.affine"].shape == (4, 1)
    second = network.fix_symbolic(0, 1, 2, "x", affine=(2, 0, 1, -1))
    assert np.isnan(second.r2)
    assert network.edge_values(0, 1, 2, z) == pytest.approx(2 * z - 1)
    network.unfix_symbolic(0, 1, 2)
    assert np.array_equal(network(x).numpy(), before)
    assert network.parameter_count() == count
    with pytest.raises(ConfigError, match="edge from 1 to 2 in layer 0 is no function"):
        network.unfix_symbolic(0, 1, 2)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_go_through_functions(gpu, order):
    network = make(gpu, 1)
    for i, name in enumerate(("sin", "gaussian")):
        network.fix_symbolic(0, i, 0, name, affine=(1.5, 0.2, 0.7, 0.1))
    network.fix_symbolic(1, 0, 0, "exp", affine=(0.8, 0, 1, 0))
    x = points(6)
    variables = sympy.symbols("x_1 x_2", real=True)
    (formula,) = network.formula()
    want = [sympy.lambdify(variables, sympy.diff(formula, v, order), "numpy")(*x.T.astype(np.float64)) for v in variables]
    assert network.derivatives(x, order=order).numpy()[:, 0, :] == pytest.approx(np.array(want).T, rel=2e-5, abs=2e-5)


def test_training_moves_the_numbers_of_a_function(gpu):
    network, x = make(gpu, 1), points()
    y = np.sin(2 * x[:, :1])
    step = kan.KanStep(network)
    step(x, y)
    network.fix_symbolic(0, 0, 0, "sin", x)
    assert not step.fits()
    before = network.layers[0].functions()[0, 0][1]
    losses = [float(network.train_step(x, y, loss=kan.KanLoss(l1=1e-4, entropy=1e-4))) for _ in range(20)]
    assert losses[-1] < losses[0]
    after = network.layers[0].functions()[0, 0][1]
    assert all(a != b for a, b in zip(before, after, strict=True))
    network.refine(9)
    network.update_grid(x)
    assert network.layers[0].functions()[0, 0] == ("sin", after)
    history = kan.fit(network, x, y, epochs=2)
    assert np.isfinite(history["loss"]).all()
    network.freeze()
    network.fix_symbolic(1, 0, 0, "tanh", x)
    assert network.parameters() == []


def test_gpu_and_numpy_train_functions_alike(gpu, cpu):
    losses = []
    x = points(64)
    for device in (gpu, cpu):
        network = make(device)
        for j, name in enumerate(("sin", "x^2", "arctan")):
            network.fix_symbolic(0, 0, j, name, affine=(1.2, 0.1, 0.6, 0.05))
        network.remove_edge(0, 1, 1)
        losses.append([float(network.train_step(x, np.cos(2 * x[:, :1]))) for _ in range(30)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


# ---- formulas


def numbers(expression, x):
    """An expression at points [n, 2]."""
    values = sympy.lambdify(sympy.symbols("x_1 x_2", real=True), expression, "numpy")(*x.T.astype(np.float64))
    return np.broadcast_to(values, len(x))


def test_a_formula_equals_the_forward_value(gpu):
    """With every function, standardised inputs and a pruned edge."""
    network = kan.KanNetwork(kan.KanConfig(2, (len(LIBRARY),), 2, mean=(0.2, -0.1), std=(0.5, 2), seed=1), device=gpu)
    x = points()
    for i, j in np.ndindex(len(LIBRARY), 2):
        network.fix_symbolic(1, i, j, ("x^2", "sin")[j], affine=(0.9, 0.1 * i, 0.5, -0.2))
    for j, name in enumerate(LIBRARY):
        a, b = (0.15, 0.5) if name in POLES else (0.15, 0.05)
        network.fix_symbolic(0, 0, j, name, affine=(a, b, 0.8, 0.1))
        network.fix_symbolic(0, 1, j, "cos", affine=(1, 0, 0.3, 0))
    network.remove_edge(1, 3, 1, x)
    y = network(x).numpy()
    for k, expression in enumerate(network.formula()):
        assert np.abs(numbers(expression, x) - y[:, k]).max() < 2e-5 * max(1, np.abs(y).max())


def test_factors_go_where_they_cancel(cpu):
    network = make(cpu, 1)
    for i in range(2):
        network.fix_symbolic(0, i, 0, "x^2", affine=(0.5, 0, 3, 0.25))
    network.fix_symbolic(1, 0, 0, "sqrt", affine=(4 / 3, -4 / 6, 1, 0))
    (formula,) = network.formula(digits=4)
    x_1, x_2 = sympy.symbols("x_1 x_2", real=True)
    assert formula == sympy.sqrt(x_1**2 + x_2**2)
    assert str(network.formula(digits=2, names=["p", "q"])[0]) == "sqrt(p**2 + q**2)"


def test_formulas_name_what_is_missing(gpu):
    network = make(gpu, 1)
    network.fix_symbolic(0, 0, 0, "sin", points())
    with pytest.raises(ConfigError, match=r"edges are still splines, 1 to 0 in layer 0, 0 to 0 in layer 1; fix or prune them"):
        network.formula()
    assert "phi_2_1_1(" in str(network.formula(splines=True)[0])
    with pytest.raises(ConfigError, match="digits is -1"):
        network.formula(digits=-1, splines=True)
    with pytest.raises(ConfigError, match="wants 2 different names"):
        network.formula(names=["a", "a"], splines=True)


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_the_norm_is_found(name, request):
    """√(x² + y²) on [2, 1, 1]: three functions with R² > .999, and the formula itself after the last training."""
    found = discover(TARGETS["norm"], request.getfixturevalue(name), samples=300, iterations=60)
    edges = found.explanation.edges
    assert [edge.name for edge in edges] == ["x^2", "x^2", "sqrt"]
    assert all(edge.fixed and edge.r2 > 0.999 for edge in edges)
    assert found.explanation.complete
    assert found.rmse["with functions"] < 1e-5
    x_1, x_2 = sympy.symbols("x_1 x_2", real=True)
    assert found.explanation.expressions == (sympy.sqrt(x_1**2 + x_2**2),)
    far = 3 * points()
    assert np.abs(numbers(found.network.formula()[0], far) - np.hypot(*far.T.astype(np.float64))).max() < 1e-4
    assert np.abs(found.network(far).numpy()[:, 0] - np.hypot(*far.T)).max() < 1e-4  # also far outside the grids


def test_an_explanation_can_be_partial(gpu, monkeypatch):
    network, x = make(gpu, 1), points()
    y = np.sin(3 * x[:, :1])
    train_all(network, x, y.astype(np.float32), 20)
    found = kan.explain(network, x, y, threshold=0.9999, prune=0.1)
    assert not found.complete
    assert any("phi_" in str(e) for e in found.expressions)
    assert {row[-1] for row in found.rows()} >= {"spline"}
    assert found.r2[0] < 1
    monkeypatch.setattr("gpucore.systems.kan.explaining.find_spec", lambda name: None)
    bare = kan.explain(network, x, prune=None)
    assert bare.expressions == ()
    assert "pip install 'gpucore[symbolic]'" in bare.note
    assert np.isnan(bare.r2).all()


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"threshold": np.nan}, ConfigError, "threshold is nan"),
        ({"prune": -1}, ConfigError, "prune is -1"),
        ({"digits": 16}, ConfigError, "digits is 16"),
        ({"simplicity": -1}, ConfigError, "simplicity is -1"),
        ({"names": ["a", "a"]}, ConfigError, "wants 2 different names"),
        ({"names": [1, 2]}, ConfigError, "wants 2 different names"),
        ({"targets": np.zeros((7, 1))}, ShapeError, "y has shape"),
    ],
)
def test_an_explanation_is_refused_before_the_network_is_changed(gpu, options, error, sentence):
    network, x = make(gpu, 1), points()
    before, trained = network.state_dict(), []
    with pytest.raises(error, match=sentence):
        kan.explain(network, x, **({"prune": 0.5, "train": lambda: trained.append(1)} | options))
    assert not trained
    assert network.changes == 0
    for name, values in network.state_dict().items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize(("affine", "error"), [((1, 2, 3), ConfigError), ((1e39, 0, 1, 0), ConfigError), ("abcd", DTypeError)])
def test_numbers_of_a_function_are_checked(gpu, affine, error):
    network = make(gpu, 1)
    with pytest.raises(error, match=r"KanNetwork.fix_symbolic: affine"):
        network.fix_symbolic(0, 0, 0, "sin", affine=affine)
    assert network.layers[0].symbolic is None


# ---- saving


def special_network(device):
    network = make(device, 3)
    network.fix_symbolic(0, 0, 1, "sin", points())
    network.fix_symbolic(0, 1, 0, "exp", points())
    network.remove_edge(0, 0, 0)
    network.refine(7)
    return network


def test_functions_and_masks_are_saved(gpu, cpu, tmp_path):
    network, x, path = special_network(gpu), points(), tmp_path / "net"
    network.save(path)
    again = kan.KanNetwork.load(path, device=gpu)
    assert np.array_equal(again(x).numpy(), network(x).numpy())
    assert [layer.functions() for layer in again.layers] == [layer.functions() for layer in network.layers]
    assert np.allclose(kan.KanNetwork.load(path, device=cpu)(x).numpy(), network(x).numpy(), atol=1e-5)
    fresh = make(gpu, 3).refine(7)
    changes = fresh.changes
    fresh.restore(path)
    assert fresh.changes > changes
    assert np.array_equal(fresh(x).numpy(), network(x).numpy())
    plain = make(gpu, 3).refine(7)
    plain.save(path)
    network.restore(path)
    assert np.array_equal(plain(x).numpy(), network(x).numpy())
    assert network.layers[0].symbolic is None


def test_damaged_functions_are_refused(gpu, tmp_path):
    import json

    import safetensors.numpy
    from safetensors import safe_open

    network, path = special_network(gpu), tmp_path / "net"
    network.save(path)
    with safe_open(path, framework="numpy") as file:
        metadata, tensors = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert not any("kinds" in name for name in tensors)
    edges = json.loads(metadata["symbolic"])
    affine, mask = "layers.0.symbolic.affine", "layers.0.mask"
    for change, sentence in (
        (lambda m, t: t.pop(affine), "affine is missing"), (lambda m, t: m.pop("symbolic"), "unexpected layers.0.symbolic.affine"),
        (lambda m, t: t.update({affine: np.zeros((4, 3), np.float32)}), r"affine is float32 \(4, 3\)"),
        (lambda m, t: t.update({mask: np.ones((3, 2), np.float32)}), "mask is float32"),
        (lambda m, t: t.update({mask: np.ones((3, 2), bool)}), "does not fit"),
        (lambda m, t: m.update(symbolic=json.dumps([edges[0][:1] * 2, []])), "does not fit"),
        (lambda m, t: m.update(symbolic=json.dumps([[[0, 9, "sin"], edges[0][1]], []])), "does not fit"),
        (lambda m, t: m.update(symbolic=json.dumps([[[0, 1, "sine"], edges[0][1]], []])), "does not fit"),
        (lambda m, t: m.update(symbolic=json.dumps([[[0, 1], edges[0][1]], []])), "unreadable metadata"),
        (lambda m, t: m.update(symbolic="{}"), "symbolic edges for 2 layers are missing"),
        (lambda m, t: m.update(symbolic="["), "unreadable"),
        (lambda m, t: m.update(version="2"), "unexpected"),
    ):  # fmt: skip
        other, held = dict(metadata), dict(tensors)
        change(other, held)
        (tmp_path / "bad").write_bytes(safetensors.numpy.save(held, other))
        before = network.state_dict()
        for take in (network.restore, lambda p: kan.KanNetwork.load(p, device=gpu)):
            with pytest.raises(FormatError, match=sentence):
                take(tmp_path / "bad")
        assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


def test_states_of_other_edges_are_refused(gpu):
    network, other = make(gpu), make(gpu)
    network.fix_symbolic(0, 0, 1, "sin", affine=(1, 0, 1, 0))
    other.fix_symbolic(0, 0, 1, "cos", affine=(1, 0, 1, 0))
    before = network.state_dict()
    with pytest.raises(FormatError, match="layer 0 has other symbolic edges; wants 0 to 1: sin"):
        network.load_state_dict(other.state_dict())
    with pytest.raises(FormatError, match="missing"):
        network.load_state_dict(make(gpu).state_dict())
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


def test_other_devices_and_baked_copies(gpu, cpu):
    network, x = special_network(gpu), points()
    moved = network.to(cpu)
    assert np.allclose(moved(x).numpy(), network(x).numpy(), atol=1e-5)
    with pytest.raises(ConfigError, match="layer 0 has symbolic edges"):
        kan.BakedKan.of(network)
    network.unfix_symbolic(0, 0, 1)
    network.unfix_symbolic(0, 1, 0)
    baked = kan.BakedKan.of(network, samples=x)
    assert (baked.layers[0].coefficients()[0, 0] == 0).all()
    assert np.abs(baked(x).numpy() - network(x).numpy()).max() < 2e-3


def test_wrong_requests_change_nothing(gpu):
    network = make(gpu)
    network.remove_edge(0, 0, 0)
    before = network.state_dict()
    for call, sentence in (
        (lambda: network.suggest_symbolic(0, 0, 0), "edge from 0 to 0 in layer 0 was pruned"),
        (lambda: network.fix_symbolic(0, 0, 0, "sin"), "was pruned"),
        (lambda: network.fix_symbolic(0, 1, 0, "sine"), "function is 'sine'; wants one of 0, x, x"),
        (lambda: network.fix_symbolic(0, 1, 0, "sin", affine=(1, 2)), r"affine is \(1, 2\); wants four finite numbers"),
        (lambda: network.suggest_symbolic(0, 1, 0, functions=[]), "functions is empty"),
        (lambda: network.suggest_symbolic(0, 1, 0, simplicity=-1), "simplicity is -1"),
        (lambda: network.auto_symbolic(threshold=2), "threshold is 2"),
        (lambda: network.suggest_symbolic(5, 0, 0), "layer is 5"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            call()
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())
