"""The journal on disk: numbered segments of checksummed lines, one writer, flushed before anyone acts.

A line is the CRC-32 of its JSON in eight hexadecimal digits, a blank, and the JSON object `{seq, time, elapsed, kind,
...}`. Every driver process begins a segment of its own and never touches an earlier one, so a line torn by a crash can
only be the last of its segment; a full segment is followed by a new one, and so is one that could not be written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import BaseFileLock, FileLock, Timeout

from tuner.errors import JournalError, StorageError
from tuner.io.mirror import PIECE
from tuner.journal.events import SCHEMA_VERSION, Event, StudyStarted, from_record, to_record
from tuner.journal.holder import read_holder, write_holder

_SEGMENT_BYTES = 16 << 20


@dataclass(frozen=True)
class Entry:
    """An event with its place and time in the journal."""

    seq: int
    """Counts from 0 without gaps over all segments."""
    time: float
    """Seconds since the epoch, for people; never used to decide."""
    elapsed: float
    """Seconds worked on this run by all its drivers; a stopped driver's gap does not count."""
    event: Event


def read_journal(folder: Path) -> list[Entry]:
    """Return every event of the journal, oldest first.

    The last line of a segment may be torn and is then left out.

    Raises:
        JournalError: as `check_journal` does, and if an earlier line is damaged, an event is missing, or the schema is
            newer.
    """
    check_journal(folder)
    return JournalReader(folder).read()


def check_journal(folder: Path) -> None:
    """Raise JournalError if there is no journal in `folder`, or parts of one as in a bucket; nothing is read."""
    segments = _segments(folder)
    _check_that_none_is_in_parts(folder, segments)
    if not segments:
        raise JournalError(f"{folder} holds no journal: not the folder of a run, or a run that never started.")


class JournalReader:
    """Reads a journal that may be being written; each call costs what has been added since the last."""

    def __init__(self, folder: Path) -> None:
        """Begin at the first event of the journal in `folder`, which may have none yet. Nothing in it is touched."""
        self._folder = folder
        self._segment = 0
        """The number of the segment read last."""
        self._offset = 0
        """Bytes of it that are read."""
        self._next_seq = 0

    def read(self) -> list[Entry]:
        """Return the events that have been added since the last call, oldest first.

        A line that is not whole yet, the last of its segment, is left for the next call.

        Raises:
            JournalError: as `read_journal` does, and if what was read is no longer there: a write that failed was taken
                back, or another run has the folder's name. Only a new reader can go on then.
        """
        entries: list[Entry] = []
        segments = _segments(self._folder)  # listed first: whoever begins a segment has ended those before it
        _check_that_none_is_in_parts(self._folder, segments)
        for segment in segments:
            number = int(segment.stem)
            if number < self._segment:
                continue
            if number > self._segment:
                self._segment, self._offset = number, 0
            for end, entry in _read_segment(segment, self._offset):
                self._check(segment, entry)
                entries.append(entry)
                self._offset, self._next_seq = end, entry.seq + 1
        return entries

    def _check(self, segment: Path, entry: Entry) -> None:
        if entry.seq != self._next_seq:
            raise JournalError(
                f"{segment.name} continues with event {entry.seq}, expected {self._next_seq}: "
                f"a segment before it in {self._folder} is missing or incomplete."
            )
        if entry.seq == 0:
            # At once: what a newer version wrote behind it, we may not know.
            _check_opening(self._folder, entry.event)


@contextmanager
def journal_lock(folder: Path) -> Iterator[None]:
    """Keep other writers out of a journal's folder for a while; raises as `JournalWriter` does."""
    lock = _acquire(folder)
    try:
        yield
    finally:
        lock.release()


