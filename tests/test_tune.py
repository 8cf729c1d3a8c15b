"""`gpucore tune`: measures, keeps what it measured per adapter, and is ignored when it is stale or damaged."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import gpucore as gc
from gpucore import tuning, tuning_file
from gpucore.bench.tune import Tuned, default_cases, tunable, tune
from gpucore.cli import main
from gpucore.cli.tune import parse_shape
from gpucore.errors import ConfigError, FormatError
from gpucore.kernel import KERNELS, Launch, ceil_div, kernel
from gpucore.tuning import Candidate, Choices


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A tunable sum with candidates of 32 and 64 invocations, one too large for any adapter, one that is wrong on request."""
    monkeypatch.setattr(tuning, "TUNABLE", {})
    monkeypatch.setattr(tuning_file, "TUNABLE", tuning.TUNABLE)
    monkeypatch.setenv("GPUCORE_CACHE", str(tmp_path))
    choices = Choices("toy_add", {name: Candidate({"WORKGROUP": n}, n) for name, n in (("w64", 64), ("w32", 32), ("huge", 1 << 20))})

    def toy_add(a, b, *, config=None, fault=0):
        """a + b."""
        name = choices.pick(a.device, config, (a.size,), "w64")
        constants = dict(choices[name].constants) | dict(FAULT=2 if fault and name == "w32" else 0)
        return Launch(a.shape, groups=ceil_div(a.size, constants["WORKGROUP"]), params=dict(size=a.size), constants=constants)

    made = kernel(
        "selftest/wrong_add", ref=lambda a, b, *, config=None, fault=0: a + b, choices=choices, flops=1,
        cases=choices.across([dict(a=(5,), b=(5,))]), bench=[dict(a=(100,), b=(100,)), dict(a=(3000,), b=(3000,))],
    )(toy_add)  # fmt: skip
    yield made
    del KERNELS["toy_add"]


@pytest.fixture
def fresh(gpu, monkeypatch):
    """The adapter with its table restored afterwards."""
    before = gpu.tuned
    yield gpu
    gpu.use_tuning(before)


def test_every_candidate_that_fits_is_measured_and_agrees(toy, fresh):
    seen = []
    found = [*tune(fresh, default_cases(tunable(["toy*"])), progress=seen.append)]
    assert [t.entry for t in found] == ["toy_add 128", "toy_add 4096"]
    for t in found:
        assert not t.error
        assert set(t.seconds) == {"w64", "w32"}
        assert all(s > 0 for s in t.seconds.values())
        assert t.default == "w64"
        best = min(t.seconds, key=t.seconds.get)
        assert t.config == (best if t.seconds["w64"] > 1.02 * t.seconds[best] else "w64")
    assert len(seen) == 4
    assert fresh.tuned == {}


def test_a_candidate_with_another_result_is_refused(toy, fresh):
    (found,) = tune(fresh, [(toy, dict(a=(100,), b=(100,), fault=1))])
    assert "candidate w32" in found.error
    assert found.config == ""


def test_what_is_kept_decides_the_next_launch(toy, fresh):
    path = tuning_file.save(fresh.info, {"toy_add": {"toy_add 128": {"config": "w32"}}}, {"date": "today"})
    assert path.parent.parent == tuning_file.cache_folder()
    assert tuning_file.load(fresh.info) == {"toy_add 128": "w32"}
    a = fresh.ones(100)
    toy(a, a)
    fresh.use_tuning(tuning_file.load(fresh.info))
    assert toy.launch([a, a], {}).constants["WORKGROUP"] == 32
    assert toy(a, a).numpy().tolist() == [2.0] * 100
    b = fresh.ones(200)
    assert toy.launch([b, b], {}).constants["WORKGROUP"] == 64


