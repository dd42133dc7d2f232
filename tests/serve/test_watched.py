"""Tests of what is sent: `tuner.serve.watched`, `feed` and `listing`, over real journals and real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.results.conftest import AFTER, HOSTILE, OPENING, SEARCH, epoch, proposed
from tests.serve.conftest import Serve
from tuner.journal.events import StudyEnded, StudyStarted
from tuner.journal.live import LiveHistory
from tuner.journal.store import JournalWriter
from tuner.serve import listing, watched
from tuner.serve.runs import RunsFolder
from tuner.serve.watched import WatchedRun


def run_at(folder: Path) -> WatchedRun:
    source = RunsFolder(str(folder.parent)).source(folder.name)
    assert source is not None
    return WatchedRun(folder.name, source)


def settle(run: WatchedRun) -> dict[str, Any]:
    """Update until all views are drawn, and return the messages' values."""
    while run.update() == 0.0:
        pass
    return {key: json.loads(message.data) for key, message in run.messages.items()}


def until(events: Iterator[tuple[str, Any]], name: str) -> Any:
    return next(value for found, value in events if found == name)


def test_only_what_has_changed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_SHARE", float("inf"))
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
        run = run_at(tmp_path / "run")
        first = settle(run)
        known = run.messages
        run.update()
        assert run.messages is known  # nothing was added
        journal.append(epoch(3, 1, 0.95))
        second = settle(run)
    changed = {key for key in second if second[key] != first.get(key)}
    assert {"status", "view answer", "view history", "view rungs"} <= changed
    assert not {"view environment", "view reproduce", "view configuration", "view failures"} & changed


def test_views_take_their_share_of_the_processor_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While they wait, the head goes on; when nothing is added any more, they are drawn once more."""
    moment = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    monkeypatch.setattr(watched, "_SHARE", 1e-6)
    monkeypatch.setattr(watched, "_HEAD_SHARE", float("inf"))
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
        run = run_at(tmp_path / "run")
        settle(run)
        journal.append(epoch(3, 1, 0.95))
        head = settle(run)
        assert head["status"]["best"] == "0.9500"
        assert "0.9000" in head["view answer"]["text"][0]
        moment = 1e9
        assert "0.9500" in settle(run)["view answer"]["text"][0]


def test_a_view_is_sent_with_its_figure_and_without_the_template_that_the_page_has(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
    found = settle(run_at(tmp_path / "run"))
    assert [key.partition(" ")[2] for key in found if key.startswith("view ")] == found["order"]["ids"]
    figure = found["view history"]["figure"]
    assert figure["data"]
    assert "template" not in figure["layout"]


def test_what_cannot_be_read_is_told_and_what_was_shown_stays(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
    run = run_at(tmp_path / "run")
    before = settle(run)
    (segment,) = (tmp_path / "run" / "journal").glob("*.jsonl")
    whole = segment.read_bytes()
    segment.write_bytes(whole[9:])  # without its checksum
    after = settle(run)
    assert "is damaged at byte 0" in after["problem"]["text"]
    assert after["view answer"] == before["view answer"]
    segment.write_bytes(whole)
    assert settle(run)["problem"] == {"text": ""}


def test_a_damaged_journal_is_read_again_only_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING)
    (segment,) = (tmp_path / "run" / "journal").glob("*.jsonl")
    whole = segment.read_bytes()
    segment.write_bytes(whole[9:])
    reads = 0
    real = LiveHistory.refresh

    def counted(live: LiveHistory) -> bool:
        nonlocal reads
        reads += 1
        return real(live)

    monkeypatch.setattr(LiveHistory, "refresh", counted)
    run, found = run_at(tmp_path / "run"), listing.Listing(RunsFolder(str(tmp_path)))
    for _ in range(3):
        assert "is damaged" in settle(run)["problem"]["text"]
        found.update()
        assert json.loads(found.messages["run run"].data)["state"] == "unreadable"
    assert reads == 2
    segment.write_bytes(whole)
    assert settle(run)["problem"] == {"text": ""}
    found.update()
    assert json.loads(found.messages["run run"].data)["state"] != "unreadable"


def test_a_strangers_journal_that_lacks_everything_is_told_not_died_of(serve: Serve, tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "odd" / "journal") as journal:
        journal.append(StudyStarted({"data": []}, {"packages": 3}), StudyEnded())
    with JournalWriter(tmp_path / "good" / "journal") as journal:
        journal.append(*OPENING)
    served = serve(tmp_path)
    with served.events("/api/runs") as events:
        lines = [value for name, value in (next(events) for _ in range(4)) if name == "run"]
    assert {line["name"]: line["state"] for line in lines} == {"odd": "unreadable", "good": "running"}
    with served.events("/api/runs/odd") as events:
        assert "TypeError" in until(events, "problem")["text"]


def test_an_event_reaches_who_watches_while_the_driver_works(serve: Serve, tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
        with serve(tmp_path).events("/api/runs/run") as events:
            assert until(events, "status")["best"] == "0.9000"
            journal.append(epoch(3, 1, 0.95))
            assert until(events, "status")["best"] == "0.9500"


def test_who_comes_later_gets_everything_at_once(serve: Serve, tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH, *AFTER)
    served = serve(tmp_path)
    for _ in range(2):
        with served.events("/api/runs/run") as events:
            ids = until(events, "order")["ids"]
            assert [until(events, "view")["id"] for _ in ids[:3]] == ids[:3]


def test_the_list_follows_new_runs_and_what_becomes_of_them(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_SECONDS", 0.05)
    with serve(tmp_path).events("/api/runs") as events:
        assert until(events, "order") == {"names": []}
        with JournalWriter(tmp_path / "run" / "journal") as journal:
            journal.append(*OPENING)
            assert until(events, "order") == {"names": ["run"]}
            assert until(events, "run")["state"] == "running"
            journal.append(proposed(0), epoch(0, 1, 0.5), StudyEnded())
            line = until(events, "run")
    assert (line["state"], line["best"], line["trials"]) == ("finished", "0.5000", 1)
    assert line["what"] == f"{HOSTILE.rpartition('/')[2]} on fashion-mnist"


def test_what_the_server_does_not_have_is_told_in_a_sentence(serve: Serve, tmp_path: Path) -> None:
    served = serve(tmp_path)
    assert served.ask("/api/runs/nobody").json() == {"error": "There is no such run."}
    assert served.ask("/runs/nobody").body == b"There is no such run."
    assert served.ask("/api/runs/run/predict").status == 404  # without --try


def test_a_file_that_the_browser_has_is_not_sent_again(serve: Serve, tmp_path: Path) -> None:
    served = serve(tmp_path)
    first = served.ask("/static/plotly.js")
    assert first.body.startswith(b"/**\n* plotly.js")
    again = served.ask("/static/plotly.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_while_the_search_goes_on_it_is_read_first_and_in_the_end_the_answer(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
        run = run_at(tmp_path / "run")
        assert settle(run)["order"]["ids"][0] == "history"
        journal.append(*AFTER)
    assert settle(run_at(tmp_path / "run"))["order"]["ids"][0] == "answer"
