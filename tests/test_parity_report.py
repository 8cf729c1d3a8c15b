"""The parity matrix itself: what it catches, what it writes, what its exit code says."""

from __future__ import annotations

import argparse
import json
import re

import numpy as np
import pytest

import gpucore as gc
from gpucore.cli import parity as command
from gpucore.kernel import KERNELS
from gpucore.parity import (
    as_html,
    as_json,
    as_markdown,
    check_case,
    choose_kernels,
    choose_passes,
    matrix,
    probe_subnormals,
    run_parity,
    selftest,
)
from gpucore.parity.check import case_data, compare, with_reference


@pytest.fixture(scope="module")
def report(gpu, plain_gpu):
    return run_parity([gpu, plain_gpu], [KERNELS["binary"], KERNELS["unary"]], quick=True)


@pytest.fixture(scope="module")
def broken(gpu):
    """A report with two failures: a wrong value and an exception."""
    right, cases = selftest.WRONG_ADD, [dict(a=(3,), b=(3,), fault=0)]
    wrong = gc.Kernel("broken", _fails_to_launch, right.shader, right.ref, cases, cases, 1, None, right.tolerance, {})
    return run_parity([gpu], [selftest.WRONG_ADD, wrong])


def _fails_to_launch(a, b, *, fault):
    """Raises."""
    raise ValueError("nothing fits </script>")


def test_a_right_kernel_passes_and_is_measured(report):
    assert report.passed
    assert not report.failures
    expected = 2 * sum(len(matrix.case_indices(KERNELS[n], True)) for n in ("binary", "unary"))
    assert len(report.rows) == expected
    for _, r in report.rows:
        assert 0 <= r.headroom <= 1
        assert r.ulp_p50 <= r.ulp_p99
        assert r.seconds > 0
        assert len(r.shader_hash) == 12


@pytest.mark.parametrize("fault", [1, 2, 3])
def test_each_deliberate_fault_is_caught(gpu, fault):
    result = check_case(selftest.WRONG_ADD, fault, gpu)
    assert not result.passed
    if fault == 1:
        lane = result.worst["index"][0] % 64
        assert lane == 37
        assert result.worst["got"] == pytest.approx(result.worst["want"] * 1.001, rel=1e-5)
        near = result.worst["inputs"]
        assert near["a"] + near["b"] == pytest.approx(result.worst["want"])


def test_the_same_shader_without_a_fault_passes(gpu, plain_gpu):
    for device in (gpu, plain_gpu):
        assert check_case(selftest.WRONG_ADD, 0, device).passed
        assert all(t.as_expected for t in selftest.self_test(device))


def test_a_fault_that_is_let_through_fails_the_run(report):
    loose = matrix.ParityReport(report.passes, report.kernels, report.rows, True)
    assert loose.passed
    first = loose.passes[0]
    let = selftest.SelfTest("one lane off", caught=False, as_expected=False, said="")
    loose.passes = [matrix.Pass(first.name, first.info, first.subnormals, [let])]
    assert not loose.passed
    assert loose.uncaught


def test_a_run_of_nothing_does_not_pass(gpu):
    assert not run_parity([gpu], []).passed


def test_failures_and_exceptions_become_rows(broken):
    assert not broken.passed
    assert len(broken.rows) == len(selftest.WRONG_ADD.cases) + 1
    assert len(broken.failures) == 4
    assert any("ValueError: nothing fits" in r.error for _, r in broken.failures)


def test_the_subnormal_probe_agrees_with_the_arithmetic(gpu):
    probe = probe_subnormals(gpu)
    x = gpu.tensor(np.array([1e-39], np.float32))
    assert (float(gc.ops.add(x, x).numpy()[0]) == 0) == probe.sums
    assert "subnormals" in str(probe)
    kept = selftest.Subnormals(sums=False, products=False, results=False)
    assert str(kept) == "keeps subnormals in arithmetic"


def test_the_reference_device_keeps_subnormals(cpu):
    assert not probe_subnormals(cpu).sums


