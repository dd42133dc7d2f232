from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from tuner.errors import JournalError, StorageError
from tuner.journal import store
from tuner.journal.events import SearchEnded, StudyEnded, StudyStarted
from tuner.journal.store import JournalWriter, read_journal


def write(folder: Path, opening: StudyStarted, count: int = 3) -> None:
    with JournalWriter(folder) as journal:
        journal.append(opening)
        for index in range(count):
            journal.append(SearchEnded(str(index)))


def segment(folder: Path, number: int = 1) -> Path:
    return folder / f"{number:08d}.jsonl"


def test_what_is_appended_is_read_back_in_order(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    entries = read_journal(tmp_path)
    assert [entry.event for entry in entries] == [opening, SearchEnded("0"), SearchEnded("1"), SearchEnded("2")]
    assert [entry.seq for entry in entries] == [0, 1, 2, 3]


def test_every_event_is_on_the_disk_before_append_returns(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def recorded(handle: int) -> None:
        synced.append(handle)
        real(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    with JournalWriter(tmp_path) as journal:
        journal.append(opening)
        journal.append(SearchEnded("a"), SearchEnded("b"))
        assert len(synced) == 3  # the new segment's name in its folder, and each append
        assert len(read_journal(tmp_path)) == 3


def test_each_writer_begins_a_segment_and_continues_the_numbers(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    with JournalWriter(tmp_path) as journal:
        assert len(journal.entries) == 4
        journal.append(StudyEnded())
    assert segment(tmp_path, 2).exists()
    assert [entry.seq for entry in read_journal(tmp_path)] == [0, 1, 2, 3, 4]


def test_a_full_segment_is_followed_by_another(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_SEGMENT_BYTES", 300)
    write(tmp_path, opening, count=20)
    assert segment(tmp_path, 4).exists()
    assert len(read_journal(tmp_path)) == 21


@pytest.mark.parametrize("lost", [1, 5, 40])
def test_a_torn_last_line_is_ignored_and_written_behind(tmp_path: Path, opening: StudyStarted, lost: int) -> None:
    write(tmp_path, opening)
    path = segment(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    assert [entry.seq for entry in read_journal(tmp_path)] == [0, 1, 2]
    with JournalWriter(tmp_path) as journal:
        journal.append(StudyEnded())
    assert [entry.seq for entry in read_journal(tmp_path)] == [0, 1, 2, 3]


def test_damage_in_the_middle_is_reported_with_file_and_offset(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    path = segment(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = lines[1].replace(b"SearchEnded", b"SearchEndet")
    path.write_bytes(b"".join([lines[0], damaged, *lines[2:]]))
    with pytest.raises(JournalError, match=rf"00000001\.jsonl is damaged at byte {len(lines[0])}: .*checksum"):
        read_journal(tmp_path)


def test_a_line_lost_from_the_middle_is_noticed(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    path = segment(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(JournalError, match="continues with event 2, expected 1"):
        read_journal(tmp_path)


def test_a_lost_segment_is_noticed(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    with JournalWriter(tmp_path) as journal:
        journal.append(StudyEnded())
    segment(tmp_path, 1).unlink()
    with pytest.raises(JournalError, match="continues with event 4, expected 0"):
        read_journal(tmp_path)


def test_a_folder_without_a_journal_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="holds no journal"):
        read_journal(tmp_path)


@pytest.mark.parametrize("finished", [0, 1])
def test_the_copy_of_an_unfinished_run_in_a_bucket_is_no_run(
    tmp_path: Path, opening: StudyStarted, finished: int
) -> None:
    for _ in range(finished):
        write(tmp_path, opening)
    (tmp_path / f"{finished + 1:08d}.jsonl.000000000000").touch()
    with pytest.raises(JournalError, match=r"copy of .* an unfinished run in a bucket.* address of the run, s3://"):
        read_journal(tmp_path)


def test_a_part_beside_its_whole_segment_is_what_a_driver_left_as_it_ended(
    tmp_path: Path, opening: StudyStarted
) -> None:
    write(tmp_path, opening)
    (tmp_path / "00000001.jsonl.000000000000").touch()
    assert len(read_journal(tmp_path)) == 4


def test_a_newer_schema_asks_for_an_update(tmp_path: Path) -> None:
    write(tmp_path, StudyStarted({}, {}, schema_version=99))
    with pytest.raises(JournalError, match="schema version 99, but this version of tuner reads up to 8"):
        read_journal(tmp_path)


def test_a_newer_schema_asks_for_an_update_whatever_follows_it(tmp_path: Path) -> None:
    write(tmp_path, StudyStarted({}, {}, schema_version=99))
    body = json.dumps({"seq": 1, "time": 0.0, "elapsed": 0.0, "kind": "Unheard"}).encode()
    with segment(tmp_path).open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(JournalError, match="update tuner"):
        read_journal(tmp_path)


def test_a_journal_of_an_older_version_is_read(tmp_path: Path) -> None:
    write(tmp_path, StudyStarted({}, {}, schema_version=1))
    assert read_journal(tmp_path)[0].event == StudyStarted({}, {}, schema_version=1)


def test_a_journal_must_begin_with_the_start_of_a_study(tmp_path: Path) -> None:
    body = json.dumps({"seq": 0, "time": 0.0, "elapsed": 0.0, "kind": "StudyEnded"}).encode()
    segment(tmp_path).write_bytes(b"%08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(JournalError, match="does not begin with the start of a study"):
        read_journal(tmp_path)


def test_a_second_writer_is_kept_out(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    with JournalWriter(tmp_path):
        code = (
            "import sys\nfrom pathlib import Path\nfrom tuner.errors import JournalError\n"
            "from tuner.journal.store import JournalWriter\n"
            "try:\n    JournalWriter(Path(sys.argv[1]))\nexcept JournalError as error:\n    print(error)\n"
        )
        output = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert f"is being written by process {os.getpid()} on " in output.stdout


def test_a_dead_writer_holds_no_lock(tmp_path: Path, opening: StudyStarted) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom tuner.journal.store import JournalWriter\n"
        "journal = JournalWriter(Path(sys.argv[1]))\nos.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert (tmp_path / "lock").exists()
    write(tmp_path, opening)


def test_a_full_disk_is_a_storage_error(tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with JournalWriter(tmp_path) as journal:
        monkeypatch.setattr(os, "fsync", full)
        for _ in range(3):
            with pytest.raises(StorageError, match="cannot be written: No space left on device"):
                journal.append(opening)
        monkeypatch.undo()
        journal.append(opening)
    assert [path.name for path in tmp_path.glob("*.jsonl")] == [
        "00000001.jsonl"
    ]  # one for each attempt would be no use
    assert [entry.event for entry in read_journal(tmp_path)] == [opening]


def test_where_nothing_can_be_locked_nobody_writes(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(handle: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    (tmp_path / "lock").touch()  # another driver's, which would be taken away
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StorageError, match=r"file system without locks \(flock\), so two drivers could write"):
        JournalWriter(tmp_path)
    assert (tmp_path / "lock").exists()


def test_a_journal_that_cannot_be_read_is_not_held(tmp_path: Path, opening: StudyStarted) -> None:
    write(tmp_path, opening)
    whole = segment(tmp_path).read_bytes()
    segment(tmp_path).write_bytes(b"damaged\n" + whole)
    for _ in range(2):
        with pytest.raises(JournalError, match="is damaged at byte 0") as held:
            JournalWriter(tmp_path)
    segment(tmp_path).write_bytes(whole)
    assert len(JournalWriter(tmp_path).entries) == 4
    assert held  # as a notebook holds the last error


def test_a_journal_whose_holder_cannot_be_noted_is_not_held(
    tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "write_holder", full)
    for _ in range(2):
        with pytest.raises(StorageError, match="cannot be written: No space left on device") as held:
            JournalWriter(tmp_path)
    monkeypatch.undo()
    write(tmp_path, opening)
    assert held  # as a notebook holds the last error


def test_only_time_worked_counts(tmp_path: Path, opening: StudyStarted, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with JournalWriter(tmp_path) as journal:
        now[0] = 130.0
        journal.append(opening)
    now[0] = 9000.0
    with JournalWriter(tmp_path) as journal:
        now[0] = 9005.0
        journal.append(StudyEnded())
        assert journal.elapsed == pytest.approx(35.0)
    assert [entry.elapsed for entry in read_journal(tmp_path)] == [pytest.approx(30.0), pytest.approx(35.0)]
    with JournalWriter(tmp_path, began=8990.0) as journal:  # who began before the journal was open
        assert journal.elapsed == pytest.approx(50.0)
