"""What people use today, unmodified, behind the two calls that the simulator makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import BaseTrial, TrialState
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from tuner.search.quiet import quiet_study
from tuner.search.scheduler import Action, Decision
from tuner.search.trial import Origin, Proposal

Suggest = Callable[[BaseTrial], dict[str, Any]]
_NO_CONTROLLER: Any = None
"""What ASHA is handed and never looks at."""


class _Plain:
    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """Do nothing: there is one objective."""

    def timed(self, number: int, seconds: float) -> None:
        """Do nothing: neither Ray's nor Optuna's ways ask for it."""

    def give_up(self) -> None:
        """Do nothing: no trial is paused."""


def _proposal(number: int, hparams: dict[str, Any]) -> Proposal:
    return Proposal(number, hparams, {}, hparams, Origin.MODEL)


class RayDefault(_Plain):
    """Ray's `OptunaSearch` with its `ASHAScheduler`, as Ray documents them: every argument is the default.

    Calls come in the order of Ray 2.60's `TuneController`: the scheduler first, then the searcher is told a result, or
    the end with the last result.
    """

    def __init__(self, suggest: Suggest, max_epochs: int, seed: int) -> None:
        """Search the space of `suggest`, with trainings of `max_epochs`."""

        def define(trial: BaseTrial) -> None:
            suggest(trial)

        self._searcher = OptunaSearch(define, metric="value", mode="max", seed=seed)
        self._scheduler = ASHAScheduler(metric="value", mode="max", max_t=max_epochs)
        self._trials: list[Trial] = []

    def next_trial(self) -> Proposal:
        """Return a new trial; there is always one."""
        trial = Trial("simulated", stub=True)
        self._trials.append(trial)
        config = self._searcher.suggest(trial.trial_id)
        assert config is not None, "Optuna always has one more"
        self._scheduler.on_trial_add(_NO_CONTROLLER, trial)
        return _proposal(len(self._trials) - 1, config)

    def report(self, number: int, epoch: int, value: float) -> Decision:
        """Hand a result over as Ray does."""
        trial = self._trials[number]
        result = {"training_iteration": epoch, "value": value}
        if self._scheduler.on_trial_result(_NO_CONTROLLER, trial, result) == TrialScheduler.CONTINUE:
            self._searcher.on_trial_result(trial.trial_id, result)
            return Decision(Action.CONTINUE)
        self._scheduler.on_trial_complete(_NO_CONTROLLER, trial, result)
        self._searcher.on_trial_complete(trial.trial_id, result)
        return Decision(Action.STOP)


class OptunaStudy(_Plain):
    """An Optuna study in ask-and-tell form with one of Optuna's pruners, as Optuna documents it."""

    def __init__(self, suggest: Suggest, max_epochs: int, sampler: BaseSampler, pruner: BasePruner) -> None:
        """Search the space of `suggest`, with trainings of `max_epochs`."""
        self._suggest = suggest
        self._max_epochs = max_epochs
        # HyperbandPruner draws brackets by the study's name: with a random one no result could be had again.
        self._study = quiet_study(sampler, "benchmark")
        self._study.pruner = pruner
        self._trials: list[optuna.Trial] = []

    def next_trial(self) -> Proposal:
        """Return a new trial; there is always one."""
        trial = self._study.ask()
        self._trials.append(trial)
        return _proposal(trial.number, self._suggest(trial))

    def report(self, number: int, epoch: int, value: float) -> Decision:
        """Report a value and ask the pruner."""
        trial = self._trials[number]
        trial.report(value, epoch)
        if epoch == self._max_epochs:
            self._study.tell(trial, value)
            return Decision(Action.COMPLETE)
        if trial.should_prune():
            self._study.tell(trial, state=TrialState.PRUNED)
            return Decision(Action.STOP)
        return Decision(Action.CONTINUE)
