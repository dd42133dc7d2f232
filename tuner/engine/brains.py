"""The search that a configuration and a plan describe: the same for a run, its resumption and its replay."""

from __future__ import annotations

from collections.abc import Callable

from tuner.config import StudyConfig
from tuner.engine.clock import BudgetClock
from tuner.engine.coordinator import Coordinator, Record
from tuner.engine.known_results import KnownResults
from tuner.engine.plan import Plan, retrain_load
from tuner.search.earlier import WarmStart
from tuner.search.registry import build_search
from tuner.search.search import Search
from tuner.search.space import SearchSpace

_TRIALS_FORESEEN = 4
"""Times as many as planned; configurations may be cheaper than the first, by which the plan is made."""


def search_of(
    config: StudyConfig,
    space: SearchSpace,
    max_epochs: int,
    max_trials: int | None,
    foreseen_trials: int | None,
    warm_start: WarmStart | None = None,
) -> Search:
    """Return a new search; raises ConfigError for an unknown name, impossible rungs or objectives."""
    search = config.search
    return build_search(
        space,
        searcher=search.searcher,
        scheduler=search.scheduler,
        min_epochs=search.min_epochs,
        max_epochs=max_epochs,
        reduction_factor=search.reduction_factor,
        startup_trials=search.startup_trials,
        max_trials=max_trials,
        foreseen_trials=foreseen_trials,
        warm_start=warm_start,
        objectives=search.objectives,
        seed=config.seed,
    )


def coordinator_of(
    config: StudyConfig,
    space: SearchSpace,
    plan: Plan,
    record: Record,
    *,
    workers: int,
    elapsed: Callable[[], float],
    discard: Callable[[int], None],
    warm_start: WarmStart | None = None,
) -> Coordinator:
    """Return a new coordinator; `elapsed` counts the seconds worked on the run, the others are as in `Coordinator`."""
    load = retrain_load(config, plan.max_epochs, workers)
    clock = BudgetClock(config.budget_seconds, load, plan.seconds_per_epoch, elapsed)
    foreseen = _TRIALS_FORESEEN * plan.expected_trials
    search = search_of(config, space, plan.max_epochs, plan.max_trials, foreseen, warm_start)
    known = KnownResults(warm_start, plan.max_epochs, config.search.objectives[1:])
    return Coordinator(search, record, clock, workers=workers, seed=config.seed, discard=discard, known=known)
