"""How much of the machine a search puts to use: compute of its epochs / (wall clock x cores), whole searches.

    python -m tests.benchmarks.overhead --seconds 0.2 2 20 --json overhead.json

An epoch computes for so many seconds of the processor. The clock runs from the command to the end of the search, so
imports, the start of Ray and the measurement before the plan count as overhead. Beside `tuner`, in turns on the same
machine: Ray Tune with `OptunaSearch` and `ASHAScheduler`, and Optuna with as many processes and `HyperbandPruner`, both
as documented. They stop trials at other epochs, so each is measured by the epochs that it trained itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.output import machine, publish
from tests.benchmarks.spinning import MAX_EPOCHS
from tests.environment import untouched_environment
from tuner.engine.processors import usable_cpus
from tuner.engine.provenance import source_commit
from tuner.journal.events import EpochReported, SearchEnded
from tuner.journal.store import read_journal
from tuner.paths import RunPaths

_SPACE = Path(__file__).with_name("spinning.py")
_REPOSITORY = Path(__file__).resolve().parents[2]
_EPOCHS_A_TRIAL = 7 / 3
"""Where one in three goes on from epochs 1 and 3."""

Search = Callable[[float, int, int], tuple[int, float]]
"""From seconds of an epoch, trials and workers to the epochs trained and the seconds that took."""


def tuner(seconds: float, trials: int, workers: int) -> tuple[int, float]:
    """Search as the command does; what follows the search is not counted."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        flags = ["--trials", str(trials), "--max-epochs", str(MAX_EPOCHS), "--workers", str(workers)]
        flags += ["--retrain-seeds", "1", "--no-baseline", "--storage", folder, "--name", "study"]
        began = time.time()
        _run(seconds, "tuner.run", "--space", str(_SPACE), *flags)
        entries = read_journal(RunPaths(Path(folder) / "study").journal)
    [ended] = [entry.time for entry in entries if isinstance(entry.event, SearchEnded)]
    return sum(isinstance(entry.event, EpochReported) for entry in entries), ended - began


def _peer(name: str) -> Search:
    def search(seconds: float, trials: int, workers: int) -> tuple[int, float]:
        began = time.time()
        said = _run(
            seconds, "tests.benchmarks.overhead_peers", name, "--trials", str(trials), "--workers", str(workers)
        )
        found = json.loads(said.splitlines()[-1])
        return found["epochs"], found["ended"] - began

    return search


SEARCHES: dict[str, Search] = {"tuner": tuner, "ray": _peer("ray"), "optuna": _peer("optuna")}


def _run(seconds: float, module: str, *arguments: str) -> str:
    environment = untouched_environment() | {"SPINNING_SECONDS": str(seconds), "OMP_NUM_THREADS": "1"}
    # Below `uv run` Ray would make an environment anew for each session, which is none of a search.
    environment["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=_REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def measure(seconds: float, compute: float, rounds: int) -> dict[str, Any]:
    """Return what each search had of the machine, in turns, for searches of about `compute` seconds of all cores."""
    workers = usable_cpus()
    trials = max(4, round(compute / (_EPOCHS_A_TRIAL * seconds)))
    found: dict[str, list[float]] = {name: [] for name in SEARCHES}
    for _ in range(rounds):
        for name, search in SEARCHES.items():
            epochs, wall = search(seconds, trials, workers)
            found[name].append(round(epochs * seconds / (wall * workers), 3))
            print(f"{seconds} s, {name}: {epochs} epochs, {wall:.1f} s, {found[name][-1]}", file=sys.stderr, flush=True)
    return {
        "seconds_per_epoch": seconds,
        "trials": trials,
        "utilisation": {name: {"median": statistics.median(own), "all": own} for name, own in found.items()},
    }


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.overhead", description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.2, 2.0, 20.0], help="of the processor, an epoch")
    parser.add_argument("--compute", type=float, default=600.0, help="seconds of the processor in a search, about")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    searches = [measure(seconds, arguments.compute, arguments.rounds) for seconds in arguments.seconds]
    found = {
        "commit": source_commit(),
        "machine": machine(),
        "compute_seconds": arguments.compute,
        "searches": searches,
    }
    publish(found, arguments.json)


if __name__ == "__main__":
    main()
