"""The command `python -m tuner.replay RUN`: derive every decision of a run again from its journal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner import config as configs
from tuner.cli import Run, main, parse
from tuner.engine.provenance import check_unchanged
from tuner.engine.recorded import recorded_sources
from tuner.engine.replay import DivergenceError, Replay
from tuner.engine.task import task_in
from tuner.errors import JournalError
from tuner.exits import EXIT_NO
from tuner.io.reading import reading_run
from tuner.io.sources import Sources
from tuner.journal.events import StudyStarted
from tuner.journal.store import read_journal
from tuner.search.space import find_space

_DECISIONS = {
    "TrialProposed": "proposals",
    "RungDecided": "decisions at rungs",
    "TrialEnded": "ends of trials",
    "WinnerSelected": "winner",
    "RetrainEnded": "retrainings",
}


_EXAMPLES = {
    "runs/NAME": "exit code 0 if all are, 1 if one differs",
    "s3://BUCKET/runs/NAME": "a run that is kept in a bucket",
}


@dataclass(frozen=True)
class ReplayConfig:
    """Make every decision of a run again from its journal, and check that each is the one that was made."""

    run: Run
    """The run's folder, or its s3://bucket/prefix."""
    space: str | None = None
    """The file of the run's search space, if it is elsewhere now, or you have never run it on this machine."""


def replay(run: str | Path, space: str | None = None) -> Counter[str]:
    """Return how many events of each kind were checked.

    Raises:
        DivergenceError: at the first decision that differs.
        TunerError: if there is no such run, its journal is damaged, or its search space has changed.
    """
    with reading_run(run) as paths:
        folder = paths.journal
        entries = read_journal(folder)
        if not entries:
            raise JournalError(f"the journal in {folder} is empty: the run was stopped before it began.")
        opening = entries[0].event
        assert isinstance(opening, StudyStarted), opening  # read_journal guarantees it
        config = configs.from_dict(opening.config, str(folder))
        if space is not None:
            sources, notice = Sources.read(find_space(space)), None
        else:
            sources, notice = recorded_sources(paths, config.space, opening.environment.get("space_sha256"))
    if notice is not None:
        print(f"NOTICE: {notice}", file=sys.stderr)
    check_unchanged(opening.environment, {"space_sha256": sources.sha256})
    return Replay(config, task_in(config, sources).space, entries).run()


def run(args: Sequence[str] | None = None) -> int:
    """Replay, print one line, and return the exit code."""
    config = parse(ReplayConfig, args, prog="python -m tuner.replay", examples=_EXAMPLES)
    try:
        counts = replay(config.run, config.space)
    except DivergenceError as error:
        print(f"{config.run} differs: {error}", file=sys.stderr)
        return EXIT_NO
    decisions = ", ".join(f"{counts[kind]} {name}" for kind, name in _DECISIONS.items())
    print(f"{config.run}: {counts.total()} events replayed, all as recorded: {decisions}.")
    return 0


if __name__ == "__main__":
    main(run)
