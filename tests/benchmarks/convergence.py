"""What it saves and what it costs to end a search when it has converged: regret given up against time saved.

python -m tests.benchmarks.convergence --family lcbench --surrogate DIR --tasks tuning --seeds 2 --workers 4 \\
    --trainings 40 --thresholds 0.0003,0.001,0.003 --json FILE

Each search is made once without the option, and once for each threshold, in the same simulated time: that of so many
full trainings, shared by the workers. Regret is that of `search_quality`, taken when the time is over or the search has
ended; what is given up is the difference to the search that goes on, in regret and in the objective itself, which a
threshold can be held against. A negative difference is chance: what runs when a search ends is promoted otherwise.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from tests.benchmarks.bootstrap import interval_of_mean
from tests.benchmarks.ours import ours
from tests.benchmarks.output import publish, told
from tests.benchmarks.problem import load_problem, tasks_of
from tuner.engine.provenance import source_commit
from tuner.search.seeds import derive_seed
from tuner.search.simulator import simulate

_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Arguments:
    """What to search, and when to end it."""

    family: str = "power-law"
    """What is searched: `power-law`, `lcbench` or `rbv2`."""
    surrogate: Path | None = None
    """Folder of the family's data files."""
    tasks: str = "tuning"
    """As in `search_quality`."""
    seeds: int = 2
    workers: int = 4
    trainings: int = 40
    """Time of one search, in full trainings of mean length."""
    thresholds: str = "0.0003,0.001,0.003"
    jobs: int = 1
    """Processes that simulate side by side."""
    json: Path | None = None


@dataclass(frozen=True)
class Search:
    """Which search is made."""

    task: str
    seed: int
    threshold: float | None
    """None for one that goes on until the time is over."""


@dataclass(frozen=True)
class Result:
    """What came of a search."""

    time: float
    """The share of its time after which it ended; 1 if that was over."""
    regret: float
    """Of the incumbent in the end."""
    value: float
    """What the incumbent reaches on its full curve."""
    trials: int


def run(search: Search, *, family: str, surrogate: Path | None, workers: int, trainings: int) -> Result:
    """Simulate one search."""
    problem = load_problem(family, surrogate, search.task)
    seconds = trainings * problem.mean_seconds / workers
    seed = derive_seed(search.seed, int(search.task))
    simulated = ours(problem, seed, workers=workers, stop_when_converged=search.threshold)
    best_seen, value, time, numbers = -np.inf, -np.inf, 0.0, set()
    for observation, proposal in simulate(simulated, problem.curve, workers):
        if observation.time > seconds:
            time = 1.0
            break
        time = observation.time / seconds
        numbers.add(observation.trial)
        if observation.value > best_seen:
            best_seen, value = observation.value, max(problem.curve(proposal.hparams).values)
    return Result(time, float(problem.regret(value)), float(value), len(numbers))


def summarise(results: Mapping[Search, Result], threshold: float) -> dict[str, Any]:
    """Return what ending at a threshold saved and cost, over tasks x seeds."""
    pairs = [
        (result, results[Search(search.task, search.seed, None)])
        for search, result in results.items()
        if search.threshold == threshold
    ]
    return {
        "searches": len(pairs),
        "ended_early": sum(early.time < 1.0 for early, _ in pairs),
        "trials": round(statistics.fmean(early.trials for early, _ in pairs), 1),
        "trials_without": round(statistics.fmean(whole.trials for _, whole in pairs), 1),
        "share_of_time_saved": _figures([1.0 - early.time for early, _ in pairs]),
        "regret_given_up": _figures([early.regret - whole.regret for early, whole in pairs]),
        "objective_given_up": _figures([whole.value - early.value for early, whole in pairs]),
    }


def _figures(values: Sequence[float]) -> dict[str, Any]:
    low, high = interval_of_mean(values, np.random.default_rng(0), _BOOTSTRAPS)
    return {
        "mean": round(statistics.fmean(values), 5),
        "interval": [round(low, 5), round(high, 5)],
        "median": round(statistics.median(values), 5),
        "largest": round(max(values), 5),
    }


def main(arguments: Arguments) -> dict[str, Any]:
    """Make all searches and return the summary by threshold."""
    thresholds = [float(threshold) for threshold in arguments.thresholds.split(",")]
    searches = [
        Search(task, seed, threshold)
        for seed in range(arguments.seeds)
        for task in tasks_of(arguments.family, arguments.tasks)
        for threshold in (None, *thresholds)
    ]
    made = partial(
        run,
        family=arguments.family,
        surrogate=arguments.surrogate,
        workers=arguments.workers,
        trainings=arguments.trainings,
    )
    if arguments.jobs == 1:
        found = [made(search) for search in searches]
    else:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            found = list(pool.map(made, searches))
    results = dict(zip(searches, found, strict=True))
    return {
        "arguments": told(asdict(arguments)),
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("optuna", "numpy", "scipy")},
        "thresholds": {f"{threshold:g}": summarise(results, threshold) for threshold in thresholds},
    }


if __name__ == "__main__":
    given = tyro.cli(Arguments, description=__doc__)
    publish(main(given), given.json)
