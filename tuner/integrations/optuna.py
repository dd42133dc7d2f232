"""An Optuna objective, unchanged, as a training that goes on from one `trial.report` to the next.

The objective is one call that suggests, trains, reports and returns. It runs in a thread of its own and the two sides
take turns: the thread stops at each report until it is asked for the next, so that whoever decides about the trial does
so between two of its lines, and `should_prune` can answer.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from tuner.errors import TunerError
from tuner.search.quiet import quiet_study

METRIC = "value"
"""What an objective reports and returns has no name of its own."""
_SECONDS_TO_LEAVE = 5.0
"""An objective that is told to stop and goes on is left behind; its thread ends with the process."""

ObjectiveFunction = Callable[[optuna.Trial], Any]


class ObjectiveError(TunerError):
    """An objective returned or reported what no search can compare."""


@dataclass
class _Turns:
    """Whose turn it is: the objective's thread or the one that asks it for reports."""

    objective: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    asker: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    reported: list[float] = field(default_factory=list)
    """Reports that were not taken yet, at most one."""
    is_over: bool = False
    is_pruned: bool = False
    """Whether the trial is to end; `should_prune` says so from now on."""
    error: BaseException | None = None


class ReportingTrial(optuna.Trial):
    """Optuna's own trial, whose reports are handed over and whose pruner is the search's scheduler."""

    def __init__(self, study: optuna.Study, turns: _Turns) -> None:
        """Begin a trial in `study`, whose sampler answers what the objective asks for."""
        super().__init__(study, study.ask()._trial_id)
        self._turns = turns

    def report(self, value: float, step: int) -> None:
        """Hand the value over and wait for the next turn; raises TrialPruned where the objective does not ask.

        Steps need not be numbered from 0 nor without gaps: what counts is how many reports there were.
        """
        super().report(value, step)  # Optuna's checks of both
        if self._turns.is_pruned:
            raise optuna.TrialPruned  # an objective that never asks `should_prune`
        self._turns.reported.append(float(value))
        self._turns.asker.release()
        self._turns.objective.acquire()

    def should_prune(self) -> bool:
        """Whether the trial is to end."""
        return self._turns.is_pruned


class ObjectiveRun:
    """One call of an objective."""

    def __init__(
        self,
        objective: ObjectiveFunction,
        proposed: Mapping[str, Any],
        *,
        seed: int,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to call `objective`, whose parameters are those `proposed` and, where they are silent, random.

        A proposed value that does not fit what the objective asks for is not used. `prepare` is called in the
        objective's thread before it: some settings of numeric libraries are a thread's own.
        """
        self._objective = objective
        self._prepare = prepare
        self._turns = _Turns()
        self._trial = ReportingTrial(quiet_study(_Proposed(proposed, seed)), self._turns)
        self._thread = threading.Thread(target=self._run, name="objective", daemon=True)
        self._last: float | None = None

    @property
    def params(self) -> dict[str, Any]:
        """What the objective has asked for so far, with the answers."""
        return dict(self._trial.params)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The distributions of `params`."""
        return dict(self._trial.distributions)

    def next_value(self) -> float | None:
        """Return the next value that is reported; None once the objective has returned.

        The value that it returns is a report of its own, unless the last report was the same.

        Raises:
            ObjectiveError: if the objective returns several values, none or no number.
            Exception: what the objective raised, with its traceback.
        """
        turns = self._turns
        if turns.is_over:
            return None
        if self._thread.ident is None:
            self._thread.start()
        else:
            turns.objective.release()
        turns.asker.acquire()
        if turns.error is not None:
            raise turns.error
        if turns.reported:
            self._last = turns.reported.pop()
            return self._last
        return None

    def close(self) -> None:
        """End the call: the objective meets `should_prune`, or TrialPruned at its next report."""
        if self._thread.ident is None or self._turns.is_over:
            return
        self._turns.is_pruned = True
        self._turns.objective.release()
        self._thread.join(_SECONDS_TO_LEAVE)

    def _run(self) -> None:
        turns = self._turns
        try:
            self._prepare()
            value = _as_number(self._objective(self._trial))
            if not turns.is_pruned and value != self._last:
                turns.reported.append(value)
        except optuna.TrialPruned as error:
            # Of its own accord: infeasible, or a rule of the objective's.
            turns.error = None if turns.is_pruned else error
        except BaseException as error:  # also SystemExit: it must reach the one who asks
            turns.error = error
        finally:
            turns.is_over = True
            turns.asker.release()


class _Proposed(BaseSampler):
    """Answers with what was proposed, and by chance where that is silent or does not fit."""

    def __init__(self, proposed: Mapping[str, Any], seed: int) -> None:
        self._proposed = dict(proposed)
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing is known of the space beforehand."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is drawn beforehand."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return one parameter's value."""
        if param_name in self._proposed:
            value = self._proposed[param_name]
            try:
                if param_distribution._contains(param_distribution.to_internal_repr(value)):
                    return value
            except (TypeError, ValueError):
                pass  # of another kind than the objective asks for now
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def _as_number(value: Any) -> float:
    if isinstance(value, tuple | list):
        raise ObjectiveError(f"the objective returned {len(value)} values, but must return one: a number.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ObjectiveError(f"the objective returned {value!r}, but must return a number.") from None
    if math.isnan(number):
        raise ObjectiveError("the objective returned NaN, but must return a number that can be compared.")
    return number
