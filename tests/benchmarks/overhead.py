"""How much of the machine a search puts to use: compute of its epochs / (wall clock x cores), whole searches.

    python -m tests.benchmarks.overhead --seconds 0.2 2 20 --json overhead.json

An epoch computes for so many seconds of the processor. The clock runs from the command to the end of the search, so
imports, the start of Ray and the measurement before the plan count as overhead. Beside `tuner`, in turns on the same
machine: Ray Tune with `OptunaSearch` and `ASHAScheduler`, and Optuna with as many processes and `HyperbandPruner`, both
as documented. They stop trials at other epochs, so each is measured by the epochs that it trained itself. The peers
begin no trial after `--minutes`. Of `tuner` it is also told what of the cores' time the start took, by the beginning of
the epoch that was reported first, and how long workers had nothing to do at the end, when no trial was left to begin: a
search that ends by its budget of time has no such end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
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


@dataclass(frozen=True)
class Searched:
    """One search."""

    epochs: int
    """Trained."""
    wall: float
    """Seconds from the command to its end."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """What of the cores' time is known not to be training, in seconds of one core."""


@dataclass(frozen=True)
class Wanted:
    """What to search."""

    seconds: float
    """Of the processor, an epoch."""
    trials: int
    workers: int
    limit: float
    """Seconds after which a peer ends."""


def tuner(wanted: Wanted) -> Searched:
    """Search as the command does; what follows the search is not counted."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        flags = ["--trials", str(wanted.trials), "--max-epochs", str(MAX_EPOCHS), "--workers", str(wanted.workers)]
        flags += ["--retrain-seeds", "1", "--no-baseline", "--storage", folder, "--name", "study"]
        began = time.time()
        _run(wanted.seconds, "tuner.run", "--space", str(_SPACE), *flags)
        entries = read_journal(RunPaths(Path(folder) / "study").journal)
    [ended] = [entry.time for entry in entries if isinstance(entry.event, SearchEnded)]
    reported = [(entry.time, entry.event) for entry in entries if isinstance(entry.event, EpochReported)]
    last = {event.worker: at for at, event in reported}
    idle = sum(ended - at for at in sorted(last.values())[-wanted.workers :])
    first, report = reported[0]
    start = wanted.workers * (first - report.seconds - began)
    return Searched(len(reported), ended - began, {"start": start, "end": idle})


def _peer(name: str, wanted: Wanted) -> Searched:
    given = {"--trials": wanted.trials, "--workers": wanted.workers, "--limit": wanted.limit}
    flags = [str(part) for pair in given.items() for part in pair]
    began = time.time()
    said = _run(wanted.seconds, "tests.benchmarks.overhead_peers", name, *flags)
    found = json.loads(said.splitlines()[-1])
    return Searched(found["epochs"], found["ended"] - began)


SEARCHES: dict[str, Callable[[Wanted], Searched]] = {
    "tuner": tuner,
    "ray": partial(_peer, "ray"),
    "optuna": partial(_peer, "optuna"),
}


def _run(seconds: float, module: str, *arguments: str) -> str:
    environment = untouched_environment() | {"SPINNING_SECONDS": str(seconds), "OMP_NUM_THREADS": "1"}
    # Below `uv run` Ray would make an environment anew for each session, which is none of a search.
    environment["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=_REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def measure(seconds: float, compute: float, rounds: int, limit: float) -> dict[str, Any]:
    """Return what each search had of the machine, in turns, for searches of about `compute` seconds of all cores."""
    workers = usable_cpus()
    wanted = Wanted(seconds, max(4, round(compute / (_EPOCHS_A_TRIAL * seconds))), workers, limit)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SEARCHES}
    for _ in range(rounds):
        for name, search in SEARCHES.items():
            one = search(wanted)
            cores = one.wall * workers
            parts = {part: round(value / cores, 3) for part, value in one.parts.items()}
            told = {"utilisation": round(one.epochs * seconds / cores, 3), "wall": round(one.wall, 1), **parts}
            found[name].append({"epochs": one.epochs, **told})
            print(f"{seconds} s, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return {
        "seconds_per_epoch": seconds,
        "trials": wanted.trials,
        "utilisation": {
            name: {"median": statistics.median(one["utilisation"] for one in own), "all": own}
            for name, own in found.items()
        },
    }


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.overhead", description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.2, 2.0, 20.0], help="of the processor, an epoch")
    parser.add_argument("--compute", type=float, default=600.0, help="seconds of the processor in a search, about")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0, help="after which a peer's search ends")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    limit = 60.0 * arguments.minutes
    searches = [measure(seconds, arguments.compute, arguments.rounds, limit) for seconds in arguments.seconds]
    found = {
        "commit": source_commit(),
        "machine": machine(),
        "compute_seconds": arguments.compute,
        "searches": searches,
    }
    publish(found, arguments.json)


if __name__ == "__main__":
    main()
