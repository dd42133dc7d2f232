"""Tests of a space that is learnt from what trials ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution, distribution_to_json

from tuner.search.learned_space import LearnedSpace
from tuner.search.objective import Objective
from tuner.search.quiet import quiet_study
from tuner.search.registry import build_search
from tuner.search.space import SearchSpace
from tuner.search.trial import canonical

Asks = Callable[[optuna.trial.BaseTrial], None]


def layers(trial: optuna.trial.BaseTrial) -> None:
    for layer in range(trial.suggest_int("depth", 1, 3)):
        trial.suggest_float(f"dropout_{layer}", 0.0, 0.5, step=0.1)
    trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_categorical("optimizer", ["adam", "sgd"])


def branches(trial: optuna.trial.BaseTrial) -> None:
    """Ask for a parameter of the branch, and for one of a branch of the branch."""
    trial.suggest_int("batch_size", 1, 32)
    kind = trial.suggest_categorical("kind", ["plain", "deep", "wide"])
    trial.suggest_int("patience", 1, 4)
    if kind != "plain":
        rule = trial.suggest_categorical(f"{kind}_rule", ["adam", "sgd"])
        trial.suggest_float(f"{kind}_size", 0.0, 1.0)
        if rule == "sgd":
            trial.suggest_float(f"{kind}_momentum", 0.0, 1.0)


def both(trial: optuna.trial.BaseTrial) -> None:
    """Ask for a parameter under a condition that no other alone tells."""
    kind, is_scaled = trial.suggest_categorical("kind", ["plain", "deep"]), trial.suggest_int("is_scaled", 0, 1)
    if kind == "deep" and is_scaled:
        trial.suggest_float("scale", 0.0, 1.0)


def learnt(asks: Asks, trials: int = 0, *params: dict[str, Any]) -> LearnedSpace:
    """Return what is known after random trials, and after some with these parameters."""
    space = LearnedSpace()
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    for one in params:
        study.enqueue_trial(one)
    for number in range(trials + len(params)):
        trial = study.ask()
        asks(trial)
        space.learn(number, trial.params, trial.distributions)
    return space


def proposed(space: LearnedSpace, **params: Any) -> set[str]:
    """Return what is proposed beside these parameters, from the distributions that were asked for."""
    study = quiet_study(optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial(params)
    trial = study.ask()
    values = space(trial)
    assert values == trial.params
    return set(values)


def test_at_first_nothing_is_suggested() -> None:
    assert LearnedSpace()(quiet_study().ask()) == {}


@pytest.mark.parametrize(("depth", "dropouts"), [(1, 1), (2, 3), (3, 3)])
def test_what_was_asked_for_is_suggested_under_the_same_values_and_all_under_others(depth: int, dropouts: int) -> None:
    space = learnt(layers, 0, {"depth": 1}, {"depth": 3})
    names = {f"dropout_{layer}" for layer in range(dropouts)}
    assert proposed(space, depth=depth) == names | {"depth", "lr", "optimizer"}


def test_of_a_range_that_moves_the_latest_counts() -> None:
    space = LearnedSpace()
    space.learn(0, {"width": 1}, {"width": IntDistribution(1, 4)})
    space.learn(1, {"width": 100}, {"width": IntDistribution(100, 104)})
    assert space(quiet_study().ask())["width"] >= 100


@pytest.mark.parametrize("asks", [layers, branches, both])
def test_once_the_branches_were_met_a_proposal_is_what_a_trial_asks_for(asks: Asks) -> None:
    space = learnt(asks, 40)
    study = quiet_study(optuna.samplers.RandomSampler(seed=1))
    for _ in range(50):
        trial = study.ask()
        values = space(trial)
        answered = optuna.trial.FixedTrial(values)
        asks(answered)  # which raises ValueError if it lacks one
        assert answered.params.keys() == values.keys()


def test_a_change_is_counted_when_a_condition_is_learnt_and_not_when_nothing_is() -> None:
    space = learnt(layers, 0, {"depth": 3}, {"depth": 3})
    assert space.changes == 1
    trial = optuna.trial.FixedTrial({"depth": 1, "dropout_0": 0.1, "lr": 1e-3, "optimizer": "adam"})
    layers(trial)
    for _ in range(2):
        space.learn(2, trial.params, trial.distributions)
        assert space.changes == 2


def test_a_trial_that_asks_for_more_later_counts_with_all_of_it() -> None:
    space = learnt(branches, 0, {"kind": "deep", "deep_rule": "adam"}, {"kind": "plain"})
    whole = optuna.trial.FixedTrial(
        {"batch_size": 1, "kind": "wide", "patience": 1, "wide_rule": "adam", "wide_size": 0.1}
    )
    branches(whole)
    first = {name: whole.params[name] for name in ("batch_size", "kind")}
    space.learn(2, first, {name: whole.distributions[name] for name in first})
    assert "patience" not in proposed(space, batch_size=1, kind="wide")
    space.learn(2, whole.params, whole.distributions)
    assert "patience" in proposed(space, batch_size=1, kind="wide")


@pytest.mark.parametrize("searcher", ["gp", "tpe", "random"])
def test_no_configuration_is_trained_twice_where_parameters_are_of_branches(searcher: str) -> None:
    search = build_search(
        SearchSpace("learnt", LearnedSpace(), start=()),
        searcher=searcher,
        scheduler="asha",
        min_epochs=None,
        max_epochs=1,
        reduction_factor=3,
        startup_trials=None,
        max_trials=40,
        objectives=[Objective("score")],
        seed=0,
    )
    generator = np.random.default_rng(0)
    trained = set()
    for number in range(40):
        proposal = search.next_trial()
        assert proposal is not None
        kind = proposal.hparams.get("kind", int(generator.integers(4)))
        ranges = {"kind": IntDistribution(0, 3), f"u{kind}": IntDistribution(1, 8), f"v{kind}": IntDistribution(1, 4)}
        drawn = {name: int(generator.integers(one.low, one.high + 1)) for name, one in ranges.items()}
        params = {
            **drawn,
            "kind": kind,
            **{name: proposal.hparams[name] for name in ranges if name in proposal.hparams},
        }
        search.asked(number, params, {name: distribution_to_json(one) for name, one in ranges.items()})
        search.report(number, 1, 0.3 * kind - abs(params[f"u{kind}"] - 5) - abs(params[f"v{kind}"] - 2))
        trained.add(canonical(params))
    assert len(trained) == 40
