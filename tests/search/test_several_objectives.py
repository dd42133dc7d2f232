"""What a search for several objectives finds, on learning curves known beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tuner.search.objectives import DEV_ACCURACY, PARAMS
from tuner.search.pareto import pareto_front
from tuner.search.registry import build_search
from tuner.search.simulator import Curve, simulate
from tuner.search.space import SearchSpace

SPACE = """
MODEL = "cnn"
START = [{"x": 0.5, "y": 0.5, "width": 16.0}]


def suggest(trial):
    return {
        "x": trial.suggest_float("x", 0.0, 1.0),
        "y": trial.suggest_float("y", 0.0, 1.0),
        "width": trial.suggest_float("width", 1.0, 64.0, log=True),
    }
"""
EPOCHS, MOST_PARAMS = 9, 1e6


def curve(hparams: Mapping[str, Any]) -> Curve:
    """A wide model ends better and learns more slowly; x and y are best at 0.7 and 0.2, whatever the width."""
    octaves = math.log2(hparams["width"])
    final = 0.95 * (1 - 0.6 * math.exp(-(1 + octaves) / 2)) - (hparams["x"] - 0.7) ** 2 - (hparams["y"] - 0.2) ** 2
    values = [final * (1 - 0.6 * epoch ** (0.15 * octaves - 1.3)) for epoch in range(1, EPOCHS + 1)]
    return Curve(values, [1 + hparams["width"] / 16] * EPOCHS, {"params": 100 * hparams["width"] ** 2})


def dominated_area(points: list[tuple[float, float]]) -> float:
    """Return the hypervolume over accuracy 0 and `MOST_PARAMS`, parameters counted in powers of ten."""
    front = [
        point for point, is_on_it in zip(points, pareto_front(points, (DEV_ACCURACY, PARAMS)), strict=True) if is_on_it
    ]
    front = sorted(set(front), key=lambda point: point[1])
    ends = [params for _, params in front[1:]] + [MOST_PARAMS]
    return sum(accuracy * math.log10(end / params) for (accuracy, params), end in zip(front, ends, strict=True))


def found_area(space: SearchSpace, searcher: str, scheduler: str, objectives: list[str], seed: int) -> float:
    """Return what the trials of a search dominate after 200 epochs, each by its best value so far."""
    search = build_search(
        space,
        searcher=searcher,
        scheduler=scheduler,
        min_epochs=1,
        max_epochs=EPOCHS,
        reduction_factor=3,
        startup_trials=15,
        max_trials=None,
        foreseen_trials=400,
        objectives=objectives,
        seed=seed,
    )
    best: dict[int, tuple[float, float]] = {}
    for epochs, (observation, proposal) in enumerate(simulate(search, curve, workers=4), 1):
        value = max(observation.value, best.get(observation.trial, (0.0, 0.0))[0])
        best[observation.trial] = value, curve(proposal.hparams).measures["params"]
        if epochs == 200:
            break
    return dominated_area(list(best.values()))


def test_the_area_is_that_of_the_rectangles() -> None:
    assert dominated_area([(0.5, 1e4), (0.8, 1e5), (0.4, 1e5), (0.5, 1e4)]) == pytest.approx(0.5 * 1 + 0.8 * 1)


@pytest.mark.parametrize("scheduler", ["asha-promote", "asha"])
def test_a_model_of_both_objectives_finds_a_better_front_than_chance_and_than_a_model_of_one(
    make_space: Callable[[str], SearchSpace], scheduler: str
) -> None:
    space = make_space(SPACE)

    def mean_area(searcher: str, *objectives: str) -> float:
        return sum(found_area(space, searcher, scheduler, list(objectives), seed) for seed in range(4)) / 4

    of_both = mean_area("tpe", "dev_accuracy", "params")
    assert of_both > mean_area("random", "dev_accuracy", "params")
    assert of_both > mean_area("tpe", "dev_accuracy")
