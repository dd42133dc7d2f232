"""A run that is kept in a bucket: this machine works on a copy, and what is written down there is so in the bucket too.

An object cannot be appended to, so the journal of a run at work is many objects, one for each append, named by segment
and offset (`journal/00000001.jsonl.000000004711`). When the driver ends, whole segments take their place: file for
file, a finished run in a bucket is like one in a folder.
"""

from __future__ import annotations

import re
import time
import uuid
from contextlib import suppress
from pathlib import Path

from tuner.errors import JournalError, StorageError
from tuner.io import storage
from tuner.paths import RunPaths

_PART = re.compile(r"journal/(\d+\.jsonl)\.(\d{12})")
PIECE = re.compile(r"(?P<segment>\d+\.jsonl)(?:\.(?P<offset>\d{12}))?")
"""In the journal's folder: part of a segment from an offset on or, without one, a whole segment."""
OWNER = "journal/owner"
"""There while a driver is at work, and after one has died at it; it says which, and what that one went on from."""
_TAKEN_OVER = re.compile(r"^(\d+\.jsonl) (\d+)$", re.MULTILINE)
"""A line of it: a segment that the driver went on from, and how many bytes that had."""
_OF_THIS_MACHINE = ("lock", "holder")
"""Of the journal's folder, what keeps other processes of this machine out."""
_OWNED_FOR = 1.0
"""Seconds for which a driver that has read that it is the owner takes it to be so still."""


