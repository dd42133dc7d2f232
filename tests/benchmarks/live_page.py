"""How quickly the live page of a large run is there, follows, and what it costs the machine meanwhile.

    python -m tests.benchmarks.live_page --trials 2000 --json live_page.json

A study of so many trials is written down (see `report_speed`) but for its last events; `python -m tuner.serve` shows it
in a headless Chromium, and the rest is appended while the page is open. Clocked are, from opening the page: until its
head is painted, until the first view is there, and until a figure is drawn; then, for each event that is appended:
until the head shows it. `redraw_ms` are the last drawings of single figures, `server_cpu_share` what the server took of
one core meanwhile.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from tests.benchmarks.output import machine, publish
from tests.benchmarks.report_speed import write_study
from tests.browser import chromium
from tuner.engine.provenance import source_commit
from tuner.journal.events import EpochReported, Event
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths

if TYPE_CHECKING:
    from playwright.sync_api import Page

_HEAD = "#marks li"
_MOST_SECONDS = 30.0
"""After which an event is taken for one that never comes."""
_REDRAWN = (
    "Object.fromEntries([...document.querySelectorAll('[data-drawn]')].map("
    "(one) => [one.dataset.view, Number(one.dataset.drawn)]))"
)


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    trials: int = 2000
    events: int = 20
    """Epochs appended one by one while the page is open."""
    seconds_between: float = 1.0
    json: Path | None = None


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the address and the process of a server of the runs in `folder`."""
    command = [sys.executable, "-m", "tuner.serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().rpartition(" ")[2].strip().rstrip("/"), server.pid
        finally:
            server.terminate()


def cpu_seconds(process: int) -> float:
    """Return the processor's time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def split_study(paths: RunPaths, events: int) -> list[list[Event]]:
    """Write the journal anew without its end, and return the last epochs of the search, for later.

    Each comes behind what happened since the one before, such as the proposal of its trial.
    """
    entries = read_journal(paths.journal)
    places = [place for place, entry in enumerate(entries) if isinstance(entry.event, EpochReported)][-events:]
    for path in paths.journal.iterdir():
        path.unlink()
    with JournalWriter(paths.journal) as journal:
        journal.append(*(entry.event for entry in entries[: places[0]]))
    begins = [places[0], *(place + 1 for place in places)]
    return [[entry.event for entry in entries[begin:end]] for begin, end in itertools.pairwise(begins)]


def follow(page: Page, journal: JournalWriter, later: list[list[Event]], pause: float) -> list[float]:
    """Append the events in their groups, and return after how many milliseconds the head had each group."""
    found = []
    for events in later:
        before = page.evaluate("document.getElementById('left').dataset.heard")
        began = time.perf_counter()
        journal.append(*events)
        while page.evaluate("document.getElementById('left').dataset.heard") == before:
            if time.perf_counter() - began > _MOST_SECONDS:
                raise TimeoutError(f"the page did not show {events[-1]}.")
            time.sleep(0.005)
        found.append(1000 * (time.perf_counter() - began))
        time.sleep(pause)
    return found


def measure(arguments: Arguments, folder: Path) -> dict[str, Any]:
    """Return what was found for a study that is written into `folder`."""
    paths = RunPaths(folder / "study")
    write_study(paths, arguments.trials)
    events = split_study(paths, arguments.events)
    with serving(folder) as (address, server), chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        time.sleep(5)  # a person takes a moment to open the page
        began = time.perf_counter()
        page.goto(f"{address}/runs/study", wait_until="commit")
        page.locator(_HEAD).first.wait_for()
        head = time.perf_counter() - began
        page.locator("#views section").first.wait_for()
        first = time.perf_counter() - began
        page.locator("#history").scroll_into_view_if_needed(timeout=120_000)
        page.locator("#history .main-svg").first.wait_for()
        figures = time.perf_counter() - began
        with JournalWriter(paths.journal) as journal:
            cpu, since = cpu_seconds(server), time.perf_counter()
            followed = follow(page, journal, events, arguments.seconds_between)
            share = (cpu_seconds(server) - cpu) / (time.perf_counter() - since)
        redrawn = page.evaluate(_REDRAWN)
    return {
        "trials": arguments.trials,
        "head_painted_seconds": round(head, 2),
        "first_view_seconds": round(first, 2),
        "figures_drawn_seconds": round(figures, 2),
        "head_follows_ms": {"median": round(statistics.median(followed)), "most": round(max(followed))},
        "redraw_ms": redrawn,
        "server_cpu_share": round(share, 3),
    }


def main(arguments: Arguments) -> None:
    """Measure and print one JSON document."""
    with tempfile.TemporaryDirectory(prefix="live-page-") as folder:
        found = measure(arguments, Path(folder))
    publish({"commit": source_commit(), "machine": machine(), **found}, arguments.json)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
