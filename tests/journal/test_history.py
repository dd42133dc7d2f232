from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tuner.errors import JournalError
from tuner.journal.events import SCHEMA_VERSION, EpochReported, Event, TrialPromoted
from tuner.journal.history import fold, read_history
from tuner.journal.store import JournalWriter
from tuner.search.trial import TrialState


def test_a_history_is_what_the_events_amount_to(tmp_path: Path, history_events: list[Event]) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(*history_events)
    history = read_history(tmp_path)
    assert history.config == {"seed": 0}
    assert history.schema_version == SCHEMA_VERSION
    assert {number: trial.state for number, trial in history.trials.items()} == {
        0: TrialState.COMPLETE,
        1: TrialState.FAILED,
    }
    assert history.epochs_trained == 3
    assert len(history.trials[1].retries) == 1
    assert history.trials[0].seconds == 6.0
    assert history.search_ended is not None
    assert not history.ended


def test_a_history_that_takes_each_entry_as_it_is_written_is_that_of_the_journal(
    tmp_path: Path, history_events: list[Event]
) -> None:
    with JournalWriter(tmp_path) as journal:
        live = fold(journal.append(*history_events[:3]))
        for event in history_events[3:]:
            for entry in journal.append(event):
                live.take(entry)
            assert live == read_history(tmp_path)


def test_epochs_taken_over_from_an_earlier_run_were_not_trained_here(
    tmp_path: Path, history_events: list[Event]
) -> None:
    taken_over = [
        replace(event, reused=True) if isinstance(event, EpochReported) else event for event in history_events
    ]
    with JournalWriter(tmp_path) as journal:
        journal.append(*taken_over)
    history = read_history(tmp_path)
    assert history.epochs_trained == 0
    assert history.trials[0].best is not None


def test_a_trial_is_paused_from_its_rungs_decision_until_it_is_promoted(
    tmp_path: Path, history_events: list[Event]
) -> None:
    promoted = history_events.index(TrialPromoted(0))
    for end, state in ((promoted - 2, "RUNNING"), (promoted, "PAUSED"), (promoted + 1, "RUNNING")):
        with JournalWriter(tmp_path / str(end)) as journal:
            journal.append(*history_events[:end])
        assert read_history(tmp_path / str(end)).trials[0].state == state


def test_an_epoch_reported_again_keeps_its_first_report(tmp_path: Path, history_events: list[Event]) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(*history_events)
    trial = read_history(tmp_path).trials[0]
    assert trial.epochs[2].metrics["dev_accuracy"] == 0.7


def test_a_model_measured_again_keeps_its_first_measures(tmp_path: Path, history_events: list[Event]) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(*history_events)
    measures = {number: trial.measures for number, trial in read_history(tmp_path).trials.items()}
    assert measures == {0: {"num_params": 100.0}, 1: {}}


def test_the_best_epoch_is_the_earliest_of_equals(tmp_path: Path, history_events: list[Event]) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(*history_events)
    best = read_history(tmp_path).trials[0].best
    assert best is not None
    assert best.epoch == 2


def test_a_journal_whose_only_line_is_torn_belongs_to_a_run_that_never_began(
    tmp_path: Path, history_events: list[Event]
) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(history_events[0])
    path = tmp_path / "00000001.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(JournalError, match="is empty: the run was stopped before it began"):
        read_history(tmp_path)