def test_json_is_strict_and_whole(report, broken):
    for r in (report, broken):
        data = json.loads(as_json(r), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert data["passed"] == r.passed
        assert len(data["rows"]) == len(r.rows)
        assert {"adapter", "driver", "subnormals", "features"} <= set(data["passes"][0])
        assert {"gpucore", "wgpu", "numpy", "python", "date"} <= set(data["environment"])
        row = data["rows"][0]
        assert {"error_share", "max_abs", "relative_l2", "ulp_p50", "ulp_p99", "specials", "same_bits", "seconds", "worst"} <= set(row)


def test_worst_values_tell_neighbouring_floats_apart(broken):
    rows = {r["case"]: r for r in json.loads(as_json(broken))["rows"]}
    worst = rows["1 one lane off by 1e-3 of its value"]["worst"]
    assert float(worst["got"]) != float(worst["want"])
    assert np.float32(worst["got"]) != np.float32(worst["want"])


def test_markdown_names_adapters_faults_and_failures(report, broken):
    text = as_markdown(report)
    assert "**Passed.**" in text
    assert report.passes[0].name in text
    assert "one lane off by 1e-3" in text
    assert re.search(r"\| binary +\|", text)
    assert "## Failures" in as_markdown(broken)


def test_the_page_is_self_contained_and_safe(report, broken):
    for r in (report, broken):
        text = as_html(r)
        assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", text), "the page loads something from elsewhere"
        assert len(text) < 1_000_000
        assert text.count("</script>") == 1, "an error text closed the script"
        assert "Kernels that are wrong on purpose" in text


def test_the_page_s_data_hold_every_row(report):
    data = json.loads(re.search(r"const DATA = (.*);\n", as_html(report))[1].replace("<\\/", "</"))
    assert len(data["rows"]) == len(report.rows)
    for row in data["rows"]:
        assert len(row) == 14
        assert row[2] < len(data["kernels"][row[1]]["cases"])


def test_the_picture_is_a_png(report):
    pytest.importorskip("matplotlib")
    from gpucore.parity.picture import as_png

    assert as_png(report).startswith(b"\x89PNG")


def test_ulps_count_representable_values(cpu):
    one = np.array([1.0, -1.0, 0.0], np.float32)
    data = with_reference(selftest.WRONG_ADD, "ulp", [one, np.zeros(3, np.float32)], {"fault": 0})
    above_one, below_zero = np.nextafter(np.float32([1, 0]), np.float32([2, -1]))
    data.want["out"] = np.array([above_one, -1.0, below_zero], np.float64)
    result = compare(data, cpu, repeat=False)
    assert result.ulp_p50 == 1
    assert result.ulp_p99 == 1


def test_large_cases_run_once_per_adapter(gpu, plain_gpu):
    kernel = next(k for k in KERNELS.values() for c in k.cases if not callable(c) and c.get("large"))
    index = next(i for i, c in enumerate(kernel.cases) if not callable(c) and c.get("large"))
    assert matrix.passes_of(kernel, index, [gpu, plain_gpu]) == [0]
    assert matrix.passes_of(kernel, 0, [gpu, plain_gpu]) == [0, 1]
    assert index not in matrix.case_indices(kernel, quick=True)


def test_choosing_kernels_by_pattern_and_family():
    assert [k.name for k in choose_kernels(["unary"])] == ["unary"]
    assert {k.family for k in choose_kernels(families=["elementwise"])} == {"elementwise"}
    assert choose_kernels(["no such kernel"]) == []


def test_each_adapter_gives_a_pass_with_and_one_without_optional_features(gpu):
    passes = choose_passes([str(gpu.info.index)])
    assert [d.info.index for d in passes] == [gpu.info.index] * len(passes)
    assert len(passes) == 2
    assert not passes[1].info.features & set(matrix.OPTIONAL)
    assert matrix.pass_name(passes[1]).endswith("no optional features")


def test_cases_are_the_same_in_every_run():
    first, second = (case_data(KERNELS["binary"], 1) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.arrays, second.arrays, strict=True))


# ---- the command


def _args(**given):
    usual = dict(device=None, kernel=[], family=[], quick=True, html=None, markdown=None, json=None, out=None)
    return argparse.Namespace(**usual | given)


def test_the_command_writes_what_it_is_asked_for(gpu, tmp_path, capsys):
    args = _args(device=gpu.info.index, kernel=["unary"], out=str(tmp_path), html=str(tmp_path / "page.html"))
    assert command.run(args) == 0
    folder = next(p for p in tmp_path.iterdir() if p.is_dir())
    assert {"parity.json", "parity.md", "parity.html"} <= {p.name for p in folder.iterdir()}
    assert (tmp_path / "page.html").exists()
    assert "Passed: 1 kernels" in capsys.readouterr().out


def test_the_command_s_json_goes_to_stdout_alone(gpu, capsys):
    assert command.run(_args(device=gpu.info.index, kernel=["unary"], json="-")) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["passed"] is True
    assert "Passed" in err


def test_the_command_fails_when_a_kernel_is_wrong(gpu, monkeypatch, capsys):
    monkeypatch.setitem(KERNELS, "wrong_add", selftest.WRONG_ADD)
    assert command.run(_args(device=gpu.info.index, family=["selftest"], quick=False)) == 1
    assert "FAILED" in capsys.readouterr().out


def test_the_command_refuses_the_reference_device_and_unknown_kernels():
    with pytest.raises(gc.errors.ConfigError, match="NumPy device"):
        command.run(_args(device="cpu"))
    with pytest.raises(gc.errors.ConfigError, match="no kernel fits nothing"):
        command.run(_args(kernel=["nothing"]))
