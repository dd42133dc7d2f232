"""Trainings on a cluster of two nodes, one of which is lost for good; prints what came of each as JSON.

Run in a process of its own: Ray reads its environment when it is imported.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.cluster_utils import Cluster

from tuner.config import ResourceConfig
from tuner.engine.executor import Key
from tuner.engine.outcome import Outcome, Reported, WorkerLost
from tuner.engine.ray_executor import RayExecutor
from tuner.engine.ray_session import ray_session
from tuner.engine.trainable import OUTCOME
from tuner.engine.worker import Assignment
from tuner.search.report import EpochReport

TRAININGS, STEPS = 4, 3
_STORE: dict[str, Any] = {"object_store_memory": 100 << 20}


class Sleeping(tune.Trainable):
    """Reports epochs that take half a second."""

    def setup(self, config: dict[str, Any], job: None = None) -> None:
        """Begin."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another."""
        self._epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        """Sleep."""
        time.sleep(0.5)
        self._epoch += 1
        return {OUTCOME: Reported(EpochReport(self._epoch, {}, 0.5), "sleeper", self._epoch == STEPS, {})}


class Trainings:
    """A work as a retraining is: none is given up for the loss of a node."""

    def __init__(self, lose_node: Callable[[], None]) -> None:
        """Call `lose_node` when both nodes have reported."""
        self._lose_node = lose_node
        self._waiting = list(range(TRAININGS))
        self._running: set[Key] = set()
        self._reported: set[Key] = set()
        self.is_lost = False
        self.lost = 0
        self.done: list[Any] = []

    @property
    def is_over(self) -> bool:
        """Whether all are done."""
        return len(self.done) == TRAININGS

    def next(self) -> tuple[Key, Assignment] | None:
        """Return the next of two at a time."""
        if not self._waiting or len(self._running) == 2:
            return None
        number = self._waiting.pop(0)
        self._running.add(number)
        return number, Assignment({}, number, STEPS, "nowhere")

    def take(self, key: Key, outcome: Outcome) -> bool:
        """Count."""
        if isinstance(outcome, WorkerLost):
            self.lost += 1
            return True
        assert isinstance(outcome, Reported), outcome
        self._reported.add(key)
        if len(self._reported) == 2 and not self.is_lost:
            self.is_lost = True
            self._lose_node()
        if outcome.finished:
            self._running.remove(key)
            self.done.append(key)
        return not outcome.finished

    def give_back(self, key: Key) -> None:
        """Wait again."""
        self._running.remove(key)
        self._waiting.append(int(str(key)))


def _lose(cluster: Cluster, node: Any) -> None:
    (raylet,) = node.all_processes["raylet"]
    os.kill(int(raylet.process.pid), signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)  # waits until the others know


def main(folder: Path) -> None:
    """Lose a node and come to the end."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **_STORE})
    try:
        nodes = [cluster.add_node(num_cpus=1, **_STORE) for _ in range(2)]
        cluster.wait_for_nodes()
        work = Trainings(lambda: _lose(cluster, nodes[1]))
        resources = ResourceConfig(address=cluster.address, cpus_per_trial=1, gpus_per_trial=0)
        with ray_session(resources, folder / "ray.log"):
            executor = RayExecutor(resources, workers=2, name=str(folder), say=print, trainable=Sleeping)
            nothing: Any = None
            executor.run(nothing, iter([work]))
        print(json.dumps({"done": sorted(work.done), "lost": work.lost}))
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
