"""A home for a process that has none, as in a container under a number that belongs to no user."""

from __future__ import annotations

import getpass
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def ensure_home() -> None:
    """Give this process, and those that it starts, a home and a user's name if it has none, and a place for caches.

    Ray, matplotlib and torch ask for them when they are imported, and fail or complain without. To be called before.
    """
    home = _home()
    if home is None or not home.is_dir():
        home = _folder_of_our_own("home")
        os.environ["HOME"] = str(home)
    if not os.access(home, os.W_OK):
        caches = _folder_of_our_own("cache")
        os.environ.setdefault("XDG_CACHE_HOME", str(caches))
        os.environ.setdefault("MPLCONFIGDIR", str(caches / "matplotlib"))
    if not _has_name():
        os.environ["USER"] = str(os.getuid())


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def _has_name() -> bool:
    try:
        return bool(getpass.getuser())
    except (KeyError, OSError):  # a KeyError before Python 3.13
        return False


def _folder_of_our_own(purpose: str) -> Path:
    """Return a folder that nobody else can open, the same in every run unless something else holds its name."""
    folder = Path(tempfile.gettempdir()) / f"tuner-{purpose}-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
    # One that is open now may hold what another has laid into it, so it is not closed and taken.
    return folder if is_our_own(folder) else Path(tempfile.mkdtemp(prefix=f"tuner-{purpose}-"))


def is_our_own(folder: Path) -> bool:
    """Return whether a folder, and no link, is there that belongs to this user and that nobody else can open."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
