"""How good the front is that a search for two objectives finds, on learning curves known beforehand; prints JSON.

    python -m tests.benchmarks.front_quality --seeds 20

The family has no data files: a wide model ends better, learns more slowly and has more parameters. The measure is the
area that the trials dominate (hypervolume; larger is better), each by the best accuracy it has shown.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import tyro

from tests.benchmarks.bootstrap import interval_of_mean
from tests.benchmarks.output import publish
from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.provenance import source_commit
from tuner.search.objective import NUM_PARAMS
from tuner.search.optuna_searcher import SAMPLERS, OptunaSearcher
from tuner.search.pareto import pareto_front
from tuner.search.registry import SCHEDULERS
from tuner.search.rungs import rung_levels
from tuner.search.search import Search
from tuner.search.simulator import Curve, simulate
from tuner.search.space import SearchSpace

EPOCHS, MOST_PARAMS = 9, 1e6
_BOTH = (DEFAULT_OBJECTIVE, NUM_PARAMS)
_STARTUP_TRIALS = 15
_BOOTSTRAPS = 10_000


@dataclass(frozen=True)
class Arguments:
    """What to simulate."""

    seeds: int = 20
    epochs: int = 200
    """Of all trials of a search together."""
    workers: int = 4
    methods: str = "tpe,tpe-remembering,tpe-one-objective,random"
    schedulers: str = "asha-promote,asha,hyperband,none"
    json: Path | None = None


def suggest(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """Return a configuration: what should be tuned alike at any width, and the width."""
    return {
        "x": trial.suggest_float("x", 0.0, 1.0),
        "y": trial.suggest_float("y", 0.0, 1.0),
        "width": trial.suggest_float("width", 1.0, 64.0, log=True),
    }


def curve(hparams: Mapping[str, Any]) -> Curve:
    """Return the curve of a configuration; x and y are best at 0.7 and 0.2."""
    octaves = math.log2(hparams["width"])
    final = 0.95 * (1 - 0.6 * math.exp(-(1 + octaves) / 2)) - (hparams["x"] - 0.7) ** 2 - (hparams["y"] - 0.2) ** 2
    values = [final * (1 - 0.6 * epoch ** (0.08 * octaves - 1.3)) for epoch in range(1, EPOCHS + 1)]
    return Curve(values, [1 + hparams["width"] / 16] * EPOCHS, {"num_params": 100 * hparams["width"] ** 2})


def dominated_area(points: list[tuple[float, float]]) -> float:
    """Return the area over accuracy 0 and `MOST_PARAMS` of (accuracy, params), params counted in powers of ten."""
    is_on_front = pareto_front(points, _BOTH)
    front = sorted({point for point, on_it in zip(points, is_on_front, strict=True) if on_it}, key=lambda one: one[1])
    ends = [params for _, params in front[1:]] + [MOST_PARAMS]
    return sum(accuracy * math.log10(end / params) for (accuracy, params), end in zip(front, ends, strict=True))


class Remembering(OptunaSearcher):
    """As with one objective: what waits at a rung is RUNNING above, so that proposals keep away from it."""

    def paused(self, number: int) -> None:
        """Do nothing."""


Method = Callable[[SearchSpace, tuple[int, ...], int], OptunaSearcher]


def _method(kind: type[OptunaSearcher], sampler: str, objectives: int) -> Method:
    def build(space: SearchSpace, levels: tuple[int, ...], seed: int) -> OptunaSearcher:
        of = _BOTH[:objectives]
        return kind(space, SAMPLERS[sampler], levels, seed=seed, startup_trials=_STARTUP_TRIALS, objectives=of)

    return build


METHODS: Mapping[str, Method] = {
    "tpe": _method(OptunaSearcher, "tpe", 2),
    "tpe-remembering": _method(Remembering, "tpe", 2),
    "tpe-one-objective": _method(OptunaSearcher, "tpe", 1),
    "random": _method(OptunaSearcher, "random", 2),
}


def found_area(method: str, scheduler: str, seed: int, *, epochs: int, workers: int) -> float:
    """Simulate one search and return the area that its trials dominate in the end."""
    space = SearchSpace("front", suggest, ({"x": 0.5, "y": 0.5, "width": 16.0},))
    levels = rung_levels(1, EPOCHS, 3)
    search = Search(
        METHODS[method](space, levels, seed), SCHEDULERS[scheduler](levels, 3, DEFAULT_OBJECTIVE), None, 2 * epochs
    )
    best: dict[int, tuple[float, float]] = {}
    for trained, (observation, proposal) in enumerate(simulate(search, curve, workers), 1):
        value = max(observation.value, best.get(observation.trial, (0.0, 0.0))[0])
        best[observation.trial] = value, curve(proposal.hparams).measures["num_params"]
        if trained == epochs:
            break
    return dominated_area(list(best.values()))


def main(arguments: Arguments) -> dict[str, Any]:
    """Run every method with every scheduler; return the mean area and its 95% bootstrap interval over seeds."""
    areas = {
        f"{method}, {scheduler}": [
            found_area(method, scheduler, seed, epochs=arguments.epochs, workers=arguments.workers)
            for seed in range(arguments.seeds)
        ]
        for scheduler in arguments.schedulers.split(",")
        for method in arguments.methods.split(",")
    }
    return {
        "arguments": {name: value for name, value in asdict(arguments).items() if name != "json"},
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("optuna", "numpy")},
        "area": {
            name: {"mean": round(statistics.fmean(of), 3), "interval": _interval(of)} for name, of in areas.items()
        },
    }


def _interval(values: list[float]) -> list[float]:
    return [round(end, 3) for end in interval_of_mean(values, np.random.default_rng(0), _BOOTSTRAPS)]


if __name__ == "__main__":
    given = tyro.cli(Arguments, description=__doc__)
    publish(main(given), given.json)
