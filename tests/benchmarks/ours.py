"""Searches of `tuner`, made as the command makes them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tests.benchmarks.problem import Problem
from tuner.config import SearchConfig
from tuner.search.registry import build_search
from tuner.search.search import Search
from tuner.search.space import SearchSpace


def ours(problem: Problem, seed: int, **changes: Any) -> Search:
    """Return a search by default that of the command; `changes` are to its `SearchConfig`."""
    space = SearchSpace("benchmark", problem.suggest, (), "none", "", ModuleType("benchmark"))
    config = SearchConfig(**changes)
    return build_search(
        space,
        searcher=config.searcher,
        scheduler=config.scheduler,
        min_epochs=config.min_epochs,
        max_epochs=problem.epochs,
        reduction_factor=config.reduction_factor,
        startup_trials=config.startup_trials,
        max_trials=None,
        seed=seed,
    )
