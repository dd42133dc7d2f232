"""Tests of `tuner.io.follow` with a real journal that is published to a real S3 server (moto's, on loopback)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tuner.errors import StorageError
from tuner.io.follow import Follower
from tuner.io.mirror import Mirror
from tuner.io.storage import BucketPlace
from tuner.journal.events import DriverStarted, Event, StudyEnded, StudyStarted
from tuner.journal.live import LiveHistory
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths


def test_a_run_in_a_bucket_is_followed_from_its_first_event_to_its_end(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's parts, the whole segments that take their place, and a second driver; nothing is fetched twice."""
    fetched: list[str] = []
    real = BucketPlace.local

    def counted(at: BucketPlace, name: str) -> AbstractContextManager[Path]:
        fetched.append(name)
        return real(at, name)

    remote = f"{bucket}/runs/run"
    theirs, ours = RunPaths(tmp_path / "theirs" / "run", remote), RunPaths(tmp_path / "ours" / "run", remote)
    follower, live = Follower(ours), LiveHistory(ours.journal)
    follower.update()
    assert not live.refresh()
    for host in ("first", "second"):
        mirror = Mirror(theirs)
        with JournalWriter(theirs.journal) as journal:
            started: list[Event] = [] if journal.entries else [StudyStarted({}, {})]
            for event in [*started, DriverStarted(host, None)]:
                journal.append(event)
                mirror.publish_journal()
                with monkeypatch.context() as patches:
                    patches.setattr(BucketPlace, "local", counted)
                    follower.update()
                assert live.refresh()
            assert follower.has_owner
        mirror.push()
        follower.update()
        assert not live.refresh()
        assert not follower.has_owner
    assert len(fetched) == len(set(fetched))
    assert read_journal(ours.journal) == read_journal(theirs.journal)


def test_who_comes_when_the_run_has_ended_gets_all_of_it(bucket: str, tmp_path: Path) -> None:
    remote = f"{bucket}/run"
    theirs, ours = RunPaths(tmp_path / "theirs" / "run", remote), RunPaths(tmp_path / "ours" / "run", remote)
    mirror = Mirror(theirs)
    with JournalWriter(theirs.journal) as journal:
        journal.append(StudyStarted({}, {}), StudyEnded())
        mirror.publish_journal()
        Follower(ours).update()
    with JournalWriter(theirs.journal) as journal:
        journal.append(DriverStarted("late", None))
    mirror.push()
    Follower(ours).update()  # one that has seen nothing, in a folder with a copy that is older
    assert read_journal(ours.journal) == read_journal(theirs.journal)


def test_a_bucket_that_cannot_be_asked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(at: BucketPlace) -> list[str]:
        raise OSError("access denied")

    monkeypatch.setattr(BucketPlace, "names", refuse)
    with pytest.raises(StorageError, match="s3://bucket/run/journal cannot be read: access denied"):
        Follower(RunPaths(tmp_path, "s3://bucket/run")).update()
