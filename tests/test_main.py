"""Tests of the command `tuner`, which starts all the others."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.__main__ import available_commands, help_text, main

SCRIPT = Path(sys.executable).with_name("tuner")


def code_of(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """Return what `tuner` exits with, called as the script is."""
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *args])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"]])
def test_without_a_command_it_lists_them_with_what_each_does(
    args: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(monkeypatch, *args) == 0
    printed = capsys.readouterr().out
    assert printed == help_text()
    for name, text in available_commands().items():
        assert any(line.split() == [name, *text.split()] for line in printed.splitlines())


@pytest.mark.parametrize("name", available_commands())
def test_a_command_is_a_module_that_runs_by_its_arguments(name: str) -> None:
    assert callable(importlib.import_module(f"tuner.{name}").run)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rnu", "'rnu' is no command of tuner; did you mean 'run'?"),
        ("xyzzy", "'xyzzy' is no command of tuner; available: run, new, "),
        ("--verison", "'--verison' is no command of tuner; available: "),
    ],
)
def test_an_unknown_command_is_told_with_the_near_one(
    name: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(monkeypatch, name) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {sentence}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["run", "report"])
def test_a_command_speaks_of_itself_as_it_was_called(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(monkeypatch, name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: tuner {name} ")
    assert code_of(monkeypatch, name, "--trails") == 2
    assert f"'--trails' is not an argument of tuner {name}; " in capsys.readouterr().err


def test_the_script_is_installed_and_tells_its_version_without_importing_what_is_slow() -> None:
    slow = "{'torch', 'ray', 'optuna', 'pandas', 'numpy', 'tyro', 'pydantic', 'rich'}"
    for argument in ("--help", "--version"):
        code = (
            f"import sys; from tuner.__main__ import main; sys.argv = ['tuner', {argument!r}]\n"
            f"try: main()\nfinally: print('slow:', sorted({slow} & set(sys.modules)))"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout.endswith("slow: []\n")
    found = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"tuner {importlib.metadata.version('tuner')}\n"
