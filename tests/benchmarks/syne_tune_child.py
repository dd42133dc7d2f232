"""Syne Tune behind JSON lines; run by `tests/benchmarks/child_peers.py` in an environment that has nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform
from syne_tune.optimizer import legacy_baselines

from tests.benchmarks.child_protocol import serve

_PAUSES = ("MOBSTER", "HyperTune")
"""Methods whose scheduler is asked to pause and promote; DyHPO and PASHA always do."""


def domain(parameter: dict[str, Any]) -> Any:
    """Return a parameter as Syne Tune writes it."""
    if "choices" in parameter:
        return choice(parameter["choices"])
    low, high = parameter["low"], parameter["high"]
    if parameter["is_int"]:
        return lograndint(low, high) if parameter["log"] else randint(low, high)
    return loguniform(low, high) if parameter["log"] else uniform(low, high)


class SyneTune:
    """One scheduler of Syne Tune with the trials that it has seen; every argument not given is its default."""

    def __init__(self, first: dict[str, Any]) -> None:
        """Begin as the first line says."""
        self._epochs = first["epochs"]
        self._trials: dict[int, Trial] = {}
        np.random.seed(first["seed"])
        options = {"type": "promotion"} if first["method"] in _PAUSES else {}
        self._scheduler = getattr(legacy_baselines, first["method"])(
            {name: domain(parameter) for name, parameter in first["space"].items()},
            metric="value",
            mode="max",
            resource_attr="epoch",
            max_t=self._epochs,
            random_seed=first["seed"],
            **options,
        )

    def next(self) -> dict[str, Any] | None:
        """Return the trial that a free worker should train."""
        suggestion = self._scheduler.suggest(len(self._trials))
        if suggestion is None:
            return None
        if not suggestion.spawn_new_trial_id:
            return {"number": suggestion.checkpoint_trial_id}
        trial = Trial(len(self._trials), dict(suggestion.config), datetime.now(UTC))
        self._trials[trial.trial_id] = trial
        self._scheduler.on_trial_add(trial)
        return {"number": trial.trial_id, "config": trial.config}

    def report(self, number: int, epoch: int, value: float) -> str:
        """Hand a result over and return what the trial does next."""
        result = {"epoch": epoch, "value": value}
        decision = str(self._scheduler.on_trial_result(self._trials[number], result))
        if epoch < self._epochs:
            return decision
        self._scheduler.on_trial_complete(self._trials[number], result)
        return "COMPLETE"


if __name__ == "__main__":
    serve(SyneTune)
