"""The head of a run's page: how far it is, how long it takes, what trains at the moment, how good the best is."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

from tuner.journal.events import EpochReported, RetrainEpochReported
from tuner.journal.history import History, RetrainHistory, TrialHistory
from tuner.journal.holder import holder_is_alive
from tuner.journal.live import LiveHistory
from tuner.results.figures.style import evenly
from tuner.results.selection import select
from tuner.results.summary import Summary, dataset_name, pace_of, summarize
from tuner.results.wording import hparams_text, plain, search_end_text
from tuner.search.objective import Objective
from tuner.search.trial import Origin, TrialState
from tuner.serve.runs import RunSource

_SILENT_AFTER = 600.0
"""Seconds without an event, or five of the longest epoch, after which a driver elsewhere may have died."""
_RUNNING_SHOWN = 24
_POINTS = 100
"""Of a curve, which is sent again with each epoch, at most so many are shown, the last among them."""


def state_of(source: RunSource, live: LiveHistory) -> str:
    """Return `waiting`, `running`, `silent`, `stopped` or `finished`.

    A journal's lock is never tried, for trying is holding it; the name that its holder leaves is enough.
    """
    if live.history is None or live.heard is None:
        return "waiting"
    if live.history.ended:
        return "finished"
    is_alive = holder_is_alive(source.paths.journal) if source.has_owner is None else None
    if is_alive is False or source.has_owner is False:
        return "stopped"
    return "running" if is_alive or time.time() - live.heard < _patience(live.history) else "silent"


def _patience(history: History) -> float:
    recent = (report.seconds for _, report in history.reported[-50:])
    return max(_SILENT_AFTER, 5 * max(recent, default=0.0))


def line_of(name: str, source: RunSource, live: LiveHistory) -> dict[str, Any]:
    """Return a run's line in the list of runs, as plain values."""
    line: dict[str, Any] = {"name": name, "state": state_of(source, live), "began": live.began, "heard": live.heard}
    history = live.history
    if history is None:
        return line
    winner = history.winner or select(history)
    objective = history.objective
    return line | {
        "what": f"{_space(history)} on {dataset_name(history)}",
        "trials": len(history.trials),
        "elapsed": history.elapsed,
        "words": objective.words,
        "best": None if winner is None else objective.text(winner.value),
    }


def status_of(name: str, source: RunSource, live: LiveHistory) -> dict[str, Any]:
    """Return the head of the page as plain values."""
    line = line_of(name, source, live)
    history = live.history
    if history is None:
        return line
    summary = summarize(history, name)
    return line | {
        "stage": _stage(history),
        "planned": _planned(history),
        "left": None if line["state"] in ("finished", "stopped") else seconds_left(history),
        "counts": {state.lower(): count for state, count in summary.states.items() if count},
        "expected": (history.plan or {}).get("expected_trials"),
        "epochs": summary.epochs,
        "marks": _marks(history, summary),
        "ladder": _ladder(history, summary),
        "running": _running(history)[:_RUNNING_SHOWN] if line["state"] in ("running", "silent") else [],
        "logs": source.paths.logs.is_dir(),
        "workers": history.drivers[-1].workers if history.drivers else None,
        "warm": None if history.warm_start is None else plain(history.warm_start.source),
    }


def seconds_left(history: History) -> float | None:
    """Return about how long the run goes on from its last event; None before there is a plan.

    With a budget, what is left of it; else what the plan foresees for the search and for what follows.
    """
    plan = history.plan
    if plan is None or history.ended:
        return None
    if plan.get("budget_seconds"):
        return max(0.0, float(plan["budget_seconds"]) - history.elapsed)
    if history.retraining_planned is not None:
        return _retraining_left(history, max(1, int(plan.get("workers") or 1)))
    began = history.reported[0][0] - history.reported[0][1].seconds if history.reported else history.elapsed
    search_left = float(plan.get("search_seconds") or 0) - (history.elapsed - began)
    return max(0.0, search_left if history.search_ended is None else 0.0) + float(plan.get("retrain_seconds") or 0)


def _retraining_left(history: History, workers: int) -> float:
    assert history.retraining_planned is not None
    costs = history.retraining_planned.seconds_per_epoch
    left = 0.0
    for one in history.retraining_planned.retrainings:
        done = history.retrains.get((one["candidate"], one["seed"]))
        if done is None or (done.ended is None and done.failed is None):
            epochs = int(one["max_epochs"]) - (len(done.epochs) if done else 0)
            left += max(0, epochs) * float(costs.get(one["candidate"], 0.0))
    return left / workers


