"""Fitting a table of one's own: split, units, R², formula, and the command."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from gpucore import cli
from gpucore.cli.kan.table import symbols
from gpucore.errors import ConfigError, DTypeError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan import tables
from gpucore.systems.kan.explaining import r2_of_targets
from gpucore.systems.kan.prediction import predict


def _products(rows=160, seed=0):
    """x [rows, 2] and y = 50 + 30·(a + b²), far from the units that networks like."""
    x = np.random.default_rng(seed).uniform(100, 300, (rows, 2))
    a, b = (x[:, 0] - 200) / 100, (x[:, 1] - 200) / 100
    return x, 50 + 30 * (a + b * b)


@pytest.fixture(scope="module")
def fitted(gpu):
    """(training, splines, formula) of a table whose targets are a line plus a parabola."""
    shown = []
    settings = tables.TableSettings(iterations=120)
    training = tables.TableTraining(*_products(), settings, device=gpu, show=lambda *line: shown.append(line))
    return training, training.fit(), training.formula(["a", "b"]), shown


def test_the_splines_explain_rows_that_were_not_trained_on(fitted):
    _, fit, _, shown = fitted
    assert (len(fit.train), len(fit.test)) == (128, 32)
    assert fit.r2_test[0] > 0.999
    assert fit.linear[0] < 0.9
    assert shown[0][0] == "splines [2, 1]"
    assert shown[0][1:3] == (20, 120)


def test_the_simplest_shape_is_taken(fitted):
    training, fit, _, _ = fitted
    assert fit.network.config.widths == (2, 1), "a sum of functions needs no hidden layer"
    assert training.tried[0][1] < 1e-3


def test_networks_answer_in_the_units_of_the_table(fitted):
    _, fit, formula, _ = fitted
    x, y = _products(50, seed=7)
    for network in (fit.network, formula.network):
        said = predict(network, x.astype(np.float32))[:, 0]
        assert np.abs(said - y).max() < 0.05 * y.std()


def test_the_formula_is_that_of_the_network(fitted):
    sympy = pytest.importorskip("sympy")
    _, _, formula, _ = fitted
    assert formula.explanation.complete
    assert formula.r2_test[0] > 0.999
    x, _ = _products(40, seed=3)
    value = sympy.lambdify(sympy.symbols("a b", real=True), formula.network.formula(names=["a", "b"])[0])(x[:, 0], x[:, 1])
    np.testing.assert_allclose(value, predict(formula.network, x.astype(np.float32))[:, 0], rtol=1e-4)
    rounded = sympy.lambdify(sympy.symbols("a b", real=True), formula.expressions[0])(x[:, 0], x[:, 1])
    np.testing.assert_allclose(rounded, value, rtol=2e-2)


def test_r2_by_hand():
    assert r2_of_targets(np.array([[1.0, 0], [2, 0], [4, 0]]), np.array([[1, 5], [2, 5], [3, 5]]))[0] == pytest.approx(0.5)
    assert np.isnan(r2_of_targets(np.zeros((2, 1)), np.ones((2, 1)))[0])


def test_bad_tables_are_sentences(gpu):
    x, y = _products(30)
    with pytest.raises(ConfigError, match="has 5 rows; wants at least 10"):
        tables.TableTraining(x[:5], y[:5], device=gpu)
    with pytest.raises(ConfigError, match="target 1 is 3 in every training row"):
        tables.TableTraining(x, np.full(30, 3.0), device=gpu)
    with pytest.raises(DTypeError, match="row 2, column 0 of x is nan"):
        tables.TableTraining(np.where(np.arange(30)[:, None] == 2, np.nan, x), y, device=gpu)
    with pytest.raises(ConfigError, match=r"test is 1\.5"):
        tables.TableSettings(test=1.5)
    with pytest.raises(DTypeError, match=r"row 0, column 1 of x is 1e\+39; wants numbers within the range of float32"):
        tables.TableTraining(np.where(np.arange(2) == 1, 1e39, x), y, device=gpu)
    with pytest.raises(DTypeError, match="row 0 of y is 1e"):
        tables.TableTraining(x, np.full(30, 1e39), device=gpu)
    with pytest.raises(ShapeError, match=r"x has shape \(30,\); wants \[rows, inputs\]"):
        tables.TableTraining(x[:, 0], y, device=gpu)
    with pytest.raises(ConfigError, match=r"input 2 varies by \S+ alone; wants more than 1e-06, in other units"):
        tables.TableTraining(x * [1, 1e-9], y, device=gpu)
    with pytest.raises(ConfigError, match="target 1 varies by no more than roundings of 1; wants other units"):
        tables.TableTraining(x, y * 1e-15, device=gpu)
    tables.TableTraining(x * [1, 0], y, device=gpu)  # a column that never varies does no harm
    for fault, sentence in (
        ({"iterations": 0}, "iterations is 0"), ({"seed": -1}, "seed is -1"), ({"prune": -0.1}, "prune is -0.1"),
        ({"threshold": np.nan}, "threshold is nan"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            tables.TableSettings(**fault)
    with pytest.raises(ConfigError, match=r"call fit\(\) before formula\(\)"):
        tables.TableTraining(x, y, device=gpu).formula()


# ---- scaling outputs, and copies


@pytest.mark.parametrize("base", [None, "silu"])
def test_scaled_outputs(gpu, base):
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 2, base=base), device=gpu)
    network.fix_symbolic(1, 0, 1, "sin", affine=(1.0, 0.5, 2.0, 0.25))
    x = np.random.default_rng(0).uniform(-1, 1, (9, 2)).astype(np.float32)
    before = network(x).numpy()
    network.scale_output([2.0, -3.0], [10.0, 0.5])
    np.testing.assert_allclose(network(x).numpy(), before * [2, -3] + [10, 0.5], rtol=1e-5, atol=1e-5)
    assert network.scale_output(1.0, 1.0) is network
    with pytest.raises(ConfigError, match="scale is nan"):
        network.scale_output(np.nan, 0.0)
    with pytest.raises(ConfigError, match=r"shift is \[1\.0, 2\.0, 3\.0\]; wants a finite number or 2 of them"):
        network.scale_output(1.0, [1, 2, 3])
    before = network(x).numpy()
    with pytest.raises(ConfigError, match="would be too large for float32"):
        network.scale_output(1e39, 0.0)
    np.testing.assert_array_equal(network(x).numpy(), before)


def test_deepcopy_is_a_network_of_its_own(gpu):
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 1), device=gpu)
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
    before = network(x).numpy()
    other = copy.deepcopy(network)
    np.testing.assert_array_equal(other(x).numpy(), before)
    other.train_step(x, np.ones((4, 1)))
    assert np.abs(other(x).numpy() - before).max() > 0
    np.testing.assert_array_equal(network(x).numpy(), before)


def test_significant_digits(gpu):
    sympy = pytest.importorskip("sympy")
    network = kan.KanNetwork(kan.KanConfig(1, (), 1), device=gpu)
    network.fix_symbolic(0, 0, 0, "x", affine=(1.0, 0.0, 1234.5678, 0.000123456))
    shown = network.formula(significant=3)[0]
    assert shown == 1230 * sympy.Symbol("x_1", real=True) + sympy.Float("0.000123")
    with pytest.raises(ConfigError, match="significant is 0"):
        network.formula(significant=0)


# ---- the command


def test_column_names_become_symbols():
    assert symbols(["a", "house age", "2nd", "a!", "%", "#"]) == ["a", "house_age", "x_2nd", "a_4", "x", "x_6"]
    assert symbols(["a_3", "a", "a!", "a_2"]) == ["a_3", "a", "a_4", "a_2"], "a number that another column has is passed over"


@pytest.fixture
def csv(tmp_path):
    x, y = _products(60)
    path = tmp_path / "houses.csv"
    lines = [f"row {i},{a},{b},{t}" for i, (a, b, t) in enumerate(np.c_[x, y].tolist())]
    path.write_text("name,land area,age,price\n" + "\n".join(lines) + "\n")
    return path


def test_a_table_in_one_command(gpu, csv, tmp_path, capsys):
    argv = ["run", "kan", "--csv", csv, "--target", "price", "--drop", "name", "--hidden", "0", "--iterations", "60", "--json"]
    assert cli.main([*map(str, argv), "--out", str(tmp_path / "out"), "--device", str(gpu.info.index)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["inputs"] == ["land area", "age"]
    assert found["r2_test"][0] > 0.99 > found["linear_r2_test"][0]
    assert "land_area" in found["formula"][0]
    assert "price = " in err
    assert {"splines.safetensors", "functions.safetensors", "result.json"} <= {f.name for f in (tmp_path / "out").iterdir()}
    network = kan.KanNetwork.load(tmp_path / "out" / "functions.safetensors", device=gpu)
    x, y = _products(20, seed=5)
    assert r2_of_targets(network(x.astype(np.float32)).numpy(), y.reshape(-1, 1))[0] > 0.99


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ((), "got neither of a task and --csv"),
        (("--csv", "FILE", "mnist"), "got both of a task and --csv"),
        (("--csv", "FILE"), "wants --target COLUMN"),
        (("--csv", "FILE", "--target", "price"), "line 2, column 'name' holds 'row 0'"),
        (("--csv", "FILE", "--target", "cost", "--drop", "name"), "there is no column 'cost'; wants one of land area, age, price"),
        (("--csv", "FILE", "--target", "price", "--drop", "name", "--drop", "age", "--drop", "land area"), "no column beside the target"),
        (("--csv", "FILE", "--target", "price", "--drop", "name", "--hidden", "three"), "--hidden is 'three'"),
        (("--csv", "none.csv", "--target", "price"), "there is no such file"),
        (("--csv", "FILE", "--target", "age", "--target", "age"), "--target names 'age' twice"),
        (("--csv", "FILE", "--target", "age", "--seed", "-1"), "seed is -1; wants 0 or more"),
        (("--csv", "FILE", "--target", "age", "--digits", "0"), "significant is 0; wants a whole number from 1 to 15"),
        (("symbolic", "--seed", "-1"), "seed is -1; wants 0 or more"),
        (("symbolic", "--digits", "16"), "digits is 16; wants a whole number from 0 to 15"),
        (("symbolic", "--prune", "-1"), "prune is -1.0; wants a number of 0 or more"),
        (("function", "--grids", "3,200"), "grids are [3, 200]; wants growing numbers of cells, 2 to 128"),
    ],
)
def test_what_the_command_refuses(gpu, csv, capsys, argv, sentence):
    given = [str(csv) if word == "FILE" else word for word in argv]
    assert cli.main(["run", "kan", *given, "--device", str(gpu.info.index)]) == 1
    assert sentence in capsys.readouterr().err
