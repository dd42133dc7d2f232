"""Tests of `tuner.new`: the file it writes, and what it refuses."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tuner import cli
from tuner.errors import ConfigError, StorageError
from tuner.new import available_kinds, command, new, run

KINDS = ["function", "lightning", "optuna", "sklearn", "torch", "transformers"]


def test_there_is_a_file_for_every_kind_of_training() -> None:
    assert available_kinds() == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_names_itself_in_the_command_that_tunes_it(tmp_path: Path, kind: str) -> None:
    path = new(str(tmp_path / "mine"), kind)
    assert path == tmp_path / "mine.py"
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "mine.py" in said
    assert "NAME" not in path.read_text(encoding="utf-8").replace("tuner new NAME", "")
    assert "tuner run" in said


def test_the_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["mine", "--kind", "optuna"]) == 0
    assert capsys.readouterr().out == f"mine.py is written. Try it: {command(Path('mine.py'), 'optuna')}\n"
    assert "--objective mine.py:objective" in command(Path("mine.py"), "optuna")


def test_a_path_with_a_blank_is_quoted_in_the_command() -> None:
    path = Path("sub dir/mine.py")
    assert "--space 'sub dir/mine.py' " in command(path, "torch")
    assert "--objective 'sub dir/mine.py:objective' " in command(path, "optuna")


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("precious")
    with pytest.raises(StorageError, match=r"mine\.py exists"):
        new(str(tmp_path / "mine.py"), "torch")
    assert (tmp_path / "mine.py").read_text() == "precious"


@pytest.mark.parametrize(("name", "kind"), [("mine", "keras"), ("my-space", "torch"), ("", "torch")])
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path: Path, name: str, kind: str) -> None:
    with pytest.raises(ConfigError, match="but must be"):
        new(str(tmp_path / name) if name else name, kind)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("class", "a keyword of Python"),
        ("random.py", "a module of Python's own"),
        ("sklearn", "an installed package"),
        ("tuner", "an installed package"),
    ],
)
def test_a_name_that_the_file_would_hide_is_refused(tmp_path: Path, name: str, taken: str) -> None:
    stem = name.removesuffix(".py")
    with pytest.raises(ConfigError) as raised:
        new(str(tmp_path / name), "sklearn")
    said = f"NAME is '{tmp_path / name}', but must be free, and {stem} is {taken}: take my_{stem}."
    assert str(raised.value) == said
    assert list(tmp_path.iterdir()) == []


def test_what_lies_in_the_current_folder_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").touch()
    monkeypatch.syspath_prepend(tmp_path)  # as `python -m` does
    monkeypatch.chdir(tmp_path)
    assert new("other/mine", "torch").is_file()


def test_the_command_s_own_mistakes_exit_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["new", "mine", "--kind", "keras"])
    with pytest.raises(SystemExit) as ended:
        cli.main(run)
    assert ended.value.code == 2
