from __future__ import annotations

import random
import warnings
from typing import Any

import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import BaseTrial

from tuner.search.rung_study import RungStudy
from tuner.search.tpe import RememberingTPESampler, tpe_sampler
from tuner.search.trial import TrialState


def suggest(trial: BaseTrial) -> dict[str, Any]:
    hparams: dict[str, Any] = {
        "x": trial.suggest_float("x", 1e-3, 1.0, log=True),
        "width": trial.suggest_float("width", 0.25, 1.5, step=0.125),
        "layers": trial.suggest_int("layers", 1, 5),
        "kind": trial.suggest_categorical("kind", ["a", "b", None]),
    }
    if hparams["kind"] == "b":
        hparams["decay"] = trial.suggest_float("decay", 0.0, 0.3)
    return hparams


def optunas_own(seed: int) -> TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True, constant_liar=True)


def drive(study: RungStudy, trials: int) -> list[dict[str, Any]]:
    """Propose, with trials in every state; after each, a second proposal from the same results by Optuna's own."""
    generator = random.Random(0)
    proposals = []
    for number in range(trials):
        params, distributions, hparams = study.sample(tpe_sampler(number), suggest)
        assert study.sample(optunas_own(number), suggest)[0] == params
        proposals.append(hparams)
        study.start(number, params, distributions)
        match generator.randrange(5):
            case 0:
                study.end(number, TrialState.PRUNED)
            case 1:
                study.end(number, TrialState.FAILED)
            case 2 | 3:
                study.complete(number, -abs(params["x"] - 0.2) - abs(params["width"] - 0.5))
            case 4 if number >= 3:
                pass  # goes on RUNNING
    return proposals


def test_proposals_are_those_of_optunas_own() -> None:
    proposals = drive(RungStudy(), 60)
    assert any("decay" in hparams for hparams in proposals)
    assert any("decay" not in hparams for hparams in proposals)


def test_two_studies_are_not_mixed_up() -> None:
    drive(RungStudy(), 20)
    drive(RungStudy(), 20)


def test_what_is_overridden_is_still_there_to_be_called() -> None:
    # Otherwise nothing would be wrong, but proposing would be slow again.
    calls = []

    class Watched(RememberingTPESampler):
        def _get_internal_repr(self, *args: Any) -> Any:
            calls.append(args)
            return super()._get_internal_repr(*args)

    study = RungStudy()
    drive(study, 10)
    sampler: BaseSampler = Watched(seed=0, n_startup_trials=0, multivariate=True)
    study.sample(sampler, suggest)
    assert calls
