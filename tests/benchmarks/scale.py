"""What a study costs its driver when the trials cost nothing: a real search on a real cluster, with trials that sleep.

    python -m tests.benchmarks.scale --nodes 8 --trials 1000 --json scale.json
    python -m tests.benchmarks.scale --nodes 8 --trials 10000 --without-ray --searcher random

Journal, searcher, scheduler and Ray Tune are those of every study. Ideal is the time the epochs alone would take on the
same number of workers. `--without-ray` leaves Ray out, and the sleeping: what remains is the driver's own work.
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.output import machine, publish
from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE, ResourceConfig
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.provenance import source_commit
from tuner.journal.events import EpochReported, Event, StudyStarted, TrialProposed
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.search.registry import build_search
from tuner.search.report import EpochReport
from tuner.search.scheduler import Action
from tuner.search.seeds import derive_seed
from tuner.search.space import load_space

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_EPOCHS, _REDUCTION_FACTOR = 9, 3
_SAMPLES = 20
"""Times the memory is looked at in a run."""


@dataclass(frozen=True)
class Sample:
    """The driver at one moment."""

    trials: int
    seconds: float
    cpu_seconds: float
    memory_mib: float


class Meter:
    """Writes down what the journal is told, and how the driver is meanwhile."""

    def __init__(self, journal: JournalWriter, trials: int) -> None:
        """Measure while `journal` is written, `_SAMPLES` times in `trials` trials."""
        self._journal = journal
        self._every = max(1, trials // _SAMPLES)
        self._trials = 0
        self._began = time.monotonic(), time.process_time()
        self.samples: list[Sample] = [self._look()]

    def record(self, *events: Event) -> None:
        """Write events down."""
        self._journal.append(*events)
        for event in events:
            if isinstance(event, TrialProposed):
                self._trials += 1
                if self._trials % self._every == 0:
                    self.samples.append(self._look())

    def finish(self) -> Sample:
        """Return the state at the end."""
        self.samples.append(self._look())
        return self.samples[-1]

    def _look(self) -> Sample:
        wall, cpu = time.monotonic() - self._began[0], time.process_time() - self._began[1]
        return Sample(self._trials, round(wall, 3), round(cpu, 3), round(_resident_mib(), 1))


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def pretended(trial: int, epoch: int) -> EpochReport:
    """Return the report of an epoch that nobody trained: the better trials are better from the first epoch on."""
    quality = derive_seed(0, trial) % 10_000 / 10_000
    accuracy = 0.5 + 0.4 * quality + 0.01 * epoch
    return EpochReport(epoch, metrics(1.0 - accuracy, accuracy, 1.0 - accuracy, accuracy, 0.1), 0.0)


def coordinator_of(arguments: argparse.Namespace, trials: int, record: Callable[..., None]) -> Coordinator:
    search = build_search(
        load_space("cnn"),
        searcher=arguments.searcher,
        scheduler="asha-promote",
        min_epochs=1,
        max_epochs=_MAX_EPOCHS,
        reduction_factor=_REDUCTION_FACTOR,
        startup_trials=10,
        max_trials=trials,
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
    )
    clock = BudgetClock(None, RetrainLoad(0, 0, _MAX_EPOCHS, arguments.nodes), 1.0, lambda: 0.0)
    return Coordinator(
        search,
        record,
        clock,
        objectives=(DEFAULT_OBJECTIVE,),
        workers=arguments.nodes,
        seed=0,
        discard=lambda _: None,
    )


def run_without_ray(arguments: argparse.Namespace, coordinator: Coordinator) -> None:
    """Give the coordinator results as fast as it takes them, `--nodes` trials at a time."""
    running: list[list[int]] = []
    while True:
        while len(running) < arguments.nodes and (proposed := coordinator.next_trial()) is not None:
            running.append([proposed.number, 0])
        if not running:
            break
        trial, epoch = running.pop(0)
        report = pretended(trial, epoch + 1)
        if coordinator.report(trial, report, "nobody:0", finished=epoch + 1 == _MAX_EPOCHS) is Action.CONTINUE:
            running.append([trial, epoch + 1])
    coordinator.finish()


def _with_ray(arguments: argparse.Namespace, coordinator: Coordinator, paths: RunPaths) -> None:
    from tests.benchmarks.sleeping import sleeping
    from tuner.engine.ray_executor import RayExecutor
    from tuner.engine.search_phase import SearchPhase

    nothing: Any = None  # sleepers need no data
    executor = RayExecutor(
        ResourceConfig(), workers=arguments.nodes, name="scale", say=print, trainable=sleeping(arguments.seconds)
    )
    executor.run(nothing, iter([SearchPhase(coordinator, paths, max_failures=0)]))
    coordinator.finish()


def measure(arguments: argparse.Namespace, trials: int) -> dict[str, Any]:
    """Run one study of so many trials and return what it cost."""
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    paths = RunPaths(folder)
    paths.checkpoints.mkdir()
    try:
        with JournalWriter(paths.journal) as journal:
            journal.append(StudyStarted({}, {}))
            meter = Meter(journal, trials)
            coordinator = coordinator_of(arguments, trials, meter.record)
            if arguments.without_ray:
                run_without_ray(arguments, coordinator)
            else:
                _with_ray(arguments, coordinator, paths)
            end = meter.finish()
        events = [entry.event for entry in read_journal(paths.journal)]
        size = sum(path.stat().st_size for path in paths.journal.glob("*.jsonl"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results = sum(isinstance(event, EpochReported) for event in events)
    ideal = results * arguments.seconds / arguments.nodes
    return {
        "trials": trials,
        "results": results,
        "seconds": end.seconds,
        "ideal_seconds": None if arguments.without_ray else round(ideal, 1),
        "overhead": None if arguments.without_ray else round(end.seconds / ideal - 1, 4),
        "driver_cpu_ms_per_trial": round(1000 * end.cpu_seconds / trials, 2),
        "driver_cpu_ms_per_result": round(1000 * end.cpu_seconds / results, 2),
        "journal_bytes_per_trial": round(size / trials),
        "memory_mib": {"first": meter.samples[0].memory_mib, "last": end.memory_mib},
        "samples": [asdict(sample) for sample in meter.samples],
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON document."""
    arguments = _arguments(argv)
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    if arguments.without_ray:
        runs = [measure(arguments, trials) for trials in arguments.trials]
    else:
        runs = _on_a_cluster(arguments)
    result = {
        "command": "python -m tests.benchmarks.scale " + " ".join(argv or sys.argv[1:]),
        "commit": source_commit(),
        "machine": machine(),
        "nodes": arguments.nodes,
        "seconds_per_epoch": arguments.seconds,
        "searcher": arguments.searcher,
        "with_ray": not arguments.without_ray,
        "runs": runs,
    }
    publish(result, arguments.json)


def _on_a_cluster(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from ray.cluster_utils import Cluster

    from tuner.engine.ray_session import ray_session

    store: dict[str, Any] = {"object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **store})
    try:
        for _ in range(arguments.nodes):
            cluster.add_node(num_cpus=1, **store)
        cluster.wait_for_nodes()
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with ray_session(ResourceConfig(address=cluster.address), log):
                return [measure(arguments, trials) for trials in arguments.trials]
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--nodes", type=int, default=8, help="nodes of one CPU; so many trials sleep at a time")
    parser.add_argument("--trials", type=int, nargs="+", default=[1000], help="one study for each number")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds an epoch sleeps")
    parser.add_argument("--searcher", default="tpe")
    parser.add_argument("--without-ray", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
