"""The simulator and a study give the same decisions for the same stream of results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tuner import tune
from tuner.config import DEFAULT_OBJECTIVE, SearchConfig
from tuner.journal.history import read_history
from tuner.paths import RunPaths
from tuner.search.registry import SCHEDULERS, build_search
from tuner.search.simulator import Curve, simulate
from tuner.search.space import load_space

SPACE = '''
"""A linear model: quick to train, and its learning rate decides how good it is."""

from torch import nn

START = [{"learning_rate": 0.001, "flip": False}]


def suggest(trial):
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True),
        "flip": trial.suggest_categorical("flip", [False, True]),
        "batch_size": 64,
    }


def build(hparams):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


MODEL = build
'''
SEARCH: dict[str, Any] = {"trials": 14, "max_epochs": 9, "min_epochs": 1, "startup_trials": 6}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name != "none"])
def test_a_study_with_one_worker_is_the_simulation_of_its_own_learning_curves(tmp_path: Path, scheduler: str) -> None:
    path = tmp_path / "space.py"
    path.write_text(SPACE)
    run = tune(
        "smoke",
        space=str(path),
        in_process=True,
        scheduler=scheduler,
        retrain_seeds=1,
        retrain_epochs=1,
        baseline=False,
        storage=str(tmp_path / "runs"),
        name="study",
        **SEARCH,
    )
    history = read_history(RunPaths(run.path).journal)
    curves = {_key(trial.proposed.hparams): trial for trial in history.trials.values()}

    def curve_of(hparams: Mapping[str, Any]) -> Curve:
        reports = list(curves[_key(hparams)].epochs.values())
        # An epoch that was never trained must not be asked for; if it were, the decisions would differ.
        missing = SEARCH["max_epochs"] - len(reports)
        return Curve(
            [report.metrics["dev_accuracy"] for report in reports] + [-1.0] * missing, [1.0] * SEARCH["max_epochs"]
        )

    search = build_search(
        load_space(str(path)),
        searcher=SearchConfig().searcher,
        scheduler=scheduler,
        min_epochs=SEARCH["min_epochs"],
        max_epochs=SEARCH["max_epochs"],
        reduction_factor=SearchConfig().reduction_factor,
        startup_trials=SEARCH["startup_trials"],
        max_trials=SEARCH["trials"],
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
    )
    simulated: dict[int, list[tuple[int, str, str]]] = {}
    proposed = {}
    for observation, proposal in simulate(search, curve_of, workers=1):
        proposed[observation.trial] = proposal
        if observation.decision.reason:
            decision = (observation.epoch, observation.decision.action.value, observation.decision.reason)
            simulated.setdefault(observation.trial, []).append(decision)

    assert proposed == {number: trial.proposed.proposal() for number, trial in history.trials.items()}
    assert simulated == {
        number: [(decision.epoch, decision.action, decision.reason) for decision in trial.decisions]
        for number, trial in history.trials.items()
    }
    assert {trial.proposed.origin.value for trial in history.trials.values()} == {"start", "random", "model"}


def _key(hparams: Mapping[str, Any]) -> str:
    return json.dumps(hparams, sort_keys=True)
