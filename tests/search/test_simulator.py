from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.registry import build_search
from tuner.search.rules import TODAYS, Rules
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.simulator import Curve, Observation, simulate
from tuner.search.space import SearchSpace


def build(
    space: SearchSpace,
    scheduler: str,
    max_trials: int | None = 12,
    startup_trials: int = 4,
    *,
    rules: Rules = TODAYS,
) -> Search:
    return build_search(
        space,
        searcher="tpe",
        scheduler=scheduler,
        min_epochs=1,
        max_epochs=9,
        reduction_factor=3,
        startup_trials=startup_trials,
        max_trials=max_trials,
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
        rules=rules,
    )


def rising(hparams: Mapping[str, Any]) -> Curve:
    """Value rises with the epochs to x; a large x is slow."""
    x = hparams["x"]
    return Curve([x * epoch / 9 for epoch in range(1, 10)], [1.0 + x] * 9)


def observe(search: Search, workers: int = 3) -> list[Observation]:
    return [observation for observation, _ in simulate(search, rising, workers)]


@pytest.mark.parametrize("scheduler", ["asha", "asha-promote", "none"])
def test_every_epoch_of_a_trial_arrives_once_and_in_order(space: SearchSpace, scheduler: str) -> None:
    epochs: dict[int, list[int]] = {}
    for observation in observe(build(space, scheduler)):
        epochs.setdefault(observation.trial, []).append(observation.epoch)
    assert sorted(epochs) == list(range(12))
    assert all(of_trial == list(range(1, len(of_trial) + 1)) for of_trial in epochs.values())


def test_time_never_runs_backwards_and_a_lone_worker_is_never_idle(space: SearchSpace) -> None:
    observations = observe(build(space, "asha-promote"), workers=1)
    seconds = 0.0
    for observation, proposal in simulate(build(space, "asha-promote"), rising, 1):
        seconds += 1.0 + proposal.hparams["x"]
        assert observation.time == pytest.approx(seconds)
    assert [one.time for one in observations] == sorted(one.time for one in observations)


def test_a_lone_worker_waits_for_every_decision(space: SearchSpace) -> None:
    seconds, trials = 0.0, set()
    for observation, proposal in simulate(build(space, "none"), rising, 1, lambda: 0.25):
        seconds += 1.0 + proposal.hparams["x"] + (0.0 if observation.trial in trials else 0.25)
        trials.add(observation.trial)
        assert observation.time == pytest.approx(seconds)
        seconds += 0.25


def test_workers_wait_for_one_driver_one_after_another(space: SearchSpace) -> None:
    times = [observation.time for observation, _ in simulate(build(space, "none"), rising, 8, lambda: 10.0)]
    assert times[-1] >= 10.0 * (len(times) - 1)


def test_more_workers_need_less_time_for_the_same_trials(space: SearchSpace) -> None:
    one, four = (observe(build(space, "none"), workers)[-1].time for workers in (1, 4))
    assert one / 4.5 < four < one / 2.5


def test_workers_never_train_more_trials_at_once_than_there_are(space: SearchSpace) -> None:
    search = build(space, "none")
    for _ in simulate(search, rising, 2):
        assert len(search.running) <= 2


def test_equal_searches_give_equal_observations(space: SearchSpace) -> None:
    assert observe(build(space, "asha-promote")) == observe(build(space, "asha-promote"))


def test_a_promoted_trial_goes_on_where_it_paused(space: SearchSpace) -> None:
    observations = observe(build(space, "asha-promote", max_trials=24))
    paused = [one for one in observations if one.decision.action is Action.PAUSE]
    later = {one.trial: one.epoch for one in observations}
    assert any(later[one.trial] > one.epoch for one in paused)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("max_trials", [1, 2, 3, 5, 8])
def test_however_few_trials_there_are_one_has_a_full_training_and_none_waits_in_the_end(
    space: SearchSpace, max_trials: int, workers: int
) -> None:
    search = build(space, "asha-promote", max_trials)
    assert max(one.epoch for one in observe(search, workers)) == 9
    assert not search.paused


def test_the_best_of_a_rung_goes_on_only_when_nothing_else_is_to_be_done(space: SearchSpace) -> None:
    observations = observe(build(space, "asha-promote", max_trials=2), workers=2)
    first = next(place for place, one in enumerate(observations) if one.epoch == 4)
    assert {one.trial for one in observations[:first]} == {0, 1}
    assert [one.epoch for one in observations[:first]].count(3) == 2
    assert len({one.trial for one in observations[first:]}) == 1


def test_by_older_rules_a_small_search_ends_where_none_has_earned_its_promotion(space: SearchSpace) -> None:
    search = build(space, "asha-promote", max_trials=2, rules=Rules.of(6))
    assert max(one.epoch for one in observe(search)) == 3
    assert not search.paused


def test_a_space_of_two_configurations_is_trained_to_the_end(make_space: Callable[[str], SearchSpace]) -> None:
    two = make_space(
        'MODEL = "cnn"\nSTART = [{"x": 0.5}]\ndef suggest(trial):\n'
        '    return {"x": trial.suggest_categorical("x", [0.5, 0.75])}\n'
    )
    observations = observe(build(two, "asha-promote", max_trials=None))
    # The start passed the first rung, so it is the first at the second; then the other one, which is better.
    assert [one.trial for one in observations if one.epoch == 9] == [0, 1]


def test_a_search_without_a_limit_is_left_when_the_caller_has_seen_enough(
    make_space: Callable[[str], SearchSpace],
) -> None:
    wide = make_space(
        'MODEL = "cnn"\nSTART = [{"x": 0.5}]\ndef suggest(trial):\n    return {"x": trial.suggest_float("x", 0, 1)}\n'
    )
    search = build(wide, "asha", max_trials=None, startup_trials=1000)
    assert len(list(islice(simulate(search, rising, 2), 200))) == 200
