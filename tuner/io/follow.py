"""The journal of a run in a bucket, copied to this machine piece by piece while a driver writes it."""

from __future__ import annotations

from pathlib import Path

from tuner.io import storage
from tuner.io.mirror import OWNER, PIECE
from tuner.paths import RunPaths


class Follower:
    """Keeps the copy `paths.journal` of a journal in a bucket up to date; each object is fetched once."""

    def __init__(self, paths: RunPaths) -> None:
        """Follow the run at `paths.remote`; what it is copied to is this object's alone. Nothing is asked yet."""
        assert paths.remote is not None
        self._folder = paths.journal
        self._address = paths.location(paths.journal)
        self._place = storage.place(self._address)
        self._taken: set[str] = set()
        self.has_owner = False
        """Whether a driver is at work, or died at it."""

    def update(self) -> None:
        """Fetch what has been added since the last call; raises StorageError if the bucket cannot be read."""
        try:
            names = self._place.names()
            self.has_owner = OWNER.rpartition("/")[2] in names
            for name in names:  # in order: by segment and offset, a whole segment before its parts
                if name not in self._taken and (match := PIECE.fullmatch(name)):
                    self._take(name, self._folder / match["segment"], match["offset"])
                    self._taken.add(name)
        except FileNotFoundError:
            return  # whole segments are taking the place of their parts: next time
        except OSError as error:
            raise storage.unreadable(self._address, error) from error

    def _take(self, name: str, segment: Path, offset: str | None) -> None:
        size = segment.stat().st_size if segment.exists() else 0
        if offset is not None and int(offset) < size:
            return  # the segment is here whole already
        with self._place.local(name) as copy:
            content = copy.read_bytes()
        segment.parent.mkdir(parents=True, exist_ok=True)
        if offset is not None:
            with segment.open("ab") as handle:
                handle.write(content)
        elif len(content) != size:
            made = segment.with_suffix(".whole")
            made.write_bytes(content)
            made.replace(segment)
