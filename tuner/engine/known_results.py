"""Results of an earlier run that stand for a training: those of an equal configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.objective import MEASURES, Objective
from tuner.search.report import fault_of
from tuner.search.trial import TrialState, canonical


class KnownResults:
    """The earlier trials by configuration.

    A training depends on its hyperparameters, its seed, the data and the model, and mostly not on how long it may last:
    one of nine epochs is the beginning of one of twenty-seven. So an equal configuration takes over the earlier seed
    and all epochs there are; what lies beyond is trained. Where it does depend on that, as with a learning rate that
    falls to zero in the end, only an equally long one is taken over. Trials that failed are not: the machine may be to
    blame.
    """

    def __init__(self, warm_start: WarmStart | None, max_epochs: int, objectives: Sequence[Objective] = ()) -> None:
        """Know the trials of `warm_start`, None for a run that starts cold; a training has at most `max_epochs`.

        A trial of which one of `objectives` is not known is trained again, for only then it is measured.
        """
        self._max_epochs = max_epochs
        self._defaults: Mapping[str, Any] = {}
        self._trials: dict[str, EarlierTrial] = {}
        if warm_start is None or not warm_start.reusable or warm_start.horizon not in (None, max_epochs):
            return
        self._defaults = warm_start.defaults
        for trial in sorted(warm_start.trials, key=lambda one: len(one.epochs)):  # of equals, the longest
            if trial.state is not TrialState.FAILED and trial.epochs and _knows(trial, objectives):
                self._trials[self._key(trial.hparams)] = trial

    def seed(self, hparams: Mapping[str, Any]) -> int | None:
        """Return the seed of the equal trial; None if there is none."""
        trial = self._trials.get(self._key(hparams))
        return None if trial is None else trial.seed

    def measures(self, hparams: Mapping[str, Any]) -> Mapping[str, float]:
        """Return what was measured of the equal trial's model; empty if there is none, or nothing was."""
        trial = self._trials.get(self._key(hparams))
        return {} if trial is None else trial.measures

    def relative_cost(self, hparams: Mapping[str, Any]) -> float | None:
        """Return what an epoch of the equal trial cost there; None if there is none, or that is not known."""
        trial = self._trials.get(self._key(hparams))
        return None if trial is None else trial.relative_cost

    def reports(self, hparams: Mapping[str, Any]) -> Sequence[EarlierEpoch]:
        """Return the epochs of the equal trial, from the first; empty if there is none."""
        trial = self._trials.get(self._key(hparams))
        return () if trial is None else trial.epochs[: self._max_epochs]

    def is_last(self, hparams: Mapping[str, Any], epoch: int) -> bool:
        """Whether the training has no epoch after this one: it has had all, or made no progress for long."""
        trial = self._trials[self._key(hparams)]
        return epoch == self._max_epochs or (trial.stalled and epoch == len(trial.epochs))

    def _key(self, hparams: Mapping[str, Any]) -> str:
        return canonical({**self._defaults, **hparams})


def _knows(trial: EarlierTrial, objectives: Sequence[Objective]) -> bool:
    needed = {one.metric for one in objectives} & MEASURES.keys()
    return trial.measures.keys() >= needed and not any(fault_of(epoch, objectives) for epoch in trial.epochs)
