"""What the README promises runs: its example, its tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

import gpucore as gc
from gpucore import cli
from gpucore.report.tables import kernel_table

README = (Path(__file__).parent.parent / "README.md").read_text()


def _examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_twenty_lines_run(gpu, monkeypatch, capsys):
    monkeypatch.setenv("GPUCORE_DEVICE", str(gpu.info.index))
    exec(compile(_examples()[0].replace("range(500)", "range(60)"), "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "relative_l2" in out
    assert float(out.strip().splitlines()[-1]) < 0.1


def test_the_layer_recipe_runs(gpu):
    scope = {"gc": gc, "np": np}
    exec(compile(next(e for e in _examples() if "class Scale" in e), "README.md", "exec"), scope)
    layer = scope["Scale"](3, device=gpu)
    assert layer(gpu.tensor([[1.0, 2.0, 3.0]])).numpy().tolist() == [[1, 2, 3]]
    assert [p.shape for p in layer.parameters()] == [(3,)]


def test_the_kan_example_runs(gpu, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPUCORE_DEVICE", str(gpu.info.index))
    scope: dict = {}
    exec(compile(next(e for e in _examples() if "KanNetwork" in e), "README.md", "exec"), scope)
    network, x, y = scope["network"], scope["x"], scope["y"]
    assert float(np.mean((network(gpu.tensor(x)).numpy() - y) ** 2)) < 1e-3 * float(np.var(y))
    assert (tmp_path / "network.safetensors").exists()
    assert (tmp_path / "network.png").exists()


def test_the_table_in_one_command(gpu, tmp_path, capsys):
    words = next(line for line in README.splitlines() if "gpucore run kan --csv" in line and "pendulum" in line).split()[1:]
    table = Path(__file__).parent.parent / words[words.index("--csv") + 1]
    words[words.index("--csv") + 1] = str(table)
    assert cli.main([*words, "--json", "--device", str(gpu.info.index), "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["complete"]
    assert found["formula_r2_test"][0] > 0.999 > found["linear_r2_test"][0]
    assert "length" in found["formula"][0]


def test_the_kernel_table_is_the_one_of_the_code():
    shown = README.split("<!-- kernels -->\n")[1].split("<!-- /kernels -->")[0]
    assert shown.strip() == kernel_table().strip(), "run: python -m gpucore.report.tables README.md"
