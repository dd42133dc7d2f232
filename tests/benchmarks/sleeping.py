"""A trainable that sleeps where others train; the only part of the benchmark that is not the real one."""

from __future__ import annotations

import time
from typing import Any

from ray import tune

from tests.benchmarks.scale import pretended
from tuner.engine.outcome import Reported
from tuner.engine.trainable import ASSIGNMENT, OUTCOME
from tuner.engine.worker import Assignment


def sleeping(seconds: float) -> type[tune.Trainable]:
    """Return a trainable whose epochs take so many seconds and no work."""

    class Sleeping(tune.Trainable):
        def setup(self, config: dict[str, Any], job: None = None) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._assignment: Assignment = new_config[ASSIGNMENT]
            self._epoch = self._assignment.known_epochs
            return True

        def step(self) -> dict[str, Any]:
            time.sleep(seconds)
            self._epoch += 1
            report = pretended(self._assignment.seed, self._epoch)
            return {OUTCOME: Reported(report, "sleeper:0", self._epoch == self._assignment.max_epochs, {})}

    return Sleeping
