"""What the run is going to do with its time, worked out before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tuner.config import StudyConfig
from tuner.engine.clock import RetrainLoad
from tuner.errors import ConfigError
from tuner.search.rungs import first_rung, mean_epochs, rung_levels

DEFAULT_TRIALS = 32
"""Trials of a study that was given neither a budget nor a number."""
DEFAULT_MAX_EPOCHS = 27
"""Epochs of a full training without a budget; with one, at most `MOST_EPOCHS`."""
MOST_EPOCHS = 81
_RETRAIN_SHARE = 0.35
"""Of a budget: the most that retraining the reference's own width may take when `max_epochs` is fitted to it."""


@dataclass(frozen=True)
class Plan:
    """The figures shown before the first trial."""

    workers: int
    rungs: tuple[int, ...]
    reduction_factor: int | None
    """None if nothing is stopped early."""
    seconds_per_epoch: float
    """Measured, for the space's first start configuration, with all workers busy."""
    max_trials: int | None
    expected_trials: int
    """If trials cost as much as the first start configuration and one in `reduction_factor` goes on from each rung."""
    search_seconds: float
    retrain_seconds: float
    budget_seconds: float | None
    protect_starts: bool = True
    """Whether the space's start configurations go on from the first rung; those of older runs did not."""

    @property
    def max_epochs(self) -> int:
        """Epochs of a full training."""
        return self.rungs[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON-ready dictionary."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Plan:
        """Return the plan of `to_dict`, perhaps after a journey through JSON."""
        return Plan(**{"protect_starts": False, **values, "rungs": tuple(values["rungs"])})


def make_plan(config: StudyConfig, workers: int, seconds_per_epoch: float, started: float) -> Plan:
    """Return the plan of a study that has been at work for `started` seconds.

    Raises:
        ConfigError: if the budget holds no search and retraining, with what it would take.
    """
    budget = config.budget_seconds
    max_epochs = config.search.max_epochs or _fitted_epochs(config, workers, seconds_per_epoch)
    rungs = rung_levels(first_rung(config.search.min_epochs, max_epochs), max_epochs, config.search.reduction_factor)
    factor = config.search.reduction_factor if config.search.scheduler != "none" else None
    retrain_seconds = retrain_load(config, max_epochs, workers).seconds(seconds_per_epoch, seconds_per_epoch)
    epochs = mean_epochs(rungs, factor)
    max_trials = config.search.trials or (DEFAULT_TRIALS if budget is None else None)
    if budget is None:
        assert max_trials is not None
        search_seconds = max_trials * epochs * seconds_per_epoch / workers
        return Plan(
            workers, rungs, factor, seconds_per_epoch, max_trials, max_trials, search_seconds, retrain_seconds, None
        )
    search_seconds = budget - started - retrain_seconds
    if search_seconds < seconds_per_epoch * rungs[0]:
        needed = started + retrain_seconds + seconds_per_epoch * rungs[0]
        raise ConfigError(
            f"--budget is {config.budget}, but one epoch takes {seconds_per_epoch:.0f}s here: a search "
            f"of one trial and the retraining ({max_epochs} epochs) need at least {needed:.0f}s."
        )
    affordable = max(1, int(search_seconds * workers / (epochs * seconds_per_epoch)))
    expected = min(affordable, max_trials) if max_trials else affordable
    return Plan(
        workers, rungs, factor, seconds_per_epoch, max_trials, expected, search_seconds, retrain_seconds, budget
    )


def retrain_load(config: StudyConfig, max_epochs: int, workers: int) -> RetrainLoad:
    """Return the trainings that follow the search."""
    seeds = config.retrain.retrain_seeds
    return RetrainLoad(seeds, seeds if config.retrain.baseline else 0, max_epochs, workers)


def _fitted_epochs(config: StudyConfig, workers: int, seconds_per_epoch: float) -> int:
    """Return the longest training whose retraining takes no more than its share of the budget."""
    if config.budget_seconds is None:
        return max(DEFAULT_MAX_EPOCHS, config.search.min_epochs or 1)
    allowed = config.budget_seconds * _RETRAIN_SHARE
    fitting = [
        epochs
        for epochs in range(1, MOST_EPOCHS + 1)
        if retrain_load(config, epochs, workers).seconds(seconds_per_epoch, seconds_per_epoch) <= allowed
    ]
    return max(fitting, default=1)
