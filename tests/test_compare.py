"""The comparison with other libraries: rows are checked before they are timed, targets judged, reports whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import compare as script
from bench.comparison import kan, page, rows
from bench.comparison.clocks import calls_for, summary
from bench.comparison.context import open_context
from bench.comparison.functions import Function, function_row
from bench.comparison.results import EAGER, Result, Target, Timing
from bench.comparison.rows import Gate, Row, all_rows, run_row
from bench.comparison.run import chosen, run
from gpucore import ops
from gpucore.bench import ceilings


@pytest.fixture
def ctx(gpu, monkeypatch):
    monkeypatch.setattr(ceilings, "copy_size", lambda device: 1 << 18)
    monkeypatch.setattr("bench.comparison.context.copy_size", lambda device: 1 << 18)
    context = open_context(gpu, small=True, quick=True, peers=False)
    context.clock.budget = 0.001
    return context


def double(fault: float = 0.0) -> Function:
    """2·x, with a fault in one element of gpucore's result."""
    place = np.zeros((8, 16), np.float32)
    place[3, 5] = fault

    def ours(x):
        y = ops.add(x, x)
        return ops.add(y, y.device.tensor(place)) if fault else y

    return Function(lambda c: [c.normal(8, 16)], ours, None, lambda x: x + x, flops=128.0, bytes=1024.0)


def row(function: Function, **options) -> Row:
    return Row("memory-bound", "double", function_row(lambda: function), **options)


def made(seconds: float | None = 1.0, **options) -> Result:
    options = {"peers": {EAGER: Timing(2.0), "NumPy": Timing(0.5)}, "main": EAGER, "correct": True, **options}
    return Result("g", "r", ours=None if seconds is None else Timing(seconds), **options)


# ---- targets


def test_the_ratio_is_their_time_over_ours():
    r = made(0.5)
    assert r.ratio() == 4.0
    assert r.ratio("NumPy") == 1.0
    assert r.ratio("absent") is None
    assert made(None).ratio() is None


@pytest.mark.parametrize(
    ("target", "options", "met"),
    [
        (Target("ratio", 2.0, EAGER), {}, True),
        (Target("ratio", 2.1, EAGER), {}, False),
        (Target("ratio", 0.6, "NumPy"), {}, False),
        (Target("ratio", 1.0, "absent"), {}, None),
        (Target("share", 0.85), {"share": 0.86}, True),
        (Target("share", 0.85), {"share": 0.80}, False),
        (Target("seconds", 1.5), {}, True),
        (Target("seconds", 0.5), {}, False),
        (Target("rate", 8e9), {"bytes": 9e9}, True),
        (Target("rate", 8e9), {"bytes": 7e9}, False),
    ],
)
def test_targets_are_judged(target, options, met):
    assert made(targets=[target], **options).met() is met


def test_all_targets_count_and_a_missed_one_wins():
    good, unknown, bad = Target("ratio", 1.0, EAGER), Target("ratio", 1.0, "absent"), Target("ratio", 9.0, EAGER)
    assert made(targets=[]).met() is None
    assert made(targets=[good, unknown]).met() is None
    assert made(targets=[good, unknown, bad]).met() is False
    assert made(targets=[good], correct=False).met() is False
    assert made(None, targets=[good], failure="it broke").met() is False


def test_targets_say_what_they_want():
    texts = [t.text() for t in (Target("ratio", 0.5, "X"), Target("share", 0.9), Target("rate", 8e9), Target("seconds", 2e-6))]
    assert texts == ["≥ 0.5× X", "≥ 0.90 of copy", "≥ 8 GB/s", "≤ 2 µs"]
    assert Target("seconds", 2).text() == "≤ 2 s"


# ---- rows


def test_a_row_is_checked_timed_and_compared(ctx):
    ctx.measure_ceilings()
    r = run_row(ctx, row(double(), software=[Target("ratio", 1e-9, "NumPy")]))
    assert not r.failure
    assert r.correct is True
    assert r.error < 1e-6
    assert r.ours.seconds > 0
    assert r.main == "NumPy"
    assert r.ratio() > 0
    assert r.share > 0
    assert r.met() is True


