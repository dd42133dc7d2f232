from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence

import pytest

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE
from tuner.journal.events import (
    EnsembleMeasured,
    EpochReported,
    Event,
    ModelMeasured,
    RetrainEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
)
from tuner.journal.history import History
from tuner.results import selection
from tuner.results.selection import kept_ensemble, kept_retraining, rule, select
from tuner.search.trial import Origin, TrialState

Build = Callable[[Sequence[Event]], History]
START = StudyStarted({}, {})


def trial(number: int, *dev: tuple[float, float], failed: bool = False) -> list[Event]:
    """Return the events of a trial with these (dev accuracy, dev loss) of its epochs."""
    events: list[Event] = [TrialProposed(number, {}, {}, {"lr": number}, Origin.RANDOM, 0)]
    for epoch, (accuracy, loss) in enumerate(dev, start=1):
        events.append(EpochReported(number, epoch, metrics(1.0, 0.5, loss, accuracy, 0.01), 1.0, "w"))
    return events + ([TrialEnded(number, TrialState.FAILED, "nan")] if failed else [])


def test_the_winner_has_the_highest_dev_accuracy_of_any_epoch(build: Build) -> None:
    winner = select(build([START, *trial(0, (0.7, 0.1)), *trial(1, (0.6, 0.1), (0.9, 0.9), (0.5, 0.1))]))
    assert winner is not None
    assert (winner.trial, winner.epoch, winner.value, winner.hparams) == (1, 2, 0.9, {"lr": 1})
    assert winner.rule == rule(DEFAULT_OBJECTIVE, knows_loss=True)


def test_of_equal_accuracies_the_lower_loss_at_that_epoch_wins(build: Build) -> None:
    winner = select(build([START, *trial(0, (0.9, 0.4), (0.8, 0.1)), *trial(1, (0.9, 0.3))]))
    assert winner is not None
    assert winner.trial == 1


def test_of_equal_accuracies_and_losses_the_lower_number_wins(build: Build) -> None:
    winner = select(build([START, *trial(2, (0.9, 0.3)), *trial(1, (0.9, 0.3))]))
    assert winner is not None
    assert winner.trial == 1


def test_of_equals_by_the_first_objective_one_wins_that_no_other_is_better_than(build: Build) -> None:
    large, small = ([ModelMeasured(number, {"num_params": size})] for number, size in ((0, 65.0), (1, 24.0)))
    trials = [*trial(0, (0.9, 0.1)), *large, *trial(1, (0.9, 0.4)), *small, *trial(2, (0.8, 0.1))]
    several = StudyStarted({"search": {"objectives": ["dev_accuracy", "num_params"]}}, {})
    winner = select(build([several, *trials]))
    assert winner is not None
    assert winner.trial == 1
    assert "on the front of all objectives" in winner.rule
    alone = select(build([START, *trials]))
    assert alone is not None
    assert alone.trial == 0


def test_a_failed_trial_cannot_win_and_one_that_still_runs_can(build: Build) -> None:
    winner = select(build([START, *trial(0, (0.99, 0.1), failed=True), *trial(1, (0.5, 0.9))]))
    assert winner is not None
    assert winner.trial == 1


def test_a_loss_that_is_no_number_loses_a_tie(build: Build) -> None:
    winner = select(build([START, *trial(0, (0.9, math.nan)), *trial(1, (0.9, 5.0))]))
    assert winner is not None
    assert winner.trial == 1


def test_without_a_finished_epoch_there_is_no_winner(build: Build) -> None:
    assert select(build([START, *trial(0), *trial(1, (0.9, 0.1), failed=True)])) is None


def ended(candidate: str, seed: int, dev: float, test: float) -> RetrainEnded:
    found = {"dev": {"accuracy": dev, "loss": 0.1, "n": 10}, "test": {"accuracy": test, "loss": 0.1, "n": 10}}
    return RetrainEnded(candidate, seed, {}, 1, found, "w", "h")


def test_the_kept_retraining_is_tuned_and_best_on_dev_whatever_the_test_set_says(build: Build) -> None:
    history = build(
        [
            START,
            ended("tuned", 1, 0.8, 0.99),
            ended("tuned", 3, 0.9, 0.5),
            ended("tuned", 2, 0.9, 0.4),
            ended("baseline", 4, 0.95, 0.95),
        ]
    )
    kept = kept_retraining(history)
    assert kept is not None
    assert kept.seed == 2


@pytest.mark.parametrize(
    ("keep", "dev", "test", "kept"),
    [
        ("single", 0.95, 0.95, False),
        ("ensemble", 0.1, 0.1, True),
        ("auto", 0.91, 0.1, True),
        ("auto", 0.89, 0.99, False),
        ("auto", 0.9, 0.99, False),  # no better than the best single one, and dearer
    ],
)
def test_dev_decides_between_the_ensemble_and_the_best_retraining_unless_the_user_has(
    build: Build, keep: str, dev: float, test: float, kept: bool
) -> None:
    found = {"dev": {"accuracy": dev, "n": 10}, "test": {"accuracy": test, "n": 10}}
    started = StudyStarted({"retrain": {"keep": keep}}, {})
    history = build(
        [started, ended("tuned", 1, 0.8, 0.5), ended("tuned", 2, 0.9, 0.5), EnsembleMeasured([1, 2], found, "w", "h")]
    )
    assert (kept_ensemble(history) is not None) == kept


def test_nothing_is_kept_before_a_retraining_has_ended(searching: History) -> None:
    assert kept_retraining(searching) is None


def test_the_rules_never_name_the_test_set() -> None:
    assert '"test"' not in inspect.getsource(selection)