class JournalWriter:
    """The one writer of a journal; a lock, released by the process's death, keeps others out."""

    def __init__(self, folder: Path, began: float | None = None) -> None:
        """Open the journal for appending, behind what it already holds.

        `began` is what `time.monotonic()` said when this driver's work began; by default it begins now.

        Raises:
            JournalError: if another process writes it (with its number and host), or it is damaged.
            StorageError: if the folder cannot be written.
        """
        self._folder = folder
        self._lock = _acquire(folder)
        try:
            entries = JournalReader(folder).read()
        except BaseException:  # a notebook keeps the error, and with it this object, for as long as it shows it
            self._lock.release()
            raise
        self.entries = tuple(entries)
        """What the journal held when it was opened."""
        self._next_seq = len(entries)
        self._worked_before = entries[-1].elapsed if entries else 0.0
        self._began = time.monotonic() if began is None else began
        self._file: FileIO | None = None
        self._torn: tuple[Path, int] | None = None
        """A segment that could not be written, and the bytes of it that count."""

    @property
    def elapsed(self) -> float:
        """Seconds worked on this run so far, by this driver and those before it."""
        return self._worked_before + time.monotonic() - self._began

    def append(self, *events: Event) -> list[Entry]:
        """Add events in order and return their entries; when this returns they are on the disk.

        Raises:
            StorageError: if the disk is full or gone; nothing that follows from the events may then be done. The same
                events can be appended again when it is back.
        """
        entries = [
            Entry(self._next_seq + offset, time.time(), self.elapsed, event) for offset, event in enumerate(events)
        ]
        try:
            self._discard_torn()
            handle = self._segment()
            _write_and_sync(handle, b"".join(map(_encode, entries)), self._note_torn)
        except OSError as error:
            raise StorageError(f"the journal in {self._folder} cannot be written: {error.strerror}.") from error
        self._next_seq += len(events)
        return entries

    def close(self) -> None:
        """Close the segment and let another process write."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _note_torn(self, good_bytes: int) -> None:
        """After a failed write nobody knows what is on the disk: leave the segment, and cut it before going on."""
        assert self._file is not None
        self._torn = Path(self._file.name), good_bytes
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = None

    def _discard_torn(self) -> None:
        if self._torn is None:
            return
        path, good_bytes = self._torn
        if good_bytes == 0:  # while a disk stays full, each attempt would leave an empty segment
            path.unlink(missing_ok=True)
            _sync_folder(self._folder)
        else:
            with path.open("r+b", buffering=0) as handle:
                handle.truncate(good_bytes)
                os.fsync(handle.fileno())
        self._torn = None

    def _segment(self) -> FileIO:
        if self._file is not None and self._file.tell() >= _SEGMENT_BYTES:
            self._file.close()
            self._file = None
        if self._file is None:
            last = max((int(path.stem) for path in _segments(self._folder)), default=0)
            self._file = (self._folder / f"{last + 1:08d}.jsonl").open("xb", buffering=0)
            _sync_folder(self._folder)
        return self._file


def _segments(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*.jsonl") if path.stem.isdecimal()), key=lambda path: int(path.stem))


def _check_that_none_is_in_parts(folder: Path, segments: list[Path]) -> None:
    """Raise JournalError for the copy of a journal from a bucket, where that of an unfinished run is in parts."""
    whole = {segment.name for segment in segments}
    pieces = filter(None, (PIECE.fullmatch(path.name) for path in folder.glob("*.jsonl.*")))
    if any(piece["segment"] not in whole for piece in pieces):
        raise JournalError(
            f"{folder} is a copy of the journal of an unfinished run in a bucket, which is in parts there: give the "
            "address of the run, s3://BUCKET/..., and not the copy."
        )


def _acquire(folder: Path) -> BaseFileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without `flock` it would lock by the file's being there, and take away the one that another driver made.
        lock = FileLock(folder / "lock", fallback_to_soft=False)
        lock.acquire(timeout=0)
        try:
            # Not in the lock's own file, which who waits for the lock may empty.
            write_holder(folder)
        except BaseException:  # which may be kept, and the lock with it
            lock.release()
            raise
    except Timeout:
        raise JournalError(f"{folder} is being written by {read_holder(folder)}: wait for it, or stop it.") from None
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise StorageError(
                f"{folder} is on a file system without locks (flock), so two drivers could write there at once: mount "
                "it with them, as Lustre with -o flock, or give another --storage."
            ) from error
        raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error
    return lock


def _write_and_sync(handle: FileIO, content: bytes, on_failure: Callable[[int], None]) -> None:
    """Write all of `content`; on failure call with the bytes that the file held before."""
    before = handle.tell()
    try:
        while content:
            content = content[handle.write(content) :]
        os.fsync(handle.fileno())
    except OSError:
        on_failure(before)
        raise


def _sync_folder(folder: Path) -> None:
    """Put a new file's name on the disk; without it a crash of the machine may lose the file, not only its tail."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some file systems cannot sync folders
    finally:
        os.close(handle)


def _encode(entry: Entry) -> bytes:
    record = {"seq": entry.seq, "time": entry.time, "elapsed": entry.elapsed, **to_record(entry.event)}
    # Half a character, as in a file's name that is no UTF-8, is written as its escape, and read as what it was.
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read_segment(segment: Path, start: int) -> Iterator[tuple[int, Entry]]:
    """Yield the entries behind byte `start`, each with the byte at which it ends."""
    try:
        with segment.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(start)
            content = handle.read()
    except OSError as error:
        raise JournalError(f"{segment} cannot be read: {error.strerror}.") from error
    if size < start:
        raise JournalError(f"{segment} had {start} bytes and has {size}: what was written there was taken back.")
    offset, end = start, start + len(content)
    for line in content.splitlines(keepends=True):
        offset += len(line)
        try:
            entry = _decode(line)
        except JournalError as error:
            raise JournalError(f"{segment} cannot be read at byte {offset - len(line)}: {error}") from error
        except ValueError as error:
            if offset == end:
                return  # The writer died here, or is writing; nobody acted on this line.
            raise JournalError(f"{segment} is damaged at byte {offset - len(line)}: {error}") from error
        yield offset, entry


def _decode(line: bytes) -> Entry:
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(body):
        raise ValueError("the line's checksum does not match.")
    try:
        record = json.loads(body)
        entry = Entry(record["seq"], float(record["time"]), float(record["elapsed"]), from_record(record))
    except (KeyError, TypeError, RecursionError, JournalError) as error:
        # Whole, but not written by us: not for the driver's death to explain.
        raise JournalError(f"it is no event of a journal: {error or type(error).__name__}") from error
    if not (math.isfinite(entry.elapsed) and type(entry.seq) is int):
        raise JournalError(f"its seq is {entry.seq!r} and its elapsed {entry.elapsed!r}.")
    return entry


def _check_opening(folder: Path, opening: Event) -> None:
    if not isinstance(opening, StudyStarted):
        raise JournalError(f"the journal in {folder} does not begin with the start of a study.")
    if opening.schema_version > SCHEMA_VERSION:
        raise JournalError(
            f"the journal in {folder} has schema version {opening.schema_version}, but this version of "
            f"tuner reads up to {SCHEMA_VERSION}: update tuner."
        )
