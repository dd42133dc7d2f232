"""The searchers there are, by public name, and the one that is taken if none is named."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import ConfigError
from tuner.search.gp_searcher import GaussianProcessSearcher
from tuner.search.names import AUTO, GP, TPE, check_searcher
from tuner.search.objective import Objective
from tuner.search.optuna_searcher import SAMPLERS, OptunaSearcher
from tuner.search.rules import TODAYS, Rules
from tuner.search.searcher import Searcher
from tuner.search.space import SearchSpace
from tuner.search.warm_start import FittedTrial


def searcher_for(objectives: int) -> str:
    """Return the name of the searcher that `auto` stands for with so many objectives.

    The Gaussian process over all rungs is well ahead of TPE on numeric spaces and on a conditional one, as
    far as that was tried (docs/search-evidence.md). It knows one objective.
    """
    return GP if objectives == 1 else TPE


def build_searcher(
    name: str,
    space: SearchSpace,
    levels: tuple[int, ...],
    *,
    seed: int,
    startup_trials: int | None = None,
    earlier: Sequence[FittedTrial] = (),
    objectives: Sequence[Objective],
    stop_when_converged: float | None = None,
    cost_weight: float = 0.0,
    rules: Rules = TODAYS,
) -> Searcher:
    """Return a searcher by name; for the other arguments see `OptunaSearcher`.

    `startup_trials` None leaves it to the searcher when its model begins to propose. With `stop_when_converged` it
    tells what improvement it expects of its proposals. `cost_weight` is as in `GaussianProcessSearcher`; the others do
    not ask what trials cost.

    Raises:
        ConfigError: for an unknown name, one of a searcher that knows one objective if there are several, or one that
            cannot tell what it expects if that is needed.
    """
    check_searcher(name)
    name = searcher_for(len(objectives)) if name == AUTO else name
    if name != GP and stop_when_converged is not None:
        raise ConfigError(
            f"--stop-when-converged is {stop_when_converged}, but must be left out where the searcher is {name!r}, "
            f"which cannot say what improvement it expects; available for it are: {AUTO} and {GP}, with one objective."
        )
    if name != GP:
        return OptunaSearcher(
            space,
            SAMPLERS[name],
            levels,
            seed=seed,
            startup_trials=startup_trials,
            earlier=earlier,
            objectives=objectives,
            rules=rules,
        )
    if len(objectives) > 1:
        raise ConfigError(
            f"--searcher is {GP!r}, which knows one objective, but --objectives is "
            f"{','.join(one.metric for one in objectives)!r}; available for several are: {AUTO}, {', '.join(SAMPLERS)}."
        )
    return GaussianProcessSearcher(
        space,
        levels,
        objective=objectives[0],
        seed=seed,
        startup_trials=startup_trials,
        earlier=earlier,
        tells_improvement=stop_when_converged is not None,
        cost_weight=cost_weight,
        rules=rules,
    )
