from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState as OptunaState

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.gp_searcher import GaussianProcessSearcher
from tuner.search.objective import NUM_PARAMS
from tuner.search.optuna_searcher import MIN_RESULTS, SAMPLERS, OptunaSearcher
from tuner.search.pace import Pace
from tuner.search.registry import build_search
from tuner.search.simulator import Curve, simulate
from tuner.search.space import SearchSpace
from tuner.search.trial import Origin, TrialState
from tuner.search.warm_start import fit_to_space, with_best_starts, without_starts

LEVELS = (1, 3, 9)
DEFAULTS = {"decay": 0.1}

NEW_SPACE = """
MODEL = "cnn"
START = [{"x": 0.5, "wide": 2.0, "added": 7, "fixed": 3, "decay": 0.2}]


def suggest(trial):
    return {
        "x": trial.suggest_float("x", 0.0, 1.0),
        "wide": trial.suggest_float("wide", 0.0, 4.0),
        "added": trial.suggest_int("added", 1, 9),
        "fixed": trial.suggest_int("fixed", 1, 9),
        "decay": trial.suggest_float("decay", 0.0, 0.5),
    }
"""


@pytest.fixture
def new_space(make_space: Callable[[str], SearchSpace]) -> SearchSpace:
    """A space that kept x, widened `wide`, dropped `gone`, added `added`, and searches what was fixed or a default."""
    return make_space(NEW_SPACE)


def earlier(
    number: int,
    params: Mapping[str, Any],
    values: Sequence[float] = (0.5,),
    *,
    state: TrialState = TrialState.PRUNED,
    stalled: bool = False,
    **hparams: Any,
) -> EarlierTrial:
    epochs = [EarlierEpoch(epoch, {"dev_accuracy": value}, 1.0, "there:1") for epoch, value in enumerate(values, 1)]
    return EarlierTrial(number, params, {**params, **hparams}, 100 + number, state, epochs, stalled)


def warm(*trials: EarlierTrial) -> WarmStart:
    return WarmStart(trials, DEFAULTS, reusable=True)


def _learnt(searcher: object) -> set[float]:
    """The values that a searcher begins with, of whatever trials at whatever levels."""
    if isinstance(searcher, GaussianProcessSearcher):
        return set(searcher.table.results(len(searcher.table))[2].tolist())
    assert isinstance(searcher, OptunaSearcher)
    return {trial.values[0] for study in searcher.studies.values() for trial in study.trials}


def test_an_earlier_trial_is_completed_with_what_it_was_trained_with_and_else_with_the_reference(
    new_space: SearchSpace,
) -> None:
    (fitted,) = fit_to_space(new_space, warm(earlier(4, {"x": 0.25, "wide": 1.0, "gone": 5}, fixed=8)))
    assert fitted.params == {"x": 0.25, "wide": 1.0, "added": 7, "fixed": 8, "decay": 0.1}
    assert fitted.hparams == fitted.params
    assert fitted.distributions["wide"] == FloatDistribution(0.0, 4.0)
    assert set(fitted.searched) == {"x", "wide"}


@pytest.mark.parametrize(
    "trial",
    [
        earlier(0, {"x": 1.5}),
        earlier(0, {"x": "a word"}),
        earlier(0, {"x": None}),
        earlier(0, {"gone": 1}),
        earlier(0, {"x": 0.5}, values=()),
        earlier(0, {"x": 0.5}, state=TrialState.FAILED),
    ],
    ids=["out of range", "another type", "null", "nothing in common", "no result", "failed"],
)
def test_what_does_not_fit_is_left_out(new_space: SearchSpace, trial: EarlierTrial) -> None:
    kept = earlier(1, {"x": 0.5, "wide": 1.0})
    assert [one.trial.number for one in fit_to_space(new_space, warm(trial, kept))] == [1]


def test_a_trial_of_the_same_space_comes_back_as_it_was(space: SearchSpace) -> None:
    params = {"x": 0.1, "kind": "b", "y": 5}
    (fitted,) = fit_to_space(space, warm(earlier(0, params)))
    assert fitted.params == params


def test_a_conditional_parameter_is_asked_for_only_where_it_counts(space: SearchSpace) -> None:
    (fitted,) = fit_to_space(space, warm(earlier(0, {"x": 0.1, "kind": "a", "y": 5})))
    assert fitted.params == {"x": 0.1, "kind": "a"}


