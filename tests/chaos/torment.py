"""Killing a study's processes at random moments until it ends all the same."""

from __future__ import annotations

import os
import random
import subprocess
import time
from dataclasses import dataclass, field

from tests.chaos.nodes import Nodes
from tests.chaos.processes import Process, descendants, wait_until_gone
from tests.chaos.study import ChaosStudy

DRIVER, WORKER, NODE = "driver", "worker", "node"
KINDS = (DRIVER, WORKER, NODE)

_WORKER_TITLES = ("ray::ResourceTrainable", "ray::TrialTrainable")
_EARLY_SHARE = 0.25
"""Of the kills: those whose victim may still be starting; the others follow an epoch reported since the last kill."""
_EARLY_SECONDS = 8.0
_GONE_SECONDS = 60.0
_POLL_SECONDS = 0.05


@dataclass
class Toll:
    """What was done to a study."""

    kills: list[dict[str, object]] = field(default_factory=list)
    """Kind, second and last event of each."""
    deaths: list[str] = field(default_factory=list)
    """Drivers that ended by themselves without finishing, with what they said."""
    seen: set[Process] = field(default_factory=set)
    """Every process that worked for the study."""
    seconds: float = 0.0
    orphans: list[str] = field(default_factory=list)
    """Processes that outlived the study."""


def torment(
    study: ChaosStudy,
    kinds: list[str],
    *,
    work_seconds: float,
    most_seconds: float,
    rng: random.Random,
    nodes: Nodes | None,
) -> Toll:
    """Run the study to its end, killing in the order of `kinds`, one after another; a driver that dies is resumed.

    `work_seconds` is how long the undisturbed study trains: kills are spread over it.
    """
    toll = Toll()
    started = time.monotonic()
    waiting = list(kinds)
    gap = 2 * work_seconds / max(1, len(kinds))
    own = descendants(os.getpid())
    while time.monotonic() - started < most_seconds and len(toll.deaths) <= 3:
        driver = study.start()
        while waiting and driver.poll() is None:
            victim = _await_moment(study, driver, waiting[0], rng, gap, toll)
            if victim is None:
                break
            toll.seen |= descendants(os.getpid())
            if _strike(waiting[0], victim, driver, nodes, rng):
                kind = waiting.pop(0)
                entries = study.journal()
                last = type(entries[-1].event).__name__ if entries else "nothing"
                toll.kills.append({"kind": kind, "second": round(time.monotonic() - started, 1), "after": last})
        code = _wait(driver, toll, started + most_seconds)
        if code == 0:
            break
        if code != -9:
            toll.deaths.append(f"code {code}: {study.output.read_text()[-400:]}")
    toll.seconds = time.monotonic() - started
    left = wait_until_gone(_workers(toll.seen) if nodes else toll.seen - own, _GONE_SECONDS)
    toll.orphans = [process.title for process in left]
    return toll


def _await_moment(
    study: ChaosStudy, driver: subprocess.Popen[bytes], kind: str, rng: random.Random, gap: float, toll: Toll
) -> Process | None:
    """Wait for a random moment and return the process to kill; None if the driver ends before."""
    early, reported = rng.random() < _EARLY_SHARE, study.reported()

    def is_ready() -> bool:
        if not early:
            return study.reported() > reported  # there is work to lose
        return kind == DRIVER or bool(_workers(descendants(os.getpid())))

    while not is_ready():
        toll.seen |= descendants(os.getpid())
        if not _pause(driver, _POLL_SECONDS):
            return None
    if not _pause(driver, rng.uniform(0.0, _EARLY_SECONDS if early else gap)):
        return None
    if kind != WORKER:
        return Process(driver.pid, 0)
    workers = sorted(_workers(descendants(os.getpid())), key=lambda process: process.pid)
    return rng.choice(workers) if workers else Process(driver.pid, 0)


def _strike(
    kind: str, victim: Process, driver: subprocess.Popen[bytes], nodes: Nodes | None, rng: random.Random
) -> bool:
    """Kill; False if the victim was gone already."""
    if kind == DRIVER:
        driver.kill()
        return True
    if kind == WORKER:
        return victim.pid != driver.pid and victim.kill()
    assert nodes is not None
    nodes.kill_node()
    time.sleep(rng.uniform(0.0, 2.0))
    nodes.replace_node()
    return True


def _wait(driver: subprocess.Popen[bytes], toll: Toll, deadline: float) -> int:
    while driver.poll() is None:
        toll.seen |= descendants(os.getpid())
        time.sleep(_POLL_SECONDS * 4)
        if time.monotonic() > deadline:
            driver.kill()
            toll.deaths.append("it hung and was killed at the time limit")
    return driver.returncode


def _pause(driver: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait; False if the driver ended meanwhile."""
    try:
        driver.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _workers(processes: set[Process]) -> set[Process]:
    return {process for process in processes if process.title.startswith(_WORKER_TITLES)}
