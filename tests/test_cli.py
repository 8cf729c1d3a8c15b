"""The command line: exit codes, sentences, JSON alone on stdout, help."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from gpucore import cli
from gpucore.cli import kan
from gpucore.cli.output import Output, Progress, table_lines
from gpucore.errors import ConfigError


def run(capsys, *argv):
    """(exit code, stdout, stderr) of one command."""
    try:
        code = cli.main(argv)
    except SystemExit as leaving:
        code = leaving.code
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def failing(monkeypatch):
    """Makes `gpucore devices` do something else."""

    def replace(action):
        monkeypatch.setattr("gpucore.cli.devices.run", action)

    return replace


def test_help_names_every_command(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "examples:" in out
    for name in cli.COMMANDS:
        assert f"\n    {name} " in out


@pytest.mark.parametrize("name", [*cli.COMMANDS, "run mnist", "run kan", *[f"run kan {task}" for task in kan.TASKS]])
def test_every_command_has_examples_and_the_common_options(capsys, name):
    code, out, _ = run(capsys, *name.split(), "--help")
    assert code == 0
    assert "examples:" in out
    for option in ("--device", "--vram-limit", "--seed", "--json"):
        assert option in out


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("gpucore ")
    assert "wgpu" in out


def test_wrong_usage_is_two(capsys):
    assert run(capsys, "nothing")[0] == 2
    assert run(capsys, "devices", "--nonsense")[0] == 2


def test_devices_lists_every_adapter_and_numpy(capsys, gpu):
    code, out, _ = run(capsys, "devices", "--device", str(gpu.info.index))
    assert code == 0
    assert gpu.name in out
    assert "chosen by --device" in out
    assert "shader modules" in out
    assert "NumPy" in out


def test_devices_json_is_alone_on_stdout(capsys, gpu):
    code, out, err = run(capsys, "devices", "--json", "--device", "cpu")
    found = json.loads(out)
    assert code == 0
    assert gpu.name in err
    rows = found["devices"]
    assert found["chosen"] == rows[-1]["index"] == len(rows) - 1
    assert [r["chosen"] for r in rows].count(True) == 1
    ours = rows[gpu.info.index]
    assert ours["subgroup_size"] == gpu.subgroup_size
    assert ours["limits"]["max_storage_binding"] > 0
    assert ours["opened"]
    assert ours["loop_bounds"] in ("free", "forced")


def test_devices_says_what_cannot_be_opened(capsys, monkeypatch):
    def refuse(*args, **options):
        raise ConfigError("the driver is asleep")

    monkeypatch.setattr("gpucore.cli.devices.device", refuse)
    code, out, _ = run(capsys, "devices", "--device", "cpu")
    assert code == 0
    assert "cannot be used" in out
    assert "the driver is asleep" in out


def test_unknown_device_is_one_sentence(capsys):
    code, out, err = run(capsys, "devices", "--device", "no such adapter")
    assert code == 1
    assert "NumPy" in out
    assert err.splitlines()[-1].startswith("gpucore: device 'no such adapter' matches none of")
    assert "Traceback" not in err


def test_bad_vram_limit_is_one_sentence(capsys, gpu):
    code, _, err = run(capsys, "devices", "--device", str(gpu.info.index), "--vram-limit", "lots")
    assert code == 1
    assert "vram_limit: cannot read 'lots'" in err


def test_gpucore_error_is_a_sentence_and_a_bug_a_traceback(capsys, failing):
    def refuse(args):
        raise ConfigError("demo: epochs is 0; wants 1 or more")

    failing(refuse)
    assert run(capsys, "devices") == (1, "", "gpucore: demo: epochs is 0; wants 1 or more\n")

    def break_down(args):
        raise ZeroDivisionError("a bug")

    failing(break_down)
    with pytest.raises(ZeroDivisionError):
        cli.main(["devices"])


def test_missing_file_is_a_sentence(capsys, failing):
    failing(lambda args: Path("/no/such/file").read_text())
    assert run(capsys, "devices") == (1, "", "gpucore: /no/such/file: No such file or directory\n")


def test_interrupt_is_130(capsys, failing):
    def interrupt(args):
        raise KeyboardInterrupt

    failing(interrupt)
    assert run(capsys, "devices") == (130, "", "gpucore: interrupted\n")


def test_gpucore_warnings_are_notes(capsys, failing):
    def warn(args):
        warnings.warn("gpucore: slow today", RuntimeWarning, stacklevel=1)
        return 0

    failing(warn)
    assert run(capsys, "devices") == (0, "", "note: slow today\n")


def test_options_before_and_after_the_command(capsys, failing):
    seen = []
    failing(lambda args: seen.append((args.seed, args.device, args.json)) or 0)
    run(capsys, "devices", "--seed", "7", "--device", "cpu", "--json")
    run(capsys, "devices")
    assert seen == [(7, "cpu", True), (0, None, False)]


def test_module_entry_and_closed_pipe():
    done = subprocess.run([sys.executable, "-m", "gpucore", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("gpucore ")
    piped = subprocess.Popen([sys.executable, "-m", "gpucore", "devices"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    piped.stdout.close()
    error = piped.stderr.read()
    assert piped.wait() == 1
    assert "Traceback" not in error
    assert "BrokenPipe" not in error
    piped.stderr.close()


def test_output_keeps_prose_and_result_apart(capsys):
    for as_json, expected in ((False, ("hello\n", "")), (True, ('{\n  "loss": 0.5\n}\n', "hello\n"))):
        out = Output(as_json)
        out.say("hello")
        out.result({"loss": 0.5})
        assert tuple(capsys.readouterr()) == expected


def test_table_aligns():
    assert table_lines(("name", "n"), [("a", 1), ("long name", 200)], " r") == [
        "name         n", "---------  ---", "a            1", "long name  200",
    ]  # fmt: skip


def test_progress_is_silent_in_a_file_and_one_line_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        bar = Progress(stream, 10, "epoch 1")
        bar.show(5, "loss 0.5")
        bar.clear()
        assert ("[============            ] 5/10 loss 0.5" in stream.getvalue()) is shown
        assert "\n" not in stream.getvalue()
