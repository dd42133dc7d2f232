"""Where a run came from: what failed, what it ran on, how to make it again."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.journal.history import History
from tuner.results.kept import Kept
from tuner.results.summary import Summary
from tuner.results.view import Table, View
from tuner.results.wording import commands_to_repeat, commits, flatten, plain
from tuner.search.trial import TrialState

_FAILURES = 20
"""Traces shown; a study may have thousands."""
_AGAIN = (
    "One worker and the same seed give the same study; with several, results arrive in another order. A latency among "
    "the objectives is measured, and may differ."
)


def origin_views(history: History, summary: Summary, kept: Kept) -> Iterator[View]:
    """Yield the failures, the environment and the way to repeat the run."""
    yield from _failures(history)
    environment, plan = list(flatten(history.environment)), list(flatten(history.plan or {}))
    if environment:
        yield View("environment", "Environment", table=Table((), environment, left=2))
    if plan:
        yield View("plan", "What was planned", table=Table((), plan, left=2))
    yield View(
        "reproduce",
        "How to reproduce",
        f"With commit {commits(history)}. {_AGAIN}",
        preformatted="\n".join(commands_to_repeat(history, summary.name)),
    )
    yield View("configuration", "Configuration", table=Table((), list(flatten(history.config)), left=2))


def _failures(history: History) -> Iterator[View]:
    failed = [trial.ended for trial in history.trials.values() if trial.state is TrialState.FAILED and trial.ended]
    shown = [f"Trial {end.trial}: {plain(end.reason)}\n{plain(end.error or '')}" for end in failed[:_FAILURES]]
    shown += [
        f"Retraining of {retrain.candidate}, seed {retrain.seed}: {plain(retrain.failed.reason)}"
        for retrain in history.retrains.values()
        if retrain.failed
    ]
    if shown:
        more = len(failed) - _FAILURES
        note = f"And {more} more: trials.parquet holds every trace." if more > 0 else ""
        yield View("failures", "Failures", note, preformatted="\n\n".join(one.strip() for one in shown))
