from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.results.conftest import AFTER, OPENING, SEARCH, epoch
from tuner.integrations.callback import Epoch, RetrainEpoch, StudyEnd, StudyStart, TrialEnd, TrialStart
from tuner.journal.events import Event, ParamsAsked, RetrainEpochReported, StudyStarted, TrialProposed
from tuner.journal.store import Entry
from tuner.results.told import Teller, Told, method_of
from tuner.search.trial import Origin, TrialState


def _told(events: Sequence[Event]) -> list[Told]:
    teller = Teller("study", Path("runs/study"))
    entries = [Entry(seq, 100.0 + seq, float(seq), event) for seq, event in enumerate(events)]
    return [one for entry in entries for one in teller.take(entry)]


def test_a_study_is_told_from_its_start_to_its_end() -> None:
    told = _told([*OPENING, *SEARCH, *AFTER])
    assert [method_of(one) for one in (told[0], told[-1])] == ["on_study_start", "on_study_end"]
    start, end = told[0], told[-1]
    assert isinstance(start, StudyStart)
    assert (start.name, start.time, start.resumed) == ("study", 100.0, False)
    assert isinstance(end, StudyEnd)
    assert (end.finished, end.winner, end.value, end.hparams["lr"]) == (True, 0, 0.90, 1)
    assert [(one.candidate, one.seed) for one in end.retrainings] == [("baseline", 1), ("tuned", 1), ("tuned", 2)]


def test_every_trial_and_every_epoch_is_told_once() -> None:
    told = _told([*OPENING, *SEARCH, *AFTER])
    assert [one.trial for one in told if isinstance(one, TrialStart)] == [0, 1, 2, 3]
    assert [(one.trial, one.epoch) for one in told if isinstance(one, Epoch)] == [
        (0, 1),
        (1, 1),
        (0, 2),
        (0, 3),
        (2, 1),
    ]
    ended = {one.trial: one for one in told if isinstance(one, TrialEnd)}
    assert {number: one.state for number, one in ended.items()} == {
        1: TrialState.PRUNED,
        0: TrialState.COMPLETE,
        2: TrialState.FAILED,
    }
    assert (ended[0].epochs, ended[0].best_epoch, ended[0].metrics["dev_accuracy"]) == (3, 2, 0.90)
    assert ended[0].measures == {"num_params": 1000.0, "latency": 0.0025}


def test_every_epoch_of_a_retraining_is_told_once() -> None:
    again = [event for event in AFTER if isinstance(event, RetrainEpochReported)][:2]
    told = _told([*OPENING, *SEARCH, *AFTER[:4], *again, *AFTER[4:]])  # it saves no state, and began anew
    assert [(one.candidate, one.seed, one.epoch) for one in told if isinstance(one, RetrainEpoch)] == [
        ("tuned", 1, 1),
        ("tuned", 1, 2),
        ("tuned", 2, 1),
        ("baseline", 1, 1),
    ]


def test_a_trial_that_asks_as_it_runs_begins_when_its_parameters_are_known() -> None:
    events: list[Event] = [
        StudyStarted({"objective": "train"}, {}),
        TrialProposed(0, {}, {}, {}, Origin.RANDOM, 0),
        ParamsAsked(0, {"lr": 0.5}, {}),
        epoch(0, 1, 0.5),
    ]
    assert len(_told(events[:3])) == 1
    _, start, reported = _told(events)
    assert isinstance(start, TrialStart)
    assert start.params == {"lr": 0.5}
    assert isinstance(reported, Epoch)


def test_a_study_has_its_identity_wherever_it_lies() -> None:
    first, second = _told(OPENING)[0], _told([*OPENING, *SEARCH])[0]
    assert isinstance(first, StudyStart)
    assert isinstance(second, StudyStart)
    assert first.id == second.id


def test_a_study_that_is_stopped_ends_unfinished() -> None:
    teller = Teller("study", Path())
    assert teller.stopped(0.0) is None
    for seq, event in enumerate([*OPENING, *SEARCH, *AFTER]):
        if seq == len(OPENING):
            stopped = teller.stopped(7.0)
            assert stopped is not None
            assert (stopped.finished, stopped.winner, stopped.time) == (False, None, 7.0)
        list(teller.take(Entry(seq, 0.0, 0.0, event)))
    assert teller.stopped(0.0) is None
