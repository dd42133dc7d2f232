"""The search that a configuration and a plan describe: the same for a run, its resumption and its replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuner.config import StudyConfig
from tuner.engine.clock import BudgetClock
from tuner.engine.coordinator import Coordinator, Record
from tuner.engine.known_results import KnownResults
from tuner.engine.plan import Plan, retrain_load
from tuner.search.earlier import WarmStart
from tuner.search.objective import Objective, objectives_of
from tuner.search.pace import Pace
from tuner.search.registry import build_search
from tuner.search.rules import TODAYS, Rules
from tuner.search.search import Search
from tuner.search.space import SearchSpace

_TRIALS_FORESEEN = 4
"""Times as many as planned; configurations may be cheaper than the first, by which the plan is made."""


def search_of(
    config: StudyConfig,
    space: SearchSpace,
    objectives: Sequence[Objective],
    rungs: int | tuple[int, ...],
    max_trials: int | None,
    foreseen_trials: int | None,
    warm_start: WarmStart | None = None,
    *,
    protect_starts: bool = True,
    startup_trials: int | None = None,
    workers: int = 1,
    cost_weight: float = 0.0,
    pace: Pace | None = None,
    rules: Rules = TODAYS,
) -> Search:
    """Return a new search over rungs that are planned, or that end at a number of epochs.

    `startup_trials` are planned too, for a configuration that says nothing of them, and so are the `workers`, by whose
    number a search has converged the later, and the `cost_weight` of a search that has a budget of time. `pace` says
    when the trials of the `warm_start` reached a rung, `rules` are those that the run was begun with.

    Raises:
        ConfigError: for an unknown name, impossible rungs, or a searcher that cannot do what is asked for.
    """
    search = config.search
    planned = rungs if isinstance(rungs, tuple) else None
    return build_search(
        space,
        searcher=search.searcher,
        scheduler=search.scheduler,
        min_epochs=search.min_epochs,
        max_epochs=rungs if isinstance(rungs, int) else rungs[-1],
        reduction_factor=search.reduction_factor,
        startup_trials=startup_trials if search.startup_trials is None else search.startup_trials,
        max_trials=max_trials,
        foreseen_trials=foreseen_trials,
        warm_start=warm_start,
        objectives=objectives,
        seed=config.seed,
        levels=planned,
        protect_starts=protect_starts,
        stop_when_converged=search.stop_when_converged,
        workers=workers,
        cost_weight=cost_weight,
        pace=pace,
        rules=rules,
    )


def coordinator_of(
    config: StudyConfig,
    space: SearchSpace,
    objective: Objective,
    plan: Plan,
    record: Record,
    *,
    workers: int,
    elapsed: Callable[[], float],
    discard: Callable[[Sequence[int]], None],
    schema_version: int,
    warm_start: WarmStart | None = None,
) -> Coordinator:
    """Return a new coordinator that compares by `objective`; the others are as in `Coordinator`.

    `elapsed` counts the seconds worked on the run. A run keeps the rules that it was begun with, which follow from the
    `schema_version` of its journal.
    """
    rules = Rules.of(schema_version)
    load = retrain_load(config, plan.retrain_lengths, workers)
    kept = 0.0 if plan.most_retrain_epochs is None else plan.retrain_seconds
    clock = BudgetClock(config.budget_seconds, load, plan.seconds_per_epoch, elapsed, kept)
    foreseen = _TRIALS_FORESEEN * plan.expected_trials
    objectives = objectives_of(config.search.objectives, objective)
    pace = pace_of(config, plan)
    # The plan's rungs: a run that goes on keeps those that it began with.
    search = search_of(
        config,
        space,
        objectives,
        plan.rungs,
        plan.max_trials,
        foreseen,
        warm_start,
        protect_starts=plan.protect_starts,
        startup_trials=plan.startup_trials,
        # Not those of this driver: where the search ends must not hang on who goes on with it.
        workers=plan.workers,
        cost_weight=plan.cost_weight,
        pace=pace,
        rules=rules,
    )
    known = KnownResults(warm_start, pace.most_epochs, objectives)
    return Coordinator(
        search,
        record,
        clock,
        objectives=objectives,
        workers=workers,
        seed=config.seed,
        discard=discard,
        known=known,
        pace=pace,
        rules=rules,
    )


def pace_of(config: StudyConfig, plan: Plan) -> Pace:
    """Return when trials reach the rungs of a plan."""
    return Pace.of(config.search.resource, plan.to_dict())
