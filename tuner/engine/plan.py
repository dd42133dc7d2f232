"""What the run is going to do with its time, worked out before it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tuner.config import AUTO, SearchConfig, StudyConfig
from tuner.engine.clock import CLOSING_SECONDS, RetrainLoad
from tuner.engine.retrain_plan import Lengths, fit_retrainings
from tuner.errors import ConfigError, JournalError, in_one_line
from tuner.results.selection import BASELINE, TUNED
from tuner.results.wording import duration, short_duration
from tuner.search.cost_model import COST_WEIGHT
from tuner.search.gp_searcher import Settings
from tuner.search.hyperband import mean_epochs_of_brackets
from tuner.search.names import GP
from tuner.search.pace import COST_EPOCHS, cost_exponent
from tuner.search.rungs import first_rung, mean_epochs, rung_levels
from tuner.search.searchers import searcher_for

DEFAULT_TRIALS = 32
"""Trials of a study that was given neither a budget nor a number."""
DEFAULT_MAX_EPOCHS = 27
"""Epochs of a full training without a budget; with one, at most `MOST_EPOCHS`."""
MOST_EPOCHS = 81
RETRAIN_SHARE = 0.6
"""Of a budget: the part that is kept for the retraining, if its epochs are fitted to it.

The end pays more than the search. In sixty minutes of two cores, 38 of them for a search with trainings of ten epochs,
nothing improved in the last 22 of those and the winner was still improving when its epochs ended: 0.930 on test. One
training of 44 epochs, 14.5 minutes of one core, of a narrower start configuration gets to 0.939 without any search.
"""
_SEARCH_TRAININGS = 6
"""Full trainings of the first start configuration that fit into a search: few, for a short training says little about
a long one. With ten of them an hour compared the CNNs after two epochs of the reference, a fifth of the retraining's,
and chose one of a sixteenth of its size."""
_STARTUP_SHARE = 6
"""One trial in so many is proposed without a model first, and no more than ever: where few trials are expected, a model
of the first results is worth more than further ones at random (docs/search-evidence.md)."""
_LEAST_SEARCH_SECONDS = 2.0
"""A search has at least, for before a trial trains it is proposed, written down and sent to a process."""
_SEARCH_FIRST = 3
"""Times the least are the search's before the retraining gets more than its own: an epoch that turns out slower than
the measured one, or a first trial that fails, must not leave the run without a winner."""
_LEAST_STRETCH = 2
"""Times as long as in the search is the retraining of the first start configuration at least: then a winner twice as
dear can still be trained to the search's horizon."""


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
    least_retrain_epochs: int = 0
    """Epochs that each retraining gets; 0, as in older runs: those of the search."""
    most_retrain_epochs: int | None = None
    """Epochs up to which the retraining is fitted to the budget; None if it is not."""
    expected_retrain_epochs: int = 0
    """Of a winner that costs as much as the first start configuration; 0: the least."""
    cost_exponent: float | None = None
    """By which power of their cost trials have fewer epochs at a rung; 0: all have the same. Older plans lack it."""
    startup_trials: int | None = None
    """Trials started before the searcher models the results; None, as in older plans: the searcher knows."""
    cost_weight: float = 0.0
    """By which power of its cost what is expected of a proposal is divided; 0, as in older plans: by none."""
    cost_epochs: int = 1
    """Of a trial's first epochs so many say what it costs, by the cheapest; in older plans the first alone."""

    @property
    def max_epochs(self) -> int:
        """Epochs of a full training in the search."""
        return self.rungs[-1]

    @property
    def retrain_lengths(self) -> Lengths:
        """How many epochs a retraining may have."""
        return Lengths(self.least_retrain_epochs or self.max_epochs, self.most_retrain_epochs)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON-ready dictionary."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Plan:
        """Return the plan of `to_dict`, perhaps after a journey through JSON, or by a newer or an older version.

        Raises:
            JournalError: if it is none.
        """
        known = {one.name: values[one.name] for one in fields(Plan) if one.name in values}
        try:
            return Plan(**{"protect_starts": False, **known, "rungs": tuple(values["rungs"])})
        except (KeyError, TypeError) as error:
            raise JournalError(f"the plan in the journal cannot be read: {in_one_line(error)}") from error


