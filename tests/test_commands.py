"""Tests of what all commands share: a stranger's first tries end in a line that he understands."""

from __future__ import annotations

import importlib
import runpy
from functools import partial
from pathlib import Path

import pytest

from tuner.__main__ import available_commands
from tuner.cli import main

COMMANDS = tuple(available_commands())


def exit_code(command: str, *args: str) -> int:
    """Return what the command exits with."""
    module = importlib.import_module(f"tuner.{command}")
    with pytest.raises(SystemExit) as caught:
        main(partial(module.run, list(args)))
    code = caught.value.code
    assert code is None or isinstance(code, int)
    return code or 0


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_the_command_does_and_how_it_is_called(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, "--help") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    usage, _, purpose = printed.out.partition("\n\n")
    assert usage.startswith(f"usage: python -m tuner.{command}")
    assert "STR" not in printed.out  # what is to be given has a name
    assert purpose[0].isupper()
    examples = [line for line in purpose.splitlines() if line.startswith(f"  python -m tuner.{command}")]
    assert len(examples) >= 2


@pytest.mark.filterwarnings("ignore:.* found in sys.modules")  # python -m warns of what is run though imported
@pytest.mark.parametrize("command", COMMANDS)
def test_its_module_is_run_by_python_m(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [command, "--trails"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"tuner.{command}", run_name="__main__", alter_sys=True)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: '--trails' is not an argument of ")


@pytest.mark.parametrize("args", [["--trails", "3"], ["--trails=3"]])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_argument_is_named_with_those_there_are(
    command: str, args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(command, *args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: '--trails' is not an argument of python -m tuner.{command}; ")


@pytest.mark.parametrize(
    ("command", "lacking"), [("report", "RUN"), ("replay", "RUN"), ("predict", "RUN"), ("new", "NAME")]
)
def test_what_must_be_given_is_named(command: str, lacking: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"error: python -m tuner.{command} needs a value for: {lacking}.\n")


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("run", ["--resume", "MISSING"]),
        ("run", ["--config", "MISSING"]),
        ("run", ["--config", "MISSING.yaml"]),
        ("run", ["--space", "MISSING.py"]),
        ("run", ["--warm-start", "MISSING"]),
        ("report", ["MISSING"]),
        ("report", ["MISSING", "--journal"]),
        ("replay", ["MISSING"]),
        ("describe", ["--dataset", "fashion-mnist", "--data-dir", "MISSING"]),
        ("predict", ["MISSING", "image.png"]),
        ("new", ["MISSING/below/a_file"]),
    ],
)
def test_a_missing_file_is_named(
    command: str, args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    if command == "new":  # which makes folders; a file in the place of one stops it
        missing.write_text("")
    assert exit_code(command, *(arg.replace("MISSING", str(missing)) for arg in args)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert str(missing) in line
