"""A run as a kill leaves it, made of one that has ended: nobody waits for the moment of the kill."""

from __future__ import annotations

import shutil

from tuner.journal.events import EpochReported
from tuner.journal.store import read_journal
from tuner.paths import RunPaths


def as_if_killed(paths: RunPaths) -> None:
    """Leave what was there halfway through the search, amid the training of a trial: no rung is at its second epoch."""
    entries = read_journal(paths.journal)
    amid = [entry.seq for entry in entries if isinstance(entry.event, EpochReported) and entry.event.epoch == 2]
    (segment,) = paths.journal.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[: amid[len(amid) // 2] + 1]))
    for path in paths.root.iterdir():
        if path not in (paths.config, paths.environment, paths.journal, paths.space, paths.log):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
