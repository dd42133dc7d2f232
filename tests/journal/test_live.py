"""Tests of `tuner.journal.live` and of the reader below it, with real journals that grow meanwhile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.journal.conftest import proposed, reported
from tuner.errors import JournalError, StorageError
from tuner.journal import store
from tuner.journal.events import Event, SearchEnded, StudyStarted
from tuner.journal.history import read_history
from tuner.journal.live import LiveHistory
from tuner.journal.store import Entry, JournalReader, JournalWriter


def test_a_reader_returns_each_event_once(tmp_path: Path, history_events: Sequence[Event]) -> None:
    reader = JournalReader(tmp_path)
    assert reader.read() == []
    with JournalWriter(tmp_path) as journal:
        for event in history_events:
            journal.append(event)
            assert [entry.event for entry in reader.read()] == [event]
    assert reader.read() == []


def test_a_history_that_keeps_up_is_the_one_that_is_read_at_the_end(
    tmp_path: Path, history_events: Sequence[Event]
) -> None:
    live = LiveHistory(tmp_path)
    assert not live.refresh()
    for part in (history_events[:4], history_events[4:9], history_events[9:]):
        with JournalWriter(tmp_path) as journal:  # a driver each, so a segment each
            journal.append(*part)
        assert live.refresh()
    assert live.history == read_history(tmp_path)
    assert not live.refresh()


def test_a_line_is_taken_when_it_is_whole(tmp_path: Path, opening: StudyStarted) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, proposed(0))
    path = tmp_path / "00000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    reader = JournalReader(tmp_path)
    assert [entry.seq for entry in reader.read()] == [0]
    assert reader.read() == []
    path.write_bytes(whole)
    assert [entry.seq for entry in reader.read()] == [1]


def test_a_torn_line_is_left_behind_when_the_next_driver_begins(tmp_path: Path, opening: StudyStarted) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, proposed(0))
    path = tmp_path / "00000001.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    reader = JournalReader(tmp_path)
    reader.read()
    with JournalWriter(tmp_path) as journal:
        journal.append(proposed(0))
    assert [entry.seq for entry in reader.read()] == [1]


def test_full_segments_are_followed_without_a_gap(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_SEGMENT_BYTES", 300)
    reader = JournalReader(tmp_path)
    found = []
    with JournalWriter(tmp_path) as journal:
        journal.append(opening)
        for number in range(20):
            journal.append(SearchEnded(str(number)))
            found += [entry.seq for entry in reader.read()]
    assert (tmp_path / "00000004.jsonl").exists()
    assert found == list(range(21))


def test_a_write_that_was_taken_back_is_forgotten(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full after the line was there; the driver cuts it and writes it again in a new segment."""
    live = LiveHistory(tmp_path)
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, proposed(0))
        with monkeypatch.context() as patches:
            patches.setattr(os, "fsync", _full)
            with pytest.raises(StorageError):
                journal.append(reported(0, 1))
        assert live.refresh()
        journal.append(reported(0, 1, dev_accuracy=0.9))
        live.refresh()
    assert live.history == read_history(tmp_path)


def test_another_run_under_the_same_name_is_begun_with(tmp_path: Path, opening: StudyStarted) -> None:
    live = LiveHistory(tmp_path)
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, *(proposed(number) for number in range(5)))
    live.refresh()
    (tmp_path / "00000001.jsonl").unlink()
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, proposed(0))
    assert live.refresh()
    assert live.history is not None
    assert set(live.history.trials) == {0}


def test_damage_is_told_each_time_it_is_looked_at_until_it_is_mended(tmp_path: Path, opening: StudyStarted) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, proposed(0), proposed(1))
    path = tmp_path / "00000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"trial":0', b'"trial":8', 1))
    live = LiveHistory(tmp_path)
    for _ in range(2):
        with pytest.raises(JournalError, match="is damaged at byte"):
            live.refresh()
    path.write_bytes(whole)
    assert live.refresh()


def test_a_journal_of_which_a_later_segment_is_in_parts_is_told_and_not_shown_as_it_was_before(
    tmp_path: Path, opening: StudyStarted
) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, proposed(0))
    live = LiveHistory(tmp_path)
    assert live.refresh()
    (tmp_path / "00000001.jsonl.000000000000").touch()  # left over from before the segment was whole
    assert not live.refresh()
    (tmp_path / "00000002.jsonl.000000000000").touch()
    for follower in (live, LiveHistory(tmp_path)):
        with pytest.raises(JournalError, match=r"copy of the journal of an unfinished run in a bucket"):
            follower.refresh()


def test_only_what_was_added_is_read_however_long_the_journal_is(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = store._decode

    def counted(line: bytes) -> Entry:
        decoded.append(line)
        return real(line)

    monkeypatch.setattr(store, "_decode", counted)
    live = LiveHistory(tmp_path)
    with JournalWriter(tmp_path) as journal:
        journal.append(opening, *(proposed(number) for number in range(2_000)))
        live.refresh()
        decoded.clear()
        journal.append(proposed(2_000))
        live.refresh()
    assert len(decoded) == 1


def _full(handle: int) -> None:
    raise OSError(28, "No space left on device")
