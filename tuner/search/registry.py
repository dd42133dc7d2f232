"""The schedulers there are, by public name, and the search made of one and a searcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tuner.search.asha import Asha
from tuner.search.asha_promote import AshaPromote
from tuner.search.convergence import Convergence
from tuner.search.earlier import WarmStart
from tuner.search.hyperband import Hyperband
from tuner.search.names import ASHA, ASHA_PROMOTE, HYPERBAND, NONE, check_scheduler
from tuner.search.objective import Objective
from tuner.search.pace import Pace
from tuner.search.rules import TODAYS, Rules
from tuner.search.run_to_end import RunToEnd
from tuner.search.rungs import first_rung, rung_levels
from tuner.search.scheduler import Scheduler
from tuner.search.search import Search
from tuner.search.searchers import build_searcher
from tuner.search.space import SearchSpace
from tuner.search.warm_start import FOREIGN_STARTS, fit_to_space, with_best_starts, without_starts

SCHEDULERS: Mapping[str, Callable[[tuple[int, ...], int, Objective], Scheduler]] = {
    ASHA: Asha,
    ASHA_PROMOTE: AshaPromote,
    HYPERBAND: Hyperband,
    NONE: lambda levels, reduction_factor, objective: RunToEnd(levels, objective),
}
"""By name, from the rung levels, the reduction factor and the objective."""


def build_search(
    space: SearchSpace,
    *,
    searcher: str,
    scheduler: str,
    min_epochs: int | None,
    max_epochs: int,
    reduction_factor: int,
    startup_trials: int | None,
    max_trials: int | None,
    foreseen_trials: int | None = None,
    warm_start: WarmStart | None = None,
    objectives: Sequence[Objective],
    seed: int,
    levels: tuple[int, ...] | None = None,
    protect_starts: bool = True,
    stop_when_converged: float | None = None,
    workers: int = 1,
    cost_weight: float = 0.0,
    pace: Pace | None = None,
    rules: Rules = TODAYS,
) -> Search:
    """Return a search over `space`; raises ConfigError for an unknown name, impossible rungs, or as `build_searcher`.

    `max_trials` is a limit, `foreseen_trials` a guess at how many there may be if there is none; see `Search`.
    `warm_start` holds the trials of an earlier run to begin with; trials are compared by the first of `objectives`.
    `levels` are the rungs if they are known, as of a run that goes on; else they follow from the numbers of epochs.
    `protect_starts` is as in `Search`; `stop_when_converged` is the threshold of its `Convergence` if it has one, and
    `workers` how many trials it trains at a time. `cost_weight` is as in `GaussianProcessSearcher`, and
    `pace` as in `fit_to_space`. `rules` are those that the run was begun with.
    """
    check_scheduler(scheduler)
    if levels is None:
        levels = rung_levels(first_rung(min_epochs, max_epochs), max_epochs, reduction_factor)
    fitted = fit_to_space(space, warm_start, pace) if warm_start is not None else ()
    comparable = warm_start is None or warm_start.comparable
    space = with_best_starts(space, fitted, objectives[0], 1 if comparable else FOREIGN_STARTS)
    proposer = build_searcher(
        searcher,
        space,
        levels,
        seed=seed,
        startup_trials=startup_trials,
        earlier=without_starts(space, fitted) if fitted and comparable else (),
        objectives=objectives,
        stop_when_converged=stop_when_converged,
        cost_weight=cost_weight,
        rules=rules,
    )
    decider = SCHEDULERS[scheduler](levels, reduction_factor, objectives[0])
    convergence = None if stop_when_converged is None else Convergence(stop_when_converged, objectives[0], workers)
    return Search(
        proposer,
        decider,
        max_trials,
        foreseen_trials,
        protect_starts=protect_starts,
        convergence=convergence,
        best_goes_on=rules.best_goes_on,
    )
