"""The command `python -m tuner.doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tuner.cli import main, parse
from tuner.engine.checkup import machine, network, places, software
from tuner.engine.checkup.finding import Finding, Level, problem
from tuner.exits import EXIT_DONE, EXIT_NO

_EXAMPLES = {
    "--storage s3://BUCKET/runs": "also whether a bucket can be written",
    "--json": "for a program",
}
_LEFT = 26
"""Columns for level and name."""


@dataclass(frozen=True)
class DoctorConfig:
    """Check this machine: what it has, what is missing, and the command that mends it.

    Each line is `ok`, `note` (a run works, perhaps slower or without something) or `problem` (a run fails). The exit
    code is 1 if there is a problem.
    """

    storage: str = "runs"
    """Where your runs will be kept: a folder, or `s3://bucket/prefix`."""
    data_dir: Path | None = None
    """Folder of Fashion-MNIST; else $TUNER_DATA_DIR, else the user's cache."""
    ray_seconds: float = 60.0
    """How long Ray may take to start."""
    json: bool = False
    """Print one JSON document."""


def checks(config: DoctorConfig) -> dict[str, Callable[[], Iterator[Finding]]]:
    """Return everything that is looked at, by name, the quick things first."""
    return {
        "Python": software.python,
        "packages": software.packages,
        "processors": machine.processors,
        "memory": machine.memory,
        "GPUs": machine.gpus,
        "shared memory": machine.shared_memory,
        "Ray's folder": machine.folder_of_ray,
        "runs": partial(places.runs, config.storage),
        "data": partial(places.data, config.data_dir),
        "token": partial(network.token, os.environ),
        "proxies": partial(network.proxies, os.environ),
        "extras": software.extras,
        "Ray": partial(network.ray, config.ray_seconds),
    }


def examine(config: DoctorConfig) -> Iterator[Finding]:
    """Yield what each check finds; one that fails itself is a problem and stops no other."""
    for name, check in checks(config).items():
        try:
            yield from check()
        except Exception as error:
            reason = " ".join(str(error).split())
            yield problem(name, f"could not be looked at: {type(error).__name__}: {reason}")


def to_text(finding: Finding, width: int) -> str:
    """Return a finding for people: its level, its name, what was found, and below it the command that mends it."""
    start = f"{finding.level:<9}{finding.name}"
    lines = textwrap.wrap(finding.text, max(width - _LEFT, 30), break_long_words=False, break_on_hyphens=False)
    text = f"\n{'':{_LEFT}}".join(lines)
    mend = f"\n{'':{_LEFT}}mend: {finding.mend}" if finding.mend else ""
    return f"{start:<{_LEFT - 1}} {text}{mend}"


def run(args: Sequence[str] | None = None) -> int:
    """Print what the checks find, each as soon as it is known, and return the exit code."""
    config = parse(DoctorConfig, args, prog="python -m tuner.doctor", examples=_EXAMPLES)
    found = []
    for finding in examine(config):
        found.append(finding)
        if not config.json:
            print(to_text(finding, shutil.get_terminal_size().columns), flush=True)
    counts = Counter(finding.level for finding in found)
    if config.json:
        print(json.dumps({"problems": counts[Level.PROBLEM], "findings": [asdict(one) for one in found]}, indent=2))
    else:
        print(f"\n{_summary(counts)}")
    return EXIT_NO if counts[Level.PROBLEM] else EXIT_DONE


def _summary(counts: Counter[Level]) -> str:
    notes, problems = counts[Level.NOTE], counts[Level.PROBLEM]
    told = f"{problems} problem{'s' if problems != 1 else ''}, {notes} note{'s' if notes != 1 else ''}."
    return told if problems else f"You can begin. {told}"


if __name__ == "__main__":
    main(run)
