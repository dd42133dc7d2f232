"""The states of a trial and what is known of one while it runs; our words, whatever Ray or Optuna call them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETE = "COMPLETE"
    """Trained to its end: `max_epochs`, or no progress for `patience` epochs."""
    PRUNED = "PRUNED"
    """Ended early on purpose: by the scheduler, or because the search's time was over."""
    FAILED = "FAILED"
    """Ended by an error or a non-finite loss; nothing is learnt from its results."""

    @property
    def is_finished(self) -> bool:
        """Whether the trial will never train again."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


class Origin(StrEnum):
    """Who proposed a trial's configuration."""

    START = "start"
    """Listed in the search space's `START`, or the best of the run that a warm start takes its trials from."""
    RANDOM = "random"
    """Drawn at random, during start-up or by the random searcher; perhaps around what the space's `PRIOR` says."""
    MODEL = "model"
    """Proposed by the searcher's model of the results so far."""


@dataclass(frozen=True)
class Proposal:
    """One configuration to try."""

    number: int
    """Counts from 0 in the order of proposal."""
    params: Mapping[str, Any]
    """What the space asked of Optuna, by parameter name."""
    distributions: Mapping[str, str]
    """Optuna's distribution of each parameter, as Optuna writes it in JSON."""
    hparams: Mapping[str, Any]
    """What the space made of the parameters: the hyperparameters for model and training."""
    origin: Origin
    infeasible: str | None = None
    """Why it cannot be trained: the space refused this and every other draw. `hparams` is then empty."""
    expected_improvement: float | None = None
    """By how much a full training is expected to be better than the best, in the objective's units: one of this
    configuration or, if another improves more that was left for what it costs or for what is believed, of that one.
    What still runs counts as it is expected to end. None where nothing is told."""


def canonical(hparams: Mapping[str, Any]) -> str:
    """Return a text that is equal for equal hyperparameters, before and after a journey through JSON."""
    return json.dumps(hparams, sort_keys=True)
