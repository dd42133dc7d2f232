"""Where Ray's own files lie on this machine: its sockets' paths must be short, and its folder writable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ray._common.utils import get_default_ray_temp_dir

from tuner.errors import ResourceError

_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""Bytes of a Unix socket's path; a law of the kernel's."""
_BELOW = "session_2026-11-25_18-06-15_410394_4194304/sockets/plasma_store"
"""What Ray appends; the number of a process has at most seven digits."""
_SHORT = Path("/tmp/ray")  # noqa: S108 - where Ray itself goes without $TMPDIR


def ray_folder() -> str:
    """Return a folder for Ray: its own choice (`$RAY_TMPDIR`, `$TMPDIR` or `/tmp`, and `ray` below it), or a short one.

    Raises:
        ResourceError: if no folder is both short and writable, with the way out.
    """
    chosen = Path(get_default_ray_temp_dir())  # type: ignore[no-untyped-call]
    for folder in (chosen, _SHORT, _SHORT.with_name(f"ray-{os.getuid()}")):
        if _is_short(folder) and _can_be_written(folder):
            return str(folder)
    longest = _LONGEST_SOCKET - len(os.fsencode(f"/ray/{_BELOW}"))
    raise ResourceError(
        f"Ray's sockets cannot lie below {str(chosen.parent)!r}, which is too long or cannot be written: "
        f"set $RAY_TMPDIR to a folder of your own whose path has at most {longest} bytes."
    )


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder / _BELOW)) <= _LONGEST_SOCKET


def _can_be_written(folder: Path) -> bool:
    """Return whether files can be made in a folder, or it can be made itself."""
    there = nearest(folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def nearest(folder: Path) -> Path:
    """Return the folder or, if it is not there or not ours to see, the next above it that is there."""
    # `Path.exists` raises PermissionError below a folder that only another user may enter.
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110