def test_the_best_earlier_configuration_is_tried_behind_the_reference(space: SearchSpace) -> None:
    fitted = fit_to_space(
        space,
        warm(earlier(0, {"x": 0.1, "kind": "a"}, (0.9, 0.2)), earlier(1, {"x": 0.2, "kind": "a"}, (0.3, 0.8))),
    )
    begun = with_best_starts(space, fitted, DEFAULT_OBJECTIVE)
    assert begun.start == (space.start[0], {"x": 0.1, "kind": "a"}, space.start[1])
    searcher = OptunaSearcher(begun, None, LEVELS, seed=0, startup_trials=0, objectives=(DEFAULT_OBJECTIVE,))
    second = [searcher.propose(number) for number in range(3)][1]
    assert second is not None
    assert (second.params, second.origin) == ({"x": 0.1, "kind": "a"}, Origin.START)


def test_a_configuration_that_was_tried_twice_ranks_by_its_better_result(space: SearchSpace) -> None:
    a, b = {"x": 0.1, "kind": "a"}, {"x": 0.2, "kind": "a"}
    fitted = fit_to_space(space, warm(earlier(0, a, (0.9,)), earlier(1, b, (0.8,)), earlier(2, a, (0.1,))))
    assert with_best_starts(space, fitted, DEFAULT_OBJECTIVE).start[1] == a
    assert with_best_starts(space, fitted, DEFAULT_OBJECTIVE, most=2).start[1:3] == (a, b)


def test_a_best_that_is_a_start_configuration_is_not_tried_twice(space: SearchSpace) -> None:
    fitted = fit_to_space(space, warm(earlier(0, dict(space.start[1]), (0.9,)), earlier(1, {"x": 0.2, "kind": "a"})))
    assert with_best_starts(space, fitted, DEFAULT_OBJECTIVE) is space
    # It will be a trial of the new search, and must not count twice.
    assert [one.trial.number for one in without_starts(space, fitted)] == [1]


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (earlier(0, {}, (0.5, 0.7, 0.6)), {1: 0.5, 3: 0.7, 9: None}),
        (earlier(0, {}, (0.5, 0.7), state=TrialState.COMPLETE, stalled=True), {1: 0.5, 3: 0.7, 9: 0.7}),
        (earlier(0, {}, (0.5, 0.7), state=TrialState.COMPLETE), {1: 0.5, 3: None, 9: None}),
        (earlier(0, {}, ()), {1: None, 3: None, 9: None}),
    ],
    ids=["pruned", "stalled", "complete after a shorter training", "without results"],
)
def test_a_trial_is_known_at_the_levels_it_reached(trial: EarlierTrial, expected: dict[int, float | None]) -> None:
    best = {level: trial.best_at(level, DEFAULT_OBJECTIVE) for level in LEVELS}
    assert {level: one and one.metrics["dev_accuracy"] for level, one in best.items()} == expected


@pytest.mark.parametrize("searcher", ["gp", "tpe"])
def test_where_rungs_come_by_cost_a_cheap_trial_is_known_where_it_had_had_as_much(
    space: SearchSpace, searcher: str
) -> None:
    values = (0.5, 0.6, 0.4, 0.55, 0.58, 0.65)
    cheap = replace(earlier(0, {"x": 0.1, "kind": "a"}, values), relative_cost=0.5)
    unknown = earlier(1, {"x": 0.2, "kind": "a"}, values)

    def known(pace: Pace | None) -> list[list[float | None]]:
        fitted = fit_to_space(space, warm(cheap, unknown), pace)
        best = [[one.best_at(level, DEFAULT_OBJECTIVE) for level in LEVELS] for one in fitted]
        return [[None if epoch is None else epoch.metrics["dev_accuracy"] for epoch in one] for one in best]

    by_epochs = [0.5, 0.6, None]
    assert known(Pace(LEVELS, unit_seconds=60.0)) == [[0.6, 0.65, None], by_epochs]
    assert known(Pace(LEVELS)) == known(None) == [by_epochs, by_epochs]

    search = build_search(
        space,
        searcher=searcher,
        scheduler="asha-promote",
        min_epochs=None,
        max_epochs=LEVELS[-1],
        reduction_factor=3,
        startup_trials=0,
        max_trials=None,
        warm_start=warm(cheap, unknown, earlier(2, {"x": 0.3, "kind": "a"}, (0.9,))),  # the last is a start
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
        levels=LEVELS,
        pace=Pace(LEVELS, unit_seconds=60.0),
    )
    assert _learnt(search._searcher) == {0.6, 0.65, 0.5}


