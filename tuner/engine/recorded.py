"""The code of an earlier run's task: the user's file if it is as it was, else the run's own copy of it.

A results folder from a stranger runs no code, neither a copy that lies in it nor any other file that it names. So code
is run only if this user has begun a run with the very same code on this machine before, which a list in the user's
state folder remembers by hash, or if he asks for it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import platformdirs

from tuner.errors import SpaceError
from tuner.io.sources import Sources
from tuner.paths import RunPaths
from tuner.search.space import find_space


def remember(sources: Sources) -> None:
    """Note that the user runs this code of his own accord. Where nothing can be noted he will be asked instead."""
    with contextlib.suppress(OSError):
        if not _is_remembered(sources):
            _list().parent.mkdir(parents=True, exist_ok=True)
            with _list().open("a", encoding="utf-8") as handle:
                handle.write(f"{sources.sha256}\n")


def recorded_sources(paths: RunPaths, name: str, sha256: str | None) -> tuple[Sources, str | None]:
    """Return the code that a run was made with, and what must be told of where it was found, if anything.

    `name` is the space's as the run recorded it, `sha256` the hash of its code then; None if nobody wrote it down.

    Raises:
        SpaceError: if the code is nowhere, or not known to be the user's own.
    """
    if not name.endswith(".py"):
        return Sources.read(find_space(name)), None
    original, copy = Path(name), paths.space / Path(name).name
    if not _lies_in(paths.root, original):
        found = _read(original)
        if found is not None and sha256 in (None, found.sha256):
            if not _is_remembered(found):
                raise _unasked(f"{name}, which made {paths.root}, was never run by you on this machine and")
            return found, None
        if not copy.is_file():
            if found is None:
                raise SpaceError(f"the space of {paths.root} was {name!r}, but there is no such file.")
            raise SpaceError(f"{name} has changed since {paths.root} was made, and the run has no copy of it.")
    kept = Sources.read(copy if copy.is_file() else original)
    if kept.sha256 != sha256 or not _is_remembered(kept):
        raise _unasked(f"the code of {paths.root} lies in the run's own folder, {kept.path}, and")
    what = "has changed since the run began" if original.is_file() else "is gone"
    return kept, f"{name} {what}: its copy in the run is used."


def _unasked(what: str) -> SpaceError:
    return SpaceError(f"{what} is not run unasked: if you trust it, give it as --space (in Python: model(space=...)).")


def _read(path: Path) -> Sources | None:
    try:
        return Sources.read(path)
    except SpaceError:
        return None


def _lies_in(folder: Path, path: Path) -> bool:
    return path.absolute().is_relative_to(folder.absolute()) or path.resolve().is_relative_to(folder.resolve())


def _is_remembered(sources: Sources) -> bool:
    try:
        return sources.sha256 in _list().read_text(encoding="utf-8").split()
    except OSError:
        return False


def _list() -> Path:
    return platformdirs.user_state_path("tuner") / "own-code"
