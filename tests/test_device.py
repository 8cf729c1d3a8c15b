"""Finding, choosing and opening devices; errors of the library as exceptions."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import DeviceMismatchError, GpucoreError, KernelDeclarationError, NoAdapterError, ShaderError
from gpucore.kernel import fold_groups
from gpucore.shader import Features, Shader


def test_devices_stand_in_order_of_choice():
    infos = gc.devices()
    assert [i.index for i in infos] == list(range(len(infos)))
    assert infos[-1].kind == "cpu"
    vulkan = [i for i in infos if i.backend not in ("OpenGL", "NumPy")]
    assert vulkan, "no adapter found"
    assert infos[: len(vulkan)] == vulkan
    assert all(i.limits["max_workgroups"] == 65535 for i in vulkan)
    assert all(i.as_dict()["name"] for i in infos)


def test_choice_by_name_index_and_environment(gpu, monkeypatch):
    assert gc.device(gpu.info.index) is gpu
    assert gc.device(gpu.name[:5].upper()).name == gpu.name
    assert gc.device("cpu").kind == "cpu"
    assert gc.device("numpy") is gc.device("cpu")
    monkeypatch.setenv("GPUCORE_DEVICE", "cpu")
    assert gc.device().kind == "cpu"
    for wrong in ("no such card", 99, "99"):
        with pytest.raises(NoAdapterError, match="matches none of 0:"):
            gc.device(wrong)


def test_falling_back_is_said_once(gpu):
    code = (
        "import sys, warnings, gpucore as gc; sys.modules['gpucore.device']._adapters = []\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always'); a = gc.device(); b = gc.device()\n"
        "print(a.kind, len(seen), seen[0].message)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_clean_env()).stdout
    assert out.startswith("cpu 1 gpucore: no graphics adapter found, running on NumPy")


def _clean_env():
    path = os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])
    return {k: v for k, v in os.environ.items() if k != "GPUCORE_DEVICE"} | {"PYTHONPATH": path}


def test_the_opened_device_says_what_it_has(gpu, plain_gpu):
    assert gpu.info.modules == "bounds-checked", "modules must run without forced loop bounding"
    if gpu.features.subgroups:
        assert gpu.info.subgroup_size in (4, 8, 16, 32, 64, 128)
    assert plain_gpu.features == Features(False, False, False, False)
    assert plain_gpu.info.subgroup_size == 0


def test_tensors_of_two_devices_do_not_mix(gpu, cpu):
    with pytest.raises(DeviceMismatchError, match="move one with"):
        gc.ops.add(gpu.ones(3), cpu.ones(3))
    assert gc.ops.add(gpu.ones(3), gpu.tensor(cpu.ones(3))).numpy().tolist() == [2, 2, 2]


def test_a_shader_error_names_file_line_and_text(gpu):
    code = "// f\n@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }\n"
    with pytest.raises(ShaderError, match=r"bad\.wgsl:3: .*u32.*«fn main\(\) \{ let x: u32 = 1.5; \}»") as caught:
        gpu.native.create_module(code, "bad.wgsl")
    assert (caught.value.file, caught.value.line) == ("bad.wgsl", 3)
    with pytest.raises(ShaderError, match=r"worse\.wgsl:1"):
        gpu.native.create_module("fn main( { }", "worse.wgsl")


def test_a_validation_error_is_an_exception_at_the_call(gpu):
    buffer = gpu.native.create_buffer(256, 0x8)
    with pytest.raises(GpucoreError, match="encoding work: Validation"):
        gpu.native.submit([(None, buffer, 0, buffer, 0, 1 << 20)])
    assert gc.ops.add(gpu.ones(2), gpu.ones(2)).numpy().tolist() == [2, 2]


def test_modules_keep_bounds_checks_without_loop_bounding(gpu):
    """A write far outside its binding is dropped, and a long bounded loop is not cut."""
    code = """// out[i] = 1 far outside
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) g: vec3<u32>) {
    var n = 0u;
    for (var i = 0u; i < 60000u; i++) { n += i & 1u; }
    out[g.x * 1000000u] = n;
}"""
    module = gpu.native.create_module(code, "outside.wgsl")
    pipeline, layout = gpu.native.create_pipeline(module, [(0, "read_write")], {}, 0, "outside.wgsl")
    out = gpu.tensor(np.zeros(64), "uint32")
    group = gpu.native.create_bind_group(layout, [(0, out.storage.block.buffer, 0, 256)])
    gpu.native.submit([(pipeline, group, None, 0, 4, 1, 1, None)])
    values = out.numpy()
    assert values[0] == 30000
    assert values.sum() - values[0] in (0, 30000)  # bounds checks clamp or drop, within this binding alone


def test_grids_fold_over_two_dimensions():
    assert fold_groups(0) == (0, 1, 1)
    assert fold_groups(65535) == (65535, 1, 1)
    x, y, z = fold_groups(65536)
    assert (z, x * y >= 65536, x <= 65535) == (1, True, True)
    with pytest.raises(ValueError, match="more than 65535"):
        fold_groups((65536, 2))


def test_a_launch_that_disagrees_with_its_shader_is_refused(gpu):
    with pytest.raises(KernelDeclarationError, match="has no constants NOPE"):
        gpu.compiled.get(Shader("elementwise/unary"), {"NOPE": 1})
    with pytest.raises(KernelDeclarationError, match="differ in"):
        Shader("elementwise/unary").pack({"nonsense": 3})


def test_the_same_arguments_give_the_same_device(gpu):
    assert gc.device(gpu.info.index) is gc.device(gpu.info.index)
    assert gc.device(gpu.info.index, vram_limit="32MiB") is not gpu