def test_the_model_is_told_honestly_what_the_earlier_trials_were(space: SearchSpace) -> None:
    fitted = fit_to_space(
        space,
        warm(
            earlier(7, {"x": 0.1, "kind": "a"}, (0.5, 0.6, 0.7)),
            earlier(8, {"x": 0.2, "kind": "a"}, (0.5, 0.6, 0.7), state=TrialState.COMPLETE),
        ),
    )
    searcher = OptunaSearcher(
        space, SAMPLERS["tpe"], LEVELS, seed=0, startup_trials=0, earlier=fitted, objectives=(DEFAULT_OBJECTIVE,)
    )
    complete = OptunaState.COMPLETE
    assert searcher.studies[1].states() == {-1: complete, -2: complete}
    assert searcher.studies[3].states() == {-1: complete, -2: complete}
    # Nobody asked what they are worth after nine epochs, and that an earlier run went on with others is no verdict.
    assert searcher.studies[9].states() == {}


def test_a_model_of_several_objectives_is_told_only_of_trials_that_were_measured(space: SearchSpace) -> None:
    trials = [
        earlier(7, {"x": 0.1, "kind": "a"}, (0.5, 0.6, 0.7)),
        replace(earlier(8, {"x": 0.2, "kind": "a"}, (0.4, 0.5)), measures={"num_params": 120.0, "latency": 0.1}),
        replace(earlier(9, {"x": 0.3, "kind": "a"}, (0.6,)), measures={"latency": 0.1}),
    ]
    searcher = OptunaSearcher(
        space,
        SAMPLERS["tpe"],
        LEVELS,
        seed=0,
        startup_trials=0,
        earlier=fit_to_space(space, warm(*trials)),
        objectives=(DEFAULT_OBJECTIVE, NUM_PARAMS),
    )
    assert [trial.values for trial in searcher.studies[1].trials] == [[0.4, 120.0]]
    # Its accuracy was too low to go on; that it is far from the front does not follow.
    assert searcher.studies[3].states() == {}


def test_earlier_trials_count_towards_the_start_up(space: SearchSpace) -> None:
    trials = [earlier(n, {"x": n / 10, "kind": "a"}, (n / 10,)) for n in range(MIN_RESULTS)]
    fitted = fit_to_space(space, warm(*trials))

    def origin(startup_trials: int) -> Origin:
        searcher = OptunaSearcher(
            space,
            SAMPLERS["tpe"],
            LEVELS,
            seed=0,
            startup_trials=startup_trials,
            earlier=fitted,
            objectives=(DEFAULT_OBJECTIVE,),
        )
        proposal = searcher.propose(2)
        assert proposal is not None
        return proposal.origin

    assert origin(MIN_RESULTS + 2) is Origin.MODEL
    assert origin(MIN_RESULTS + 3) is Origin.RANDOM


def _distance_from_best(space: SearchSpace, warm_start: WarmStart | None, seed: int) -> float:
    """Return the mean distance of x from its best value over ten trials of a search."""
    search = build_search(
        space,
        searcher="tpe",
        scheduler="asha-promote",
        min_epochs=1,
        max_epochs=9,
        reduction_factor=3,
        startup_trials=10,
        max_trials=12,
        warm_start=warm_start,
        objectives=(DEFAULT_OBJECTIVE,),
        seed=seed,
    )

    def curve(hparams: Mapping[str, Any]) -> Curve:
        return Curve([(1 - abs(hparams["x"] - 0.83)) * epoch / 9 for epoch in range(1, 10)], [1.0] * 9)

    proposals = [proposal for _, proposal in simulate(search, curve, workers=1)]
    xs: dict[int, float] = {proposal.number: proposal.hparams["x"] for proposal in proposals}
    proposed = [abs(x - 0.83) for number, x in xs.items() if number >= 2]
    return sum(proposed) / len(proposed)


def test_a_warm_search_begins_where_the_earlier_one_was_good_though_the_space_has_changed(
    new_space: SearchSpace,
) -> None:
    trials = [
        earlier(n, {"x": n / 40, "wide": (n % 7) / 7, "gone": n}, ((1 - abs(n / 40 - 0.83)) / 9,)) for n in range(41)
    ]
    means = [
        sum(_distance_from_best(new_space, warm_start, seed) for seed in range(3)) / 3
        for warm_start in (warm(*trials), None)
    ]
    assert means[0] < 0.6 * means[1]
