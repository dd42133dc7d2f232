"""Tests of `tuner.serve.listing`: the list of runs, and how often a store is asked for it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.results.conftest import AFTER, OPENING, SEARCH
from tuner.io.mirror import Mirror
from tuner.io.storage import BucketPlace
from tuner.journal.events import DriverStarted
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.serve import listing
from tuner.serve.listing import Listing
from tuner.serve.runs import RunsFolder


def states(found: Listing) -> dict[str, str]:
    lines = (json.loads(message.data) for key, message in found.messages.items() if key.startswith("run "))
    return {line["name"]: line["state"] for line in lines}


def test_runs_in_a_folder_are_looked_at_every_two_seconds(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "done" / "journal") as journal:
        journal.append(*OPENING, *SEARCH, *AFTER)
    found = Listing(RunsFolder(str(tmp_path)))
    assert found.update() == 2.0
    assert states(found) == {"done": "finished"}
    with JournalWriter(tmp_path / "more" / "journal") as journal:
        journal.append(*OPENING)
    assert found.update() == 2.0
    assert states(found) == {"done": "finished", "more": "running"}


def test_a_copy_from_a_bucket_whose_newest_events_are_in_parts_is_not_shown_as_it_was_before(tmp_path: Path) -> None:
    journal = tmp_path / "copy" / "journal"
    with JournalWriter(journal) as first:
        first.append(*OPENING, *SEARCH, *AFTER)
    (journal / "00000002.jsonl.000000000000").touch()  # of a driver that goes on with it
    found = Listing(RunsFolder(str(tmp_path)))
    found.update()
    line = json.loads(found.messages["run copy"].data)
    assert line["state"] == "unreadable"
    assert "give the address of the run, s3://BUCKET/..." in line["what"]


def test_parts_that_come_later_to_a_copy_from_a_bucket_are_noticed(tmp_path: Path) -> None:
    journal = tmp_path / "copy" / "journal"
    with JournalWriter(journal) as first:
        first.append(*OPENING, *SEARCH, *AFTER)
    found = Listing(RunsFolder(str(tmp_path)))
    found.update()
    assert states(found) == {"copy": "finished"}
    (journal / "00000002.jsonl.000000000000").touch()
    found.update()
    assert states(found) == {"copy": "unreadable"}


def test_a_finished_run_in_a_bucket_is_asked_for_every_few_minutes(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = 1000.0, list[str]()
    real = BucketPlace.names

    def counted(at: BucketPlace) -> list[str]:
        asked.append(at._prefix.split("/")[-2])
        return real(at)

    done, going = (RunPaths(tmp_path / name, f"{bucket}/runs/{name}") for name in ("done", "going"))
    with JournalWriter(done.journal) as journal, JournalWriter(going.journal) as other:
        writing, going_on = Mirror(done), Mirror(going)
        journal.append(*OPENING, *SEARCH, *AFTER)
        other.append(*OPENING)
        writing.publish_journal()
        going_on.publish_journal()
        monkeypatch.setattr(listing, "time", SimpleNamespace(monotonic=lambda: now))
        monkeypatch.setattr(BucketPlace, "names", counted)
        found = Listing(RunsFolder(f"{bucket}/runs"))

        def asked_for() -> list[str]:
            asked.clear()
            assert found.update() == 10.0
            return list(asked)

        assert asked_for() == ["done", "going"]
        assert states(found) == {"done": "finished", "going": "running"}
        assert asked_for() == ["done", "going"]  # its driver is at work still
        writing.push()
        asked_for()
        assert asked_for() == ["going"]
        assert states(found) == {"done": "finished", "going": "running"}
        now += 301
        assert asked_for() == ["done", "going"]
        assert asked_for() == ["going"]
        journal.append(DriverStarted("desk", "c0ffee"))
        writing.publish_journal()  # somebody goes on with it
        now += 301
        assert asked_for() == ["done", "going"]
        assert asked_for() == ["done", "going"]
