"""Searches of `tuner`, made as the command makes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tests.benchmarks.problem import Problem
from tuner.config import SearchConfig
from tuner.search.earlier import WarmStart
from tuner.search.registry import build_search
from tuner.search.search import Search
from tuner.search.space import SearchSpace, Suggest


def ours(problem: Problem, seed: int, **changes: Any) -> Search:
    """Return a search by default that of the command; `changes` are to its `SearchConfig`."""
    return search_of(problem.suggest, problem.epochs, seed, SearchConfig(**changes))


def search_of(
    suggest: Suggest,
    epochs: int,
    seed: int,
    config: SearchConfig,
    start: tuple[Mapping[str, Any], ...] = (),
    warm_start: WarmStart | None = None,
) -> Search:
    """Return a search over the space of `suggest` with trainings of `epochs`; the rest is as in `build_search`."""
    return build_search(
        SearchSpace("benchmark", suggest, start, "none", "", ModuleType("benchmark")),
        searcher=config.searcher,
        scheduler=config.scheduler,
        min_epochs=config.min_epochs,
        max_epochs=epochs,
        reduction_factor=config.reduction_factor,
        startup_trials=config.startup_trials,
        max_trials=None,
        warm_start=warm_start,
        seed=seed,
    )
