"""Whatever is done to a journal: it is read as it was, up to an end, or a JournalError says where it is damaged."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.errors import JournalError, StorageError
from tuner.journal.events import EpochReported, Event, ModelMeasured, SearchEnded, StudyEnded
from tuner.journal.history import fold, read_history
from tuner.journal.store import JournalWriter, read_journal

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def whole(tmp_path: Path, history_events: list[Event]) -> Path:
    """A journal of two segments."""
    for events in (history_events[:7], history_events[7:]):
        with JournalWriter(tmp_path / "whole") as journal:
            for event in events:
                journal.append(event)
    return tmp_path / "whole"


def read_or_refused(folder: Path) -> list[Event] | None:
    """Return the events; None if a sentence refuses them."""
    try:
        entries = read_journal(folder)
        if entries:
            fold(entries)
    except JournalError:
        return None
    return [entry.event for entry in entries]


def line(record: Any) -> bytes:
    body = json.dumps(record).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def records(segment: Path) -> list[dict[str, Any]]:
    return [json.loads(text.partition(b" ")[2]) for text in segment.read_bytes().splitlines()]


# What fails while writing.


@pytest.mark.parametrize("written", [0, 1, 30, 100_000])
def test_after_a_failed_write_the_same_events_can_be_written_again(
    tmp_path: Path, history_events: list[Event], monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    real = os.fsync

    def fail(handle: int) -> None:
        if os.fstat(handle).st_mode & 0o100000:  # a file, not the folder
            os.ftruncate(handle, min(os.fstat(handle).st_size, size + written))
            raise OSError(errno.ENOSPC, "No space left on device")

    with JournalWriter(tmp_path) as journal:
        journal.append(*history_events[:3])
        size = sum(path.stat().st_size for path in tmp_path.glob("*.jsonl"))
        monkeypatch.setattr(os, "fsync", fail)
        for _ in range(2):
            with pytest.raises(StorageError, match="No space left"):
                journal.append(*history_events[3:5])
        monkeypatch.setattr(os, "fsync", real)
        journal.append(*history_events[3:5])
        journal.append(*history_events[5:])
    assert [entry.event for entry in read_journal(tmp_path)] == history_events


def test_a_disk_with_room_for_a_part_gets_the_rest_when_there_is_room(
    tmp_path: Path, history_events: list[Event]
) -> None:
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom tuner.errors import StorageError\n"
        "from tuner.journal.events import SearchEnded, StudyStarted\nfrom tuner.journal.store import JournalWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\njournal = JournalWriter(Path(sys.argv[1]))\n"
        "journal.append(StudyStarted({}, {}))\nresource.setrlimit(resource.RLIMIT_FSIZE, (400, -1))\n"
        "events = [SearchEnded('a'), SearchEnded('b' * 500)]\n"
        "try:\n    journal.append(*events)\nexcept StorageError as error:\n    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "journal.append(*events)\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in found.stdout
    assert [entry.event for entry in read_journal(tmp_path)][1:] == [SearchEnded("a"), SearchEnded("b" * 500)]


# What is found damaged.


def test_a_journal_cut_anywhere_is_the_journal_up_to_there(tmp_path: Path, whole: Path) -> None:
    """Cut as a crash would: the last segment, anywhere."""
    events = [entry.event for entry in read_journal(whole)]
    first, last = sorted(whole.glob("*.jsonl"))
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / first.name).write_bytes(first.read_bytes())
    content = last.read_bytes()
    before = len(records(first))
    for size in range(len(content)):
        (cut / last.name).write_bytes(content[:size])
        assert [entry.event for entry in read_journal(cut)] == events[: before + content[:size].count(b"\n")]


@FUZZ
@given(st.data())
def test_a_flipped_byte_is_told_or_costs_only_the_last_line(tmp_path: Path, whole: Path, data: st.DataObject) -> None:
    events = [entry.event for entry in read_journal(whole)]
    segment = data.draw(st.sampled_from(sorted(whole.glob("*.jsonl"))))
    content = segment.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    try:
        segment.write_bytes(flipped)
        found = read_or_refused(whole)
    finally:
        segment.write_bytes(content)
    # The last line cannot be told from one that a crash tore.
    assert found is None or found in (events, events[:-1])


@FUZZ
@given(st.data())
def test_lines_reordered_repeated_or_left_out_are_told(whole: Path, data: st.DataObject) -> None:
    events = [entry.event for entry in read_journal(whole)]
    segment = sorted(whole.glob("*.jsonl"))[-1]
    content = segment.read_bytes()
    lines = content.splitlines(keepends=True)
    chosen = data.draw(st.lists(st.sampled_from(range(len(lines))), max_size=len(lines) + 2))
    try:
        segment.write_bytes(b"".join(lines[index] for index in chosen))
        found = read_or_refused(whole)
    finally:
        segment.write_bytes(content)
    assert found is None or found == events[: len(found)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@FUZZ
@given(st.data())
def test_an_event_changed_by_someone_who_knows_the_checksum_is_told_or_read(
    tmp_path: Path, whole: Path, data: st.DataObject
) -> None:
    segment = sorted(whole.glob("*.jsonl"))[0]
    content = segment.read_bytes()
    found = records(segment)
    record = data.draw(st.sampled_from(found))
    name = data.draw(st.sampled_from(sorted(record)))
    if data.draw(st.booleans()):
        record[name] = data.draw(JSON)
    else:
        del record[name]
    try:
        segment.write_bytes(b"".join(map(line, found)))
        read_or_refused(whole)
    finally:
        segment.write_bytes(content)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes_are_told_or_read(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "any"
    folder.mkdir(exist_ok=True)
    (folder / "00000001.jsonl").write_bytes(content)
    assert read_or_refused(folder) in (None, [])


@pytest.mark.parametrize(
    "record",
    [
        pytest.param([], id="a list"),
        pytest.param(3, id="a number"),
        pytest.param({"kind": "StudyEnded"}, id="no seq"),
        pytest.param({"seq": 0, "time": 0, "elapsed": None, "kind": "StudyEnded"}, id="no time"),
        pytest.param({"seq": 0, "time": 0, "elapsed": float("nan"), "kind": "StudyEnded"}, id="no number"),
        pytest.param({"seq": 0, "time": 0, "elapsed": 0, "kind": "Unheard"}, id="unheard of"),
    ],
)
def test_a_whole_line_that_is_no_event_is_told_even_at_the_end(tmp_path: Path, record: Any) -> None:
    (tmp_path / "00000001.jsonl").write_bytes(line(record))
    with pytest.raises(JournalError, match=r"00000001\.jsonl cannot be read at byte 0"):
        read_journal(tmp_path)


def test_nesting_without_end_is_told(tmp_path: Path) -> None:
    body = b"[" * 100_000
    (tmp_path / "00000001.jsonl").write_bytes(b"%08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(JournalError, match="cannot be read at byte 0"):
        read_journal(tmp_path)


@pytest.mark.parametrize("kind", [ModelMeasured, EpochReported])
def test_an_event_of_a_trial_that_was_never_proposed_is_told(
    tmp_path: Path, opening: Event, history_events: list[Event], kind: type[Event]
) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, next(event for event in history_events if isinstance(event, kind)))
    with pytest.raises(JournalError, match="event 1 is of trial 0, which was never proposed"):
        read_history(tmp_path)


@pytest.mark.parametrize(
    "litter",
    [
        lambda folder: (folder / "notes.jsonl").write_text("x"),
        lambda folder: (folder / "1st.jsonl").write_text("x"),
        lambda folder: (folder / ".00000001.jsonl.swp").write_text("x"),
    ],
)
def test_other_files_beside_the_segments_are_left_alone(whole: Path, litter: Callable[[Path], Any]) -> None:
    events = [entry.event for entry in read_journal(whole)]
    litter(whole)
    with JournalWriter(whole) as journal:
        journal.append(StudyEnded())
    assert [entry.event for entry in read_journal(whole)] == [*events, StudyEnded()]


def test_a_folder_in_a_segments_place_is_told(whole: Path) -> None:
    (whole / "00000009.jsonl").mkdir()
    with pytest.raises(JournalError, match=r"00000009\.jsonl cannot be read: Is a directory"):
        read_journal(whole)
