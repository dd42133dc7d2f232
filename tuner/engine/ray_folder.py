"""Where the files of a local Ray lie: where nobody else can look, on a path short enough for its sockets."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray._common.utils import get_default_system_temp_dir

from tuner.errors import ResourceError

_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""Bytes of a Unix socket's path; a law of the kernel's."""
_BELOW = "ray-abcd1234/r/session_2026-11-25_18-06-15_410394_4194304/sockets/plasma_store"
"""What we and Ray append; the number of a process has at most seven digits."""
_SHORT = Path("/tmp")  # noqa: S108 - where Ray itself goes without $TMPDIR


@contextmanager
def ray_folder() -> Iterator[Path]:
    """Make a folder for one Ray, in one that nobody else can open: Ray itself opens to everyone what it is given.

    It lies where Ray would put its own (`$RAY_TMPDIR`, `$TMPDIR` or `/tmp`), or if that is too long or cannot be
    written in `/tmp`, and is deleted with the block's end, but not with its failure: what Ray logged may tell why.

    Raises:
        ResourceError: if no place is both short and writable, with the way out.
    """
    made = _made()
    yield made / "r"
    shutil.rmtree(made, ignore_errors=True)


def _made() -> Path:
    """Return a new folder that this user alone can open."""
    chosen = Path(get_default_system_temp_dir()).absolute()  # type: ignore[no-untyped-call]
    for place in (chosen, _SHORT):
        if len(os.fsencode(place / _BELOW)) > _LONGEST_SOCKET:
            continue
        try:
            place.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="ray-", dir=place))
        except OSError:
            continue
    longest = _LONGEST_SOCKET - len(os.fsencode(f"/{_BELOW}"))
    raise ResourceError(
        f"Ray's sockets cannot lie below {str(chosen)!r}, which is too long or cannot be written: "
        f"set $RAY_TMPDIR to a folder of your own whose path has at most {longest} bytes."
    )
