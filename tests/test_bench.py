"""The benchmark: sizes that stay consistent, results that are checked, reports that are whole."""

from __future__ import annotations

import argparse
import json
import re

import numpy as np
import pytest

import gpucore as gc
from gpucore.bench import as_html, as_json, as_markdown, ceilings, measure_kernel, peers, report, run_bench, sizes, systems
from gpucore.bench.ceilings import COPY, FMA, TICK, Ceilings
from gpucore.cli import bench as command
from gpucore.kernel import KERNELS
from gpucore.parity import check_case, choose_kernels, selftest

FEW = ("unary", "binary")


@pytest.fixture(scope="module")
def numbers():
    return sizes.PooledGenerator(1)


@pytest.fixture(scope="module")
def known():
    return Ceilings(copy_gb=10.0, fma_gflop=100.0, copy_bytes=1 << 20)


@pytest.fixture(scope="module")
def small(monkeypatch_module, gpu):
    """A quick run with small transfers, so that the tests stay short."""
    monkeypatch_module.setattr(ceilings, "copy_size", lambda device: 1 << 20)
    monkeypatch_module.setattr(report, "cold_start", lambda device: 1.5)
    return run_bench(gpu, [KERNELS[n] for n in FEW], quick=True)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("kernel", [COPY, FMA, TICK], ids=lambda k: k.name)
def test_the_bench_shaders_compute_what_they_say(kernel, gpu, plain_gpu):
    for device in (gpu, plain_gpu):
        result = check_case(kernel, 0, device)
        assert result.passed, result.sentence()


def test_the_multiply_add_loop_counts_its_operations(gpu):
    x = gpu.tensor(np.ones(64, np.float32))
    launch = FMA.launch([x], {"rounds": 5})
    assert FMA.cost([x], launch, {"rounds": 5})[0] == 64 * 8 * 4 * 5 * 2


def test_every_bench_case_launches(gpu, numbers):
    for kernel in KERNELS.values():
        for case in kernel.bench:
            if callable(case) or any(callable(v) for v in case.values()):
                continue  # made by a function: run_bench makes them, at the cost of their size
            options = {k: v for k, v in case.items() if k not in ("id", "large", *kernel.inputs)}
            given = [case.get(name) for name in kernel.inputs]
            arrays = [np.broadcast_to(np.float32(0), v) if isinstance(v, tuple) else v for v in given]
            flops, moved = sizes.cost(kernel, gpu, arrays, options)
            assert flops + moved > 0


def test_pooled_numbers_are_normal_and_differ(numbers):
    a, b = (numbers.standard_normal((1 << 10, 1 << 8), np.float32) for _ in range(2))
    assert a.dtype == np.float32
    assert a.shape == (1 << 10, 1 << 8)
    assert abs(a.mean()) < 0.02
    assert abs(a.std() - 1) < 0.02
    assert not np.array_equal(a, b)
    assert numbers.standard_normal(3).dtype == np.float64


def test_a_case_is_cut_in_half_consistently(gpu):
    kernel = KERNELS["binary"]
    arrays = [np.ones((64, 8), np.float32), np.ones((64, 8), np.float32)]
    cut, _ = sizes.halve(kernel, gpu, arrays, {"op": "add"})
    assert [a.shape for a in cut] == [(32, 8), (32, 8)]
    broadcast, _ = sizes.halve(kernel, gpu, [np.ones((64, 8), np.float32), np.ones(8, np.float32)], {"op": "add"})
    assert [a.shape for a in broadcast] == [(32, 8), (8,)]
    second_axis, _ = sizes.halve(kernel, gpu, [np.ones((1, 8), np.float32)] * 2, {"op": "add"})
    assert [a.shape for a in second_axis] == [(1, 4), (1, 4)]
    assert sizes.halve(kernel, gpu, [np.ones((1, 1), np.float32)] * 2, {"op": "add"}) is None


