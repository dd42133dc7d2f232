"""A run as an Optuna study: for Optuna's own analyses and for whoever goes on with Optuna's tools.

A trial that finished is COMPLETE with the values of its best epoch, as the winner is chosen. One that was stopped is
PRUNED and, as `Study.tell` would have it, is worth its last intermediate value; with several objectives Optuna gives it
none. One that waits at a rung is RUNNING: Optuna knows no pause. Our own words for all of it are user attributes, under
the names of the columns of `trials.parquet`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy.exc import SQLAlchemyError

from tuner.errors import ConfigError, JournalError, StorageError
from tuner.journal.history import History, TrialHistory
from tuner.paths import SQLITE
from tuner.results.front import objectives_of_run
from tuner.results.schema import best_column
from tuner.results.tables import conditions, trial_row
from tuner.search.distributions import distributions_of
from tuner.search.objective import Objective
from tuner.search.quiet import quietly
from tuner.search.trial import TrialState

CONDITIONS = "conditions"
"""The study's attribute under what its trials were trained, as in the metadata of `trials.parquet`."""
LEFT_OUT = "params_left_out"
"""The trial's attribute with the parameters that Optuna's storage cannot hold, by name."""

_STATES = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.PAUSED: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}
_NOT_ATTRIBUTES = ("trial", "params", "hparams")


def to_study(history: History, storage: Any = None, name: str = "tuner") -> optuna.Study:
    """Return the run as a new study called `name`, in memory or in `storage`, which is Optuna's or its URL.

    Raises:
        ConfigError: if the storage holds a study of that name.
        JournalError: if a trial has parameters that are none of Optuna's.
        StorageError: if the storage cannot be written, or is something else.
    """
    objectives = objectives_of_run(history)
    trials = _frozen_trials(history, objectives)
    with _writing(storage):
        study = _create(storage, name, objectives)
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            study.set_metric_names([one.metric for one in objectives])
        _describe(study, history)
        study.add_trials(trials)
    return study


def _create(storage: Any, name: str, objectives: Sequence[Objective]) -> optuna.Study:
    try:
        with quietly():
            return optuna.create_study(
                storage=storage, study_name=name, directions=[one.direction for one in objectives]
            )
    except DuplicatedStudyError:
        raise ConfigError(f"{storage} holds a study called {name!r} already: name another file.") from None
    except RuntimeError as error:
        reason = "its tables are of another version of Optuna's, or another program's"
        raise _unwritable(storage, reason) from error


@contextmanager
def _writing(storage: Any) -> Iterator[None]:
    """Raise StorageError in the place of what Optuna and SQLAlchemy raise if a storage cannot be written."""
    try:
        yield
    except StorageInternalError as error:
        raise _unwritable(storage, _own_words(error.__cause__ or error)) from error
    except SQLAlchemyError as error:
        raise _unwritable(storage, _own_words(error)) from error


def _own_words(error: BaseException) -> str:
    """Return what the database says in a line, without the statement and the address that SQLAlchemy adds."""
    return " ".join(str(getattr(error, "orig", None) or error).split()).removesuffix(".")


def _unwritable(storage: Any, reason: str) -> StorageError:
    return StorageError(f"{str(storage).removeprefix(SQLITE)} cannot be written as an Optuna storage: {reason}.")


def _describe(study: optuna.Study, history: History) -> None:
    for name in ("dataset", "model", "commit"):
        if history.environment.get(name) is not None:
            study.set_user_attr(name, history.environment[name])
    study.set_user_attr(CONDITIONS, conditions(history))
    if history.winner is not None:
        study.set_user_attr("winner", history.winner.trial)
        study.set_user_attr("winner_rule", history.winner.rule)


def _frozen_trials(history: History, objectives: Sequence[Objective]) -> list[FrozenTrial]:
    known: dict[str, BaseDistribution] = {}
    return [_frozen(history.trials[number], objectives, known) for number in sorted(history.trials)]


def _frozen(trial: TrialHistory, objectives: Sequence[Objective], known: dict[str, BaseDistribution]) -> FrozenTrial:
    """Return the trial as Optuna's; `known` are the distributions of those before it, by parameter."""
    try:
        distributions = distributions_of(trial.proposed.distributions)
        fitting = {name: one for name, one in distributions.items() if _fits(name, one, known)}
        left_out = {name: value for name, value in trial.proposed.params.items() if name not in fitting}
        values = _values(trial, objectives)
        state = _state(trial, values)
        return FrozenTrial(
            number=-1,  # these two are the storage's to give
            trial_id=-1,
            state=state,
            value=None,
            values=values if state in (OptunaState.COMPLETE, OptunaState.PRUNED) else None,
            datetime_start=datetime.fromtimestamp(trial.proposed_at or 0.0),
            datetime_complete=datetime.fromtimestamp(trial.ended_at or 0.0) if state.is_finished() else None,
            params={name: trial.proposed.params[name] for name in fitting},
            distributions=fitting,
            user_attrs=_attributes(trial) | ({LEFT_OUT: left_out} if left_out else {}),
            system_attrs={},
            intermediate_values={
                epoch: report.metrics[trial.objective.metric] for epoch, report in sorted(trial.epochs.items())
            },
        )
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"the parameters of trial {trial.number} are none of Optuna's: {error}") from error


def _fits(name: str, distribution: BaseDistribution, known: dict[str, BaseDistribution]) -> bool:
    """Return whether Optuna takes the distribution beside the first of that name; choices may not change there."""
    try:
        check_distribution_compatibility(known.setdefault(name, distribution), distribution)
    except ValueError:
        return False
    return True


def _values(trial: TrialHistory, objectives: Sequence[Objective]) -> list[float] | None:
    """Return what the trial is worth, one value an objective; None if not all are known."""
    if trial.best is None:
        return None
    if trial.state is TrialState.PRUNED:
        last = trial.epochs[max(trial.epochs)]
        return [last.metrics[trial.objective.metric]] if len(objectives) == 1 else None
    known = {**trial.best.metrics, **trial.measures}
    values = [known.get(one.metric, math.nan) for one in objectives]
    return None if any(map(math.isnan, values)) else values


def _state(trial: TrialHistory, values: list[float] | None) -> OptunaState:
    state = _STATES[trial.state]
    # Optuna knows no COMPLETE trial without its values.
    return OptunaState.PRUNED if state is OptunaState.COMPLETE and values is None else state


def _attributes(trial: TrialHistory) -> dict[str, Any]:
    row = trial_row(trial, best_column(trial.objective).name)
    found = {name: value for name, value in row.items() if value is not None and name not in _NOT_ATTRIBUTES}
    best = {} if trial.best is None else {f"best_epoch_{name}": value for name, value in trial.best.metrics.items()}
    hparams = {"hparams": dict(trial.proposed.hparams)} if trial.proposed.hparams != trial.proposed.params else {}
    return found | best | hparams
