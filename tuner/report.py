"""The command `python -m tuner.report RUN`: tables and reports rebuilt from the journal alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.cli import Run, main, parse
from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import StorageError
from tuner.io.reading import reading_run
from tuner.journal.history import fold, read_history
from tuner.journal.store import read_journal
from tuner.results.export import export
from tuner.results.story import tell

_EXAMPLES = {
    "runs/NAME": "the report, and tables and report.html beside it",
    "runs/NAME --journal": "what happened, one line an event",
}


@dataclass(frozen=True)
class ReportConfig:
    """Write a run's tables and its report again, from its journal, and print the report."""

    run: Run
    """The run's folder, finished or not, or its s3://bucket/prefix, which is only read."""
    journal: bool = False
    """Only print the journal as a story, one line an event."""


def report(path: str | Path) -> str:
    """Rebuild the run's tables and reports, and return the text report; of a run in a bucket, return that alone.

    Raises JournalError if there is no run or its journal is damaged, StorageError if its folder cannot be written or
    its bucket cannot be read.
    """
    with reading_run(path) as paths:
        history = read_history(paths.journal)
        try:
            export(history, paths)
        except OSError as error:
            raise StorageError(f"{paths.root} cannot be written: {error.strerror or error}.") from error
        return paths.report_text.read_text(encoding="utf-8")


def story(path: str | Path) -> str:
    """Return the run's journal as a story; raises JournalError as `report` does."""
    with reading_run(path) as paths:
        entries = read_journal(paths.journal)
        objective = fold(entries).objective if entries else DEFAULT_OBJECTIVE
        return "".join(f"{tell(entry, objective)}\n" for entry in entries)


def run(args: Sequence[str] | None = None) -> None:
    """Print what the arguments ask for."""
    config = parse(ReportConfig, args, prog="python -m tuner.report", examples=_EXAMPLES)
    print(story(config.run) if config.journal else report(config.run), end="")


if __name__ == "__main__":
    main(run)
