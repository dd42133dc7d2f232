"""Tests of `tuner.serve.status`: what the head of a page says of journals with known events."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.results.conftest import AFTER, OPENING, SEARCH, epoch, proposed
from tuner.journal.events import (
    Event,
    PlanMade,
    RetrainEpochReported,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
)
from tuner.journal.history import History, fold
from tuner.journal.live import LiveHistory
from tuner.journal.store import Entry, JournalWriter
from tuner.search.trial import TrialState
from tuner.serve.runs import RunSource
from tuner.serve.status import line_of, seconds_left, state_of, status_of


def written(folder: Path, events: Sequence[Event]) -> tuple[RunSource, LiveHistory]:
    with JournalWriter(folder / "journal") as journal:
        journal.append(*events)
    source = RunSource(str(folder))
    live = LiveHistory(source.paths.journal)
    live.refresh()
    return source, live


def head(folder: Path, events: Sequence[Event]) -> dict[str, Any]:
    return status_of("run", *written(folder, events))


def history_of(*events: Event) -> History:
    return fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(events))


def test_a_run_whose_driver_lives_is_running_and_one_whose_driver_died_has_stopped(tmp_path: Path) -> None:
    source, live = written(tmp_path, OPENING)
    assert state_of(source, live) == "running"  # this process wrote it
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    holder = tmp_path / "journal" / "holder"
    holder.write_text(f"process {int(gone.stdout)} on {socket.gethostname()}")
    assert state_of(source, live) == "stopped"
    holder.write_text(f"process {os.getpid()} on {socket.gethostname()}\nbegun at 1 of boot {uuid.uuid4()}")
    assert state_of(source, live) == "stopped"  # the machine was started again, and its number went to this process
    holder.write_text(f"process {os.getpid()} on another-machine")
    assert state_of(source, live) == "running"  # it was heard of a moment ago
    live.heard = 0.0
    assert state_of(source, live) == "silent"


def test_a_run_that_ended_is_finished_whoever_wrote_it(tmp_path: Path) -> None:
    assert line_of("run", *written(tmp_path, OPENING + SEARCH + AFTER))["state"] == "finished"


def test_the_lock_is_not_touched(tmp_path: Path) -> None:
    source, live = written(tmp_path, OPENING + SEARCH)
    lock = tmp_path / "journal" / "lock"
    lock.unlink()
    assert status_of("run", source, live)["state"] == "running"
    assert not lock.exists()


def test_the_head_names_the_best_beside_the_baseline(tmp_path: Path) -> None:
    found = head(tmp_path, [*OPENING, *SEARCH, epoch(3, 1, 0.95)])
    assert found["stage"] == "Searching"
    marks = {mark["label"]: mark["value"] for mark in found["marks"]}
    assert marks == {"Best so far: dev accuracy": "0.9500", "Baseline": "0.9000", "Reference": "0.9370"}
    assert found["counts"] == {"running": 1, "complete": 1, "pruned": 1, "failed": 1}


def test_each_trial_stands_once_on_each_rung_that_it_reached(tmp_path: Path) -> None:
    events: list[Event] = [
        *(proposed(number, lr=0.1) for number in range(5)),
        *(epoch(number, 1, 0.5 + number / 10) for number in range(4)),
        RungDecided(0, 1, "STOP", ""),
        TrialEnded(0, TrialState.PRUNED, ""),
        *(RungDecided(number, 1, "PAUSE", "") for number in (1, 2, 3)),
        TrialPromoted(3),
    ]
    high, low = head(tmp_path, [*OPENING, *events])["ladder"]
    assert low == {"epoch": 1, "reached": 4, "passed": 1, "paused": 2, "stopped": 1, "climbing": 1, "best": "0.8000"}
    assert high == {"epoch": 3, "reached": 0, "passed": 0, "paused": 0, "stopped": 0, "climbing": 1, "best": None}


def test_what_trains_is_shown_with_its_curve(tmp_path: Path) -> None:
    (found,) = head(tmp_path, [*OPENING, *SEARCH, epoch(3, 1, 0.7), epoch(3, 2, 0.75)])["running"]
    assert found["title"] == "Trial 3"
    assert found["values"] == [[1, 0.7], [2, 0.75]]
    assert (found["of"], found["text"], found["hparams"]) == (3, "0.7500", "lr 0.25")


def test_of_a_long_curve_a_hundred_points_are_sent_and_the_last_of_them_is_the_last(tmp_path: Path) -> None:
    epochs = [epoch(3, number, 0.5 + number / 4000) for number in range(1, 1002)]
    (found,) = head(tmp_path, [*OPENING, *SEARCH, *epochs])["running"]
    assert 50 <= len(found["values"]) <= 100
    assert found["values"][0] == [1, 0.50025]
    assert found["values"][-1] == [1001, 0.75025]


def test_after_the_search_the_retrainings_are_shown(tmp_path: Path) -> None:
    retraining = RetrainEpochReported("tuned", 1, 1, {"dev_accuracy": 0.9}, 1.0)
    found = head(tmp_path, [*OPENING, *SEARCH, *AFTER[:2], retraining])
    assert [one["title"] for one in found["running"]] == ["tuned, seed 1"]
    assert found["stage"].startswith("Retraining: 0 of")


def test_a_run_that_has_not_begun_says_so(tmp_path: Path) -> None:
    source = RunSource(str(tmp_path))
    assert status_of("run", source, LiveHistory(source.paths.journal)) == {
        "name": "run",
        "state": "waiting",
        "began": None,
        "heard": None,
    }


PLAN = {"rungs": [1, 3], "workers": 2, "search_seconds": 100.0, "retrain_seconds": 40.0}
SEEDS = [{"candidate": "tuned", "seed": seed, "max_epochs": 7} for seed in (1, 2)]
STARTED = StudyStarted({"data": {"dataset": "digits"}}, {})


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], None),
        ([PlanMade({**PLAN, "budget_seconds": 61.0})], 60.0),
        ([PlanMade({**PLAN, "budget_seconds": 0.5})], 0.0),
        ([PlanMade(PLAN)], 140.0),
        # The first epoch took two seconds and ended in the third, so the search began in the first; it is the fourth.
        ([PlanMade(PLAN), proposed(0), epoch(0, 1, 0.5), epoch(0, 2, 0.6)], 137.0),
        ([PlanMade(PLAN), SearchEnded("")], 40.0),
        # Twelve epochs of two seconds are left for two workers.
        (
            [
                PlanMade(PLAN),
                SearchEnded(""),
                RetrainingPlanned(
                    [{"candidate": "tuned", "seed": seed, "max_epochs": 7} for seed in (1, 2)], {"tuned": 2.0}, None
                ),
                RetrainEpochReported("tuned", 1, 1, {}, 2.0),
                RetrainEpochReported("tuned", 1, 2, {}, 2.0),
            ],
            12.0,
        ),
    ],
)
def test_the_time_left_follows_the_plan(events: list[Event], left: float | None) -> None:
    assert seconds_left(history_of(STARTED, *events)) == left


def test_where_rungs_count_seconds_a_trial_climbs_by_its_own_epochs(tmp_path: Path) -> None:
    opening, *rest = OPENING
    assert isinstance(opening, StudyStarted)
    seconds = replace(opening, config={**opening.config, "search": {"resource": "seconds"}})
    plan = PlanMade({"rungs": [1, 3], "seconds_per_epoch": 4.0})  # an epoch below takes two
    others = [event for event in rest if not isinstance(event, PlanMade)]
    found = head(tmp_path, [seconds, *others, plan, proposed(0), *(epoch(0, number, 0.7) for number in (1, 2, 3))])
    assert [(rung["epoch"], rung["reached"], rung["climbing"]) for rung in found["ladder"]] == [(3, 0, 1), (1, 1, 0)]
    assert found["running"][0]["of"] == 6
