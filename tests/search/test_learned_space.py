"""Tests of a space that is learnt from what trials ask for."""

from __future__ import annotations

import optuna

from tuner.search.learned_space import LearnedSpace
from tuner.search.quiet import quiet_study


def objective_asks(trial: optuna.Trial) -> None:
    for layer in range(trial.suggest_int("depth", 1, 3)):
        trial.suggest_float(f"dropout_{layer}", 0.0, 0.5, step=0.1)
    trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_categorical("optimizer", ["adam", "sgd"])


def test_at_first_nothing_is_suggested() -> None:
    assert LearnedSpace()(quiet_study().ask()) == {}


def test_every_parameter_that_was_asked_for_is_suggested_from_its_own_distribution() -> None:
    space = LearnedSpace()
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    asked = {}
    for depth in (1, 3):
        study.enqueue_trial({"depth": depth})
        trial = study.ask()
        objective_asks(trial)
        space.learn(trial.distributions)
        asked.update(trial.distributions)
    proposed = study.ask()
    values = space(proposed)
    assert values == proposed.params
    assert dict(proposed.distributions) == asked
    assert values.keys() == {"depth", "dropout_0", "dropout_1", "dropout_2", "lr", "optimizer"}


def test_of_a_range_that_moves_the_latest_counts() -> None:
    space = LearnedSpace()
    space.learn({"width": optuna.distributions.IntDistribution(1, 4)})
    space.learn({"width": optuna.distributions.IntDistribution(100, 104)})
    assert space(quiet_study().ask())["width"] >= 100
