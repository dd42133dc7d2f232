"""The journal on disk: numbered segments of checksummed lines, one writer, flushed before anyone acts.

A line is the CRC-32 of its JSON in eight hexadecimal digits, a blank, and the JSON object `{seq, time, elapsed, kind,
...}`. Every driver process begins a segment of its own and never touches an earlier one, so a line torn by a crash can
only be the last of its segment; a full segment is followed by a new one.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout

from tuner.errors import JournalError, StorageError
from tuner.journal.events import SCHEMA_VERSION, Event, StudyStarted, from_record, to_record

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
        JournalError: if there is no journal, an earlier line is damaged, an event is missing, or the schema is newer.
    """
    segments = _segments(folder)
    if not segments:
        raise JournalError(f"{folder} holds no journal: not the folder of a run, or a run that never started.")
    entries: list[Entry] = []
    for segment in segments:
        for entry in _read_segment(segment):
            if entry.seq != len(entries):
                raise JournalError(
                    f"{segment.name} continues with event {entry.seq}, expected {len(entries)}: "
                    f"a segment before it in {folder} is missing or incomplete."
                )
            entries.append(entry)
    _check_opening(folder, entries)
    return entries


class JournalWriter:
    """The one writer of a journal; a lock, released by the process's death, keeps others out."""

    def __init__(self, folder: Path) -> None:
        """Open the journal for appending, behind what it already holds.

        Raises:
            JournalError: if another process writes it, or it is damaged.
            StorageError: if the folder cannot be written.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise JournalError(f"{folder} is being written by another process: wait for it, or stop it.") from None
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error
        entries = read_journal(folder) if _segments(folder) else []
        self.entries = tuple(entries)
        """What the journal held when it was opened."""
        self._next_seq = len(entries)
        self._worked_before = entries[-1].elapsed if entries else 0.0
        self._opened = time.monotonic()
        self._file: BinaryIO | None = None

    @property
    def elapsed(self) -> float:
        """Seconds worked on this run so far, by this driver and those before it."""
        return self._worked_before + time.monotonic() - self._opened

    def append(self, *events: Event) -> None:
        """Add events in order; when this returns they are on the disk.

        Raises:
            StorageError: if the disk is full or gone; nothing that follows from the events may then be done.
        """
        lines = []
        for offset, event in enumerate(events):
            header = {"seq": self._next_seq + offset, "time": time.time(), "elapsed": self.elapsed}
            lines.append(_encode(header | to_record(event)))
        try:
            handle = self._segment()
            handle.write(b"".join(lines))
            handle.flush()
            os.fsync(handle.fileno())
        except OSError as error:
            raise StorageError(f"the journal in {self._folder} cannot be written: {error.strerror}.") from error
        self._next_seq += len(events)

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

    def _segment(self) -> BinaryIO:
        if self._file is not None and self._file.tell() >= _SEGMENT_BYTES:
            self._file.close()
            self._file = None
        if self._file is None:
            last = max((int(path.stem) for path in _segments(self._folder)), default=0)
            self._file = (self._folder / f"{last + 1:08d}.jsonl").open("xb")
        return self._file


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.jsonl"))


def _encode(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read_segment(segment: Path) -> Iterator[Entry]:
    content = segment.read_bytes()
    offset = 0
    for line in content.splitlines(keepends=True):
        offset += len(line)
        try:
            yield _decode(line)
        except ValueError as error:
            if offset == len(content):
                return  # The writer died here; nobody acted on this line.
            raise JournalError(f"{segment} is damaged at byte {offset - len(line)}: {error}") from error


def _decode(line: bytes) -> Entry:
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(body):
        raise ValueError("the line's checksum does not match.")
    record = json.loads(body)
    return Entry(record["seq"], record["time"], record["elapsed"], from_record(record))


def _check_opening(folder: Path, entries: list[Entry]) -> None:
    if not entries:
        return
    opening = entries[0].event
    if not isinstance(opening, StudyStarted):
        raise JournalError(f"the journal in {folder} does not begin with the start of a study.")
    if opening.schema_version > SCHEMA_VERSION:
        raise JournalError(
            f"the journal in {folder} has schema version {opening.schema_version}, but this version of "
            f"tuner reads up to {SCHEMA_VERSION}: update tuner."
        )