def test_an_axis_that_the_kernel_needs_whole_is_not_cut(gpu):
    kernel = KERNELS["matmul"]
    a, b = np.ones((1, 64), np.float32), np.ones((64, 2), np.float32)
    cut, _ = sizes.halve(kernel, gpu, [a, b, None], {})
    assert cut[0].shape[1] == cut[1].shape[0] == 32


def test_a_case_is_cut_until_it_costs_little(gpu):
    kernel = KERNELS["unary"]
    given = [np.ones(1 << 16, np.float32)]
    arrays, options, factor = sizes.shrink_until(kernel, gpu, given, {"op": "exp"}, lambda f, b: b <= 1 << 16)
    assert factor == 8
    assert arrays[0].nbytes * 2 <= 1 << 16
    assert options == {"op": "exp"}


def test_a_case_that_the_adapter_cannot_bind_is_cut(gpu):
    rows = gpu.info.limits["max_storage_binding"] // 4096 + 2
    given = [np.ones(1024, np.float32), np.broadcast_to(np.float32(1), (rows, 1024)), None]
    assert sizes.allowed_cost(KERNELS["gemv"], gpu, given, {}) == (np.inf, np.inf)
    cut, options = sizes.halve(KERNELS["gemv"], gpu, given, {})
    assert cut[1].shape == (rows // 2, 1024)
    assert np.isfinite(sizes.allowed_cost(KERNELS["gemv"], gpu, cut, options)).all()


def test_a_timing_is_checked_and_measured(gpu, known, numbers):
    found = measure_kernel(gpu, KERNELS["unary"], dict(x=(1 << 14,), op="exp"), known, numbers)
    assert found.error == ""
    assert found.correct
    assert found.seconds > 0
    assert found.runs >= 5
    assert found.bytes == 2 * 4 * (1 << 14)
    assert found.share == pytest.approx(known.least_seconds(found.flops, found.bytes) / found.seconds)
    assert found.bound == "memory"
    assert found.peers["NumPy"] > 0


def test_a_wrong_kernel_is_reported_as_wrong(gpu, known, numbers):
    found = measure_kernel(gpu, selftest.WRONG_ADD, dict(a=(4096,), b=(4096,), fault=1), known, numbers)
    assert not found.correct
    assert "got" in found.error


def test_a_kernel_that_raises_does_not_end_the_run(gpu, known, numbers):
    found = measure_kernel(gpu, KERNELS["unary"], dict(x=(8,), op="no such operation"), known, numbers)
    assert not found.correct
    assert "ValueError" in found.error or "KeyError" in found.error or "Error" in found.error


def test_the_device_without_an_adapter_can_be_measured(cpu, known, numbers):
    found = measure_kernel(cpu, KERNELS["unary"], dict(x=(4096,), op="exp"), known, numbers, peers=False)
    assert found.correct, found.error
    assert found.seconds > 0


def test_the_ceilings_say_which_of_them_counts(known):
    assert known.least_seconds(flops=1e9, moved=1e9) == pytest.approx(0.1)
    assert known.bound(1e9, 1e9) == "memory"
    assert known.bound(1e11, 1e9) == "arithmetic"


def test_a_run_measures_ceilings_and_kernels(small):
    assert small.passed, [t.error for t in small.failures]
    assert [t.kernel for t in small.timings] == list(FEW)
    c = small.ceilings
    for value in (c.copy_gb, c.fma_gflop, c.host_eager, c.host_replay, c.readback, c.upload_gb, c.readback_gb):
        assert value > 0
    assert c.dispatch_dependent >= 0
    assert c.dispatch_independent >= 0
    assert small.median_share() > 0


def test_a_later_better_ceiling_counts(known, gpu):
    mine = Ceilings(copy_gb=10.0, fma_gflop=100.0, copy_bytes=1)
    timing = report.KernelTiming("k", "f", "c", seconds=1.0, flops=1e9, bytes=1e10, share=1.0)
    report._raise_ceilings(mine, [timing], (20.0, 50.0))
    assert (mine.copy_gb, mine.fma_gflop) == (20.0, 100.0)
    assert timing.share == pytest.approx(0.5)


def test_the_reports_are_whole_and_self_contained(small):
    data = json.loads(as_json(small), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [k["kernel"] for k in data["kernels"]] == list(FEW)
    assert data["ceilings"]["cold_start"] == 1.5
    text = as_markdown(small)
    assert "copy bandwidth" in text
    assert "| unary" in text
    html = as_html(small, b"\x89PNG fake")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)|url\(|@import|https?://", html)
    assert "data:image/png;base64," in html


def test_the_software_driver_s_sizes_are_said_to_be_cut(small):
    assert ("software driver" in as_markdown(small)) == (small.info.kind == "software")


def test_the_roofline_is_drawn(small):
    pytest.importorskip("matplotlib")
    from gpucore.bench.roofline import as_png, best_points

    assert {t.kernel for t in best_points(small)} <= set(FEW)
    assert as_png(small).startswith(b"\x89PNG")


def test_peers_compute_the_same(rng):
    """A peer that computed something else would compare the wrong work."""
    arrays = {
        "unary": dict(x=rng.standard_normal((5, 7), np.float32)),
        "binary": dict(a=rng.standard_normal((5, 7), np.float32), b=rng.standard_normal((7,), np.float32)),
        "matmul": dict(a=rng.standard_normal((5, 4), np.float32), b=rng.standard_normal((4, 6), np.float32)),
        "gemv": dict(a=rng.standard_normal(4, np.float32), b=rng.standard_normal((6, 4), np.float32)),
        "vecmat": dict(a=rng.standard_normal(4, np.float32), b=rng.standard_normal((4, 6), np.float32)),
        "softmax": dict(x=rng.standard_normal((5, 7), np.float32)),
        "layer_norm": dict(x=rng.standard_normal((5, 7), np.float32), weight=np.ones(7, np.float32), bias=np.zeros(7, np.float32)),
        "rms_norm": dict(x=rng.standard_normal((5, 7), np.float32), weight=np.ones(7, np.float32)),
    }
    options = {"unary": dict(op="exp"), "binary": dict(op="add")}
    for name, named in arrays.items():
        kernel = KERNELS[name]
        given = [named.get(n) for n in kernel.inputs]
        want = kernel.reference(given, options.get(name, {}))[0]
        np.testing.assert_allclose(peers.NUMPY[name](named, options.get(name, {})), want, rtol=1e-4, atol=1e-5, err_msg=name)


def test_peers_name_existing_kernels():
    assert set(peers.NUMPY) <= set(KERNELS)
    assert set(peers.TORCH) <= set(KERNELS)


def test_training_steps_are_counted(gpu, monkeypatch):
    monkeypatch.setattr(systems, "SECONDS", 0.0)
    monkeypatch.setattr(systems, "BATCH", 8)
    found = systems._mnist(gpu, "mlp", "MLP")
    assert found.per_second > 0
    assert "dispatches" in found.note


def test_the_cold_start_is_measured(gpu):
    assert 0 < report.cold_start(gpu) < 100


def test_the_command_writes_a_report(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ceilings, "copy_size", lambda device: 1 << 20)
    monkeypatch.setattr(report, "cold_start", lambda device: None)
    args = argparse.Namespace(
        device=gpu.info.index, vram_limit=None, seed=0, kernel=["unary"], family=[], quick=True, no_peers=True,
        html=None, markdown=None, json="-", out=str(tmp_path),
    )  # fmt: skip
    assert command.run(args) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["passed"] is True
    assert "copy bandwidth" in err
    names = {p.name for folder in tmp_path.iterdir() for p in folder.iterdir()}
    assert {"bench.json", "bench.md", "bench.html"} <= names


def test_the_command_refuses_unknown_kernels():
    args = argparse.Namespace(kernel=["nothing"], family=[])
    with pytest.raises(gc.errors.ConfigError, match="no kernel fits nothing"):
        command.run(args)


def test_steps_count_the_cases():
    kernels = choose_kernels(FEW)
    assert report.steps(kernels, quick=False) > report.steps(kernels, quick=True)
