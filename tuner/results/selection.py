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
IN_TIME_RULE = "Trials whose retraining would not fit into the time do not count."
"""Said where there are such."""
KEEP_RULE = "Of the winner's retrainings the one with the highest dev accuracy; of equals the lower seed."

TUNED = "tuned"
BASELINE = "baseline"


def select(history: History) -> WinnerSelected | None:
    """Return the winner by `RULE`; None if no trial that counts has finished an epoch."""
    trained = [trial for trial in history.trials.values() if trial.epochs and trial.state is not TrialState.FAILED]
    if not trained:
        return None
    # If none can be retrained in time, the best is retrained for as long as there is.
    timely = [trial for trial in trained if trial.can_win] or trained
    reports = [report for trial in timely for report in trial.epochs.values()]
    best = min(reports, key=_rank)
    hparams = history.trials[best.trial].proposed.hparams
    rule = RULE if len(timely) == len(trained) else f"{RULE} {IN_TIME_RULE}"
    return WinnerSelected(best.trial, hparams, best.dev_accuracy, best.epoch, rule)


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
