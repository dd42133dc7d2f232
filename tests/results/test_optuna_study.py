from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, distribution_to_json
from optuna.trial import TrialState

from tests.results.conftest import epoch
from tuner.errors import ConfigError, JournalError
from tuner.journal.events import Event, StudyStarted, TrialEnded, TrialProposed
from tuner.journal.history import History
from tuner.results.optuna_study import LEFT_OUT, to_study
from tuner.search import trial as trials
from tuner.search.objective import Objective

Build = Callable[[Sequence[Event]], History]


def _proposed(number: int, distribution: BaseDistribution, **params: object) -> TrialProposed:
    distributions = {name: distribution_to_json(distribution) for name in params}
    return TrialProposed(number, params, distributions, {**params, "more": 1}, trials.Origin.RANDOM, 7)


def _complete(number: int) -> TrialEnded:
    return TrialEnded(number, trials.TrialState.COMPLETE, "after all")


@pytest.fixture
def study(finished: History) -> optuna.Study:
    return to_study(finished)


def test_trials_have_optunas_states_and_the_values_by_which_the_winner_is_chosen(study: optuna.Study) -> None:
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in study.trials] == states
    assert [trial.value for trial in study.trials] == [0.90, 0.70, None, None]
    assert study.best_trial.number == study.user_attrs["winner"] == 0
    assert study.metric_names == ["dev_accuracy"]


def test_every_epoch_is_an_intermediate_value_and_our_columns_are_user_attributes(study: optuna.Study) -> None:
    first = study.trials[0]
    assert first.intermediate_values == {1: 0.80, 2: 0.90, 3: 0.85}
    found = {name: first.user_attrs[name] for name in ("state", "seed", "best_epoch", "worker", "num_params")}
    assert found == {"state": "COMPLETE", "seed": 100, "best_epoch": 2, "worker": "desk:2", "num_params": 1000}
    assert first.user_attrs["best_epoch_dev_loss"] == 0.5
    assert "ValueError" in study.trials[2].user_attrs["error"]


def test_optuna_analyses_the_parameters_under_the_users_names(build: Build) -> None:
    events: list[Event] = [StudyStarted({}, {})]
    for number, lr in enumerate((0.1, 0.2, 0.3, 0.4)):
        events += [_proposed(number, FloatDistribution(0, 1), lr=lr, drop=0.1 * (number % 2))]
        events += [epoch(number, 1, lr), _complete(number)]
    study = to_study(build(events))
    assert [trial.params["lr"] for trial in study.trials] == [0.1, 0.2, 0.3, 0.4]
    assert study.trials[0].user_attrs["hparams"] == {"lr": 0.1, "drop": 0.0, "more": 1}
    assert list(optuna.importance.get_param_importances(study)) == ["lr", "drop"]


def test_times_are_those_of_the_journal(study: optuna.Study) -> None:
    assert [trial.datetime_complete is None for trial in study.trials] == [False, False, False, True]
    duration = study.trials[0].duration
    assert duration is not None
    assert duration.total_seconds() == 0  # the journal of this run was written at one moment


def test_two_objectives_have_two_directions_and_a_stopped_trial_no_value(
    two_objectives: list[Event], build: Build
) -> None:
    study = to_study(build(two_objectives))
    assert [one.name for one in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].values == [0.90, 1000.0]
    assert study.trials[1].values is None


def test_a_minimised_value_stays_as_the_user_knows_it(build: Build) -> None:
    opening = StudyStarted({}, {}, objective=Objective("dev_loss", "minimize"))
    events: list[Event] = [
        opening,
        _proposed(0, FloatDistribution(0, 1), lr=0.5),
        epoch(0, 1, 0.9, 0.4),
        epoch(0, 2, 0.9, 0.3),
    ]
    study = to_study(build([*events, _complete(0)]))
    assert study.best_value == 0.3
    assert study.direction.name == "MINIMIZE"


def test_choices_that_change_between_trials_are_kept_as_an_attribute(build: Build, tmp_path: Path) -> None:
    events: list[Event] = [StudyStarted({}, {})]
    for number, choices in enumerate((["a", "b"], ["a", "c"])):
        events += [_proposed(number, CategoricalDistribution(choices), x=choices[1]), epoch(number, 1, 0.5)]
        events += [_complete(number)]
    study = to_study(build(events), f"sqlite:///{tmp_path}/study.db")
    assert study.trials[0].params == {"x": "b"}
    assert study.trials[1].params == {}
    assert study.trials[1].user_attrs[LEFT_OUT] == {"x": "c"}


def test_a_storage_is_written_once(finished: History, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    to_study(finished, storage, "mine")
    read = optuna.load_study(study_name="mine", storage=storage)
    assert read.trials[0].intermediate_values == {1: 0.80, 2: 0.90, 3: 0.85}
    with pytest.raises(ConfigError, match="holds a study called 'mine' already"):
        to_study(finished, storage, "mine")


@pytest.mark.parametrize(
    ("distributions", "params"),
    [({"x": "{}"}, {"x": 1}), ({"x": json.dumps(None)}, {"x": 1}), ({}, {"x": 1})],
)
def test_parameters_that_are_none_of_optunas_are_refused_or_kept_as_attributes(
    build: Build, distributions: dict[str, str], params: dict[str, int]
) -> None:
    proposal = TrialProposed(0, params, distributions, params, trials.Origin.RANDOM, 0)
    history = build([StudyStarted({}, {}), proposal])
    if distributions:
        with pytest.raises(JournalError, match="the parameters of trial 0"):
            to_study(history)
    else:
        assert to_study(history).trials[0].user_attrs[LEFT_OUT] == params


def test_a_run_without_trials_is_an_empty_study(nothing: History) -> None:
    assert to_study(nothing).trials == []


def test_who_only_writes_tables_does_not_wait_for_optuna() -> None:
    code = "import sys, tuner.results.tables; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