def test_a_wrong_result_is_shown_as_wrong_and_has_no_ratio(ctx):
    r = run_row(ctx, row(double(fault=0.5), software=[Target("ratio", 1e-9, "NumPy")]))
    assert r.wrong
    assert r.ours is None
    assert r.ratio() is None
    assert r.met() is False
    assert page.cells(r)[2] == "WRONG"
    assert any("relative L2" in text for text in page.remarks(r))


def test_a_result_of_nan_or_of_another_shape_is_wrong():
    r = made()
    rows.compare(r, [np.array([1.0, np.nan])], [np.array([1.0, 2.0])], Gate())
    assert r.wrong
    rows.compare(r, [np.ones((2, 1))], [np.ones((1, 2))], Gate())
    assert r.wrong
    rows.compare(r, [np.ones(3)], [np.ones(3)], Gate())
    assert r.correct


def test_one_bad_element_of_many_is_wrong():
    want = np.random.default_rng(0).standard_normal(1 << 20)
    got = want.copy()
    got[77] += 0.005  # far below the gate of the norm
    r = made()
    rows.compare(r, [got], [want], Gate(l2=1e-5, worst=1e-3))
    assert r.error < 1e-5
    assert r.wrong


def test_a_row_that_raises_does_not_lose_the_others(ctx):
    def broken(c, r):
        raise ValueError("first line\nsecond line")

    report = run(ctx, [Row("memory-bound", "broken", broken), row(double())])
    assert [bool(r.failure) for r in report.results] == [True, False]
    assert report.results[0].failure == "ValueError: first line"
    assert report.results[1].counts


def test_a_row_that_the_adapter_cannot_hold_is_left_out_and_no_failure(ctx, monkeypatch):
    limited = dict(ctx.device.info.limits, max_storage_binding=64)
    monkeypatch.setattr(ctx.device, "info", type("Info", (), {"limits": limited}))
    r = run_row(ctx, row(double()))
    assert not r.failure
    assert r.ours is None
    assert any("left out" in note for note in r.notes)


def test_a_peer_that_raises_loses_only_its_own_time(ctx):
    r = made()
    rows.attempt(r, "bad", lambda: 1 / 0)
    assert "ZeroDivisionError" in r.peer_failures["bad"]
    assert r.counts


def test_large_results_are_compared_in_rows(ctx, monkeypatch):
    monkeypatch.setattr("bench.comparison.functions.SAMPLED_ABOVE", 64)
    monkeypatch.setattr("bench.comparison.functions.SAMPLES", 3)
    monkeypatch.setattr("bench.comparison.functions.LEAST", 8)
    r = run_row(ctx, row(Function(lambda c: [c.normal(64, 8)], lambda x: ops.add(x, x), None, lambda x: x + x)))
    assert r.correct
    assert any(note.startswith("checked in") for note in r.notes)


def test_every_row_has_a_group_a_name_of_its_own_and_known_targets(ctx):
    for small in (True, False):
        ctx.small = small
        found = all_rows(ctx)
        names = [(r.group, r.name) for r in found]
        assert len(set(names)) == len(names)
        assert {r.group for r in found} == set(rows.GROUPS)
        assert all(t.kind in ("ratio", "share", "seconds", "rate") for r in found for t in (*r.hardware, *r.software))


def test_patterns_choose_rows(ctx):
    assert {r.group for r in chosen(all_rows(ctx), ["gemv"])} == {"GEMV"}
    assert all("bf16" in r.name for r in chosen(all_rows(ctx), ["gemv: * bf16"]))
    assert len(chosen(all_rows(ctx), [])) > len(chosen(all_rows(ctx), [], quick=True)) > 8
    assert chosen(all_rows(ctx), ["no such row"]) == []


def test_numpy_computes_the_same_spline_layer(ctx):
    r = run_row(ctx, Row("KAN", "tiny", function_row(lambda: kan.layer(5, 3, 7))))
    assert r.correct, page.remarks(r)
    assert r.clock == "wall"


def test_real_rows_run_small(ctx):
    for r in chosen(all_rows(ctx), ["17×512×512", "bf16", "decode", "dropout", "LeNet 2, batch 32, with", "readback of 4"]):
        if r.name.endswith("bf16") and not r.name.startswith("256"):
            continue
        found = run_row(ctx, r)
        assert not found.failure, found.failure
        assert found.correct is not False, page.remarks(found)
        assert found.ours.seconds > 0


