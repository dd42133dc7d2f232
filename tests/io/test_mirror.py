"""Tests of `tuner.io.mirror` with real journals and a real S3 server (moto's, on loopback)."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuner.errors import JournalError, StorageError
from tuner.io import mirror as module
from tuner.io import storage
from tuner.io.mirror import Mirror
from tuner.io.storage import BucketPlace, place
from tuner.journal.events import DriverStarted, Event, StudyStarted
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths

STARTED = StudyStarted({}, {})
MakePaths = Callable[[str], RunPaths]


@pytest.fixture
def paths_on(bucket: str, tmp_path: Path) -> MakePaths:
    """The same run as seen from machines with these names."""
    return lambda machine: RunPaths(tmp_path / machine / "run", f"{bucket}/runs/run")


def _append(journal: JournalWriter, mirror: Mirror, *events: Event) -> None:
    journal.append(*events)
    mirror.publish_journal()


def test_a_driver_that_dies_leaves_every_published_event_to_another_machine(paths_on: MakePaths) -> None:
    here, there = paths_on("here"), paths_on("there")
    mirror = Mirror(here)
    with JournalWriter(here.journal) as journal:
        _append(journal, mirror, STARTED, DriverStarted("here", None))
        _append(journal, mirror, DriverStarted("here again", None))
        journal.append(DriverStarted("never published", None))

    Mirror(there).pull()
    assert [entry.event for entry in read_journal(there.journal)] == [
        STARTED,
        DriverStarted("here", None),
        DriverStarted("here again", None),
    ]


def test_the_next_driver_goes_on_and_a_third_reads_both(paths_on: MakePaths) -> None:
    for host in ("first", "second"):
        paths = paths_on(host)
        mirror = Mirror(paths)
        if mirror.exists():
            mirror.pull()
        with JournalWriter(paths.journal) as journal:
            if not journal.entries:
                _append(journal, mirror, STARTED)
            _append(journal, mirror, DriverStarted(host, None))
    Mirror(paths_on("third")).pull()
    events = [entry.event for entry in read_journal(paths_on("third").journal)]
    assert events == [STARTED, DriverStarted("first", None), DriverStarted("second", None)]


def test_a_driver_that_goes_on_publishes_only_what_is_new(paths_on: MakePaths) -> None:
    here, there = paths_on("here"), paths_on("there")
    with JournalWriter(here.journal) as journal:
        mirror = Mirror(here)
        _append(journal, mirror, STARTED)
        _append(journal, mirror, DriverStarted("here", None))
    Mirror(there).pull()
    with JournalWriter(there.journal) as journal:  # it dies before it can put whole segments in place
        _append(journal, Mirror(there), DriverStarted("there", None))
    Mirror(paths_on("third")).pull()
    events = [entry.event for entry in read_journal(paths_on("third").journal)]
    assert events == [STARTED, DriverStarted("here", None), DriverStarted("there", None)]


def test_a_driver_whose_run_was_taken_over_stops(paths_on: MakePaths) -> None:
    first, second = paths_on("first"), paths_on("second")
    mirror = Mirror(first)
    with JournalWriter(first.journal) as journal:
        _append(journal, mirror, STARTED)
        other = Mirror(second)
        other.pull()
        with JournalWriter(second.journal) as theirs:
            _append(theirs, other, DriverStarted("second", None))
        with pytest.raises(JournalError, match="another driver has taken over s3://some-bucket/runs/run"):
            _append(journal, mirror, DriverStarted("first", None))
        other.push()
        with pytest.raises(JournalError, match="another driver has taken over s3://some-bucket/runs/run"):
            mirror.publish_journal()


def test_a_driver_does_not_go_on_with_what_another_has_meanwhile_added_to(paths_on: MakePaths) -> None:
    first, second = paths_on("first"), paths_on("second")
    mirror = Mirror(first)
    with JournalWriter(first.journal) as journal:
        _append(journal, mirror, STARTED)
        Mirror(second).pull()
        _append(journal, mirror, DriverStarted("first", None))
        with JournalWriter(second.journal) as theirs, pytest.raises(JournalError, match=r"resume the run again"):
            _append(theirs, Mirror(second), DriverStarted("second", None))
        with pytest.raises(JournalError, match="another driver has taken over"):
            _append(journal, mirror, DriverStarted("first", None))
    Mirror(paths_on("third")).pull()
    events = [entry.event for entry in read_journal(paths_on("third").journal)]
    assert events == [STARTED, DriverStarted("first", None)]


def _interrupt_the_next_put(monkeypatch: pytest.MonkeyPatch, act: Callable[[Callable[[], None]], None]) -> None:
    """Let `act` put the next object, by calling what it is given; the driver that puts it then doubts at once."""
    put_at_once = BucketPlace.put
    monkeypatch.setattr(module, "_OWNED_FOR", 0.0)

    def put(place: BucketPlace, made: Path, name: str) -> None:
        monkeypatch.setattr(BucketPlace, "put", put_at_once)
        act(lambda: put_at_once(place, made, name))

    monkeypatch.setattr(BucketPlace, "put", put)


def _published(paths: RunPaths) -> list[Event]:
    Mirror(paths).pull()
    return [entry.event for entry in read_journal(paths.journal)]


@pytest.mark.parametrize("is_answered", [True, False])
def test_what_a_driver_writes_after_another_has_the_run_is_taken_back(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    first, second = paths_on("first"), paths_on("second")
    mirror, other = Mirror(first), Mirror(second)

    def too_late(put: Callable[[], None]) -> None:
        with JournalWriter(second.journal) as theirs:
            _append(theirs, other, DriverStarted("second", None))
        put()
        if not is_answered:
            raise OSError(errno.ETIMEDOUT, "Connection timed out")

    with JournalWriter(first.journal) as journal:
        _append(journal, mirror, STARTED)
        other.pull()
        _interrupt_the_next_put(monkeypatch, too_late)
        journal.append(DriverStarted("first", None))
        if not is_answered:
            with pytest.raises(StorageError, match="Connection timed out"):
                mirror.publish_journal()
        with pytest.raises(JournalError, match="another driver has taken over s3://some-bucket/runs/run; this one"):
            mirror.publish_journal()
    assert _published(paths_on("third")) == [STARTED, DriverStarted("second", None)]


def test_what_the_other_driver_went_on_from_stays_though_it_was_answered_too_late(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = paths_on("first"), paths_on("second")
    mirror, other = Mirror(first), Mirror(second)

    def answered_too_late(put: Callable[[], None]) -> None:
        put()
        other.pull()
        with JournalWriter(second.journal) as theirs:
            _append(theirs, other, DriverStarted("second", None))

    with JournalWriter(first.journal) as journal:
        _append(journal, mirror, STARTED)
        _interrupt_the_next_put(monkeypatch, answered_too_late)
        with pytest.raises(JournalError, match="another driver has taken over"):
            _append(journal, mirror, DriverStarted("first", None))
    events = [STARTED, DriverStarted("first", None), DriverStarted("second", None)]
    assert _published(paths_on("third")) == events


def test_what_the_other_driver_has_under_the_name_of_what_came_too_late_stays(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, first, second = paths_on("begun"), paths_on("first"), paths_on("second")
    mirror, other = Mirror(first), Mirror(second)
    with JournalWriter(begun.journal) as journal:
        _append(journal, Mirror(begun), STARTED)

    def both(put: Callable[[], None]) -> None:
        other.publish(second.config)  # it has the run now
        put()
        with JournalWriter(second.journal) as theirs:
            _append(theirs, other, DriverStarted("second", None))

    mirror.pull()
    other.pull()
    second.config.touch()
    with JournalWriter(first.journal) as journal:
        mirror.publish_journal()
        _interrupt_the_next_put(monkeypatch, both)
        with pytest.raises(JournalError, match="another driver has taken over"):
            _append(journal, mirror, DriverStarted("first", None))
    assert _published(paths_on("third")) == [STARTED, DriverStarted("second", None)]


def _replace(paths: RunPaths) -> Mirror:
    """Let another driver go on with the run; it has written an event and a table by now."""
    other = Mirror(paths)
    assert other.pull()
    with JournalWriter(paths.journal) as journal:
        _append(journal, other, DriverStarted("second", None))
    paths.trials.write_bytes(b"of the second")
    other.publish(paths.trials)
    return other


@pytest.mark.parametrize("last", ["config.json", "trials.parquet"])
def test_a_driver_that_is_replaced_while_it_brings_files_stops_and_takes_nothing_away(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    first, second, third = paths_on("first"), paths_on("second"), paths_on("third")
    mirror = Mirror(first)
    put_at_once = BucketPlace.put

    def put(place: BucketPlace, made: Path, name: str) -> None:
        put_at_once(place, made, name)
        if name == last:
            monkeypatch.setattr(BucketPlace, "put", put_at_once)
            others.append(_replace(second))

    others: list[Mirror] = []
    with JournalWriter(first.journal) as journal:
        _append(journal, mirror, STARTED)
        first.config.touch()
        first.trials.write_bytes(b"of the first")
        monkeypatch.setattr(storage, "_AT_ONCE", 1)
        monkeypatch.setattr(module, "_OWNED_FOR", 0.0)
        monkeypatch.setattr(BucketPlace, "put", put)
        with pytest.raises(JournalError, match="another driver has taken over s3://some-bucket/runs/run; this one"):
            mirror.push()
    others[0].publish_journal()  # it is the owner still
    assert _published(third) == [STARTED, DriverStarted("second", None)]
    assert third.trials.read_bytes() == b"of the second"


def test_a_driver_that_is_replaced_in_the_very_moment_in_which_it_ends_leaves_the_other_s_events(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = paths_on("first"), paths_on("second"), paths_on("third")
    mirror = Mirror(first)
    list_all = BucketPlace.names

    def names(place: BucketPlace) -> list[str]:
        monkeypatch.setattr(BucketPlace, "names", list_all)
        others.append(_replace(second))
        return list_all(place)

    others: list[Mirror] = []
    with JournalWriter(first.journal) as journal:
        _append(journal, mirror, STARTED)
        monkeypatch.setattr(BucketPlace, "names", names)
        mirror.push()
    with pytest.raises(JournalError, match="another driver has taken over"):  # it stops, and loses nothing
        others[0].publish_journal()
    assert _published(third) == [STARTED, DriverStarted("second", None)]


@pytest.mark.parametrize(("seconds", "times"), [(600.0, 1), (0.0, 2)])
def test_who_has_the_run_is_asked_once_more_only_if_writing_took_long(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch, seconds: float, times: int
) -> None:
    here = paths_on("here")
    mirror = Mirror(here)
    asked: list[Mirror] = []
    read = Mirror._read_owner

    def read_owner(mirror: Mirror) -> str:
        asked.append(mirror)
        return read(mirror)

    with JournalWriter(here.journal) as journal:
        _append(journal, mirror, STARTED)
        monkeypatch.setattr(Mirror, "_read_owner", read_owner)
        monkeypatch.setattr(module, "_OWNED_FOR", seconds)
        _append(journal, mirror, DriverStarted("here", None))
    assert len(asked) == times


@pytest.mark.parametrize(
    ("drivers", "is_deleted"), [(["first"], True), (["first", "second"], False), (["second"], False)]
)
def test_a_driver_deletes_a_run_only_if_it_is_the_last_that_came(
    paths_on: MakePaths, drivers: list[str], is_deleted: bool
) -> None:
    mirror = Mirror(paths_on("first"))
    for name in drivers:
        paths = paths_on(name)
        paths.root.mkdir(parents=True)
        paths.config.touch()
        (mirror if name == "first" else Mirror(paths)).publish(paths.config)
    mirror.delete_run()
    left = place(paths_on("first").location(paths_on("first").root)).names()
    assert left == ([] if is_deleted else ["config.json", "journal/owner"])


def test_a_driver_that_is_interrupted_while_it_takes_over_leaves_nothing(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = paths_on("here")
    here.root.mkdir(parents=True)
    here.config.touch()
    mirror = Mirror(here)

    def interrupt(put: Callable[[], None]) -> None:
        put()
        raise KeyboardInterrupt

    _interrupt_the_next_put(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        mirror.publish(here.config)
    assert mirror.exists()
    mirror.delete_run()
    assert not mirror.exists()


@pytest.mark.parametrize("name", ["../../.bashrc", "a//b", "./a"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(BucketPlace, "names", lambda self: ["journal/00000001.jsonl", name])
    with pytest.raises(StorageError, match=f"holds '{re.escape(name)}', which names no file below it"):
        Mirror(paths_on("here")).pull()


def test_a_finished_run_is_file_for_file_like_one_in_a_folder(paths_on: MakePaths) -> None:
    paths = paths_on("here")
    mirror = Mirror(paths)
    with JournalWriter(paths.journal) as journal:
        _append(journal, mirror, STARTED)
    paths.trials.write_bytes(b"table")
    paths.checkpoints.mkdir()
    (paths.checkpoints / "left over").touch()
    mirror.push()
    assert paths.remote is not None
    assert place(paths.remote).names() == ["journal/00000001.jsonl", "trials.parquet"]
    again = paths_on("there")
    Mirror(again).pull()
    assert [entry.event for entry in read_journal(again.journal)] == [STARTED]
    assert again.trials.read_bytes() == b"table"


def test_a_driver_that_died_while_it_put_whole_segments_in_place_did_no_harm(paths_on: MakePaths) -> None:
    paths = paths_on("here")
    mirror = Mirror(paths)
    with JournalWriter(paths.journal) as journal:
        _append(journal, mirror, STARTED)
        _append(journal, mirror, DriverStarted("here", None))
    assert paths.remote is not None
    part = paths.journal / "copy"
    part.write_bytes((paths.journal / "00000001.jsonl").read_bytes())
    place(paths.remote).put(part, "journal/00000001.jsonl")
    Mirror(paths_on("there")).pull()
    assert len(read_journal(paths_on("there").journal)) == 2


def test_a_file_is_published_as_it_is(paths_on: MakePaths) -> None:
    paths = paths_on("here")
    paths.best.mkdir(parents=True)
    paths.best_model.write_bytes(b"weights")
    Mirror(paths).publish(paths.best_model)
    Mirror(paths_on("there")).pull()
    assert paths_on("there").best_model.read_bytes() == b"weights"


def test_a_part_that_is_missing_is_noticed(paths_on: MakePaths) -> None:
    paths = paths_on("here")
    mirror = Mirror(paths)
    with JournalWriter(paths.journal) as journal:
        for host in ("a", "b", "c"):
            _append(journal, mirror, *([STARTED] if host == "a" else []), DriverStarted(host, None))
    assert paths.remote is not None
    parts = [name for name in place(paths.remote).names() if name.startswith("journal/0")]
    assert len(parts) == 3
    place(paths.remote).delete(parts[1])
    with pytest.raises(JournalError, match=r"lacks a part of 00000001\.jsonl from byte \d+ on"):
        Mirror(paths_on("there")).pull()


class Listed(list[str]):
    """Names that count how often somebody goes through them all."""

    passes = 0

    def __iter__(self) -> Iterator[str]:
        self.passes += 1
        return super().__iter__()


def test_the_bucket_is_listed_once_and_the_names_are_gone_through_no_more_often_for_more_parts(
    paths_on: MakePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = paths_on("here")
    passes: list[Listed] = []
    list_all = BucketPlace.names
    listings: list[Listed] = []

    def names(self: BucketPlace) -> list[str]:
        listings.append(Listed(list_all(self)))
        return listings[-1]

    monkeypatch.setattr(BucketPlace, "names", names)
    mirror = Mirror(here)
    join = Mirror._join_parts
    monkeypatch.setattr(Mirror, "_join_parts", lambda self, found: join(self, _counted(found, passes)))
    with JournalWriter(here.journal) as journal:
        _append(journal, mirror, STARTED)
        for parts in (3, 12):
            for _ in range(parts):
                _append(journal, mirror, DriverStarted("here", None))
            listings.clear()
            assert Mirror(paths_on(f"reader {parts}")).pull()
            assert len(listings) == 1
    assert passes[0].passes == passes[1].passes
    assert len(read_journal(paths_on("reader 12").journal)) == 16


def _counted(names: list[str], seen: list[Listed]) -> Listed:
    seen.append(Listed(names))
    return seen[-1]


def test_the_copy_is_emptied_but_for_the_lock_that_keeps_others_out(paths_on: MakePaths) -> None:
    here = paths_on("here")
    mirror = Mirror(here)
    with JournalWriter(here.journal) as journal:
        _append(journal, mirror, STARTED)
        left = here.checkpoints / "trial-00000" / "left.pt"
        left.parent.mkdir(parents=True)
        left.touch()
        lock = (here.journal / "lock").stat().st_ino
        assert mirror.pull()
        assert (here.journal / "lock").stat().st_ino == lock
        assert not here.checkpoints.exists()
    assert not Mirror(RunPaths(here.root, f"{here.remote}-absent")).pull()
