"""Tests of `tuner.engine.executor`: one work after another, and nothing after an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tuner.engine.executor import Agenda, Key
from tuner.engine.outcome import Failed, Outcome, StorageAway, WorkerLost
from tuner.engine.worker import Assignment
from tuner.errors import StorageError
from tuner.io import retry

DONE = Failed("it is enough for this test")


class Trainings:
    """A work of so many trainings, given out one by one; each is over with its first outcome."""

    def __init__(self, name: str, count: int, heard: list[tuple[str, Key]]) -> None:
        self._name = name
        self._waiting = list(range(count))
        self._under_way: set[Key] = set()
        self._heard = heard
        self.is_stopped = False
        self.error: Exception | None = None

    @property
    def is_over(self) -> bool:
        return self.is_stopped or not (self._waiting or self._under_way)

    def next(self) -> tuple[Key, Assignment] | None:
        if not self._waiting:
            return None
        key = self._waiting.pop(0)
        self._under_way.add(key)
        return key, Assignment({}, key, 1, f"{self._name}-{key}")

    def take(self, key: Key, outcome: Outcome) -> bool:
        if self.error is not None:
            raise self.error
        self._heard.append((self._name, key))
        if isinstance(outcome, WorkerLost):
            return True
        self._under_way.remove(key)
        return False

    def give_back(self, key: Key) -> None:
        self._under_way.remove(key)
        self._waiting.insert(0, int(str(key)))


class Run:
    """Two works with two trainings each, and what happens between them."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Key]] = []
        self.said: list[str] = []
        self.first, self.second = Trainings("first", 2, self.heard), Trainings("second", 2, self.heard)
        self.agenda = Agenda(self.works(), self.said.append)

    def works(self) -> Iterator[Trainings]:
        yield self.first
        self.heard.append(("between", 0))
        yield self.second


@pytest.fixture
def run() -> Run:
    return Run()


def given(run: Run) -> Any:
    order = run.agenda.next()
    assert order is not None
    return order


def test_a_work_begins_when_the_one_before_is_over(run: Run) -> None:
    orders = [given(run), given(run)]
    assert run.agenda.next() is None
    assert not run.agenda.take(orders[1], DONE)
    assert run.agenda.next() is None
    assert not run.agenda.take(orders[0], DONE)
    orders = [given(run), given(run)]
    assert [order.assignment.checkpoints for order in orders] == ["second-0", "second-1"]
    assert run.heard == [("first", 1), ("first", 0), ("between", 0)]
    for order in orders:
        assert not run.agenda.is_over
        run.agenda.take(order, DONE)
    assert run.agenda.next() is None
    assert run.agenda.is_over
    assert run.agenda.error is None


def test_what_a_work_that_is_over_had_under_way_is_no_longer_wanted(run: Run) -> None:
    late = given(run)
    run.first.is_stopped = True
    assert not run.agenda.is_wanted(late)
    assert not run.agenda.take(late, DONE)
    run.agenda.give_back(late)
    assert run.heard == [("between", 0)]
    assert given(run).assignment.checkpoints == "second-0"


def test_what_could_not_be_begun_is_given_out_again(run: Run) -> None:
    order = given(run)
    run.agenda.give_back(order)
    again = given(run)
    assert again.assignment == order.assignment
    assert again.number != order.number


def test_each_training_has_a_file_of_its_own_for_where_it_hung(run: Run, tmp_path: Path) -> None:
    run.agenda = Agenda(run.works(), run.said.append, hang_reports=tmp_path)
    found = [given(run).assignment.hang_report, given(run).assignment.hang_report]
    assert found == [tmp_path / "0.hanging", tmp_path / "1.hanging"]


def test_after_an_error_nothing_is_asked_and_nothing_handed_over(run: Run) -> None:
    one, other = given(run), given(run)
    run.first.error = StorageError("the journal is full")
    assert not run.agenda.take(one, DONE)
    assert run.agenda.error is run.first.error
    assert run.agenda.is_over
    run.first.error = None  # an event behind one that is missing would be a lie
    assert not run.agenda.take(other, DONE)
    assert run.agenda.next() is None
    assert run.heard == []


def test_an_error_between_two_works_ends_the_run(run: Run) -> None:
    def works() -> Iterator[Trainings]:
        yield run.first
        raise ZeroDivisionError

    agenda = Agenda(works(), run.said.append)
    for _ in range(2):
        order = agenda.next()
        assert order is not None
        agenda.take(order, DONE)
    assert agenda.next() is None
    assert isinstance(agenda.error, ZeroDivisionError)


def test_storage_that_is_away_is_told_once_a_training_and_not_to_the_work(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: now[0]))  # which nobody can wait for
    one, other = given(run), given(run)
    away = StorageAway("no checkpoint can be written.")
    assert all(run.agenda.take(order, away) for order in (one, one, other, other))
    assert [text.partition(":")[0] for text in run.said] == ["WAITING", "WAITING"]
    assert run.agenda.take(one, WorkerLost("killed", charged=True))
    assert len(run.said) == 2  # a death says nothing of the storage
    run.agenda.take(one, DONE)
    assert run.said[2:] == ["The storage is back."]
    assert run.heard == [("first", 0), ("first", 0)]
    now[0] += retry.MOST_SECONDS + 1
    assert not run.agenda.take(other, away)
    assert isinstance(run.agenda.error, StorageError)