def test_a_busy_machine_is_said_to_be_busy(monkeypatch):
    from bench.comparison.run import load

    monkeypatch.setattr("os.getloadavg", lambda: (40.0, 1.0, 1.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert "disturbs" in load()
    monkeypatch.setattr("os.getloadavg", lambda: (1.0, 1.0, 1.0))
    assert load() == "1.0 on 2 cores"


def test_the_median_and_the_number_of_calls():
    timing = summary([1.0, 2.0, 9.0], 4)
    assert (timing.seconds, timing.calls, timing.repeats) == (2.0, 4, 3)
    assert [calls_for(t, 1.0, 10) for t in (5.0, 0.5, 1e-9)] == [1, 2, 10]


# ---- reports


@pytest.fixture
def report():
    results = [
        made(0.5, targets=[Target("ratio", 2.0, EAGER)], bytes=1e9, share=0.5, bound="copy"),
        made(4.0, targets=[Target("share", 0.9)], share=0.3),
        made(1.0, correct=False, error=0.5, checked="NumPy"),
        made(None, failure="ValueError: it broke"),
    ]
    for i, r in enumerate(results):
        r.name = f"row {i}"
    return page.Report("Some GPU", "some-gpu", {"PyTorch": "2"}, 1000.0, 5e4, results, 12.0)


def test_json_holds_everything(report):
    text = report.as_json()
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [r["ratio"] for r in data["rows"]] == [4.0, 0.5, None, None]
    assert [r["met"] for r in data["rows"]] == [True, False, False, None]
    again = page.Report.from_json(text)
    assert again.as_json() == text
    assert again.as_markdown() == report.as_markdown()


def test_the_table_shows_ratios_targets_and_failures(report):
    text = report.as_markdown()
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| row ")}
    assert "4.00×" in lines["row 0"]
    assert "yes" in lines["row 0"]
    assert "NO" in lines["row 1"]
    assert "WRONG" in lines["row 2"]
    assert "×" not in lines["row 2"].replace("(-)", "").split("NumPy")[0]
    assert "failed" in lines["row 3"]
    assert "4 rows on Some GPU: 1 wrong, 1 failed; faster than its first peer in 1 of 2; targets met 1 of 3" in text
    assert "\n".join(page.terminal_lines(report)).count("WRONG") == 2


def test_the_short_table_picks_its_rows(report):
    assert report.in_short() == ""
    report.results[0].group, report.results[0].name = "matmul", "4096³"
    (line,) = [x for x in report.in_short().splitlines() if "4096³" in x]
    assert "4.00×" in line
    assert "50% of the copy rate" in line
    assert "## In short" in report.as_markdown()
    report.results[0].correct = False
    assert report.in_short() == ""


def test_the_picture_is_drawn_with_the_targets_on_the_axis_of_ratios(report):
    pytest.importorskip("matplotlib")
    from bench.comparison import picture

    assert picture.target_ratio(report.results[0]) == pytest.approx(2.0)
    assert picture.target_ratio(report.results[1]) == pytest.approx(1.5)  # three times its share, so three times its ratio
    assert picture.target_ratio(report.results[2]) is None
    assert picture.as_png(report).startswith(b"\x89PNG")


def test_the_script_lists_measures_and_redraws(gpu, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.comparison.context.copy_size", lambda device: 1 << 18)
    device = ["--device", str(gpu.info.index), "--small", "--no-peers"]
    assert script.main([*device, "--list"]) == 0
    assert "KAN" in capsys.readouterr().out
    assert script.main([*device, "--only", "no such row"]) == 2
    capsys.readouterr()
    assert script.main([*device, "--only", "add 256 KiB", "--quick", "--out", str(tmp_path)]) == 0
    assert "1 rows on" in capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    names = {p.name for p in folder.iterdir()}
    assert {"compare.json", "compare.md"} <= names
    assert script.main(["--redraw", str(folder / "compare.json"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / folder.name / "compare.md").read_text() == (folder / "compare.md").read_text()
