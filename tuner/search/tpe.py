"""Optuna's tree-structured Parzen estimator, which here remembers the numbers that it reads of every trial.

Optuna's own converts the parameters of all trials, one by one, for each proposal; that is most of its time once there
are thousands. The parameters of our trials never change after they were entered, so a table of them is kept by study.
Nothing that is proposed changes, which a test compares with Optuna's own.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class RememberingTPESampler(TPESampler):
    """`TPESampler` for studies whose trials are entered with all their parameters, as `RungStudy` does.

    It overrides a method that is Optuna's own business. Should a later Optuna no longer call it, nothing is lost but
    the time that it saves.
    """

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, np.ndarray]:
        tables = _TABLES.setdefault(study, {})
        table = tables.setdefault(tuple(search_space), _Table(search_space))
        rows = table.rows(trials)
        return {name: rows[:, column] for column, name in enumerate(search_space)}


def tpe_sampler(seed: int) -> TPESampler:
    """Return a sampler over all parameters jointly (Falkner et al., BOHB, 2018)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RememberingTPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True, constant_liar=True)


class _Table:
    """The parameters of a (sub)space in Optuna's internal numbers, a row for each trial of a study."""

    def __init__(self, search_space: dict[str, BaseDistribution]) -> None:
        self._search_space = dict(search_space)
        self._values = np.empty((0, len(search_space)))
        self._is_known = np.empty(0, dtype=bool)
        self._has_all = np.empty(0, dtype=bool)
        """Whether the trial has every parameter of the space; conditional ones may be missing."""

    def rows(self, trials: list[FrozenTrial]) -> np.ndarray:
        """Return [n, parameters] of those trials that have all the parameters, in their order."""
        numbers = np.fromiter((trial.number for trial in trials), dtype=np.int64, count=len(trials))
        self._grow(int(numbers.max(initial=-1)) + 1)
        for place in np.flatnonzero(~self._is_known[numbers]):
            self._enter(trials[place])
        rows: np.ndarray = self._values[numbers[self._has_all[numbers]]]
        return rows

    def _enter(self, trial: FrozenTrial) -> None:
        self._is_known[trial.number] = True
        self._has_all[trial.number] = self._search_space.keys() <= trial.params.keys()
        if self._has_all[trial.number]:
            self._values[trial.number] = [
                distribution.to_internal_repr(trial.params[name]) for name, distribution in self._search_space.items()
            ]

    def _grow(self, length: int) -> None:
        missing = length - len(self._values)
        if missing > 0:
            missing += length  # doubled, so that growing costs constant time a trial
            self._values = np.pad(self._values, ((0, missing), (0, 0)))
            self._is_known = np.pad(self._is_known, (0, missing))
            self._has_all = np.pad(self._has_all, (0, missing))


_TABLES: WeakKeyDictionary[optuna.Study, dict[tuple[str, ...], _Table]] = WeakKeyDictionary()
"""By study, and by the names of the parameters looked at together."""
