"""`gpucore run kan`: what the tasks print, write and refuse."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from gpucore import cli
from gpucore.cli.epochs import EpochTable
from gpucore.data import ArrayDataset
from gpucore.errors import ConfigError
from gpucore.systems import kan


@pytest.fixture
def command(capsys, gpu):
    """Runs `gpucore run kan ...` on the device under test: (exit code, stdout, stderr)."""

    def run(*argv):
        code = cli.main(["run", "kan", *map(str, argv), "--device", str(gpu.info.index)])
        return code, *capsys.readouterr()

    return run


def test_mnist_learns_digits_and_leaves_its_files(command, tmp_path, gpu):
    options = ("--digits", "--limit", 600, "--epochs", 6, "--hidden", 16, "--lr", 0.01, "--json", "--out", tmp_path)
    code, out, err = command("mnist", *options)
    found = json.loads(out)
    assert code == 0, err
    assert found["accuracy"] > 0.8
    assert len(found["outside"]) == 2
    assert {"network.safetensors", "history.csv", "result.json", "last.safetensors", "best.safetensors"} <= {
        f.name for f in tmp_path.iterdir()
    }
    network = kan.KanNetwork.load(tmp_path / "network.safetensors", device=gpu)
    assert network.config.widths == (784, 16, 10)
    assert "test accuracy" in err


def test_mnist_refuses_two_sources(command):
    code, _, err = command("mnist", "--digits", "--data", "somewhere")
    assert code == 1
    assert "--data and --digits exclude each other" in err


@pytest.mark.parametrize("task", [("mnist", "--digits"), ("2048",), ("--csv", "none.csv", "--target", "y")])
def test_hidden_widths_are_read_alike(command, tmp_path, task):
    (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(f"{i},{i * i % 7}" for i in range(20)))
    task = [str(tmp_path / "t.csv") if word == "none.csv" else word for word in task]
    code, _, err = command(*task, "--hidden", "8,x")
    assert code == 1
    assert "--hidden is '8,x'; wants whole numbers with commas, such as 64,32, or 0 for none" in err


def test_no_hidden_layer_and_no_matplotlib(command, tmp_path, monkeypatch):
    for module in ("gpucore.systems.kan.pictures", "gpucore.systems.mnist.pictures"):
        monkeypatch.setattr(f"{module}.can_draw", lambda: False)
    monkeypatch.setattr("gpucore.cli.kan.table.can_draw", lambda: False)
    (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(f"{i},{i * i}" for i in range(20)))
    table = ("--csv", tmp_path / "t.csv", "--target", "y", "--no-formula", "--iterations", 20)
    for task in (table, ("mnist", "--digits", "--limit", 100, "--epochs", 1)):
        code, out, err = command(*task, "--hidden", 0, "--json", "--out", tmp_path / "out")
        assert code == 0, err
        assert json.loads(out)["config"]["hidden_dims"] == []
        assert "note: the pictures need matplotlib" in err
        assert not list((tmp_path / "out").glob("*.png"))


def test_symbolic_finds_the_formula(command, tmp_path, gpu):
    options = ("--samples", 300, "--iterations", 60, "--json", "--out", tmp_path / "new")
    code, out, err = command("symbolic", *options)
    found = json.loads(out)
    assert code == 0, err
    assert found["formula"] == ["sqrt(x_1**2 + x_2**2)"]
    assert [edge["name"] for edge in found["edges"]] == ["x^2", "x^2", "sqrt"]
    assert all(edge["r2"] > 0.999 for edge in found["edges"])
    assert "y_1 = sqrt(x_1**2 + x_2**2)" in err
    names = {f.name for f in (tmp_path / "new").iterdir()}
    assert names == {"splines.png", "functions.png", "network.safetensors", "result.json"}
    network = kan.KanNetwork.load(tmp_path / "new" / "network.safetensors", device=gpu)
    assert network(np.float32([[0.6, 0.8]])).numpy() == pytest.approx(1, abs=1e-4)


def test_symbolic_says_which_edges_are_left(command, tmp_path):
    code, out, err = command("symbolic", "bell", "--samples", 50, "--iterations", 3, "--tries", 1, "--threshold", 1, "--out", tmp_path)
    assert code == 1
    assert "phi_1_1_1" in out
    assert "3 edges look like no function" in err
    code, _, err = command("symbolic", "--samples", 0)
    assert code == 1
    assert "samples is 0; wants a whole number of 1 or more" in err


def test_classify_names_what_it_wants(gpu):
    data = ArrayDataset(np.zeros((4, 2)), np.zeros(4, np.int32))
    with pytest.raises(ConfigError, match="epochs is 0"):
        kan.classify(kan.KanConfig(2, (), 2), data, data, device=gpu, epochs=0)


def test_the_epoch_table_shows_what_the_records_hold():
    stream = io.StringIO()
    with EpochTable(stream) as table:
        for epoch in (1.0, 2.0):
            table.start(int(epoch), 2, 10)
            table.step(0.5)
            table.end({"epoch": epoch, "loss": 0.25, "val_r2": 0.99876, "seconds": 1.0}, 2)
    head, *lines = stream.getvalue().splitlines()
    assert head.split()[0] == "epoch"
    assert "test R²" in head
    assert "test accuracy" not in head
    assert [line.split()[:2] for line in lines] == [["1", "0.25"], ["2", "0.25"]]


def test_function_reaches_its_lines_and_leaves_its_files(command, tmp_path, gpu):
    code, out, err = command("function", "--name", "sinusoid", "--seeds", 2, "--json", "--out", tmp_path)
    found = json.loads(out)
    assert code == 0, err
    assert found["passed"]
    assert found["must_reach"] == {"10": pytest.approx(3.162e-3), "20": pytest.approx(3.162e-3)}
    stages = found["attempts"][0]["stages"]
    assert [stage["grid_size"] for stage in stages] == [5, 10, 20]
    assert stages[1]["errors"]["test"] ** 2 < 1e-5
    assert {f.name for f in tmp_path.iterdir()} == {"network.safetensors", "result.json", "errors.png", "prediction.png"}
    assert json.loads((tmp_path / "result.json").read_text())["best_seed"] == found["best_seed"]
    assert "must reach" in err
    assert "seed 0: begins with loss" in err
    network = kan.KanNetwork.load(tmp_path / "network.safetensors", device=gpu)
    assert network(np.float32([[0.5]])).numpy() == pytest.approx(1, abs=1e-3)


def test_a_line_that_is_missed_is_one_sentence(command, tmp_path):
    quick = ("--seeds", 1, "--iterations", 1, "--out", tmp_path)
    code, out, err = command("function", "--grids", "3", *quick)
    assert code == 1
    assert err.splitlines()[-1].startswith("gpucore: kan function exp-sin: grid 3 has a test error of ")
    assert err.splitlines()[-1].endswith(" and must reach 2.00e-02")
    assert " NO " in out
    code, _, err = command("poisson", "--grids", "5", "--side", 7, *quick)
    assert code == 1
    assert "kan poisson: grid 5 has a squared L2 error of " in err.splitlines()[-1]
    names = {"network.safetensors", "result.json", "errors.png", "prediction.png", "solution.png"}
    assert {f.name for f in tmp_path.iterdir()} == names


def test_function_lists_its_names_and_refuses_what_is_none(command):
    code, out, _ = command("function", "--name", "list")
    assert code == 0
    assert "exp(sin(πx) + y²)" in out
    assert "3, 5, 10, 20, 50" in out
    for options, sentence in (
        (("--grids", "3;5"), "--grids is '3;5'; wants whole numbers"), (("--grids", "5,3"), "wants growing numbers of cells"),
        (("--seeds", 0), "--seeds is 0 and --keep 2; wants 1 or more"), (("--iterations", 0), "iterations is 0; wants a whole number"),
    ):  # fmt: skip
        code, _, err = command("function", *options)
        assert code == 1
        assert sentence in err.splitlines()[-1]
    code, _, err = command("poisson", "--side", 2)
    assert code == 1
    assert "--side is 2; wants 5 points or more" in err
