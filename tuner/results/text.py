"""The report as plain text, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tuner.journal.events import EpochReported
from tuner.journal.history import History, TrialHistory
from tuner.results.front import objectives_of_run, placed_trials
from tuner.results.selection import keep_rule
from tuner.results.summary import Summary, summarize
from tuner.results.wording import (
    NOT_MEASURED,
    commands_to_repeat,
    commits,
    duration,
    final_cells,
    final_header,
    final_notes,
    flatten,
    front_line,
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
    value_text,
    winner_line,
)
from tuner.search.report import score_of
from tuner.search.trial import TrialState

WIDTH = 100
_BEST_TRIALS = 10
_FAILURES = 5


def text_report(history: History, name: str) -> str:
    """Return the whole report of a run whose folder is called `name`; equal histories give equal texts."""
    summary = summarize(history, name)
    sections = {
        f"Run {plain(name)}: {plain(summary.dataset)}": _overview(summary),
        measured_word(summary): final_table(summary),
        "Winner": _winner(history, summary),
        "Front": _front(history),
        "Rungs": _rungs(summary),
        "Best trials": _best_trials(history),
        "Failures": _failures(history),
        "Retraining": _retraining(history, summary),
        "Environment": _fields(flatten(history.environment)),
        "Again": _again(history, name),
    }
    blocks = (f"{title}\n{'=' * min(len(title), WIDTH)}\n{body}" for title, body in sections.items() if body)
    return "\n\n".join(blocks) + "\n"


def final_table(summary: Summary) -> str:
    """Return the final table with its notes: reference, baseline and tuned, side by side."""
    if not summary.is_measured:
        return NOT_MEASURED
    tables = [aligned([final_header(summary), *(final_cells(row, summary) for row in summary.final)], left=2)]
    if summary.others:
        tables.append(aligned([others_header(summary), *others_rows(summary)], left=2))
    return "\n\n".join([*tables, *(_wrap(note) for note in final_notes(summary))])


def _overview(summary: Summary) -> str:
    return _fields(
        [
            ("status", summary.stage),
            ("trials", state_counts(summary)),
            ("epochs", f"{summary.epochs:,} in the search"),
            ("time", time_line(summary)),
        ]
    )


def _winner(history: History, summary: Summary) -> str:
    line = _wrap(winner_line(history, summary))
    if summary.winner is None:
        return line
    lines = [line, _wrap(f"Rule: {summary.winner.rule}")]
    hparams = _fields((name, hparam_text(value)) for name, value in summary.winner.hparams.items())
    return "\n".join([*lines, "", hparams])


def _front(history: History) -> str:
    objectives = objectives_of_run(history)
    if len(objectives) == 1:
        return ""
    where = "report.html shows it; in trials.parquet it is on_front."
    return f"{_wrap(front_line(placed_trials(history), objectives))}\n{where}"


def _rungs(summary: Summary) -> str:
    header, rows = rung_table(summary)
    return aligned([header, *rows]) if rows else ""


def _best_trials(history: History) -> str:
    ranked = sorted(
        ((trial, trial.best) for trial in history.trials.values() if trial.best and trial.state != TrialState.FAILED),
        key=lambda found: (-score_of(found[1], history.objective), found[0].number),
    )
    rows = [_trial_cells(trial, best) for trial, best in ranked[:_BEST_TRIALS]]
    header = ("trial", "state", "origin", "epochs", f"best {history.objective.words}", "at epoch", "time")
    return aligned([header, *rows]) if rows else ""


def _trial_cells(trial: TrialHistory, best: EpochReported) -> tuple[str, ...]:
    return (
        str(trial.number),
        trial.state.value,
        trial.proposed.origin.value,
        str(len(trial.epochs)),
        value_text(best.metrics[trial.objective.metric], trial.objective),
        str(best.epoch),
        duration(trial.seconds),
    )


def _failures(history: History) -> str:
    failed = [trial.ended for trial in history.trials.values() if trial.state is TrialState.FAILED and trial.ended]
    lines = [_wrap(f"trial {end.trial}: {plain(end.reason)}") for end in failed[:_FAILURES]]
    if len(failed) > _FAILURES:
        lines.append(f"and {len(failed) - _FAILURES} more: trials.parquet holds every trace")
    lines += [
        _wrap(f"retraining of {retrain.candidate}, seed {retrain.seed}: {plain(retrain.failed.reason)}")
        for retrain in history.retrains.values()
        if retrain.failed
    ]
    return "\n".join(lines)


def _retraining(history: History, summary: Summary) -> str:
    rows = [retrain_cells(retrain, summary) for retrain in history.retrains.values()]
    return f"{aligned([retrain_header(summary), *rows])}\n\n{_wrap(keep_rule(summary.objective))}" if rows else ""


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return the rows, the first a header, in aligned columns; the first `left` columns flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def _fields(pairs: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> str:
    """Return one "name  value" a line, long values wrapped below themselves."""
    known = [(plain(name), " ".join(plain(value).split())) for name, value in pairs]
    indent = min(max((len(name) for name, _ in known), default=0), WIDTH // 2) + 2
    return "\n".join(
        textwrap.fill(value, WIDTH, initial_indent=f"{name:<{indent}}", subsequent_indent=" " * indent) or name
        for name, value in known
    )


def _again(history: History, name: str) -> str:
    commands = map(plain, commands_to_repeat(history, name))  # to be copied, so never broken
    return "\n".join([*commands, _wrap("commit: " + plain(commits(history)))])


def _wrap(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH)
