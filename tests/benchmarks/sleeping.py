"""A trainable that sleeps where others train; the only part of the benchmark that is not the real one."""

from __future__ import annotations

import time
from typing import Any

from ray import tune

from tests.benchmarks.scale import pretended
from tuner.engine.trainable import FINISHED, REPORT, TRIAL, WORKER


def sleeping(seconds: float) -> type[tune.Trainable]:
    """Return a trainable whose epochs take so many seconds and no work."""

    class Sleeping(tune.Trainable):
        def setup(self, config: dict[str, Any], job: None = None) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._trial, self._max_epochs, self._epoch = new_config["trial"], new_config["max_epochs"], 0
            return True

        def step(self) -> dict[str, Any]:
            time.sleep(seconds)
            self._epoch += 1
            finished = self._epoch == self._max_epochs
            return {
                TRIAL: self._trial,
                WORKER: "sleeper:0",
                REPORT: pretended(self._trial, self._epoch),
                FINISHED: finished,
            }

    return Sleeping
