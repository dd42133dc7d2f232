"""The report as one HTML page that needs no network and no script."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from tuner.journal.history import History
from tuner.results import figures
from tuner.results.front import objectives_of_run, placed_trials
from tuner.results.incumbent import improvements
from tuner.results.summary import Summary, summarize
from tuner.results.wording import (
    NOT_MEASURED,
    command_to_repeat,
    commits,
    final_cells,
    final_header,
    final_notes,
    flatten,
    front_cells,
    front_header,
    front_line,
    front_note,
    hparam_text,
    measured_word,
    others_header,
    others_rows,
    plain,
    retrain_cells,
    retrain_header,
    rung_table,
    state_counts,
    time_line,
    winner_line,
)
from tuner.search.trial import TrialState

_FAILURES = 20
"""Traces shown; a study may have thousands."""


def html_report(history: History, name: str) -> str:
    """Return the page for a run whose folder is called `name`."""
    summary = summarize(history, name)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("tuner.results").joinpath("report.html.jinja").read_text(encoding="utf-8")
    context = _numbers(history, summary) | _drawings(history, summary) | _front(history, summary)
    context |= _failures(history)
    return environment.from_string(source).render(context)


def _numbers(history: History, summary: Summary) -> dict[str, Any]:
    rung_header, rungs = rung_table(summary)
    return {
        "summary": summary,
        "finished": history.ended,
        "states": state_counts(summary),
        "time": time_line(summary),
        "measured": measured_word(summary),
        "objective": summary.objective,
        "final_header": final_header(summary),
        "final_rows": [final_cells(row, summary) for row in summary.final] if summary.is_measured else [],
        "others_header": others_header(summary),
        "others_rows": others_rows(summary),
        "not_measured": NOT_MEASURED,
        "retrain_header": retrain_header(summary),
        "retrainings": [retrain_cells(retrain, summary) for retrain in history.retrains.values()],
        "final_notes": final_notes(summary),
        "winner_line": winner_line(history, summary),
        "hparams": _hparams(summary),
        "rungs": rungs,
        "rung_header": rung_header,
        "environment": list(flatten(history.environment)),
        "plan": list(flatten(history.plan or {})),
        "config": list(flatten(history.config)),
        "command": command_to_repeat(history, summary.name),
        "commits": commits(history),
    }


def _drawings(history: History, summary: Summary) -> dict[str, Any]:
    return {
        "curves": figures.learning_curves(history),
        "incumbent": figures.incumbent(improvements(history), history),
        "trials": figures.trial_curves(history, [rung.epoch for rung in summary.rungs]),
    }


def _front(history: History, summary: Summary) -> dict[str, Any]:
    """Return what the section on the front shows; without rows there is no such section."""
    objectives, placed = objectives_of_run(history), placed_trials(history)
    best_first = sorted(
        (one for one in placed if one.is_on_front), key=lambda one: (-history.objective.score(one.values[0]), one.trial)
    )
    return {
        "front": figures.front(placed, objectives, summary.winner.trial if summary.winner else None),
        "front_line": front_line(placed, objectives),
        "front_note": front_note(objectives),
        "front_header": front_header(objectives),
        "front_rows": [front_cells(one, objectives) for one in best_first],
    }


def _failures(history: History) -> dict[str, Any]:
    failed = [trial.ended for trial in history.trials.values() if trial.state is TrialState.FAILED and trial.ended]
    shown = [(f"Trial {end.trial}: {plain(end.reason)}", plain(end.error or "")) for end in failed[:_FAILURES]]
    shown += [
        (f"Retraining of {retrain.candidate}, seed {retrain.seed}", plain(retrain.failed.reason))
        for retrain in history.retrains.values()
        if retrain.failed
    ]
    return {"failures": shown, "more_failures": max(0, len(failed) - _FAILURES)}


def _hparams(summary: Summary) -> list[tuple[str, str]]:
    hparams = summary.winner.hparams if summary.winner else {}
    return [(name, hparam_text(value)) for name, value in hparams.items()]