def make_plan(config: StudyConfig, workers: int, seconds_per_epoch: float, started: float) -> Plan:
    """Return the plan of a study that has been at work for `started` seconds.

    Raises:
        ConfigError: if the budget holds no search and retraining, with where the time goes and what it would take.
    """
    search, budget, cost = config.search, config.budget_seconds, seconds_per_epoch
    max_epochs = search.max_epochs or _fitted_epochs(config, workers, cost, started)
    rungs = rung_levels(first_rung(search.min_epochs, max_epochs), max_epochs, search.reduction_factor)
    factor = search.reduction_factor if search.scheduler != "none" else None
    lengths = _lengths(config, max_epochs)
    load = retrain_load(config, lengths, workers)
    max_trials = search.trials or (DEFAULT_TRIALS if budget is None else None)
    least_seconds = load.seconds(cost, cost)
    if budget is None:
        assert max_trials is not None
        epochs = max_trials * _epochs_of_a_trial(search.scheduler, rungs, factor, max_trials)
        # However many workers there are, the one that is trained to the end takes its epochs one after the other.
        search_seconds, retrain_seconds, expected = max(epochs / workers, max_epochs) * cost, least_seconds, max_trials
    else:
        first_seconds = max(cost * rungs[0], _LEAST_SEARCH_SECONDS)
        free = budget - started - least_seconds
        if free < first_seconds:
            raise ConfigError(_too_short(config, cost, started, lengths.least, started + least_seconds + first_seconds))
        share = min(_share(config), budget - started - min(free, _SEARCH_FIRST * first_seconds))
        retrain_seconds = load.share_seconds(share, cost, cost)
        search_seconds = budget - started - retrain_seconds
        epochs = _epochs_of_a_trial(search.scheduler, rungs, factor)
        affordable = max(1, int(search_seconds * workers / (epochs * cost)))
        expected = min(affordable, max_trials) if max_trials else affordable
    expected_epochs = _expected_epochs(config, lengths, workers, cost, retrain_seconds)
    exponent = _cost_exponent(search.resource, lengths, expected_epochs / max_epochs)
    return Plan(
        workers,
        rungs,
        factor,
        cost,
        max_trials,
        expected,
        search_seconds,
        retrain_seconds,
        budget,
        least_retrain_epochs=lengths.least,
        most_retrain_epochs=lengths.most,
        expected_retrain_epochs=expected_epochs,
        cost_exponent=exponent,
        startup_trials=_startup_trials(search, expected),
        # Without a budget no clock decides, so that a seed gives the same study.
        cost_weight=0.0 if budget is None else round(COST_WEIGHT * (1.0 - exponent), 2),
        cost_epochs=COST_EPOCHS,
    )


def _too_short(config: StudyConfig, cost: float, started: float, epochs: int, needed: float) -> str:
    """Return why the budget holds no search and retraining: where the time goes, and how much would be enough."""
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    return (
        f"--budget is {config.budget}, but starting took {duration(started)}, {duration(CLOSING_SECONDS)} are kept for "
        f"measuring and the report, and an epoch takes {short_duration(cost)} here: with a search of one trial and the "
        f"retraining ({trained}) that needs at least {math.ceil(round(needed, 3))}s."
    )


def _epochs_of_a_trial(scheduler: str, rungs: tuple[int, ...], factor: int | None, trials: int | None = None) -> float:
    """Return the epochs of a mean one of `trials`; None: of many."""
    if scheduler == "hyperband" and factor is not None:
        return mean_epochs_of_brackets(rungs, factor, trials)
    return mean_epochs(rungs, factor, math.inf if trials is None else trials)


def retrain_load(config: StudyConfig, lengths: Lengths, workers: int) -> RetrainLoad:
    """Return the trainings that follow the search."""
    seeds = config.retrain.retrain_seeds
    return RetrainLoad(seeds, seeds if config.retrain.baseline else 0, lengths.least, workers, lengths.most)


def wanted_retrainings(config: StudyConfig) -> list[tuple[str, int]]:
    """Return candidate and seed of the trainings that follow the search, if there is time for all of them."""
    first = 1000 * config.seed + 1
    seeds = range(first, first + config.retrain.retrain_seeds)
    candidates = (TUNED, BASELINE) if config.retrain.baseline else (TUNED,)
    return [(candidate, seed) for candidate in candidates for seed in seeds]


def _share(config: StudyConfig) -> float:
    return RETRAIN_SHARE * (config.budget_seconds or 0.0)


def _cost_exponent(resource: str, lengths: Lengths, stretch: float) -> float:
    if resource == AUTO:
        # Where the number of epochs is given, every configuration has it in the end.
        return 0.0 if lengths.most is None else round(cost_exponent(stretch), 2)
    return 1.0 if resource == "seconds" else 0.0


def _startup_trials(search: SearchConfig, expected: int) -> int | None:
    name = searcher_for(max(1, len(search.objectives))) if search.searcher == AUTO else search.searcher
    if search.startup_trials is not None or name != GP:
        return search.startup_trials
    return min(Settings.startup_trials, expected // _STARTUP_SHARE)


def _lengths(config: StudyConfig, max_epochs: int) -> Lengths:
    if config.retrain.retrain_epochs is not None:
        return Lengths(config.retrain.retrain_epochs)
    return Lengths(max_epochs, None if config.budget_seconds is None else max(MOST_EPOCHS, max_epochs))


def _expected_epochs(config: StudyConfig, lengths: Lengths, workers: int, cost: float, retrain_seconds: float) -> int:
    """Return the epochs of a retraining that costs as much as the first start configuration."""
    if lengths.most is None:
        return lengths.least
    costs = {TUNED: cost, BASELINE: cost}
    wanted = wanted_retrainings(config)
    return fit_retrainings(wanted, costs, lengths, workers=workers, seconds_left=retrain_seconds)[0].epochs


def _fitted_epochs(config: StudyConfig, workers: int, cost: float, started: float) -> int:
    """Return the horizon of a search that is left what the retraining does not need."""
    if config.budget_seconds is None:
        return max(DEFAULT_MAX_EPOCHS, config.search.min_epochs or 1)
    typed = config.retrain.retrain_epochs
    if typed is None:
        kept = _share(config)
        longest = _expected_epochs(config, Lengths(1, MOST_EPOCHS), workers, cost, kept) // _LEAST_STRETCH
    else:
        kept = retrain_load(config, Lengths(typed), workers).seconds(cost, cost)
        longest = typed
    searched = (config.budget_seconds - started - kept) * workers / cost
    return max(config.search.min_epochs or 1, min(int(searched / _SEARCH_TRAININGS), longest))
