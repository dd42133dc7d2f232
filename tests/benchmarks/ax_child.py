"""Ax behind JSON lines; run by `tests/benchmarks/child_peers.py` in an environment that has nothing else."""

from __future__ import annotations

import logging
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import DataRequiredError
from ax.exceptions.generation_strategy import MaxParallelismReachedException
from ax.utils.common.logger import set_stderr_log_level

from tests.benchmarks.child_protocol import serve


def config_of(name: str, parameter: dict[str, Any]) -> ChoiceParameterConfig | RangeParameterConfig:
    """Return a parameter as Ax writes it."""
    if "choices" in parameter:
        choices = parameter["choices"]
        return ChoiceParameterConfig(name, choices, type(choices[0]).__name__, is_ordered=False)
    kind = "int" if parameter["is_int"] else "float"
    scaling = "log" if parameter["log"] else "linear"
    return RangeParameterConfig(name, (parameter["low"], parameter["high"]), kind, scaling=scaling)


class Ax:
    """Ax's client with its default way to propose and its default way to stop early."""

    def __init__(self, first: dict[str, Any]) -> None:
        """Begin as the first line says."""
        set_stderr_log_level(logging.WARNING)
        self._epochs = first["epochs"]
        self._client = Client(random_seed=first["seed"])
        self._client.configure_experiment([config_of(name, one) for name, one in first["space"].items()])
        self._client.configure_optimization("value")

    def next(self) -> dict[str, Any] | None:
        """Return a new trial; None as long as its first ones have to end before it proposes more."""
        try:
            trials = self._client.get_next_trials(1)
        except (DataRequiredError, MaxParallelismReachedException):
            return None
        ((number, config),) = trials.items()
        return {"number": number, "config": config}

    def report(self, number: int, epoch: int, value: float) -> str:
        """Attach a value and ask whether to stop."""
        data = {"value": value}
        if epoch == self._epochs:
            self._client.complete_trial(number, data, progression=epoch)
            return "COMPLETE"
        self._client.attach_data(number, data, progression=epoch)
        if self._client.should_stop_trial_early(number):
            self._client.mark_trial_early_stopped(number)
            return "STOP"
        return "CONTINUE"


if __name__ == "__main__":
    serve(Ax)
