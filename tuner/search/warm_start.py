"""Starting warm: what the trials of an earlier run, perhaps over another space, mean to a new search.

An earlier trial is brought into the new space by asking the space's own `suggest`, which is answered, parameter by
parameter, with the first of these that is known:

1. the earlier trial's parameter of that name (kept, widened or narrowed parameters),
2. the earlier trial's hyperparameter of that name (a parameter that was fixed before),
3. what model and training take where a configuration is silent (a parameter that nobody had set),
4. the first start configuration's value, if there is one: what one would have trained untuned.

So the configuration is complete and can be a start. The model is told only of the parameters that the earlier run
searched too, `FittedTrial.searched`: where all earlier trials have the same value of an added parameter, a model would
hardly try another (simulated over ten seeds with one added parameter, 20 trainings: mean regret 0.21, against 0.27 with
completed trials and 0.30 without a warm start). Optuna's group decomposition then models the added ones apart. Dropped
parameters are ignored: their trials differ by what the new search does not ask about. A trial is left out if a value
does not fit the new range, if the space and the trial share no parameter, or if it failed.

Trials whose results are not comparable, those of another tool, are never learnt from: the best of them are starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.distributions import BaseDistribution

from tuner.errors import SpaceError
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.objective import Objective
from tuner.search.pace import Pace
from tuner.search.report import score_of
from tuner.search.space import SearchSpace
from tuner.search.trial import TrialState, canonical

FOREIGN_STARTS = 5
"""As many configurations of another tool are tried early: a few, for nobody can tell how good they are here."""


@dataclass(frozen=True)
class FittedTrial:
    """An earlier trial as a configuration of the new space."""

    trial: EarlierTrial
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    hparams: Mapping[str, Any]
    epochs_at: Mapping[int, int] = field(default_factory=dict)
    """By level, after how many of its epochs it had reached it; a level that is not here after as many as it says."""

    def best_at(self, level: int, objective: Objective) -> EarlierEpoch | None:
        """Return its best epoch until it reached a level; None if that was never known."""
        return self.trial.best_at(self.epochs_at.get(level, level), objective)

    @property
    def searched(self) -> dict[str, BaseDistribution]:
        """The distributions of the parameters that the earlier run searched too."""
        return {name: one for name, one in self.distributions.items() if name in self.trial.params}


def fit_to_space(space: SearchSpace, warm_start: WarmStart, pace: Pace | None = None) -> tuple[FittedTrial, ...]:
    """Return the earlier trials that fit the space, brought into it by the rule above.

    `pace` says when they reached a level: where rungs come by cost, a cheap one after more epochs than a dear one.
    """
    fitted = (_fit(space, trial, warm_start.defaults) for trial in warm_start.trials)
    found = tuple(one for one in fitted if one is not None)
    return found if pace is None else tuple(_paced(one, pace) for one in found)


def _paced(fitted: FittedTrial, pace: Pace) -> FittedTrial:
    return replace(fitted, epochs_at=pace.epochs_of(fitted.trial.relative_cost))


def with_best_starts(
    space: SearchSpace, fitted: Sequence[FittedTrial], objective: Objective, most: int = 1
) -> SearchSpace:
    """Return the space with the best earlier configurations as those to start from, behind the reference.

    They are at most so many, best first, without those that are starts already.
    """
    ranked = sorted(fitted, key=lambda one: (-score_of(one.trial.best(objective), objective), one.trial.number))
    best: dict[str, Mapping[str, Any]] = {}
    for one in ranked:
        best.setdefault(canonical(one.hparams), one.params)
    known = _starts(space)
    added = [params for hparams, params in list(best.items())[:most] if hparams not in known]
    return replace(space, start=(*space.start[:1], *added, *space.start[1:])) if added else space


def without_starts(space: SearchSpace, fitted: Sequence[FittedTrial]) -> tuple[FittedTrial, ...]:
    """Return those that are no start configuration; the others will be trials of the new search, with these results."""
    starts = _starts(space)
    return tuple(one for one in fitted if canonical(one.hparams) not in starts)


def _fit(space: SearchSpace, trial: EarlierTrial, defaults: Mapping[str, Any]) -> FittedTrial | None:
    if trial.state is TrialState.FAILED or not trial.epochs:
        return None
    try:
        answered, hparams = space.answer({**_first_start(space), **defaults, **trial.hparams, **trial.params})
    except SpaceError:
        return None
    if not answered.params.keys() & trial.params.keys():
        return None
    return FittedTrial(trial, dict(answered.params), dict(answered.distributions), hparams)


def _first_start(space: SearchSpace) -> Mapping[str, Any]:
    return space.start[0] if space.start else {}


def _starts(space: SearchSpace) -> set[str]:
    return {canonical(space.hparams_of_start(index)) for index in range(len(space.start))}
