"""Tests of `tuner.home`: a process without a home, a name or a place to write gets them, and others keep theirs."""

from __future__ import annotations

import getpass
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tuner.home import ensure_home, is_our_own


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is changed in the environment is undone; temporary folders are the test's."""
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def _unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has this process's number."""

    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("_unknown")
def test_a_number_that_is_nobodys_gets_a_home_that_only_it_can_read_and_a_name() -> None:
    with pytest.raises(RuntimeError):
        Path.home()
    ensure_home()
    assert stat.S_IMODE(Path.home().stat().st_mode) == 0o700
    assert getpass.getuser() == str(os.getuid())


@pytest.mark.usefixtures("_unknown")
def test_the_home_is_the_same_in_the_next_run() -> None:
    ensure_home()
    first = os.environ.pop("HOME")
    ensure_home()
    assert os.environ["HOME"] == first


@pytest.mark.usefixtures("_unknown")
def test_a_name_that_another_has_laid_a_link_under_is_not_taken(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "tmp" / f"tuner-home-{os.getuid()}").symlink_to(theirs)
    ensure_home()
    assert Path.home().resolve() != theirs


@pytest.mark.usefixtures("_unknown")
@pytest.mark.parametrize("mode", [0o701, 0o720, 0o744, 0o777])
def test_a_name_of_a_folder_that_others_can_open_is_not_taken(tmp_path: Path, mode: int) -> None:
    open_one = tmp_path / "tmp" / f"tuner-home-{os.getuid()}"
    open_one.mkdir()
    open_one.chmod(mode)
    ensure_home()
    assert Path.home() != open_one
    assert stat.S_IMODE(Path.home().stat().st_mode) == 0o700


def test_a_folder_is_our_own_that_is_this_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ours").mkdir(mode=0o700)
    assert is_our_own(tmp_path / "ours")
    assert not is_our_own(tmp_path / "missing")
    monkeypatch.setattr(os, "getuid", lambda: (tmp_path / "ours").stat().st_uid + 1)
    assert not is_our_own(tmp_path / "ours")


def test_a_home_that_does_not_exist_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    ensure_home()
    assert Path.home().is_dir()


def test_a_home_that_cannot_be_written_stays_and_caches_lie_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # Whoever runs the tests may be root, to whom every folder is writable.
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode == os.W_OK))
    ensure_home()
    assert os.environ["HOME"] == str(tmp_path)
    assert os.access(os.environ["XDG_CACHE_HOME"], os.W_OK)
    assert Path(os.environ["MPLCONFIGDIR"]).is_relative_to(os.environ["XDG_CACHE_HOME"])


def test_whoever_has_all_that_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "somebody")
    before = dict(os.environ)
    ensure_home()
    assert dict(os.environ) == before


def test_every_command_has_a_home_before_it_imports_anything_that_asks_for_one(tmp_path: Path) -> None:
    code = "import pwd, sys; pwd.getpwuid = {}.__getitem__; from tuner import cli; "
    code += "cli.main(lambda: print(__import__('ray.tune').train.constants.DEFAULT_STORAGE_PATH))"
    bare = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    command = [sys.executable, "-c", code]
    environment = {**bare, "TMPDIR": str(tmp_path)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(str(tmp_path))
