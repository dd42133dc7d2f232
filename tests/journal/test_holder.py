"""Tests of `tuner.journal.holder`: a process is told from a later one that has its number."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tuner.journal import holder
from tuner.journal.holder import holder_is_alive, read_holder, write_holder

OURS = f"process {os.getpid()} on {socket.gethostname()}"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of `/proc`, in which this process began at tick 4711."""
    folder = tmp_path / "proc"
    (folder / str(os.getpid())).mkdir(parents=True)
    (folder / "sys" / "kernel" / "random").mkdir(parents=True)
    (folder / "sys" / "kernel" / "random" / "boot_id").write_text("first\n")
    _begin(folder, 4711)
    monkeypatch.setattr(holder, "_PROC", folder)
    return folder


def _begin(proc: Path, tick: int) -> None:
    fields = " ".join(map(str, range(4, 22)))
    (proc / str(os.getpid()) / "stat").write_text(f"{os.getpid()} (a) b (c) S {fields} {tick} 23 24\n")


def test_who_writes_is_alive_and_is_named_in_a_line(tmp_path: Path) -> None:
    write_holder(tmp_path)
    assert holder_is_alive(tmp_path)
    assert read_holder(tmp_path) == OURS


def test_another_process_of_the_same_number_is_not_taken_for_it(tmp_path: Path, proc: Path) -> None:
    write_holder(tmp_path)
    assert (tmp_path / "holder").read_text() == f"{OURS}\nbegun at 4711 of boot first"
    assert holder_is_alive(tmp_path)
    _begin(proc, 4712)
    assert holder_is_alive(tmp_path) is False
    _begin(proc, 4711)
    assert holder_is_alive(tmp_path)
    (proc / "sys" / "kernel" / "random" / "boot_id").write_text("second\n")
    assert holder_is_alive(tmp_path) is False


def test_where_nobody_says_when_a_process_began_its_number_is_enough(tmp_path: Path, proc: Path) -> None:
    write_holder(tmp_path)
    (proc / str(os.getpid()) / "stat").unlink()
    assert holder_is_alive(tmp_path)
    write_holder(tmp_path)
    assert (tmp_path / "holder").read_text() == OURS  # as earlier versions wrote it
    assert holder_is_alive(tmp_path)
    _begin(proc, 1)
    assert holder_is_alive(tmp_path)


def test_of_another_machine_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "holder").write_text(f"process {os.getpid()} on another-machine\nbegun at 1 of boot first")
    assert holder_is_alive(tmp_path) is None
    (tmp_path / "holder").unlink()
    assert holder_is_alive(tmp_path) is False
    assert read_holder(tmp_path) == "another process"
