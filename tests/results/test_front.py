from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.metrics import metrics
from tuner.errors import ConfigError
from tuner.journal.events import EpochReported, Event, ModelMeasured, StudyStarted, TrialProposed
from tuner.journal.history import History
from tuner.results.front import objectives_of_run, placed_trials
from tuner.search.trial import Origin

Build = Callable[[Sequence[Event]], History]


def study(*objectives: str) -> StudyStarted:
    return StudyStarted({"search": {"objectives": list(objectives)}}, {})


def trial(number: int, accuracy: float, measures: dict[str, float]) -> list[Event]:
    return [
        TrialProposed(number, {}, {}, {}, Origin.RANDOM, 0),
        ModelMeasured(number, measures),
        EpochReported(number, 1, metrics(0.6, 0.8, 0.5, accuracy, 0.01), 2.0, "desk:1"),
    ]


@pytest.mark.parametrize("config", [{}, {"search": {}}, {"search": {"patience": 3}}])
def test_a_run_from_before_there_was_a_choice_looks_for_dev_accuracy(build: Build, config: dict[str, Any]) -> None:
    assert [one.metric for one in objectives_of_run(build([StudyStarted(config, {})]))] == ["dev_accuracy"]


def test_an_objective_of_a_newer_version_is_refused_in_a_sentence(build: Build) -> None:
    with pytest.raises(ConfigError, match="'flops' is none of"):
        objectives_of_run(build([study("dev_accuracy", "flops")]))


def test_with_one_objective_no_trial_is_placed(finished: History) -> None:
    assert placed_trials(finished) == []


def test_trials_are_placed_by_the_best_they_have_shown_and_failed_ones_are_not(
    build: Build, two_objectives: list[Event]
) -> None:
    placed = placed_trials(build(two_objectives))
    # Trial 1 was stopped at its first rung; trial 2 failed, and would dominate both; trial 3 has not begun.
    found = [(one.trial, one.state.value, one.epochs, one.values, one.is_on_front) for one in placed]
    assert found == [(0, "COMPLETE", 3, (0.90, 1000.0), True), (1, "PRUNED", 1, (0.70, 400.0), True)]


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        (("dev_accuracy", "num_params"), [0, 2]),
        (("dev_accuracy", "latency"), [0, 1, 2, 3]),
        (("dev_accuracy", "latency", "num_params"), [0, 2, 3]),
    ],
    ids=lambda value: ",".join(map(str, value)),
)
def test_the_front_is_that_of_the_runs_objectives(
    build: Build, objectives: tuple[str, ...], expected: list[int]
) -> None:
    cases = [(0.9, 100.0, 0.3), (0.8, 100.0, 0.2), (0.8, 50.0, 0.2), (0.7, 60.0, 0.1), (0.6, 60.0, 0.3)]
    events: list[Event] = [study(*objectives)]
    for number, (accuracy, params, latency) in enumerate(cases):
        events += trial(number, accuracy, {"num_params": params, "latency": latency})
    assert [one.trial for one in placed_trials(build(events)) if one.is_on_front] == expected


@pytest.mark.parametrize("measures", [{}, {"latency": 0.1}, {"params": float("nan")}])
def test_a_trial_of_which_an_objective_is_not_known_is_not_placed(build: Build, measures: dict[str, float]) -> None:
    assert placed_trials(build([study("dev_accuracy", "num_params"), *trial(0, 0.9, measures)])) == []
