"""Searches of `tuner`, made by what makes those of the command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.benchmarks.problem import Problem
from tuner.config import DEFAULT_OBJECTIVE, SearchConfig, StudyConfig
from tuner.engine import brains
from tuner.search.cost_model import COST_WEIGHT
from tuner.search.earlier import WarmStart
from tuner.search.search import Search
from tuner.search.space import SearchSpace, Suggest


def ours(problem: Problem, seed: int, *, workers: int = 1, **changes: Any) -> Search:
    """Return a search by default that of the command; `changes` are to its `SearchConfig`."""
    return search_of(problem.suggest, problem.epochs, seed, SearchConfig(**changes), workers=workers)


def ours_in_time(problem: Problem, seed: int, cost_weight: float = COST_WEIGHT) -> Search:
    """Return a search as one that has a budget of time and not of trials, where all trials have the same epochs."""
    return search_of(problem.suggest, problem.epochs, seed, SearchConfig(), cost_weight=cost_weight)


def search_of(
    suggest: Suggest,
    epochs: int,
    seed: int,
    config: SearchConfig,
    start: tuple[Mapping[str, Any], ...] = (),
    warm_start: WarmStart | None = None,
    prior: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    cost_weight: float = 0.0,
) -> Search:
    """Return a search without end over the space of `suggest`, with trainings of `epochs`."""
    space = SearchSpace("benchmark", suggest, start, prior=prior or {})
    return brains.search_of(
        StudyConfig(search=config, seed=seed),
        space,
        (DEFAULT_OBJECTIVE,),
        epochs,
        None,
        None,
        warm_start,
        workers=workers,
        cost_weight=cost_weight,
    )
