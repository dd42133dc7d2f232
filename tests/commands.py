"""The command, started in processes of its own and watched there."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.environment import untouched_environment
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


class Running:
    """The command at work in a process of its own, the leader of a group as in a terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.journal = folder / "runs" / "study" / "journal"
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        command = [sys.executable, "-m", "tuner.run", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=folder, env=untouched_environment(), stdout=out, stderr=err, start_new_session=True
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
