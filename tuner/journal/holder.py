"""Who writes a journal: what the holder of its lock leaves in a file, for those who may not try the lock."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

_FILE = "holder"
_HELD = re.compile(r"process (?P<pid>\d+) on (?P<host>.+)(?:\nbegun at (?P<begun>.+))?")
_PROC = Path("/proc")


def write_holder(folder: Path) -> None:
    """Write down that this process writes the journal in `folder`; raises OSError if that fails."""
    begun = _begun(os.getpid())
    begun_line = "" if begun is None else f"\nbegun at {begun}"
    text = f"process {os.getpid()} on {socket.gethostname()}{begun_line}"
    (folder / _FILE).write_text(text, encoding="utf-8")


def read_holder(folder: Path) -> str:
    """Return who writes the journal, or wrote it last, in words."""
    try:
        text = (folder / _FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return text.partition("\n")[0].strip() or "another process"


def holder_is_alive(folder: Path) -> bool | None:
    """Return whether the process that wrote the journal last is there; None if that is on another machine."""
    try:
        held = _HELD.match((folder / _FILE).read_text(encoding="utf-8", errors="replace"))
        if held is None or held["host"].strip() != socket.gethostname():
            return None
        pid = int(held["pid"])
        if _is_another(pid, held["begun"]):
            return False
        os.kill(pid, 0)  # asks only whether there is such a process
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return None
    return True


def _is_another(pid: int, begun: str | None) -> bool:
    """Return whether the process is surely not the one that began then; earlier versions do not say when it did."""
    now = _begun(pid)
    return begun is not None and now is not None and now != begun.strip()


def _begun(pid: int) -> str | None:
    """Return when a process began, which no other one of that number has, also after the machine was started again.

    None where the system does not say so, and of a process that is not there.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text(encoding="ascii", errors="replace")
        # The second field is the program's name in brackets, which may hold blanks and brackets; this is the 22nd.
        return f"{stat.rpartition(')')[2].split()[19]} of boot {boot.strip()}"
    except (OSError, IndexError):
        return None
