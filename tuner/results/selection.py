"""The rules by which a configuration, and then one of its retrainings, is chosen; both know only the dev set."""

from __future__ import annotations

import math

from tuner.journal.events import EnsembleMeasured, EpochReported, RetrainEnded, WinnerSelected
from tuner.journal.history import History, RetrainHistory
from tuner.results.front import placed_trials
from tuner.search.objective import Objective
from tuner.search.report import DEV_LOSS, evaluated, loss_of, rank
from tuner.search.trial import TrialState

IN_TIME_RULE = "Trials whose retraining would not fit into the time do not count."
"""Said where there are such."""

TUNED = "tuned"
BASELINE = "baseline"
ENSEMBLE = "ensemble"
SINGLE = "single"


def rule(objective: Objective, knows_loss: bool, *, knows_others: bool = False) -> str:
    """Return the rule of `select` in words.

    `knows_loss` says whether epochs report a dev loss beside the objective, `knows_others` whether there are more
    objectives.
    """
    front = "one on the front of all objectives, then " if knows_others else ""
    loss = "the lower dev loss at that epoch, then " if knows_loss else ""
    return (
        f"The {objective.best_word} {objective.words} of any epoch of any trial that is not FAILED; "
        f"of equals {front}{loss}the lower trial number."
    )


def keep_rule(objective: Objective) -> str:
    """Return the rule of `kept_retraining` in words."""
    best = f"{objective.best_word} {objective.words}"
    return f"Of the winner's retrainings the one with the {best}; of equals the lower dev loss, then the lower seed."


def select(history: History) -> WinnerSelected | None:
    """Return the winner by `rule`; None if no trial that counts has finished an epoch."""
    objective = history.objective
    trained = [trial for trial in history.trials.values() if trial.epochs and trial.state is not TrialState.FAILED]
    if not trained:
        return None
    # If none can be retrained in time, the best is retrained for as long as there is.
    timely = [trial for trial in trained if trial.can_win] or trained
    # Of equals by the first objective one may be worse than another in each of the rest.
    placed = placed_trials(history)
    front = {one.trial for one in placed if one.is_on_front}

    def place(report: EpochReported) -> tuple[float, bool, float, int, int]:
        return *order(rank(report, objective), report.trial, on_front=report.trial in front), -report.epoch

    best = max((report for trial in timely for report in trial.epochs.values()), key=place)
    hparams = history.trials[best.trial].proposed.hparams
    knows_loss = objective.metric != DEV_LOSS and DEV_LOSS in best.metrics
    words = rule(objective, knows_loss, knows_others=bool(placed))
    if len(timely) < len(trained):
        words += f" {IN_TIME_RULE}"
    return WinnerSelected(best.trial, hparams, objective.metric, best.metrics[objective.metric], best.epoch, words)


def order(best: tuple[float, float], trial: int, *, on_front: bool) -> tuple[float, bool, float, int]:
    """Return what orders trials as `rule` says, the highest for the winner, by the `rank` of the best epoch of each."""
    score, loss = best
    return score, on_front, loss, -trial


def kept_retraining(history: History) -> RetrainEnded | None:
    """Return the retraining whose weights belong into `best/`, by `keep_rule`, of those that have ended."""
    ended = [retrain for retrain in history.retrains.values() if retrain.ended and retrain.candidate == TUNED]
    best = min(ended, key=lambda one: (-_dev_score(one), _dev_loss(one), one.seed), default=None)
    return None if best is None else best.ended


def tuned_retrainings(history: History) -> list[RetrainEnded]:
    """Return the winner's retrainings that have ended, by seed."""
    known = (history.retrains[key] for key in sorted(history.retrains))
    return [one.ended for one in known if one.ended is not None and one.candidate == TUNED]


def kept_ensemble(history: History) -> EnsembleMeasured | None:
    """Return the ensemble if it belongs into `best/`: by `--keep`, which may leave it to dev."""
    keep = (history.config.get("retrain") or {}).get("keep", SINGLE)
    single = kept_retraining(history)
    if history.ensemble is None or single is None or keep == SINGLE:
        return None
    if keep == ENSEMBLE:
        return history.ensemble
    objective = history.objective
    values = [evaluated(one.evaluations.get("dev", {}), objective) for one in (history.ensemble, single)]
    together, alone = (-math.inf if value is None else objective.score(value) for value in values)
    return history.ensemble if together > alone else None


def _dev_score(retrain: RetrainHistory) -> float:
    """Return the score on dev of the restored state, else that of the epoch that it is of."""
    assert retrain.ended is not None, retrain.seed
    value = evaluated(retrain.ended.evaluations.get("dev", {}), retrain.objective)
    kept = retrain.epochs.get(retrain.ended.best_epoch)
    if value is None and kept is not None:
        value = kept.metrics.get(retrain.objective.metric)
    return -math.inf if value is None else retrain.objective.score(value)


def _dev_loss(retrain: RetrainHistory) -> float:
    assert retrain.ended is not None, retrain.seed
    return loss_of(retrain.ended.evaluations.get("dev", {}), "loss")
