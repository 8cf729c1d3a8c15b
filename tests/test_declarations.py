"""What a declaration promises: names that agree, constants that exist, layers that only look down."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import gpucore as gc
from gpucore import tuning
from gpucore.array import Array
from gpucore.bench.ceilings import COPY, FMA, TICK
from gpucore.errors import KernelDeclarationError
from gpucore.kernel import KERNELS, Launch, Out, kernel
from gpucore.parity.check import case_inputs, case_label, to_device
from gpucore.parity.matrix import case_indices
from gpucore.parity.selftest import OUTSIDE, SUBNORMAL, WRONG_ADD
from gpucore.shader import ROOT, Features

PACKAGE = Path(gc.__file__).parent
OWN = [WRONG_ADD, SUBNORMAL, OUTSIDE, COPY, FMA, TICK]
ALL = [*KERNELS.values(), *OWN]
by_name = pytest.mark.parametrize("k", ALL, ids=lambda k: k.name)


def _parameters(function, kinds):
    return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds)


def _takes_any(parameters):
    return any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@by_name
def test_rule_reference_and_bindings_carry_the_same_names(k):
    positional = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
    assert _parameters(k.ref, positional) == k.inputs
    taken = inspect.signature(k.ref).parameters
    assert all(name in taken or _takes_any(taken) for name in k.options), "the reference must take every option of the rule"
    more = set(_parameters(k.ref, (inspect.Parameter.KEYWORD_ONLY,))) - set(k.options)
    assert all(taken[name].default is not inspect.Parameter.empty for name in more), "what the rule does not offer must have a default"
    bound = {b.name for b in k.shader.bindings}
    assert set(k.inputs) <= bound
    assert all(b.access == "read_write" for b in k.shader.bindings if b.name not in k.inputs)


@by_name
def test_optional_inputs_and_options_have_the_reference_s_defaults(k):
    rule, ref = (inspect.signature(f).parameters for f in (k.rule, k.ref))
    for name in k.optional:
        assert ref[name].default is None
    for name in set(k.options) & set(ref):
        assert ref[name].default in (rule[name].default, inspect.Parameter.empty)


@by_name
def test_a_shader_starts_with_its_formula_and_its_mapping(k):
    first, second, *_ = k.shader.path.read_text().splitlines()
    assert re.match(r"// \S.*\.", first), f"line 1 of {k.shader.path.name} is its formula: {first!r}"
    assert re.match(r"// \S.*", second), f"line 2 of {k.shader.path.name} is its mapping: {second!r}"
    assert k.__doc__


@by_name
def test_bindings_and_params_stay_within_the_portable_limits(k):
    assert len(k.shader.bindings) <= k.buffers
    assert k.buffers in (8, 32), "what every adapter binds, or what most hardware does, with another way beside it"
    assert k.shader.params_size <= 128
    slots = [b.slot for b in k.shader.bindings] + ([] if k.shader.params_slot is None else [k.shader.params_slot])
    assert sorted(slots) == list(range(len(slots)))


@by_name
def test_launches_name_existing_constants_params_and_outputs(k, cpu):
    required = set(re.findall(r"^override (\w+)\s*:\s*\w+\s*;", k.shader.code(Features()), re.M))
    written = {b.name for b in k.shader.bindings if b.access == "read_write"} - set(k.inputs)
    small = case_indices(k, quick=True)
    for index in small:
        arrays, options = case_inputs(k, index)
        launch = k.launch(to_device(k, cpu, arrays), options)
        assert set(launch.constants) <= k.shader.overrides
        assert required <= set(launch.constants), "a constant without a default must be given"
        assert len(k.shader.pack(launch.params)) == k.shader.params_size
        assert set(launch.outputs) == written


@by_name
def test_the_cost_is_positive_where_there_is_work(k, cpu):
    for case in k.bench[:1] if k in OWN else [k.cases[i] for i in case_indices(k, quick=True)]:
        arrays, options = k.arrays(case, np.random.default_rng(0))
        shapes = to_device(k, cpu, arrays)
        flops, moved = k.cost(shapes, k.launch(shapes, options), options)
        assert np.isfinite([flops, moved]).all()
        assert flops >= 0
        assert moved >= 0


def test_every_case_has_a_label_of_its_own():
    for k in ALL:
        labels = [case_label(k, case, i) for i, case in enumerate(k.cases)]
        assert len(set(labels)) == len(labels)


def test_every_shader_file_belongs_to_a_kernel():
    used = {k.shader.path for k in ALL}
    found = {p for p in ROOT.rglob("*.wgsl") if p.parent.name != "lib"}
    assert sorted(found - used) == []
    assert sorted(used - found) == []


def test_every_include_exists_and_every_library_file_is_used():
    texts = {p: p.read_text() for p in ROOT.rglob("*.wgsl")}
    wanted = {name for text in texts.values() for name in re.findall(r"^//!include (\S+)", text, re.M)}
    there = {f"lib/{p.name}" for p in (ROOT / "lib").glob("*.wgsl")}
    assert wanted <= there
    variants = {
        n
        for n in there
        if re.search(r"\.(subgroup|f16|half|int64)\.wgsl$", n) and re.sub(r"\.(subgroup|f16|half|int64)\.wgsl$", ".wgsl", n) in wanted
    }
    assert there - wanted - variants <= {"lib/probe_subgroup.wgsl"}


def test_no_loop_is_unbounded():
    """Modules are compiled without forced loop bounding, so each loop must end by itself."""
    for path in ROOT.rglob("*.wgsl"):
        text = re.sub(r"//.*", "", path.read_text())
        assert not re.search(r"\b(loop|while)\b", text), f"{path.name} has a loop without a bound"
        for head in re.findall(r"\bfor\s*\(([^{]*)\{", text):
            assert head.count(";") == 2, f"{path.name}: {head}"
            assert head.split(";")[1].strip(), f"{path.name}: a loop without a condition"


def _rule(x: Array) -> Launch:
    """x."""
    return Launch(Out(x.shape), groups=1)


GOOD = dict(ref=lambda x: x, cases=[dict(x=(1,))], bench=dict(x=(1,)), flops=1)


@pytest.mark.parametrize(
    ("missing", "value", "said"),
    [("ref", None, "a reference"), ("cases", [], "cases"), ("bench", [], "a bench case"), ("flops", None, "its cost")],
)
def test_an_incomplete_declaration_is_refused(missing, value, said):
    _rule.__name__ = "incomplete"
    with pytest.raises(KernelDeclarationError, match=rf"kernel incomplete is declared without {said}"):
        kernel("elementwise/unary", **(GOOD | {missing: value}))(_rule)
    assert "incomplete" not in KERNELS


def test_a_declaration_without_its_parts_is_refused_by_python():
    for missing in GOOD:
        with pytest.raises(TypeError, match=missing):
            kernel("elementwise/unary", **{k: v for k, v in GOOD.items() if k != missing})


def test_a_rule_without_docstring_and_a_second_of_the_same_name_are_refused():
    def silent(x):
        return Launch(x.shape, groups=1)

    with pytest.raises(KernelDeclarationError, match="without a docstring"):
        kernel("elementwise/unary", **GOOD)(silent)
    again = next(iter(KERNELS))
    silent.__doc__, silent.__name__ = "x.", again
    with pytest.raises(KernelDeclarationError, match=f"{again} is declared twice"):
        kernel("elementwise/unary", **GOOD)(silent)


# ---- layers

LAYERS = [
    ("errors", "files"), ("dtypes", "shader", "memory", "array"), ("profile", "tuning", "tuning_file", "device"), ("kernel",), ("kernels",),
    ("autograd", "ops", "indexing", "tensor", "pipeline", "random"), ("nn", "optim", "data", "train"),
    ("report",), ("parity",), ("systems",), ("bench",), ("cli",), ("__main__", "__init__"),
]  # fmt: skip
"""From the bottom up; what stands together is one layer, whose modules may import each other."""
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def _imports(path: Path):
    """(absolute module, names) of each import that runs, wherever it stands; imports for type checkers do not count."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body for inner in ast.walk(statement)
    }  # fmt: skip
    parts = ("gpucore", *path.relative_to(PACKAGE).with_suffix("").parts)
    package = parts[:-1]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join([*base, *([node.module] if node.module else [])]), tuple(a.name for a in node.names)


