"""How much those who watch slow the driver: the live view of the terminal, and the live page with a browser open on it.

    python -m tests.benchmarks.watched --trials 2000 --rounds 3 --json watched.json

Journal, searcher (random, the cheapest) and scheduler are those of every study; the trials cost nothing. Results arrive
at a pace, by default 20 a second: what two workers send whose epochs take 0.1 s, the shortest of the digits, or 1,200
whose epochs take a minute. Clocked is what the driver takes for each: deciding, writing down, telling. A round is one
search without a watcher and one with each of them, so all see the same machine. `slowed_by` is what a watcher adds to
the time a result takes; `of_the_study` the same as a part of the whole search, which is how much later it could end at
most.
"""

from __future__ import annotations

import os
import pty
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import tyro
from rich.console import Console

from tests.benchmarks.live_page import serving
from tests.benchmarks.output import machine, publish
from tests.benchmarks.scale import coordinator_of, run_without_ray
from tests.browser import chromium
from tuner.engine.plan import Plan
from tuner.engine.progress import Progress
from tuner.engine.provenance import source_commit
from tuner.journal.events import DriverStarted, EpochReported, Event, PlanMade, StudyStarted
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths

_COLUMNS, _LINES = 140, 40


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    trials: int = 2000
    per_second: float = 20.0
    """Results that arrive in a second."""
    nodes: int = 8
    """Trials at the same time."""
    rounds: int = 3
    json: Path | None = None


@dataclass(frozen=True)
class Search:
    """What the driver took for a search, in seconds."""

    results: int
    busy: float
    """At work, by the clock on the wall."""
    elapsed: float


def search(arguments: Arguments, folder: Path, told: Callable[[Event], None]) -> Search:
    """Run a search at the pace asked for, in the run folder `folder`, and tell of its events."""
    results, slept = 0, 0.0

    def record(*happened: Event) -> None:
        nonlocal results, slept
        journal.append(*happened)
        for event in happened:
            told(event)
            if isinstance(event, EpochReported):
                results += 1
                pause = began + results / arguments.per_second - time.perf_counter()
                if pause > 0:
                    before = time.perf_counter()
                    time.sleep(pause)
                    slept += time.perf_counter() - before

    with JournalWriter(RunPaths(folder).journal) as journal:
        plan = Plan(arguments.nodes, (1, 3, 9), 3, 0.1, None, arguments.trials, 60.0, 30.0, 3600.0)
        config = {"space": "cnn", "storage": "runs", "data": {"dataset": "made-up"}}
        given: Any = SimpleNamespace(searcher="random", nodes=arguments.nodes)
        began = time.perf_counter()
        record(StudyStarted(config, {"dataset": "made-up"}), DriverStarted("desk", "c0ffee", arguments.nodes))
        record(PlanMade(plan.to_dict()))
        run_without_ray(given, coordinator_of(given, arguments.trials, record))
        elapsed = time.perf_counter() - began
    return Search(results, elapsed - slept, elapsed)


def alone(arguments: Arguments) -> Search:
    """Run the search with nobody watching."""
    with _run_folder() as folder:
        return search(arguments, folder, lambda _: None)


def in_a_terminal(arguments: Arguments) -> Search:
    """Run the search with the live view on a real terminal of 140 columns and 40 lines."""
    with _run_folder() as folder, _terminal() as stream:
        console = Console(file=stream, width=_COLUMNS, height=_LINES, color_system="standard")
        began = time.monotonic()
        with Progress(console, lambda: time.monotonic() - began) as progress:
            return search(arguments, folder, progress.on_event)


def on_a_page(arguments: Arguments) -> Search:
    """Run the search while `tuner serve` shows it in a browser."""
    with _run_folder() as folder, serving(folder.parent) as (address, _), chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        opened = threading.Event()

        def tell(event: Event) -> None:
            if isinstance(event, PlanMade):
                opened.set()

        found: list[Search] = []
        driver = threading.Thread(target=lambda: found.append(search(arguments, folder, tell)))
        driver.start()
        opened.wait()
        page.goto(f"{address}/runs/{folder.name}", wait_until="commit")
        page.locator("#views section").first.wait_for()
        driver.join()
        return found[0]


@contextmanager
def _run_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="watched-"))
    try:
        yield folder / "study"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def measure(arguments: Arguments) -> dict[str, Any]:
    """Return what each watcher adds, as the median of the rounds."""
    rounds = [(alone(arguments), in_a_terminal(arguments), on_a_page(arguments)) for _ in range(arguments.rounds)]
    found: dict[str, Any] = {"results": rounds[0][0].results}
    for place, name in enumerate(("alone", "terminal", "page")):
        own = [one[place] for one in rounds]
        found[name] = {"busy_ms_per_result": [round(1000 * one.busy / one.results, 3) for one in own]}
        if place:
            added = [(one[place].busy - one[0].busy, one[0]) for one in rounds]
            found[name] |= {
                "slowed_by": round(statistics.median(more / base.busy for more, base in added), 4),
                "of_the_study": round(statistics.median(more / base.elapsed for more, base in added), 5),
            }
    return found


def main(arguments: Arguments) -> None:
    """Measure and print one JSON document."""
    alone(Arguments(trials=50, per_second=1000.0))  # imports, caches
    publish({"commit": source_commit(), "machine": machine(), **measure(arguments)}, arguments.json)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
