"""The comparison of KAN networks: its float64 truth is true, wrong results are seen, what does not fit is said."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from bench import kan as script
from bench.comparison import kan_networks, kan_peers, page
from bench.comparison.context import open_context
from bench.comparison.kan import RATE
from bench.comparison.kan_peers import EFFICIENT, PYKAN, Spec, numpy_forward, numpy_losses, refuse
from bench.comparison.results import Result, Timing
from bench.comparison.rows import LeftOut, attempt, run_row
from bench.comparison.run import chosen
from gpucore.systems import kan

SPECS = [Spec((2, 5, 1)), Spec((3, 4, 4, 2), base=False)]


@pytest.fixture
def ctx(gpu, monkeypatch):
    monkeypatch.setattr("bench.comparison.context.copy_size", lambda device: 1 << 18)
    context = open_context(gpu, small=True, quick=True, peers=False)
    context.clock.budget = 0.001
    return context


def row_of(ctx, pattern):
    (row,) = chosen(kan_networks.kan_rows(ctx), [pattern])
    return row


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_truth_is_that_of_the_numpy_device(ctx, cpu, spec):
    weights, x, y = spec.weights(ctx), kan_networks._inputs(ctx, spec, 9), ctx.normal(9, spec.widths[-1])
    config = kan.KanConfig(spec.widths[0], spec.widths[1:-1], spec.widths[-1], base="silu" if spec.base else None)
    network = kan.KanNetwork(config, device=cpu, dtype="float64")
    for layer, (c, w) in zip(network.layers, weights, strict=True):
        layer.coefficients.assign(c.astype(np.float64))
        if layer.base is not None:
            layer.base.assign(w.astype(np.float64))
    assert np.allclose(network(x.astype(np.float64)).numpy(), numpy_forward(spec, weights, x), rtol=1e-10, atol=1e-12)
    step = kan.KanStep(network, lr=RATE)
    losses = [step(x.astype(np.float64), y.astype(np.float64)).item() for _ in range(6)]
    assert losses == pytest.approx(list(islice(numpy_losses(spec, weights, x, y, RATE), 6)), rel=1e-9)
    assert losses[5] < losses[0]


def test_every_row_has_a_name_of_its_own(ctx):
    for small in (True, False):
        ctx.small = small
        rows = kan_networks.kan_rows(ctx)
        assert len({(r.group, r.name) for r in rows}) == len(rows)
        assert {r.group for r in rows} == {"training step", "forward", "latency"}
    names = [r.name for r in rows if r.group == "training step"]
    assert len(names) == 5 * 5 + 4
    assert "[1000, 1000, 1000], batch 4096" in names
    assert sum(bool(r.hardware) for r in rows) == len(kan_networks.TARGETS)


ROWS = ["training step: [2, 5, 1], batch 64", "forward: [2, 5, 1], batch 64", "latency: [2, 5, 1], batch 1", "training *alone, batch 64"]


@pytest.mark.parametrize("pattern", ROWS)
def test_a_row_is_checked_timed_and_weighed(ctx, pattern):
    result = run_row(ctx, row_of(ctx, pattern))
    assert not result.failure, result.failure
    assert result.correct is True
    assert result.error < 5e-6
    assert result.ours.seconds > 0
    assert 0 < result.memory[""] < 1 << 24
    assert not result.peers or list(result.peers) == ["gpucore, not recorded"]


def test_wrong_outputs_and_wrong_gradients_are_seen(ctx, monkeypatch):
    real = kan_networks._network

    def shifted(*args):
        network = real(*args)
        network.layers[0].bias.assign(np.full(network.layers[0].outputs, 1e-3, np.float32))
        return network

    with monkeypatch.context() as patch:
        patch.setattr(kan_networks, "_network", shifted)
        for pattern in ("forward: [2, 5, 1], batch 64", "latency: [2, 5, 1]", "training step: [2, 5, 1], batch 64"):
            result = run_row(ctx, row_of(ctx, pattern))
            assert result.wrong
            assert result.ours is None
    for name, value in (("RATE", RATE * 1.1), ("numpy_losses", lambda s, w, x, y, r: numpy_losses(s, w, x, y, -r))):
        with monkeypatch.context() as patch:
            if name == "RATE":  # ours trains at another rate than the truth
                patch.setattr(kan_networks, "RATE", value)
                patch.setattr(kan_networks, "numpy_losses", lambda s, w, x, y, r: numpy_losses(s, w, x, y, RATE))
            else:
                patch.setattr(kan_networks, name, value)
            assert run_row(ctx, row_of(ctx, "training step: [2, 5, 1], batch 64")).wrong


def test_what_does_not_fit_or_takes_too_long_is_said(ctx, monkeypatch):
    large, result = Spec((1000, 1000, 1000)), Result("g", "r", ours=Timing(1.0), correct=True)
    monkeypatch.setattr(kan_peers, "room", lambda c: 40e9)
    ctx.where = "cuda"
    with pytest.raises(LeftOut, match=r"out of memory: it would need about 61\.\d+ GiB, and 37\.25 GiB are free"):
        refuse(ctx, PYKAN, large, 4096, training=False)
    ctx.where = "cpu"
    attempt(result, PYKAN, lambda: refuse(ctx, PYKAN, large, 256, training=True))
    assert result.peer_failures[PYKAN].startswith("skipped: too slow on the processor, where it would write")
    assert any(text.startswith(f"{PYKAN} was not measured: skipped: too slow") for text in page.remarks(result))
    refuse(ctx, EFFICIENT, Spec((2, 5, 1)), 64, training=True)


def test_the_report_shows_memory_and_leaves_out_empty_columns():
    results = [
        Result("training step", "[2, 5, 1], batch 64", "wall", Timing(1e-3), {EFFICIENT: Timing(1e-2), PYKAN: Timing(3e-2)}, EFFICIENT,
               correct=True, memory={"": 1 << 20, EFFICIENT: 3 << 20, PYKAN: 9 << 20}),
    ]  # fmt: skip
    report = page.Report("Some GPU", "some-gpu", {}, 1000.0, 5e4, results, 12.0, "kan")
    text = report.as_markdown()
    (line,) = [x for x in text.splitlines() if x.startswith("| [2, 5, 1]")]
    assert "1.00 MiB / 3.00 MiB" in line
    assert "pykan 30.0 ms (30×, 9.00 MiB)" in line
    assert "| share |" not in text
    assert "kan.png" in text
    again = page.Report.from_json(report.as_json())
    assert again.as_markdown() == text
    assert json.loads(report.as_json())["report"] == "kan"


def test_the_picture_shows_the_second_peer():
    pytest.importorskip("matplotlib")
    from bench.comparison import picture

    peers = {EFFICIENT: Timing(1e-2), PYKAN: Timing(3e-2)}
    result = Result("training step", "[2, 5, 1], batch 64", "wall", Timing(1e-3), peers, EFFICIENT, correct=True)
    pictures = [picture.as_png(page.Report("G", "g", {}, 1.0, 1.0, [result], 1.0, kind)) for kind in ("kan", "compare")]
    assert all(p.startswith(b"\x89PNG") for p in pictures)
    assert pictures[0] != pictures[1]


def test_the_script_lists_measures_and_redraws(gpu, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.comparison.context.copy_size", lambda device: 1 << 18)
    device = ["--device", str(gpu.info.index), "--small", "--no-peers"]
    assert script.main([*device, "--list"]) == 0
    assert "latency: [784, 64, 10], batch 1" in capsys.readouterr().out
    assert script.main([*device, "--only", "no such row"]) == 2
    capsys.readouterr()
    assert script.main([*device, "--only", "forward: [2, 5, 1], batch 64", "--quick", "--out", str(tmp_path)]) == 0
    assert "1 rows on" in capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    assert {"kan.json", "kan.md"} <= {p.name for p in folder.iterdir()}
    assert script.main(["--redraw", str(folder / "kan.json"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / folder.name / "kan.md").read_text() == (folder / "kan.md").read_text()
