"""The rules by which a configuration, and then one of its retrainings, is chosen; both know only the dev set."""

from __future__ import annotations

import math

from tuner.journal.events import EpochReported, RetrainEnded, WinnerSelected
from tuner.journal.history import History
from tuner.search.trial import TrialState

RULE = (
    "The highest dev accuracy of any epoch of any trial that is not FAILED; "
    "of equals the lower dev loss at that epoch, then the lower trial number."
)
KEEP_RULE = "Of the winner's retrainings the one with the highest dev accuracy; of equals the lower seed."

TUNED = "tuned"
BASELINE = "baseline"


def select(history: History) -> WinnerSelected | None:
    """Return the winner by `RULE`; None if no trial that counts has finished an epoch."""
    reports = [
        report
        for trial in history.trials.values()
        if trial.state is not TrialState.FAILED
        for report in trial.epochs.values()
    ]
    if not reports:
        return None
    best = min(reports, key=_rank)
    hparams = history.trials[best.trial].proposed.hparams
    return WinnerSelected(best.trial, hparams, best.dev_accuracy, best.epoch, RULE)


def kept_retraining(history: History) -> RetrainEnded | None:
    """Return the retraining whose weights belong into `best/`, by `KEEP_RULE`, of those that have ended."""
    ended = [
        retrain.ended
        for retrain in history.retrains.values()
        if retrain.ended is not None and retrain.candidate == TUNED
    ]
    return min(ended, key=lambda one: (-one.evaluations["dev"]["accuracy"], one.seed), default=None)


def _rank(report: EpochReported) -> tuple[float, float, int, int]:
    # A loss that is not a number has no order; it counts as the worst.
    loss = math.inf if math.isnan(report.dev_loss) else report.dev_loss
    return (-report.dev_accuracy, loss, report.trial, report.epoch)