def test_measurements_of_other_shaders_are_ignored_with_one_warning(toy, fresh):
    path = tuning_file.save(fresh.info, {"toy_add": {"toy_add 128": {"config": "w32"}}}, {})
    data = json.loads(path.read_text())
    data["kernels"]["toy_add"]["hash"] = "0" * 12
    data["kernels"]["gone"] = {"hash": "1", "entries": {}}
    path.write_text(json.dumps(data))
    with pytest.warns(RuntimeWarning, match="gone, toy_add are of other shaders and are ignored; `gpucore tune`") as caught:
        assert tuning_file.load(fresh.info) == {}
    assert len(caught) == 1
    tuning_file.save(fresh.info, {"toy_add": {"toy_add 256": {"config": "w64"}}}, {})  # what is stale goes with the next save
    assert list(json.loads(path.read_text())["kernels"]["toy_add"]["entries"]) == ["toy_add 256"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2, "kernels": {}}', '{"format": 1, "kernels": {"k": 3}}', "\x00\x01"])
def test_a_damaged_file_is_ignored_with_a_warning_and_replaced_by_the_next_save(toy, fresh, text):
    path = tuning_file.path_for(fresh.info)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(FormatError):
        tuning_file.read(path)
    with pytest.warns(RuntimeWarning, match="running with defaults"):
        assert tuning_file.load(fresh.info) == {}
    tuning_file.save(fresh.info, {"toy_add": {"toy_add 128": {"config": "w32"}}}, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tuning_file.load(fresh.info) == {"toy_add 128": "w32"}


def test_the_command_measures_shows_and_resets(toy, fresh, capsys):
    device = ["--device", str(fresh.info.index)]
    assert main(["tune", "--show", *device]) == 0
    assert "nothing measured" in capsys.readouterr().out
    assert main(["tune", "--kernel", "toy*", *device]) == 0
    said = capsys.readouterr().out
    assert "wrote " in said
    assert "toy_add" in said
    assert main(["tune", "--show", "--json", *device]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown["kernels"]["toy_add"]["entries"]) == {"toy_add 128", "toy_add 4096"}
    assert main(["tune", "--reset", *device]) == 0
    assert "removed" in capsys.readouterr().out
    assert main(["tune", "--reset", *device]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_a_failed_candidate_is_the_commands_failure(toy, fresh, capsys):
    assert main(["tune", "--shape", "toy_add a=100 b=100 fault=1", "--device", str(fresh.info.index)]) == 1
    out = capsys.readouterr()
    assert "candidate w32" in out.err
    assert not tuning_file.path_for(fresh.info).exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing a=1", "no tunable kernel fits nothing; there are"),
        ("toy_add a=4xq b=4", "'4xq' in .* is no shape"),
        ("toy_add a=4", "gives no shape for b of toy_add"),
        ("toy_add a=4 b=4 speed=9", "'speed=9' .* names nothing of toy_add; wants NAME=VALUE with a, b, fault"),
        ("toy_add a=4 b=4 config=w32", "names nothing of toy_add"),
    ],
)
def test_a_shape_that_cannot_be_read_is_one_sentence(toy, text, says):
    with pytest.raises(ConfigError, match=says):
        parse_shape(text)


def test_shapes_and_options_are_read_from_text(toy):
    found, case = parse_shape("toy_add a=4x5 b=20 fault=1")
    assert found is toy
    assert case == dict(a=(4, 5), b=(20,), fault=1)


def test_the_numpy_device_has_nothing_to_tune(capsys):
    assert main(["tune", "--device", "cpu"]) == 1
    assert "nothing to tune" in capsys.readouterr().err


def test_the_gain_is_the_defaults_time_over_the_chosen_ones():
    assert Tuned("k", "k", "k 1", "", "a", "b", {"a": 3.0, "b": 2.0}).gain == 1.5
    assert np.isclose(Tuned("k", "k", "k 1", "", "a", "a", {"a": 3.0, "b": 2.0}).gain, 1.0)


def test_a_device_opens_with_its_table(toy, gpu):
    tuning_file.save(gpu.info, {"toy_add": {"toy_add 128": {"config": "w32"}}}, {})
    opened = gc.device(gpu.info.index, vram_limit="77MiB")
    assert opened.tuned == {"toy_add 128": "w32"}
