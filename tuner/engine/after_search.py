"""The trainings that follow a search: planned from its journal, and kept within the budget while they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuner.config import StudyConfig
from tuner.engine.brains import pace_of
from tuner.engine.clock import FINAL_EVALUATION_EPOCHS, EpochCost
from tuner.engine.plan import Plan, wanted_retrainings
from tuner.engine.retrain_plan import (
    Lengths,
    PlannedRetraining,
    fit_retrainings,
    is_last_epoch,
    refit_retrainings,
    scale_to_horizon,
)
from tuner.journal.events import RetrainingPlanned
from tuner.journal.history import History, TrialHistory
from tuner.results.selection import BASELINE, TUNED
from tuner.search.space import SearchSpace
from tuner.search.trial import canonical
from tuner.training.hparams import EPOCH_HPARAMS


@dataclass(frozen=True)
class Retraining:
    """One training to the end."""

    candidate: str
    """`tuned` or `baseline`."""
    seed: int
    hparams: Mapping[str, Any]
    max_epochs: int
    ends_after: int | None = None
    """Epochs with which it has to end, of those that it was planned for; None: with all."""

    @property
    def key(self) -> tuple[str, int]:
        """Names the retraining in the history."""
        return self.candidate, self.seed


@dataclass(frozen=True)
class AfterSearch:
    """What is to be trained once the winner is known, by the rules of `retrain_plan`."""

    config: StudyConfig
    space: SearchSpace
    plan: Plan
    workers: int

    def planned(self, history: History, seconds_left: float | None) -> RetrainingPlanned:
        """Return the plan of the retrainings, with `seconds_left` of the budget."""
        costs = {TUNED: self._tuned_cost(history), BASELINE: self._cost(self._reference_trial(history))}
        wanted = wanted_retrainings(self.config)
        lengths = self._lengths(history)
        found = fit_retrainings(wanted, costs, lengths, workers=self.workers, seconds_left=seconds_left)
        candidates = dict.fromkeys(candidate for candidate, _ in wanted)
        return self.event(history, found, {name: costs[name] for name in candidates}, seconds_left)

    def event(
        self,
        history: History,
        planned: Sequence[PlannedRetraining],
        costs: Mapping[str, float],
        seconds_left: float | None,
    ) -> RetrainingPlanned:
        """Return a plan as it is written down."""
        retrainings = [
            {
                "candidate": one.candidate,
                "seed": one.seed,
                "max_epochs": one.epochs,
                "hparams": self._hparams(history, one),
            }
            for one in planned
        ]
        return RetrainingPlanned(retrainings, dict(costs), seconds_left)

    def _hparams(self, history: History, one: PlannedRetraining) -> dict[str, Any]:
        """Return what one is trained with: the baseline is as a person wrote it, whatever its length."""
        assert history.winner is not None
        if one.candidate != TUNED:
            return self.space.reference()
        names = (*EPOCH_HPARAMS, *self.space.epoch_hparams)
        searched = self._searched_epochs(history.trials[history.winner.trial])
        return {**scale_to_horizon(history.winner.hparams, names, one.epochs / searched), **self.space.retrain}

    def _lengths(self, history: History) -> Lengths:
        """Return how long the retrainings may be: longer for a winner that was cheap, and so long in the search."""
        lengths = self.plan.retrain_lengths
        if lengths.most is None or history.winner is None:
            return lengths
        longer = self._searched_epochs(history.trials[history.winner.trial]) / self.plan.rungs[-1]
        return replace(lengths, most=round(lengths.most * max(1.0, longer)))

    def _searched_epochs(self, winner: TrialHistory) -> int:
        """Return the epochs of a full training of the winner in the search."""
        pace = pace_of(self.config, self.plan)
        pace.note_all(winner.number, winner.epochs)
        return pace.horizon(winner.number)

    def _tuned_cost(self, history: History) -> float:
        assert history.winner is not None
        return self._cost(history.trials[history.winner.trial])

    def _reference_trial(self, history: History) -> TrialHistory | None:
        reference = canonical(self.space.reference())
        return next((one for one in history.trials.values() if canonical(one.proposed.hparams) == reference), None)

    def _cost(self, trial: TrialHistory | None) -> float:
        """Return what an epoch of a trial cost here; of one that was not trained here, by what it cost there."""
        cost = EpochCost()
        for report in () if trial is None else trial.epochs.values():
            cost.take(report)
        return cost.here(self.plan.seconds_per_epoch)


def retrainings_of(planned: RetrainingPlanned) -> list[Retraining]:
    """Return what a plan wants trained."""
    return [Retraining(**one) for one in planned.retrainings]


@dataclass
class _Progress:
    retraining: Retraining
    epochs: int = 0

    @property
    def epochs_left(self) -> float:
        one = self.retraining
        last = one.max_epochs if one.ends_after is None else one.ends_after
        return last - self.epochs + FINAL_EVALUATION_EPOCHS


@dataclass
class RetrainTimes:
    """Watches what retrainings cost: plans the rest anew where that is more than planned, and ends what is late."""

    after: AfterSearch
    history: History
    planned: RetrainingPlanned
    seconds_left: Callable[[], float | None]
    record: Callable[..., None]
    say: Callable[[str], None]
    saves_state: bool
    """Whether a training goes on from where an earlier process left it, and can be ended early and measured; else it
    begins anew, and is trained to its end."""
    _costs: dict[str, EpochCost] = field(default_factory=dict)
    _running: dict[tuple[str, int], _Progress] = field(default_factory=dict)

    def fit(self, waiting: Sequence[Retraining]) -> list[Retraining]:
        """Return what of the `waiting` is still to be trained, written down and told if it is not all as planned.

        What an earlier driver has begun comes first and keeps its length: its hyperparameters were made for that, and
        if it is late it ends with the epochs it has had.
        """
        begun = [one for one in waiting if self._had(one)]
        fresh = [one for one in waiting if not self._had(one)]
        before = [PlannedRetraining(one.candidate, one.seed, one.max_epochs) for one in fresh]
        costs = {name: self._cost(name) for name in self.planned.seconds_per_epoch}
        left = self.seconds_left()
        going = [*self._running.values(), *(_Progress(one, self._had(one)) for one in begun)]
        after = refit_retrainings(
            before,
            [one.epochs_left * costs[one.retraining.candidate] for one in going],
            costs,
            self.after.plan.retrain_lengths,
            workers=self.after.workers,
            seconds_left=left,
            keeps_first=any(one.candidate == TUNED for one in fresh[:1]) and not self._has_answer(going),
        )
        if after == before:
            return [*begun, *fresh]
        others = [
            PlannedRetraining(one["candidate"], one["seed"], one["max_epochs"])
            for one in self.planned.retrainings
            if (one["candidate"], one["seed"]) not in {late.key for late in before}
        ]
        blame = self._blame(costs)
        self.planned = self.after.event(self.history, [*others, *after], costs, left)
        self.record(self.planned)
        self.say(_in_words(before, after, blame))
        kept = {one.key for one in after}
        return [*begun, *(one for one in retrainings_of(self.planned) if one.key in kept)]

    def begin(self, retraining: Retraining) -> None:
        """Take note that one is under way."""
        self._running[retraining.key] = _Progress(retraining, self._had(retraining))

    def epoch(self, retraining: Retraining, epoch: int, seconds: float) -> bool:
        """Take note of an epoch; return whether it must be the last, for the time is over."""
        self._costs.setdefault(retraining.candidate, EpochCost()).add(seconds)
        self._running[retraining.key].epochs = epoch
        is_over = epoch >= retraining.max_epochs or not self.saves_state
        late = not is_over and is_last_epoch(self._cost(retraining.candidate), self.seconds_left())
        if late:
            blame = self._blame([retraining.candidate])
            self.say(
                f"{retraining.candidate} seed {retraining.seed} ends with its best epoch so far, after {epoch} of "
                f"{retraining.max_epochs}: {blame}, and only the time for the report is left."
            )
        return late

    def end(self, retraining: Retraining) -> None:
        """Take note that one is through, or has failed."""
        self._running.pop(retraining.key, None)

    def _had(self, retraining: Retraining) -> int:
        """Return the epochs that one need not be trained again."""
        known = self.history.retrains.get(retraining.key)
        return 0 if known is None or not self.saves_state else len(known.epochs)

    def _has_answer(self, going: Sequence[_Progress]) -> bool:
        """Return whether a retraining of the winner has ended well or is under way: without one there is no result."""
        ended = any(one.ended and one.candidate == TUNED for one in self.history.retrains.values())
        return ended or any(one.retraining.candidate == TUNED for one in going)

    def _blame(self, candidates: Iterable[str]) -> str:
        """Return why it is late: if epochs cost what was planned, time has gone elsewhere, as on a restart."""
        is_slow = any(self._cost(one) > self.planned.seconds_per_epoch[one] for one in candidates)
        return "epochs are slower than planned" if is_slow else "less time is left than planned"

    def _cost(self, candidate: str) -> float:
        known = self._costs.get(candidate)
        median = None if known is None else known.median
        return self.planned.seconds_per_epoch[candidate] if median is None else median


def _in_words(before: Sequence[PlannedRetraining], after: Sequence[PlannedRetraining], blame: str) -> str:
    kept = {one.key: one for one in after}
    dropped = [f"{one.candidate} seed {one.seed}" for one in before if one.key not in kept]
    shorter = [
        f"{one.candidate} seed {one.seed} gets {kept[one.key].epochs} epochs, not {one.epochs}"
        for one in before
        if one.key in kept and kept[one.key].epochs < one.epochs
    ]
    changes = [*([f"without {', '.join(dropped)}"] if dropped else []), *shorter]
    return f"{blame.capitalize()}, so the rest of the retraining is planned anew: {'; '.join(changes)}."
