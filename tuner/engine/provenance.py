"""Where and with what a run was made, so that its numbers can be traced, and whether it can go on as it began.

The rule: what the trials see, the data and the search space, decides what their results mean, so a change is refused.
What they run on, code, packages, processor and number format, may change numbers a little, and what an epoch takes; a
change is told in one line, and each driver's commit stands in the journal.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tuner.config import StudyConfig
from tuner.data.dataset import Dataset
from tuner.engine.hardware import describe_hardware
from tuner.errors import ConfigError
from tuner.io.sources import Sources
from tuner.paths import RunPaths

_PACKAGES = ("ray", "optuna", "torch", "torchvision", "numpy", "pandas", "pyarrow", "scikit-learn")
_OF_SPEED = ("cpu", "gpus")
_SOURCE = Path(__file__).resolve().parents[2]
_REFUSED = (("data_hashes", "data set"), ("space_sha256", "search space"))
_TOLD = ("commit", "python", "precision", *_OF_SPEED)


def describe_environment(dataset: Dataset, space_sha256: str, precision: str) -> dict[str, Any]:
    """Return versions, the driver's hardware and data hashes as a JSON-ready dictionary."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "commit": source_commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        **describe_hardware(precision),
        "dataset": dataset.name,
        "examples": dataset.sizes,
        "data_hashes": dataset.identity,
        "space_sha256": space_sha256,
    }


def source_commit() -> str | None:
    """Return the commit of the source tree, with `-dirty` if it was changed; None outside a checkout."""
    found = _git("rev-parse", "--show-toplevel")
    if found is None or Path(found).resolve() != _SOURCE.resolve():
        return None  # the repository of whoever has installed it somewhere below
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_SOURCE), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(answer.stdout).removesuffix("\n")


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare two environments (`describe_environment`); raises ConfigError if data or search space differ."""
    for key, what in _REFUSED:
        if key in now and before.get(key) != now[key]:
            raise ConfigError(
                f"the run cannot go on: the {what} has changed since it began ({before.get(key)} then, {now[key]} now)."
            )


def check_space_unchanged(before: Mapping[str, Any], sources: Sources, paths: RunPaths, config: StudyConfig) -> None:
    """Compare the code of a run's task with what it began with, before it is run.

    Raises:
        ConfigError: if it has changed, with the files that differ from the run's own copy, and the ways to go on.
    """
    if before.get("space_sha256") == sources.sha256:
        return
    changed = _differing(sources, paths.space)
    # Without a whole copy the hashes are all that there is to tell.
    told = "; ".join(changed) or f"{before.get('space_sha256')} then, {sources.sha256} now"
    run = str(paths.remote or paths.root)
    anew = f"--space {sources.path} --warm-start {run}"
    if config.objective is not None:  # of which no earlier run can teach the search
        anew = f"--objective {sources.path}:{config.objective}"
    raise ConfigError(
        f"the run cannot go on: the search space has changed since it began ({told}): put it back as it was, or begin "
        f"anew with {anew}."
    )


def _differing(sources: Sources, kept: Path) -> list[str]:
    """Return which files are not as the copy of them, in words; none if there is no copy."""
    copies = {path.relative_to(kept).as_posix(): path for path in sorted(kept.rglob("*.py"))}
    if sources.main not in copies:
        return []
    found = []
    for name in sorted({*copies, *sources.files}):
        if name not in copies:
            found.append(f"{sources.folder / name} is new")
        elif name not in sources.files:
            found.append(f"{copies[name]} is imported no more")
        elif copies[name].read_bytes() != sources.files[name]:
            found.append(f"{sources.folder / name} differs from {copies[name]}")
    return found


def changes_to_tell(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return in one line what may change numbers a little between two environments; None if nothing does."""
    changed = list(_changes(before, now))
    if not changed:
        return None
    notice = f"NOTICE: the run began with {', '.join(changed)}; numbers from here on may differ a little."
    if not any(_differ(before, now, name) for name in _OF_SPEED):
        return notice
    return f"{notice} The plan, and rungs by cost, go on with the seconds that an epoch took there."


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in _TOLD:
        if _differ(before, now, name):
            yield f"{name} {before.get(name)} (now {now.get(name)})"
    packages, packages_now = before.get("packages") or {}, now.get("packages") or {}
    for name in sorted({*packages, *packages_now}):
        if packages.get(name) != packages_now.get(name):
            yield f"{name} {packages.get(name)} (now {packages_now.get(name)})"


def _differ(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> bool:
    """Return whether an entry differs; of a list, such as that of the GPUs, in which kinds there are."""
    then, today = before.get(name), now.get(name)
    return set(then) != set(today) if isinstance(then, list) and isinstance(today, list) else then != today


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
