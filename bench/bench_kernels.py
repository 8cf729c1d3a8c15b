"""The bench cases of every kernel under pytest-benchmark: `pytest bench/ --benchmark-enable -k softmax`.

Each round is one dispatch with a wait behind it, so it holds the host's share too; `gpucore bench` has the GPU's own
time, the ceilings and the report.
"""

from __future__ import annotations

import pytest

import gpucore as gc
from gpucore.bench import sizes
from gpucore.parity.check import to_device

CASES = [(k.name, i) for k in gc.KERNELS.values() for i in range(len(k.bench))]
SOFTWARE_FLOPS, SOFTWARE_BYTES = 3e8, 6e7


@pytest.fixture(scope="session")
def numbers() -> sizes.PooledGenerator:
    return sizes.PooledGenerator(0)


@pytest.mark.parametrize(("name", "index"), CASES, ids=[f"{name}-{i}" for name, i in CASES])
def test_kernel(benchmark, gpu, numbers, name, index):
    kernel = gc.KERNELS[name]
    arrays, options = sizes.inputs(kernel, kernel.bench[index], numbers)
    if gpu.kind == "software":
        arrays, options, _ = sizes.shrink_until(kernel, gpu, arrays, options, lambda f, b: f <= SOFTWARE_FLOPS and b <= SOFTWARE_BYTES)
    tensors = to_device(kernel, gpu, arrays)
    flops, moved = sizes.cost(kernel, gpu, arrays, options)
    benchmark.group = kernel.family
    benchmark.extra_info.update(case=sizes.shown(kernel, arrays, options), flops=flops, bytes=moved, device=gpu.name)

    def once() -> None:
        gpu.run(kernel, tensors, options)
        gpu.synchronize()

    benchmark.pedantic(once, rounds=5, warmup_rounds=2)
