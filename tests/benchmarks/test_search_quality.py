"""The comparison in small, without data files: enough to see that every method runs and that the default searches."""

from __future__ import annotations

import pytest

from tests.benchmarks.power_law import EPOCHS, curve, hartmann6
from tests.benchmarks.problem import load_problem
from tests.benchmarks.search_quality import METHODS, Arguments, main, search
from tests.benchmarks.warm_started import earlier_trials
from tuner.search.trial import TrialState


def test_the_hartmann_function_has_its_known_maximum_where_it_is_known_to_be() -> None:
    import numpy as np

    known = np.array([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573])
    assert hartmann6(known) == pytest.approx(1.0, abs=1e-5)


def test_curves_of_the_family_cross() -> None:
    point = dict.fromkeys((f"x{index}" for index in range(6)), 0.3)
    fast, slow = (curve({**point, "speed": speed, "width": 2.0}) for speed in (1.5, 0.3))
    better = curve(
        {**point, "x0": 0.2, "x1": 0.15, "x2": 0.477, "x3": 0.275, "x4": 0.312, "x5": 0.657, "speed": 0.5, "width": 2.0}
    )
    assert len(fast.values) == EPOCHS
    assert fast.values[1] > slow.values[1]
    assert fast.values[0] > better.values[0] - 1.0
    assert better.values[-1] > fast.values[-1]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_measured_at_every_mark_and_alike_each_time(method: str) -> None:
    first = search(method, None, "0", 1, 2, 4)
    assert sorted(first.by_epochs) == sorted(first.by_seconds) == [1, 2, 4]
    assert first.by_epochs[4] <= first.by_epochs[1]
    if method != "ray-default":  # Ray names its trials at random, and nothing else of it is
        assert search(method, None, "0", 1, 2, 4).by_epochs == first.by_epochs


def test_the_default_search_beats_random_search_and_a_search_without_early_stopping() -> None:
    found = main(Arguments(seeds=4, trainings=16, methods="default,random,tpe-full"))
    regret = {name: method["after_epochs_of"]["16"]["mean"] for name, method in found["methods"].items()}
    assert regret["default"] < regret["random"]
    assert regret["default"] < regret["tpe-full"]


def test_a_warm_start_brings_something_early_and_most_where_the_space_has_not_changed() -> None:
    found = main(Arguments(seeds=6, trainings=10, methods="default,warm-same,warm-changed"))
    regret = {name: method["after_epochs_of"]["5"]["mean"] for name, method in found["methods"].items()}
    assert regret["warm-same"] < regret["warm-changed"] < regret["default"]


def test_the_earlier_search_is_what_its_journal_would_tell_of_ten_trainings() -> None:
    problem = load_problem(None, "0")
    reference = {**dict.fromkeys((f"x{index}" for index in range(6)), 0.5), "speed": 1.0, "width": 2.0}
    trials = earlier_trials(problem.suggest_before, problem, 1, reference)
    assert sum(len(trial.epochs) for trial in trials) == 10 * EPOCHS
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        assert (trial.state is TrialState.COMPLETE) == (len(trial.epochs) == EPOCHS)
        assert [report.metrics["dev_accuracy"] for report in trial.epochs] == curve(trial.hparams).values[
            : len(trial.epochs)
        ]
        assert trial.hparams.keys() - trial.params.keys() == {"x4", "x5"}


def test_the_best_of_many_random_configurations_has_no_regret() -> None:
    problem = load_problem(None, "0")
    assert problem.median < problem.best <= 1.0
