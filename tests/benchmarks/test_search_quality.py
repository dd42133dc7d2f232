"""The comparison in small, without data files: enough to see that every method runs and that the default searches."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from tests.benchmarks import lcbench, rbv2_xgboost
from tests.benchmarks.believing import belief
from tests.benchmarks.child_peers import PEERS
from tests.benchmarks.child_protocol import ByBudget, Wanted
from tests.benchmarks.power_law import EPOCHS, curve, hartmann6
from tests.benchmarks.problem import load_problem, tasks_of
from tests.benchmarks.search_quality import METHODS, Arguments, Result, main, mean_ranks, search
from tests.benchmarks.warm_started import earlier_trials
from tuner.search.quiet import quiet_study
from tuner.search.trial import TrialState

pytestmark = pytest.mark.timeout(180)  # none takes long, but all together: begun early


class Scripted(ByBudget):
    """A library that wants what it is told to want, and remembers what it was told."""

    def __init__(self, *wanted: tuple[str, int]) -> None:
        super().__init__(9)
        self.wanted = list(wanted)
        self.told: list[tuple[str, float]] = []

    def ask(self) -> Wanted:
        name, epochs = self.wanted.pop(0)
        return Wanted(name, {"name": name}, epochs, name)

    def tell(self, handle: str, value: float) -> None:
        self.told.append((handle, value))


def test_the_hartmann_function_has_its_known_maximum_where_it_is_known_to_be() -> None:
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


@pytest.mark.parametrize("method", [name for name in METHODS if name not in PEERS])  # those would download packages
def test_every_method_is_measured_at_every_mark_and_alike_each_time(method: str) -> None:
    first = search(method, "power-law", None, "0", 1, 2, 4)
    assert sorted(first.by_epochs) == sorted(first.by_seconds) == [1, 2, 4]
    assert first.by_epochs[4] <= first.by_epochs[1]
    if method != "ray-default":  # Ray names its trials at random, and nothing else of it is
        assert search(method, "power-law", None, "0", 1, 2, 4).by_epochs == first.by_epochs


def test_a_peer_that_wants_budgets_is_told_there_and_a_trial_goes_on_where_it_was() -> None:
    library = Scripted(("a", 1), ("b", 3), ("a", 9))
    assert library.next() == {"number": 0, "config": {"name": "a"}}
    assert library.next() == {"number": 1, "config": {"name": "b"}}
    assert library.report(0, 1, 0.5) == "PAUSE"
    assert library.next() == {"number": 0, "config": {"name": "a"}}
    assert [library.report(1, epoch, epoch / 10) for epoch in (1, 2, 3)] == ["CONTINUE", "CONTINUE", "PAUSE"]
    assert [library.report(0, epoch, epoch / 10) for epoch in range(2, 10)] == ["CONTINUE"] * 7 + ["COMPLETE"]
    assert library.told == [("a", 0.5), ("b", 0.3), ("a", 0.9)]


def test_a_peer_that_wants_more_of_a_trial_that_still_trains_does_not_have_it_trained_twice() -> None:
    library = Scripted(("a", 1), ("a", 3), ("b", 1))
    assert [library.next(), library.next()] == [
        {"number": 0, "config": {"name": "a"}},
        {"number": 1, "config": {"name": "b"}},
    ]
    assert [library.report(0, epoch, epoch / 10) for epoch in (1, 2, 3)] == ["CONTINUE", "CONTINUE", "PAUSE"]
    assert library.told == [("a", 0.1), ("a", 0.3)]


def test_the_default_search_beats_random_search_and_a_search_without_early_stopping() -> None:
    found = main(Arguments(seeds=2, trainings=16, methods="default,random,tpe-full"))
    regret = {name: method["after_epochs_of"]["16"]["mean"] for name, method in found["methods"].items()}
    assert regret["default"] < regret["random"]
    assert regret["default"] < regret["tpe-full"]


def test_a_warm_start_brings_something_early_and_most_where_the_space_has_not_changed() -> None:
    found = main(Arguments(seeds=4, trainings=5, methods="default,warm-same,warm-changed"))
    regret = {name: method["after_epochs_of"]["5"]["mean"] for name, method in found["methods"].items()}
    assert regret["warm-same"] < regret["warm-changed"] < regret["default"]


def test_a_belief_is_in_a_good_or_a_bad_configuration_of_the_space_and_differs_by_seed() -> None:
    problem = load_problem("power-law", None, "0")
    right, wrong = ([max(curve(belief(problem, seed, rank)).values) for seed in range(8)] for rank in (0, 180))
    assert np.mean(wrong) < problem.median < np.mean(right)
    assert belief(problem, 0, 0) == belief(problem, 0, 0) != belief(problem, 1, 0)


def test_the_earlier_search_is_what_its_journal_would_tell_of_ten_trainings() -> None:
    problem = load_problem("power-law", None, "0")
    assert problem.suggest_before is not None
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
    problem = load_problem("power-law", None, "0")
    assert problem.median < problem.best <= 1.0


def test_a_search_that_is_in_the_file_of_results_is_not_made_again(tmp_path: Path) -> None:
    arguments = Arguments(seeds=1, trainings=4, methods="random", results=tmp_path / "results.jsonl")
    first = main(arguments)
    assert main(arguments) == first
    assert main(replace(arguments, seeds=2))["methods"]["random"]["searches"] == 2
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2


def test_ranks_compare_methods_on_the_same_task_and_seed() -> None:
    regrets = {("a", "1"): 0.1, ("b", "1"): 0.2, ("a", "2"): 0.3, ("b", "2"): 0.3}
    results = [Result(method, task, 0, by_epochs={4: regret}) for (method, task), regret in regrets.items()]
    assert mean_ranks(results) == {"4": {"a": 1.25, "b": 1.75}}


@pytest.mark.parametrize(("family", "folder"), [("lcbench", "lcbench"), ("rbv2", "rbv2_xgboost")])
def test_a_surrogate_has_a_curve_that_is_searched_by_its_own_space(family: str, folder: str) -> None:
    surrogate = Path(os.environ.get("TUNER_DATA_DIR", "")) / folder
    if not surrogate.is_dir():
        pytest.skip("the surrogate's files are not in TUNER_DATA_DIR")
    task = tasks_of(family, "tuning")[0]
    of_task = (lcbench if family == "lcbench" else rbv2_xgboost).Surrogate(surrogate, int(task))
    suggest = lcbench.suggest if family == "lcbench" else rbv2_xgboost.suggest
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask()) for _ in range(30)]
    values, seconds = of_task.curves(drawn)
    assert of_task.curve(drawn[0]).values == pytest.approx(values[0])
    assert (seconds > 0).all()
    assert ((values > 0) & (values <= 1)).all()
    assert np.corrcoef(values[:, values.shape[1] // 3], values[:, -1])[0, 1] > 0.5
