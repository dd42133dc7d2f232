"""Everything that a page shows of a run, in the order in which it is read, for the report and the live page."""

from __future__ import annotations

from tuner.journal.history import History
from tuner.results.kept import Kept, read_kept
from tuner.results.sections.classes import data_views, mistake_views
from tuner.results.sections.origin import origin_views
from tuner.results.sections.outcome import outcome_views
from tuner.results.sections.search import search_views
from tuner.results.summary import summarize
from tuner.results.view import Picture, Table, View

__all__ = ["Kept", "Picture", "Table", "View", "read_kept", "views"]


def views(history: History, name: str, kept: Kept | None = None) -> list[View]:
    """Return the views of a run, finished or not, whose folder is called `name`: those that have something to show.

    `kept` is what the run keeps beside its journal (`read_kept`); without it there are fewer views.
    """
    summary, kept = summarize(history, name), kept or Kept()
    return [
        *outcome_views(history, summary),
        *mistake_views(kept),
        *search_views(history, summary),
        *data_views(history, kept),
        *origin_views(history, summary),
    ]
