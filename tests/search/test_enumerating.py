"""Tests of what is left of a small space."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json

from tuner.search.enumerating import untried
from tuner.search.learned_space import LearnedSpace
from tuner.search.objective import Objective
from tuner.search.registry import build_search
from tuner.search.rules import TODAYS, Rules
from tuner.search.search import Search
from tuner.search.space import SearchSpace
from tuner.search.tried import Tried

DEPTH = 14


def chain(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """Ask on and on, each time half as likely: the last of 15 configurations is met in one draw of 16,000."""
    depth = 0
    while depth < DEPTH and trial.suggest_categorical(f"goes_on_{depth}", [False, True]):
        depth += 1
    return {"depth": depth}


def mixed(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    kinds: list[Any] = ["a", (1, 2), None]
    return {
        "count": trial.suggest_int("count", 1, 64, log=True),
        "share": trial.suggest_float("share", 0.1, 0.3, step=0.1),
        "kind": trial.suggest_categorical("kind", kinds),
    }


def odd(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    count = trial.suggest_int("count", 0, 9)
    if count % 2 == 0:
        raise optuna.TrialPruned
    return {"count": count}


def all_of(space: SearchSpace, seed: int = 0) -> list[dict[str, Any]]:
    """Return what is found, one after the other, until nothing is left."""
    tried = Tried()
    found: list[dict[str, Any]] = []
    while (one := untried(space, tried, np.random.default_rng(seed + len(found)))) is not None:
        tried.add(one.hparams)
        found.append(dict(one.hparams))
    return found


@pytest.mark.parametrize(("suggest", "configurations"), [(chain, 15), (mixed, 64 * 3 * 3), (odd, 5)])
def test_every_feasible_configuration_is_found_once(suggest: Any, configurations: int) -> None:
    found = all_of(SearchSpace("small", suggest, start=()))
    assert len(found) == configurations


def test_what_is_found_first_depends_on_the_seed() -> None:
    space = SearchSpace("small", mixed, start=())
    firsts = [untried(space, Tried(), np.random.default_rng(seed)) for seed in (0, 0, *range(1, 9))]
    assert firsts[0] == firsts[1]
    assert len({Tried().key(one.hparams) for one in firsts if one is not None}) > 5


def test_of_a_continuous_range_another_value_is_always_left() -> None:
    space = SearchSpace("large", lambda trial: {"x": trial.suggest_float("x", 0.0, 1.0)}, start=())
    tried = Tried()
    tried.add({"x": 0.5})
    found = untried(space, tried, np.random.default_rng(0))
    assert found is not None
    assert found.hparams != {"x": 0.5}


def build(space: SearchSpace, searcher: str, rules: Rules = TODAYS) -> Search:
    return build_search(
        space,
        searcher=searcher,
        scheduler="none",
        min_epochs=None,
        max_epochs=1,
        reduction_factor=3,
        startup_trials=8,
        max_trials=40,
        objectives=[Objective("score")],
        seed=0,
        rules=rules,
    )


@pytest.mark.parametrize("searcher", ["gp", "tpe", "random"])
def test_a_search_ends_only_after_the_last_configuration_of_its_space(searcher: str) -> None:
    search = build(SearchSpace("chain", chain, start=()), searcher)
    depths = []
    while (proposal := search.next_trial()) is not None:
        depths.append(proposal.hparams["depth"])
        search.report(proposal.number, 1, -abs(depths[-1] - 3.0))
    assert sorted(depths) == list(range(DEPTH + 1))


def steps(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", 0.1, 0.5, step=0.1)}


@pytest.mark.parametrize(("rules", "configurations"), [(TODAYS, 5), (Rules.of(7), 6)])
@pytest.mark.parametrize("searcher", ["gp", "tpe", "random"])
def test_a_start_configuration_is_not_tried_again_as_rounding_has_it(
    searcher: str, rules: Rules, configurations: int
) -> None:
    search = build(SearchSpace("steps", steps, start=({"x": 0.3},)), searcher, rules)
    found = []
    while (proposal := search.next_trial()) is not None:
        found.append(proposal.hparams["x"])
        search.report(proposal.number, 1, found[-1])
    assert len(found) == configurations
    assert {round(10 * x) for x in found} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("searcher", ["gp", "tpe", "random"])
def test_a_search_goes_on_when_its_space_turns_out_to_be_larger(searcher: str) -> None:
    search = build(SearchSpace("learnt", LearnedSpace(), start=()), searcher)
    kinds = {"kind": distribution_to_json(CategoricalDistribution(["plain", "deep"]))}
    sizes = {"size": distribution_to_json(FloatDistribution(0.0, 1.0))}
    assert search.next_trial() is not None
    search.asked(0, {"kind": "plain"}, kinds)
    proposal = search.next_trial()
    assert proposal is not None
    assert proposal.hparams == {"kind": "deep"}
    assert search.next_trial() is None
    search.asked(1, {"kind": "deep", "size": 0.5}, kinds | sizes)
    assert search.next_trial() is not None
