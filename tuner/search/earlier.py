"""What is known of the trials of an earlier run, as plain records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.search.objective import Objective
from tuner.search.report import EpochReport, best_of
from tuner.search.trial import TrialState


@dataclass(frozen=True)
class EarlierEpoch(EpochReport):
    """An epoch of an earlier run."""

    worker: str
    """Host and process that trained it."""


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of an earlier run on the same data."""

    number: int
    """In that run."""
    params: Mapping[str, Any]
    hparams: Mapping[str, Any]
    seed: int
    state: TrialState
    epochs: Sequence[EarlierEpoch]
    """The report of each epoch, from the first."""
    stalled: bool
    """Whether it ended because it made no progress for as long as this run's patience, or longer."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What was measured of its model and holds here too, by the names of `MEASURES`; older runs measured nothing."""
    relative_cost: float | None = None
    """What an epoch of it took, in those of this run's first configuration there, as `Pace` tells both by the first
    `COST_EPOCHS`; None if that is not known."""

    def best(self, objective: Objective) -> EarlierEpoch:
        """Return the best epoch; there must be one."""
        found = best_of(self.epochs, objective)
        assert found is not None, self.number
        return found

    def best_at(self, level: int, objective: Objective) -> EarlierEpoch | None:
        """Return the best of the first `level` epochs; None if that was never known.

        A trial that stalled is worth the same at every level above, for it would gain nothing there.
        """
        if len(self.epochs) < level and not self.stalled:
            return None
        return best_of(self.epochs[:level], objective)


@dataclass(frozen=True)
class WarmStart:
    """What a new run takes from an earlier one."""

    trials: Sequence[EarlierTrial]
    defaults: Mapping[str, Any]
    """What model and training take where a configuration is silent; empty for a user's own model."""
    reusable: bool
    """Whether an equal configuration would train alike: the model is the same."""
    comparable: bool = True
    """Whether their results are known to be of the same data. If not, they are configurations to try and no more."""
    horizon: int | None = None
    """Epochs that trainings there planned for, if what they do in the first depends on it; None: it does not."""
