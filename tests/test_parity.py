"""Every kernel, every case, against its float64 reference, with and without the adapter's optional features."""

from __future__ import annotations

import pytest

import gpucore as gc
from gpucore.parity import case_label, check_case
from gpucore.parity.matrix import unfit

CASES = [(k.name, i) for k in gc.KERNELS.values() for i in range(len(k.cases))]
# A large grid is the same with and without optional features; it runs once.
SMALL = [(name, i) for name, i in CASES if callable(c := gc.KERNELS[name].cases[i]) or not c.get("large")]


def _labels(cases):
    return [f"{name}[{case_label(gc.KERNELS[name], gc.KERNELS[name].cases[i], i)}]" for name, i in cases]


LABELS, SMALL_LABELS = _labels(CASES), _labels(SMALL)


@pytest.mark.parametrize(("name", "index"), CASES, ids=LABELS)
def test_kernel_matches_its_reference(gpu, name, index):
    _leave_out_unfit(gpu, name, index)
    result = check_case(gc.KERNELS[name], index, gpu)
    assert result.passed, _say(result)


@pytest.mark.parametrize(("name", "index"), SMALL, ids=SMALL_LABELS)
def test_kernel_matches_without_optional_features(plain_gpu, name, index):
    _leave_out_unfit(plain_gpu, name, index)
    result = check_case(gc.KERNELS[name], index, plain_gpu, repeat=False)
    assert result.passed, _say(result)


def _leave_out_unfit(gpu, name, index):
    if lacks := unfit(gc.KERNELS[name], index, gpu):
        pytest.skip(f"this case needs {lacks}")


def _say(r):
    return (
        f"{r.kernel} {r.case}: head-room {r.headroom:.3g}, max abs {r.max_abs:.3g}, relative L2 {r.relative_l2:.3g}, "
        f"specials {r.specials}, repeatable {r.repeatable}, worst {r.worst} {r.error}"
    )
