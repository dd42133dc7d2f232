"""What the live view costs the driver: the CPU time of a search of trials that cost nothing, and the view's part of it.

    python -m tests.benchmarks.live_view --trials 2000 --json live_view.json

Journal, searcher (random, the cheapest) and scheduler are those of every study, and results come as fast as the driver
takes them: no study asks more of the view. It is drawn on a real terminal of 140 columns and 40 lines. Both parts of it
are counted by the clocks of their threads, which a busy machine does not disturb: to be told of every event, on the
driver's own thread, and to draw, on another.
"""

from __future__ import annotations

import argparse
import os
import platform
import pty
import shutil
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
from tuner.engine.live.ticker import DRAWING
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


def _search(arguments: argparse.Namespace, trials: int, told: Callable[[Event], None]) -> int:
    """Run a search, tell of its events, and return how many there were."""
    folder = Path(tempfile.mkdtemp(prefix="live-view-"))
    events = 0

    def record(*happened: Event) -> None:
        nonlocal events
        journal.append(*happened)
        events += len(happened)
        for event in happened:
            told(event)

    try:
        with JournalWriter(folder) as journal:
            plan = Plan(arguments.nodes, (1, 3, 9), 3, 0.1, None, trials, 60.0, 30.0, 3600.0)
            record(StudyStarted({}, {}), DriverStarted("nobody", None, arguments.nodes), PlanMade(plan.to_dict()))
            run_without_ray(arguments, coordinator_of(arguments, trials, record))
            return events
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a search with the live view and return what either took of the CPU, in seconds."""
    told = 0.0
    with _terminal() as stream:
        console = Console(file=stream, width=_COLUMNS, height=_LINES, color_system="standard")
        began = time.monotonic()
        with Progress(console, lambda: time.monotonic() - began) as progress:
            (drawing,) = (thread for thread in threading.enumerate() if thread.name == DRAWING)
            assert drawing.ident is not None

            def tell(event: Event) -> None:
                nonlocal told
                before = time.thread_time()
                progress.on_event(event)
                told += time.thread_time() - before

            before = time.thread_time()
            events = _search(arguments, arguments.trials, tell)
            driver = time.thread_time() - before - told
            drawn = time.clock_gettime(time.pthread_getcpuclockid(drawing.ident))
    return {
        "events": events,
        "seconds": round(time.monotonic() - began, 1),
        "driver_cpu_seconds": round(driver, 3),
        "told_cpu_seconds": round(told, 3),
        "drawing_cpu_seconds": round(drawn, 3),
        "told_microseconds_per_event": round(1e6 * told / events, 2),
        "slowed_by": round((told + drawn) / driver, 4),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.live_view", description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=8, help="trials at the same time")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args(argv)
    arguments.searcher = "random"
    _search(arguments, 50, lambda _: None)  # imports, caches
    result: dict[str, Any] = {
        "command": "python -m tests.benchmarks.live_view " + " ".join(argv or sys.argv[1:]),
        "commit": source_commit(),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "trials": arguments.trials,
        **measure(arguments),
    }
    publish(result, arguments.json)


if __name__ == "__main__":
    main()