class Mirror:
    """The bucket's side of a run; used by the one driver that works on it."""

    def __init__(self, paths: RunPaths) -> None:
        """Mirror the folder `paths.root` at the address `paths.remote`."""
        assert paths.remote is not None
        self._paths = paths
        self._place = storage.place(paths.remote)
        self._owner = uuid.uuid4().hex
        self._published = self._sizes()
        """Bytes of each segment that are in the bucket: at first all of it, for a resumed run was pulled from there."""
        self._took_over = False
        self._owned_at = 0.0
        """When this driver last asked whether it is the owner and was, by `time.monotonic()`."""
        self._unsure: dict[str, bytes] = {}
        """Parts that were put, or may have been, since this driver last read itself as owner."""

    def exists(self) -> bool:
        """Return whether the bucket has a run here; raises StorageError if it cannot be asked."""
        return bool(self._names())

    def pull(self) -> bool:
        """Make the folder what the bucket says, but for checkpoints; return whether there is a run.

        Logs of trainings stay: those of a run that was cut short are on its driver's machine alone. Whoever lets a
        driver work on the copy holds its lock, which stays too.

        Raises:
            JournalError: if a part of the journal is missing.
            StorageError: if the bucket cannot be read.
        """
        found = self._names()
        if not found:
            return False
        self.clear(but=self._paths.logs)
        names = [name for name in found if not name.startswith("checkpoints/") and name != OWNER]
        storage.side_by_side(lambda name: storage.fetch(self._place, name, self._paths.root / name), names)
        self._join_parts(names)
        self._published = self._sizes()
        return True

    def clear(self, but: Path | None = None) -> None:
        """Delete the copy, but for the lock, which would no longer keep anybody out, and the folder `but`."""
        for path in sorted(self._paths.root.rglob("*"), reverse=True):
            if but is not None and path.is_relative_to(but):
                continue
            if path.is_dir() and not path.is_symlink():
                if path != self._paths.journal:
                    path.rmdir()
            elif path.parent != self._paths.journal or path.name not in _OF_THIS_MACHINE:
                path.unlink()

    def publish_journal(self) -> None:
        """Bring what was appended since the last call into the bucket; when this returns it is there.

        Raises:
            JournalError: if another driver has taken over the run.
            StorageError: if it cannot be written; nothing that follows from the events may then be done. It can be
                called again.
        """
        try:
            self._stay_owner()
            for segment in self._segments():
                offset = self._published.get(segment.name, 0)
                if segment.stat().st_size > offset:
                    self._put_part(segment, offset)
            if self._unsure:
                self._stay_owner_after_a_while()
            self._unsure.clear()
        except OSError as error:
            reason = storage.explain(error)
            raise StorageError(f"the journal in {self._paths.remote} cannot be written: {reason}.") from error

    def publish(self, *files: Path) -> None:
        """Bring files below the run's folder into the bucket as they are; raises as `publish_journal` does."""
        try:
            self._stay_owner()
            storage.side_by_side(self._put_file, files)
        except OSError as error:
            raise StorageError(f"{self._paths.remote} cannot be written: {storage.explain(error)}.") from error

    def push(self) -> None:
        """Bring the whole folder but checkpoints into the bucket, journal segments whole; the driver's last act.

        Raises as `publish_journal` does.
        """
        files = (path for path in sorted(self._paths.root.rglob("*")) if path.is_file())
        self.publish(*(path for path in files if self._belongs_in_the_bucket(path)))
        try:
            self._stay_owner()  # of large files the last one alone may have taken minutes
            self._place.delete(*filter(self._is_replaced, self._place.names()))
            self._took_over = False
            self._place.delete(OWNER)
        except OSError as error:
            raise StorageError(f"{self._paths.remote} cannot be written: {storage.explain(error)}.") from error

    def delete_run(self) -> None:
        """Delete what this driver has brought of a run that never began; nothing if another has taken it over."""
        with suppress(OSError):
            if not self._read_owner().startswith(self._owner):
                return
            if self._took_over:
                self._place.delete_all()
            else:  # it was interrupted just then
                self._place.delete(OWNER)

    def delete_checkpoints(self) -> None:
        """Delete what is no longer needed."""
        storage.place(self._paths.location(self._paths.checkpoints)).delete_all()

    def _names(self) -> list[str]:
        try:
            names = self._place.names()
        except OSError as error:
            raise storage.unreadable(self._paths.remote, error) from error
        for name in names:  # a stranger's bucket may name any place on this machine
            if not {"", ".", ".."}.isdisjoint(name.split("/")):
                raise StorageError(f"{self._paths.remote} holds {name!r}, which names no file below it.")
        return names

    def _belongs_in_the_bucket(self, path: Path) -> bool:
        is_of_this_machine = path.parent == self._paths.journal and path.name in _OF_THIS_MACHINE
        return not (path.is_relative_to(self._paths.checkpoints) or is_of_this_machine)

    def _stay_owner(self) -> None:
        """Raise JournalError if another driver came later: a bucket has no locks, so the last one has the run."""
        asked = time.monotonic()
        if not self._took_over:
            has = (f"{name} {size}" for name, size in self._published.items())
            self._put_text("\n".join([self._owner, *has]), OWNER)
            self._check_that_nothing_was_added()
            self._took_over = True
        elif not (owner := self._read_owner()).startswith(self._owner):
            self._take_back(owner)
            raise JournalError(f"another driver has taken over {self._paths.remote}; this one stops.")
        self._owned_at = asked

    def _stay_owner_after_a_while(self) -> None:
        """Ask once more who has the run unless that was just asked: a request may be tried again for minutes."""
        if time.monotonic() - self._owned_at > _OWNED_FOR:
            self._stay_owner()

    def _check_that_nothing_was_added(self) -> None:
        """Raise JournalError if the driver before was still at work after this one had read the run."""
        for name in self._place.names():
            piece = PIECE.fullmatch(name.removeprefix("journal/"))
            if piece is not None and int(piece["offset"] or 0) >= self._published.get(piece["segment"], 0):
                raise JournalError(
                    f"another driver was at work on {self._paths.remote} while this one began; it is being stopped, so "
                    "resume the run again."
                )

    def _read_owner(self) -> str:
        """Return what the driver that has the run has written of itself."""
        try:
            with self._place.local(OWNER) as copy:
                return copy.read_text(encoding="utf-8")
        except FileNotFoundError:  # another has taken over, and ended
            return ""

    def _put_file(self, path: Path) -> None:
        self._stay_owner_after_a_while()
        self._place.put(path, str(path.relative_to(self._paths.root)))

    def _is_replaced(self, name: str) -> bool:
        """Whether it is part of a segment that is whole here; of others it is another driver's, who came just now."""
        part = _PART.fullmatch(name)
        return part is not None and (self._paths.journal / part[1]).exists()

    def _put_part(self, segment: Path, offset: int) -> None:
        name = f"journal/{segment.name}.{offset:012d}"
        with segment.open("rb") as handle:
            handle.seek(offset)
            appended = handle.read()
        with self._place.scratch() as folder:
            made = folder / "part"
            made.write_bytes(appended)
            self._unsure[name] = appended
            self._place.put(made, name)
        self._published[segment.name] = offset + len(appended)

    def _take_back(self, owner: str) -> None:
        """Delete the parts that came too late for the `owner` that is now: neither what it has taken over nor its own.

        A part may have been there long before its being written was answered.
        """
        has = dict(_TAKEN_OVER.findall(owner))
        for name, content in self._unsure.items():
            segment, _, offset = name.removeprefix("journal/").rpartition(".")
            if int(offset) < int(has.get(segment, 0)):
                continue
            with suppress(FileNotFoundError), self._place.local(name) as copy:
                if copy.read_bytes() == content:
                    self._place.delete(name)

    def _put_text(self, text: str, name: str) -> None:
        with self._place.scratch() as folder:
            made = folder / "text"
            made.write_text(text, encoding="utf-8")
            self._place.put(made, name)

    def _join_parts(self, names: list[str]) -> None:
        whole = {name.removeprefix("journal/") for name in names}
        for name in sorted(names):
            match = _PART.fullmatch(name)
            if match is None:
                continue
            part, segment = self._paths.root / name, self._paths.journal / match[1]
            if match[1] not in whole:  # else the whole segment is there already
                size = segment.stat().st_size if segment.exists() else 0
                if size != int(match[2]):
                    raise JournalError(f"{self._paths.remote} lacks a part of {match[1]} from byte {size} on.")
                with segment.open("ab") as handle:
                    handle.write(part.read_bytes())
            part.unlink()

    def _sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self._segments()}

    def _segments(self) -> list[Path]:
        return sorted(self._paths.journal.glob("[0-9]*.jsonl"))
