"""One Optuna study per rung: what the trials that got there were worth at that resource.

Optuna's samplers compare final values. Values after different numbers of epochs are not comparable, and a searcher that
mixes them (as Ray's `OptunaSearch` does with stopped trials) prefers configurations that look good early; so each
level has a study of its own, in which every trial is

- RUNNING until it gets there (the sampler keeps away from it: constant liar),
- COMPLETE with its value at that level,
- PRUNED if it was stopped on the way (known to be worse than those that got there),
- FAIL if it failed (the sampler ignores it).

With several objectives there is a value for each, and PRUNED would be a lie: trials are compared by the first alone,
and one that was stopped may well be on the front. `OptunaSearcher` then lets the levels above forget it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from tuner.search.objective import Direction
from tuner.search.quiet import quiet_study
from tuner.search.trial import TrialState

_ENDED = {TrialState.PRUNED: OptunaState.PRUNED, TrialState.FAILED: OptunaState.FAIL}


class RungStudy:
    """The results at one level, as Optuna's samplers want them. Trials are named by our own numbers."""

    def __init__(self, directions: Sequence[Direction] = ("maximize",)) -> None:
        """Begin without trials; there is a direction for each objective."""
        self._study = quiet_study(directions=directions)
        self._optuna_number: dict[int, int] = {}
        self._distributions: dict[tuple[tuple[str, BaseDistribution], ...], dict[str, BaseDistribution]] = {}
        """The branches of the space that were met, each once."""
        self.completed = 0
        """How many trials have a value at this level."""

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """The trials as Optuna has them, and the proposals that led to none, in order."""
        return self._study.get_trials(deepcopy=False)

    def states(self) -> dict[int, OptunaState]:
        """Return the state of every trial, as Optuna sees it."""
        trials = self.trials
        return {number: trials[place].state for number, place in self._optuna_number.items()}

    def sample(
        self, sampler: optuna.samplers.BaseSampler, suggest: Callable[[optuna.Trial], dict[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution], dict[str, Any]]:
        """Return the parameters, their distributions and the hyperparameters of a proposal made from these results.

        The proposal is not a trial yet: it leaves no trace that a sampler reads.
        """
        self._study.sampler = sampler
        trial = self._study.ask()
        try:
            hparams = suggest(trial)
            return dict(trial.params), dict(trial.distributions), hparams
        finally:
            self._study.tell(trial, state=OptunaState.FAIL)
            left = self.trials[trial.number]
            left.params, left.distributions, left.system_attrs = {}, {}, {}

    def start(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Enter a trial as RUNNING."""
        self._study.add_trial(
            create_trial(state=OptunaState.RUNNING, params=dict(params), distributions=dict(distributions))
        )
        entered = self.trials[-1]
        # Optuna copies them for each trial and study, which is half of what a search keeps in memory.
        entered.distributions = self._distributions.setdefault(tuple(distributions.items()), dict(distributions))
        self._optuna_number[number] = entered.number

    def complete(self, number: int, *values: float) -> None:
        """Give a RUNNING trial its value at this level, one for each objective."""
        self._study.tell(self._optuna_number[number], values)
        self.completed += 1

    def start_again(self, number: int) -> None:
        """Enter a trial that has ended as RUNNING once more, with the same parameters."""
        ended = self.trials[self._optuna_number[number]]
        self.start(number, ended.params, ended.distributions)

    def ask_again(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Enter a RUNNING trial with other parameters, in place of those it began with."""
        self.end(number, TrialState.FAILED)
        left = self.trials[self._optuna_number[number]]
        left.params, left.distributions = {}, {}
        self.start(number, params, distributions)

    def end(self, number: int, state: TrialState) -> None:
        """Note that a RUNNING trial ended before this level, PRUNED or FAILED."""
        self._study.tell(self._optuna_number[number], state=_ENDED[state])
