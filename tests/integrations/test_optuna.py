"""Tests of the Optuna adapter: an objective as people write it, a report at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import optuna
import pytest
import torch

from tuner.errors import InfeasibleTrialError
from tuner.integrations.optuna import ObjectiveError, ObjectiveFunction, ObjectiveRun, ObjectiveTraining, spec_of
from tuner.training.trainable import TrainingOver


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -1.0, 1.0)
    depth = trial.suggest_int("depth", 1, 3)
    for layer in range(depth):
        trial.suggest_float(f"width_{layer}", 1.0, 64.0, log=True)
    value = 10.0
    for step in range(4):
        value = value / 2 + x
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def values(run: ObjectiveRun) -> list[float]:
    found = []
    while (value := run.next_value()) is not None:
        found.append(value)
    return found


def test_each_report_is_handed_over_and_an_equal_return_is_no_report() -> None:
    assert values(ObjectiveRun(objective, {"x": 0.0, "depth": 1}, seed=0)) == [5.0, 2.5, 1.25, 0.625]


def test_the_objective_waits_between_two_reports() -> None:
    lines: list[str] = []

    def told(trial: optuna.Trial) -> float:
        lines.append("trained")
        trial.report(1.0, 0)
        lines.append("trained again")
        return 2.0

    run = ObjectiveRun(told, {}, seed=0)
    assert run.next_value() == 1.0
    assert lines == ["trained"]
    assert values(run) == [2.0]
    assert lines == ["trained", "trained again"]


def test_an_objective_that_reports_nothing_has_its_return_as_its_one_value() -> None:
    assert values(ObjectiveRun(lambda trial: trial.suggest_float("x", 0, 1), {"x": 0.25}, seed=0)) == [0.25]


def test_what_was_not_proposed_is_drawn_from_the_seed() -> None:
    def params(seed: int) -> dict[str, Any]:
        run = ObjectiveRun(objective, {"depth": 2}, seed=seed)
        run.next_value()
        run.close()
        return run.params

    assert params(1).keys() == {"x", "depth", "width_0", "width_1"}
    assert params(1) == params(1)
    assert params(1) != params(2)
    assert params(1)["depth"] == params(2)["depth"] == 2


def test_what_is_drawn_does_not_hang_on_what_else_was_proposed() -> None:
    def late(trial: optuna.Trial) -> float:
        first = trial.suggest_float("first", 0.0, 1.0)
        trial.report(first, 0)
        return first + trial.suggest_float("second", 0.0, 1.0)

    undisturbed, begun_again = (ObjectiveRun(late, proposed, seed=7) for proposed in ({}, {"first": 0.25}))
    values(undisturbed)
    values(begun_again)
    assert undisturbed.params["second"] == begun_again.params["second"]
    assert undisturbed.params["first"] != undisturbed.params["second"]


@pytest.mark.parametrize("proposed", [{"x": 5.0}, {"x": "wide"}, {"x": None}])
def test_a_proposal_that_does_not_fit_what_is_asked_for_is_not_used(proposed: dict[str, Any]) -> None:
    run = ObjectiveRun(objective, {**proposed, "depth": 1}, seed=3)
    run.next_value()
    run.close()
    assert -1.0 <= run.params["x"] <= 1.0


@pytest.mark.parametrize("proposed", [[64, 32], (64, 32)])
def test_of_choices_that_are_tuples_the_proposed_one_is_taken_and_comes_back_as_it_was_listed(proposed: Any) -> None:
    choices = [(64,), (64, 32), (16, 16), (8,), (4,), (2,), (1,)]
    seen: list[Any] = []

    def layered(trial: optuna.Trial) -> float:
        seen.append(trial.suggest_categorical("layers", choices))  # type: ignore[arg-type]
        return 1.0

    for seed in range(4):
        values(ObjectiveRun(layered, {"layers": proposed}, seed=seed))
    assert seen == [(64, 32)] * 4


def test_an_objective_that_asks_learns_that_it_is_pruned() -> None:
    ended: list[str] = []

    def asks(trial: optuna.Trial) -> float:
        try:
            return objective(trial)
        except optuna.TrialPruned:
            ended.append("pruned")
            raise

    run = ObjectiveRun(asks, {}, seed=0)
    run.next_value()
    run.close()
    assert ended == ["pruned"]
    assert run.next_value() is None


def test_an_objective_that_never_asks_ends_at_its_next_report() -> None:
    reports: list[int] = []

    def stubborn(trial: optuna.Trial) -> float:
        for step in range(100):
            reports.append(step)
            trial.report(float(step), step)
        return 0.0

    run = ObjectiveRun(stubborn, {}, seed=0)
    run.next_value()
    run.close()
    assert reports == [0, 1]
    assert not any(thread.name == "taking turns" for thread in threading.enumerate())


def test_what_the_objective_raises_reaches_the_one_who_asks_with_its_line() -> None:
    def fails(trial: optuna.Trial) -> float:
        trial.report(1.0, 0)
        raise RuntimeError("no such layer")

    run = ObjectiveRun(fails, {}, seed=0)
    assert run.next_value() == 1.0
    with pytest.raises(RuntimeError, match="no such layer") as raised:
        run.next_value()
    assert raised.traceback[-1].name == "fails"


def test_an_objective_that_prunes_itself_says_so() -> None:
    def infeasible(trial: optuna.Trial) -> float:
        raise optuna.TrialPruned("too wide")

    with pytest.raises(optuna.TrialPruned, match="too wide"):
        ObjectiveRun(infeasible, {}, seed=0).next_value()


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [((0.5, 3.0), "2 values"), (None, "returned None"), ("good", "'good'"), (float("nan"), "NaN")],
)
def test_what_cannot_be_compared_is_refused(returned: Any, sentence: str) -> None:
    with pytest.raises(ObjectiveError, match=sentence):
        ObjectiveRun(lambda trial: returned, {}, seed=0).next_value()


def training_of(called: ObjectiveFunction, **proposed: Any) -> ObjectiveTraining:
    spec = spec_of("mine", called)
    made = spec.factory(proposed, None, seed=0, device=torch.device("cpu"))
    assert isinstance(made, ObjectiveTraining)
    assert not spec.saves_state
    return made


def test_as_a_training_each_report_is_an_epoch_and_the_return_is_its_end() -> None:
    training = training_of(objective, x=0.0, depth=1)
    assert [training.train_epoch() for _ in range(4)] == [{"dev_value": value} for value in (5.0, 2.5, 1.25, 0.625)]
    with pytest.raises(TrainingOver):
        training.train_epoch()
    assert training.evaluate(None) == {}


def test_as_a_training_it_tells_what_was_asked_for() -> None:
    training = training_of(objective, x=0.5, depth=1)
    training.train_epoch()
    params, distributions = training.asked
    training.close()
    assert params.keys() == distributions.keys() == {"x", "depth", "width_0"}
    assert (params["x"], params["depth"]) == (0.5, 1)


@pytest.mark.parametrize(("reports", "error"), [(0, InfeasibleTrialError), (1, TrainingOver)])
def test_an_objective_that_prunes_itself_at_once_is_infeasible_and_later_it_is_over(
    reports: int, error: type[Exception]
) -> None:
    def gives_up(trial: optuna.Trial) -> float:
        for step in range(reports):
            trial.report(1.0, step)
        raise optuna.TrialPruned("too wide")

    training = training_of(gives_up)
    for _ in range(reports):
        training.train_epoch()
    with pytest.raises(error):
        training.train_epoch()


def test_the_objective_s_thread_computes_with_the_threads_of_its_process() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert training_of(lambda trial: float(torch.get_num_threads())).train_epoch() == {"dev_value": 1.0}
    finally:
        torch.set_num_threads(before)


def test_it_is_a_real_trial_with_what_optuna_has_beside() -> None:
    def curious(trial: optuna.Trial) -> float:
        trial.set_user_attr("note", "kept")
        assert trial.user_attrs == {"note": "kept"}
        assert trial.suggest_categorical("kind", ["a", "b"]) == trial.params["kind"]
        assert trial.suggest_float("x", 0, 1) == trial.suggest_float("x", 0, 1)
        return 1.0

    assert values(ObjectiveRun(curious, {}, seed=0)) == [1.0]


def test_a_call_that_never_began_is_closed_at_once() -> None:
    never: Callable[[optuna.Trial], float] = lambda trial: 1.0  # noqa: E731
    ObjectiveRun(never, {}, seed=0).close()
