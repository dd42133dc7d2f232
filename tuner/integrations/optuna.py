"""An Optuna objective, unchanged, as a training that goes on from one `trial.report` to the next."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from tuner.errors import InfeasibleTrialError, TunerError
from tuner.integrations.turns import Leaving, Turns
from tuner.search.asking import key_of
from tuner.search.objective import Direction, Objective
from tuner.search.plain import plain
from tuner.search.quiet import quiet_study
from tuner.search.seeds import Stream, derive_seed
from tuner.training.trainable import TrainableSpec, TrainingOver

METRIC = "dev_value"
"""What an objective reports and returns has no name of its own; it is measured on data kept from the training."""

ObjectiveFunction = Callable[[optuna.Trial], Any]


class ObjectiveError(TunerError):
    """An objective returned or reported what no search can compare."""


class ReportingTrial(optuna.Trial):
    """Optuna's own trial, whose reports are handed over and whose pruner is the search's scheduler."""

    _turns: Turns[float]

    def report(self, value: float, step: int) -> None:
        """Hand the value over and wait.

        Steps need not be numbered from 0 nor without gaps: what counts is how many reports there were.

        Raises:
            TrialPruned: if the trial was to end at the report before, and nobody asked `should_prune`.
        """
        super().report(value, step)  # Optuna's checks of both
        should_have_ended = self._turns.is_leaving
        try:
            self._turns.hand_over(float(value))
        except Leaving:
            if should_have_ended:
                raise optuna.TrialPruned from None

    def should_prune(self) -> bool:
        """Whether the trial is to end."""
        return self._turns.is_leaving


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
        self._turns: Turns[float] = Turns(self._call)
        study = quiet_study(_Proposed(proposed, seed))
        self._trial = ReportingTrial(study, study.ask()._trial_id)
        self._trial._turns = self._turns
        self._last: float | None = None
        self.has_reported = False
        """Whether there was a value."""

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
        self._last = self._turns.next()
        self.has_reported = self.has_reported or self._last is not None
        return self._last

    def close(self) -> None:
        """End the call: the objective meets `should_prune`, or TrialPruned at its next report."""
        self._turns.close()

    def _call(self) -> None:
        self._prepare()
        value = _as_number(self._objective(self._trial))
        if value != self._last:
            self._turns.leave_behind(value)


class ObjectiveTraining:
    """A call of an objective as a `Trainable`: an epoch is what lies between two of its reports.

    It has no state to save: a call cannot be taken up in the middle.
    """

    def __init__(
        self, objective: ObjectiveFunction, hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device
    ) -> None:
        """Prepare to call `objective`, to which `hparams` are proposed; it brings its own data and finds its device."""
        threads = torch.get_num_threads()
        # OpenMP has a number of threads for each thread that computes.
        self._run = ObjectiveRun(objective, hparams, seed=seed, prepare=lambda: torch.set_num_threads(threads))

    @property
    def asked(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The parameters that the objective has asked for so far, with their distributions as Optuna's JSON."""
        found = {name: distribution_to_json(one) for name, one in self._run.distributions.items()}
        return plain(self._run.params), found

    def train_epoch(self) -> dict[str, float]:
        """Return the next value that is reported.

        Raises:
            TrainingOver: if the objective has returned, or pruned itself after a report.
            InfeasibleTrialError: if it pruned itself before the first one.
            ObjectiveError: as `ObjectiveRun.next_value`.
        """
        has_reported = self._run.has_reported
        try:
            value = self._run.next_value()
        except optuna.TrialPruned as pruned:
            if has_reported:
                raise TrainingOver from None
            raise InfeasibleTrialError(
                " ".join(f"the objective pruned itself: {pruned}".split()).rstrip(": ")
            ) from None
        if value is None:
            raise TrainingOver
        return {METRIC: value}

    def evaluate(self, split: Any) -> dict[str, float]:
        """Return nothing: what the objective has measured is all there is."""
        return {}

    def close(self) -> None:
        """End the call."""
        self._run.close()


def objective_of(direction: Direction) -> Objective:
    """Return what a search over an Optuna objective looks for."""
    return Objective(METRIC, direction)


def spec_of(name: str, objective: ObjectiveFunction) -> TrainableSpec:
    """Return how to make the trainings of an objective."""
    return TrainableSpec(name, partial(ObjectiveTraining, objective), saves_state=False)


class _Proposed(BaseSampler):
    """Answers with what was proposed, and by chance where that is silent or does not fit.

    What a parameter is drawn by hangs on the seed and its name alone: a call that begins again is proposed what it had
    asked for before, and draws the rest as it would have.
    """

    def __init__(self, proposed: Mapping[str, Any], seed: int) -> None:
        self._proposed = dict(proposed)
        self._seed = seed

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
                if isinstance(param_distribution, CategoricalDistribution):
                    value = key_of(value, param_distribution.choices)  # a tuple is proposed as a list
                if param_distribution._contains(param_distribution.to_internal_repr(value)):
                    return value
            except (TypeError, ValueError):
                pass  # of another kind than the objective asks for now
        name = int.from_bytes(hashlib.sha256(param_name.encode(errors="backslashreplace")).digest()[:4])
        sampler = RandomSampler(seed=derive_seed(self._seed, Stream.ASKED, name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


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
