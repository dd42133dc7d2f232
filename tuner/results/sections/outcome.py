"""What came out: the answer, how it was measured, the winner and its learning curves."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.journal.history import History
from tuner.results.figures.learning_curves import learning_curves
from tuner.results.kept import Kept
from tuner.results.summary import Summary
from tuner.results.view import Table, View
from tuner.results.wording import (
    NOT_MEASURED,
    answer_line,
    final_cells,
    final_header,
    final_notes,
    hparam_text,
    measured_word,
    others_header,
    others_rows,
    retrain_cells,
    retrain_header,
    state_counts,
    time_line,
    winner_line,
)

_CURVES = (
    "Every metric by epoch of the retrainings: dashed on train (as trained), solid on dev and of what is of no split; "
    "one line a seed. Blue: tuned; orange: the baseline, before tuning."
)


def outcome_views(history: History, summary: Summary, kept: Kept) -> Iterator[View]:
    """Yield the answer first, then what it rests on."""
    yield _answer(summary)
    others = others_rows(summary)
    if others:
        yield View("measures", "What else was measured", table=Table(others_header(summary), others, left=2))
    yield from _winner(history, summary)
    curves = learning_curves(history)
    if curves is not None:
        yield View("learning-curves", "Learning curves", _CURVES, figure=curves)
    if history.retrains:
        rows = [retrain_cells(retrain, summary) for retrain in history.retrains.values()]
        yield View("retrainings", "Each retraining", table=Table(retrain_header(summary), rows))


def _answer(summary: Summary) -> View:
    counts = f"{state_counts(summary)}; {summary.epochs:,} epochs in the search. Time: {time_line(summary)}."
    status = f"Status: {summary.stage}. {counts}"
    if not summary.is_measured:
        return View("answer", "Answer", text=[answer_line(summary), NOT_MEASURED, status])
    table = Table(final_header(summary), [final_cells(row, summary) for row in summary.final], left=2)
    notes = " ".join(final_notes(summary))
    return View("answer", measured_word(summary), notes, table=table, text=[answer_line(summary), status])


def _winner(history: History, summary: Summary) -> Iterator[View]:
    winner = summary.winner
    if winner is None:
        return
    rows = [(name, hparam_text(value)) for name, value in winner.hparams.items()]
    table = Table((), rows, left=2) if rows else None
    text = [winner_line(history, summary), f"Rule: {winner.rule}"]
    yield View("winner", "Winner", table=table, text=text)
