"""Tests of `tuner.engine.live.state`: what the live view knows is what the journal says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.live.events import AFTER, PLAN, SEARCH, epoch, proposed, retrained, started, state_of
from tuner.engine.live.state import LiveState, Phase, Rung
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    DriverStarted,
    PlanMade,
    RetrainFailed,
    RetrainingPlanned,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialRetried,
)
from tuner.journal.history import fold
from tuner.journal.store import Entry
from tuner.results.summary import summarize
from tuner.search.objective import Objective
from tuner.search.trial import TrialState


@pytest.fixture
def searching() -> LiveState:
    return state_of(started(), SEARCH)


def test_trials_are_counted_by_state(searching: LiveState) -> None:
    assert +searching.states == {
        TrialState.RUNNING: 2,
        TrialState.PAUSED: 1,
        TrialState.PRUNED: 1,
        TrialState.FAILED: 1,
    }
    assert [trial.number for trial in searching.running] == [1, 4]
    assert searching.epochs == 6


def test_where_rungs_count_seconds_a_trial_of_half_the_cost_reaches_them_with_twice_the_epochs() -> None:
    opening, driver, plan = started(seconds_per_epoch=4.0)  # an epoch below takes two seconds
    assert isinstance(opening, StudyStarted)
    seconds = replace(opening, config={**opening.config, "search": {"resource": "seconds"}})
    state = state_of([seconds, driver, plan, proposed(0), epoch(0, 1, 0.7)])
    assert [rung.reached for rung in state.rungs.values()] == [0, 0, 0]
    state.take(epoch(0, 2, 0.8))
    assert state.rungs[1] == Rung(1, reached=1, best=0.8)
    for number in range(3, 7):
        state.take(epoch(0, number, 0.8))
    assert [rung.reached for rung in state.rungs.values()] == [1, 1, 0]
    assert state.pace.horizon(0) == 18


def test_the_rungs_say_who_went_on_who_waits_and_who_was_given_up(searching: LiveState) -> None:
    assert list(searching.rungs.values()) == [
        Rung(1, reached=3, promoted=2, given_up=1, best=0.80),
        Rung(3, reached=1, paused=1, best=0.75),
        Rung(9),
    ]


def test_the_rungs_agree_with_the_reports() -> None:
    events = [*started(), *SEARCH, *AFTER]
    summary = summarize(fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(events)), "run")
    rungs = state_of(events).rungs.values()
    assert [(rung.epoch, rung.reached, rung.given_up, rung.best) for rung in rungs] == [
        (rung.epoch, rung.reached, rung.stopped, rung.best) for rung in summary.rungs
    ]


def test_the_best_is_held_against_the_first_start_configuration(searching: LiveState) -> None:
    assert searching.best is not None
    assert (searching.best.trial, searching.best.epoch, searching.best.value) == (1, 2, 0.85)
    assert searching.baseline is not None
    assert (searching.baseline.trial, searching.baseline.epoch, searching.baseline.value) == (0, 3, 0.75)


@pytest.mark.parametrize(
    ("state", "reason"), [(TrialState.FAILED, "the loss is nan"), (TrialState.PRUNED, NO_TIME_TO_RETRAIN)]
)
def test_a_best_that_does_not_count_makes_room_for_the_next(
    searching: LiveState, state: TrialState, reason: str
) -> None:
    searching.take(TrialEnded(1, state, reason))
    assert searching.best is not None
    assert (searching.best.trial, searching.best.value) == (0, 0.75)


def test_of_a_minimised_objective_the_lowest_is_best() -> None:
    opening, *rest = started()
    assert isinstance(opening, StudyStarted)
    state = state_of([replace(opening, objective=Objective("dev_accuracy", "minimize")), *rest], SEARCH)
    assert state.best is not None
    assert (state.best.trial, state.best.value) == (2, 0.10)
    assert state.rungs[1].best == 0.10


def test_an_epoch_that_is_trained_again_counts_once(searching: LiveState) -> None:
    before = (searching.epochs, searching.rungs[1].reached)
    searching.take(TrialRetried(1, "Traceback\nActorDiedError: gone"))
    searching.take(epoch(1, 1, 0.99))
    assert (searching.epochs, searching.rungs[1].reached) == before
    assert searching.troubles[-1] == "trial 1 failed and goes on: ActorDiedError: gone"


def test_the_reference_is_known_where_there_is_one() -> None:
    assert state_of(started()).reference is None
    reference = state_of(started("fashion-mnist", "cnn")).reference
    assert reference is not None
    assert reference.accuracy["dev"] == 0.937


def test_failures_are_kept_in_a_sentence_the_last_of_many() -> None:
    state = state_of(started())
    for number in range(100):
        state.take(proposed(number))
        state.take(TrialEnded(number, TrialState.FAILED, f"reason {number}"))
    assert state.trouble_count == 100
    assert len(state.troubles) < 10
    assert state.troubles[-1] == "trial 99 failed: reason 99"
    assert not state.trials


def test_retrainings_are_known_from_their_plan_on() -> None:
    state = state_of(started(), SEARCH, AFTER)
    assert [(one.candidate, one.seed, one.epoch, one.max_epochs) for one in state.retrains.values()] == [
        ("tuned", 1, 4, 4),
        ("tuned", 2, 1, 4),
        ("baseline", 1, 0, 4),
    ]
    first, second, third = state.retrains.values()
    assert first.evaluations == {"dev": 0.9, "test": 0.88}
    assert [one.is_running for one in (first, second, third)] == [False, True, False]
    state.take(RetrainFailed("tuned", 2, "the loss is inf"))
    assert second.failed == "the loss is inf"
    state.take(retrained("tuned", 2, 1, 0.8))  # as a later driver tries again
    assert second.is_running


def test_a_later_plan_drops_what_it_does_without_unless_that_has_begun() -> None:
    state = state_of(started(), SEARCH, AFTER)
    state.take(RetrainingPlanned([{"candidate": "tuned", "seed": 2, "max_epochs": 3, "hparams": {}}], {}, 9.0))
    assert {key: one.max_epochs for key, one in state.retrains.items()} == {("tuned", 2): 3, ("tuned", 1): 4}


def test_what_is_being_done_follows_from_the_journal() -> None:
    opening, driver, plan = started()
    state = LiveState()
    assert state.phase is Phase.STARTING
    for event, phase in [
        (opening, Phase.STARTING),
        (driver, Phase.MEASURING),
        (plan, Phase.SEARCH),
        (AFTER[3], Phase.RETRAINING),
        (StudyEnded(), Phase.REPORT),
    ]:
        state.take(event)
        assert state.phase is phase, event


def test_a_driver_that_goes_on_says_what_it_goes_on_with() -> None:
    searching, retraining = state_of(started(), SEARCH), state_of(started(), SEARCH, AFTER)
    for state, phase in ((searching, Phase.SEARCH), (retraining, Phase.RETRAINING)):
        state.phase = Phase.STARTING
        state.take(DriverStarted("desk", None, 3))
        assert (state.phase, state.workers) == (phase, 3)


def test_a_run_whose_first_driver_was_killed_before_its_plan_is_known_too() -> None:
    opening, driver, _ = started()
    assert state_of([opening, driver, PlanMade(PLAN.to_dict())]).plan == PLAN


def test_what_comes_late_of_an_ended_trial_or_retraining_changes_nothing() -> None:
    state = state_of(started(), SEARCH, AFTER)
    state.take(epoch(2, 2, 0.99))
    state.take(retrained("tuned", 1, 4, 0.1))
    assert state.best is not None
    assert state.best.value == 0.85
    assert state.retrains["tuned", 1].curve.last == 0.9
