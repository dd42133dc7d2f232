"""SMAC behind JSON lines; run by `tests/benchmarks/child_peers.py` in an environment that has nothing else."""

from __future__ import annotations

import logging
import math
from typing import Any

import smac
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from smac.runhistory import TrialInfo, TrialValue

from tests.benchmarks.child_protocol import ByBudget, Wanted, serve

_TRIALS, _FIRST = 500, 5
"""Trials and random configurations before the model, as in SMAC's example of a training by epochs."""


def hyperparameter(name: str, parameter: dict[str, Any]) -> Any:
    """Return a parameter as ConfigSpace writes it."""
    if "choices" in parameter:
        return Categorical(name, parameter["choices"])
    kind = Integer if parameter["is_int"] else Float
    return kind(name, (parameter["low"], parameter["high"]), log=parameter["log"])


class Smac(ByBudget):
    """A facade of SMAC with budgets of epochs; what is not from the example is its default, Hyperband too."""

    def __init__(self, first: dict[str, Any]) -> None:
        """Begin as the first line says; SMAC writes a file or two to the working directory."""
        super().__init__(first["epochs"])
        space = ConfigurationSpace()
        space.add([hyperparameter(name, parameter) for name, parameter in first["space"].items()])
        scenario = smac.Scenario(space, n_trials=_TRIALS, min_budget=1, max_budget=first["epochs"], seed=first["seed"])
        facade = getattr(smac, first["method"])
        design = facade.get_initial_design(scenario, n_configs=_FIRST)
        self._smac = facade(scenario, initial_design=design, overwrite=True, logging_level=logging.WARNING)

    def ask(self) -> Wanted:
        """Ask for a trial; part of an epoch is trained as a whole one, as in the example."""
        info = self._smac.ask()
        config = dict(info.config)
        return Wanted(tuple(sorted(config.items())), config, math.ceil(info.budget), info)

    def tell(self, handle: TrialInfo, value: float) -> None:
        """Tell it what is left to the best value that there could be, as in the example."""
        self._smac.tell(handle, TrialValue(cost=1.0 - value), save=False)


if __name__ == "__main__":
    serve(Smac)
