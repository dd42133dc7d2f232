"""The command, started in processes of its own and watched there."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.environment import heed_signals, untouched_environment
from tuner.journal.events import Event

SMOKE = ("--preset", "smoke")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: object
    out: str
    err: str


def in_a_process(folder: Path, *arguments: str, **environment: str) -> Ended:
    ended = subprocess.run(
        [sys.executable, "-m", "tuner.run", *arguments],
        cwd=folder,
        env=untouched_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


class Terminal:
    """A terminal that somebody closes."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()

    def read_until(self, text: bytes) -> None:
        said = b""
        while text not in said:
            said += os.read(self._ours, 1024)

    def close(self) -> None:
        """Go: the kernel sends SIGHUP to whom the terminal controls, and every write to it fails from now on."""
        os.close(self.theirs)
        os.close(self._ours)


def _at_a_terminal() -> None:
    heed_signals()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)


class Running:
    """The command at work in a process of its own, the leader of a group, as in a terminal or in the one given."""

    def __init__(self, folder: Path, *arguments: str, terminal: Terminal | None = None) -> None:
        self.journal = folder / "runs" / "study" / "journal"
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        command = [sys.executable, "-m", "tuner.run", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=untouched_environment(),
                stdout=out if terminal is None else terminal.theirs,
                stderr=err,
                start_new_session=True,
                preexec_fn=heed_signals if terminal is None else _at_a_terminal,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait_for(self, kind: type[Event], count: int) -> None:
        """Wait until the journal holds so many events of a kind."""
        needle = b'"kind":"%s"' % kind.__name__.encode()
        while sum(path.read_bytes().count(needle) for path in self.journal.glob("*.jsonl")) < count:
            assert self.process.poll() is None, self._err.read_text()
            time.sleep(0.02)

    def end(self) -> Ended:
        return Ended(self.process.wait(), self._out.read_text(), self._err.read_text())


def training_processes(pid: int) -> set[int]:
    """The processes below `pid` that train. (Two of Ray's own helpers outlive their parent by a minute.)"""
    parents, training = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"Trainable" in (folder / "cmdline").read_bytes():
                training.add(int(folder.name))
        except OSError:
            continue
    found, before = {pid}, 0
    while len(found) > before:
        before = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found & training


def are_gone(pids: set[int], within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.1)
    return False