def _layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_look_down(path):
    mine = _layer(path)
    assert mine in RANK, f"{mine} has no place in LAYERS"
    for module, names in _imports(path):
        if module.split(".")[0] == "wgpu":
            assert mine == "device", f"{path.name} imports wgpu; only the device layer may"
        if module == "gpucore":
            targets = [n for n in names if n in RANK] or ([] if mine in ("report", "cli") else ["__init__"])
        elif module.startswith("gpucore."):
            targets = [module.split(".")[1]]
        else:
            continue
        for target in targets:
            assert target in RANK, f"{target} has no place in LAYERS"
            assert RANK[target] <= RANK[mine], f"{path.relative_to(PACKAGE)} imports {target}, which stands above {mine}"


STANDARD = ("numpy", "kernels_ref", "__future__", "collections", "inspect", "itertools", "functools", "math", "typing")
"""What a reference may import: NumPy, its neighbours, and modules of Python that calculate nothing."""


@pytest.mark.parametrize("path", sorted((PACKAGE.parent / "kernels_ref").glob("*.py")), ids=lambda p: p.name)
def test_references_import_numpy_alone(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert all(a.name.split(".")[0] in STANDARD for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level > 0 or node.module.split(".")[0] in STANDARD


def test_the_layer_test_sees_what_it_should():
    assert any(module == "wgpu" for path in SOURCES if _layer(path) == "device" for module, _ in _imports(path))
    assert ("gpucore.kernel", ("KERNELS", "Kernel")) in [(m, n[:2]) for m, n in _imports(PACKAGE / "parity" / "matrix.py")]


# ---- candidates

TUNED = [k for k in KERNELS.values() if k.choices is not None]


@pytest.mark.parametrize("k", TUNED, ids=lambda k: k.name)
def test_every_candidate_has_its_parity_cases(k):
    asked = {case.get("config") for case in k.cases if not callable(case)}
    assert set(k.choices.candidates) <= asked


def _choices(monkeypatch):
    monkeypatch.setattr(tuning, "TUNABLE", {})
    big = tuning.Candidate({"N": 2}, workgroup=1 << 20)
    return tuning.Choices("t", {"small": tuning.Candidate({"N": 1}), "other": tuning.Candidate({"N": 3}), "big": big})


def test_a_candidate_is_picked_by_name_then_by_the_table_then_by_default(gpu, cpu, monkeypatch):
    choices = _choices(monkeypatch)
    monkeypatch.setattr(gpu, "tuned", {"t 1024x16xf": "other", "t 8": "gone", "t 16": "big"})
    assert choices.pick(gpu, None, (1000, 9, "f"), "small") == "other"
    assert choices.pick(gpu, "small", (1000, 9, "f"), "other") == "small"
    assert choices.pick(gpu, None, (1025, 9, "f"), "other") == "other"
    assert choices.pick(gpu, None, (8,), "small") == "small"  # the table names a candidate that is no more
    assert choices.pick(gpu, None, (16,), "other") == "other"  # or one that this adapter cannot run
    assert choices.pick(gpu, None, (1,), "big") == "small"
    assert choices.pick(cpu, None, (1,), "big") == "big"


def test_a_wrong_candidate_is_one_sentence(gpu, monkeypatch):
    choices = _choices(monkeypatch)
    with pytest.raises(gc.errors.ConfigError, match="t: config is 'x'; wants one of small, other, big"):
        choices.pick(gpu, "x", (), "small")
    with pytest.raises(gc.errors.ConfigError, match="t: config 'big' needs workgroups of 1048576 invocations"):
        choices.pick(gpu, "big", (), "small")


def test_config_and_choices_go_together():
    with pytest.raises(KernelDeclarationError, match="go together"):

        @kernel("elementwise/fill", ref=lambda x, *, config: x, cases=[{}], bench={}, flops=1)
        def alone(x, *, config=None):
            """A rule with an option config and no candidates."""