def _planned(history: History) -> float | None:
    """Return the seconds that the whole run was to take."""
    plan = history.plan or {}
    together = float(plan.get("search_seconds") or 0) + float(plan.get("retrain_seconds") or 0)
    return float(plan["budget_seconds"]) if plan.get("budget_seconds") else together or None


def _stage(history: History) -> str:
    if history.ended:
        return "Finished"
    if history.retrains or history.winner is not None:
        planned = history.retraining_planned.retrainings if history.retraining_planned else history.retrains
        done = sum(retrain.ended is not None for retrain in history.retrains.values())
        return f"Retraining: {done} of {len(planned)} done"
    if history.search_ended is not None:
        return f"The search has ended: {plain(search_end_text(history.search_ended))}"
    return "Searching" if history.trials else "Starting"


def _marks(history: History, summary: Summary) -> list[dict[str, str]]:
    """Return the best value so far beside what it is to be held against, on the objective's own scale."""
    objective = history.objective
    marks = []
    if summary.winner is not None:
        winner = summary.winner
        word = f"{'Winner' if history.winner else 'Best so far'}: {objective.words}"
        detail = f"trial {winner.trial}, epoch {winner.epoch}"
        marks.append({"label": word, "value": objective.text(winner.value), "detail": detail})
    starts = [trial for trial in history.trials.values() if trial.proposed.origin is Origin.START]
    baseline = min(starts, key=lambda trial: trial.number, default=None)
    if baseline is not None and baseline.best is not None and baseline.state is not TrialState.FAILED:
        value = objective.text(baseline.best.metrics[objective.metric])
        detail = f"untuned: trial {baseline.number}, epoch {baseline.best.epoch}"
        marks.append({"label": "Baseline", "value": value, "detail": detail})
    if summary.reference is not None and objective.metric == "dev_accuracy":
        value = objective.text(summary.reference.accuracy["dev"])
        marks.append({"label": "Reference", "value": value, "detail": "as it reports itself"})
    return marks


def _ladder(history: History, summary: Summary) -> list[dict[str, Any]]:
    """Return the rungs, the highest first, with what became of the trials that reached each."""
    levels = [rung.epoch for rung in summary.rungs]
    pace = pace_of(history)
    paused, climbing = Counter[int](), Counter[int]()
    for trial in history.trials.values():
        if trial.state is TrialState.PAUSED:
            paused[trial.paused_at[-1]] += 1
        elif trial.state is TrialState.RUNNING:
            done = max(trial.epochs, default=0)
            climbing[
                next((level for level in levels if (pace.epoch_at(trial.number, level) or math.inf) > done), 0)
            ] += 1
    return [
        {
            "epoch": rung.epoch,
            "reached": rung.reached,
            "passed": rung.reached - rung.stopped - paused[rung.epoch],
            "paused": paused[rung.epoch],
            "stopped": rung.stopped,
            "climbing": climbing[rung.epoch],
            "best": None if rung.best is None else history.objective.text(rung.best),
        }
        for rung in reversed(summary.rungs)
    ]


def _running(history: History) -> list[dict[str, Any]]:
    """Return what trains now: retrainings, else trials."""
    objective = history.objective
    pace = pace_of(history)
    if history.retrains or history.winner is not None:
        unfinished = (one for one in history.retrains.values() if one.ended is None and one.failed is None)
        return [_curve(f"{one.candidate}, seed {one.seed}", one, objective) for one in unfinished]
    trials = (trial for trial in history.trials.values() if trial.state is TrialState.RUNNING)
    return [
        _curve(f"Trial {trial.number}", trial, objective)
        | {
            "of": pace.horizon(trial.number) if history.plan else None,
            "hparams": hparams_text(trial.proposed.hparams),
            "retries": len(trial.retries),
        }
        for trial in trials
    ]


def _curve(title: str, one: TrialHistory | RetrainHistory, objective: Objective) -> dict[str, Any]:
    reports: list[EpochReported | RetrainEpochReported] = [one.epochs[epoch] for epoch in sorted(one.epochs)]
    drawn = [*evenly(reports[:-1], _POINTS - 1), *reports[-1:]]
    values = [[report.epoch, report.metrics[objective.metric]] for report in drawn]
    return {"title": title, "values": values, "text": objective.text(values[-1][1]) if values else None}


def _space(history: History) -> str:
    return plain(history.config.get("space") or history.config.get("objective") or "a space").rpartition("/")[2]
