"""Linux's process table: who descends from whom, and who is still alive."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process; its start tells it from a later one of the same number."""

    pid: int
    started: int
    """In the kernel's ticks since boot."""

    @property
    def title(self) -> str:
        """The command line; empty if the process is gone."""
        try:
            return (Path("/proc") / str(self.pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            return ""

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.started and found[2] != "Z"

    def kill(self) -> bool:
        """Send SIGKILL; False if the process was gone."""
        if not self.is_alive:
            return False
        os.kill(self.pid, signal.SIGKILL)
        return True


def descendants(pid: int) -> set[Process]:
    """Return the processes below `pid`, itself left out."""
    stats = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    children: dict[int, list[int]] = {}
    for child, stat in stats.items():
        if stat is not None:
            children.setdefault(stat[0], []).append(child)
    found: set[Process] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            stat = stats[child]
            assert stat is not None
            found.add(Process(child, stat[1]))
            waiting.append(child)
    return found


def wait_until_gone(processes: set[Process], seconds: float) -> set[Process]:
    """Return those that are still alive after at most `seconds`."""
    end = time.monotonic() + seconds
    left = {process for process in processes if process.is_alive}
    while left and time.monotonic() < end:
        time.sleep(0.2)
        left = {process for process in left if process.is_alive}
    return left


def _stat(pid: int) -> tuple[int, int, str] | None:
    """Return parent, start and state; None if the process is gone."""
    try:
        text = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold blanks and parentheses of its own.
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), int(fields[19]), fields[0]
