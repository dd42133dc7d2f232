"""What the live view costs the driver: a search of trials that cost nothing, with it and without.

    python -m tests.benchmarks.live_view --trials 2000 --rounds 3 --json live_view.json

Journal, searcher (random, the cheapest) and scheduler are those of every study, and results come as fast as the driver
takes them: no study asks more of the view. It is drawn on a real terminal of 140 columns and 40 lines, with all the
workers' rows. Rounds with and without it alternate; the ratio is that of the medians of the driver's CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import pty
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from tests.benchmarks.output import publish
from tests.benchmarks.scale import coordinator_of, run_without_ray
from tuner.engine.plan import Plan
from tuner.engine.progress import Progress
from tuner.engine.provenance import source_commit
from tuner.journal.events import DriverStarted, Event, PlanMade, StudyStarted
from tuner.journal.store import JournalWriter

_COLUMNS, _LINES = 140, 40


@contextmanager
def _terminal() -> Iterator[TextIO]:
    """Make a terminal whose contents somebody reads and forgets."""
    ours, theirs = pty.openpty()

    def read() -> None:
        try:
            while os.read(ours, 1 << 16):
                pass
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield stream
    reader.join()
    os.close(ours)


def _search(arguments: argparse.Namespace, told: Callable[[Event], None] | None) -> tuple[float, float, int]:
    """Run a search, tell of its events, and return its seconds, its CPU seconds and the number of events."""
    folder = Path(tempfile.mkdtemp(prefix="live-view-"))
    events = 0

    def record(*happened: Event) -> None:
        nonlocal events
        journal.append(*happened)
        events += len(happened)
        for event in happened if told else ():
            told(event)  # type: ignore[misc] # mypy does not see that there are none

    try:
        with JournalWriter(folder) as journal:
            began = time.monotonic(), time.process_time()
            plan = Plan(arguments.nodes, (1, 3, 9), 3, 0.1, None, arguments.trials, 60.0, 30.0, 3600.0)
            record(StudyStarted({}, {}), DriverStarted("nobody", None, arguments.nodes), PlanMade(plan.to_dict()))
            run_without_ray(arguments, coordinator_of(arguments, arguments.trials, record))
            return time.monotonic() - began[0], time.process_time() - began[1], events
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watched(arguments: argparse.Namespace) -> tuple[float, float, int]:
    with _terminal() as stream:
        console = Console(file=stream, width=_COLUMNS, height=_LINES, color_system="standard")
        began = time.monotonic()
        with Progress(console, lambda: time.monotonic() - began) as progress:
            return _search(arguments, progress.on_event)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.live_view", description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=8, help="trials at the same time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args(argv)
    arguments.searcher = "random"
    _search(argparse.Namespace(**{**vars(arguments), "trials": 50}), None)  # imports, caches
    rounds = [(_search(arguments, None), _watched(arguments)) for _ in range(arguments.rounds)]
    without, live = (statistics.median(one[place][1] for one in rounds) for place in (0, 1))
    result: dict[str, Any] = {
        "command": "python -m tests.benchmarks.live_view " + " ".join(argv or sys.argv[1:]),
        "commit": source_commit(),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "trials": arguments.trials,
        "events": rounds[0][0][2],
        "driver_cpu_seconds": {
            "without": [round(one[0][1], 3) for one in rounds],
            "live": [round(one[1][1], 3) for one in rounds],
        },
        "driver_seconds": {
            "without": [round(one[0][0], 3) for one in rounds],
            "live": [round(one[1][0], 3) for one in rounds],
        },
        "slowed_by": round(live / without - 1, 4),
        "cpu_microseconds_per_event": round(1e6 * (live - without) / rounds[0][0][2], 1),
    }
    publish(result, arguments.json)


if __name__ == "__main__":
    main()
