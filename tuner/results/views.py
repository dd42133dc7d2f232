"""Everything that a page shows of a run, in the order in which it is read, for the report and the live page."""

from __future__ import annotations

from tuner.journal.history import History
from tuner.results.sections.origin import origin_views
from tuner.results.sections.outcome import outcome_views
from tuner.results.sections.search import search_views
from tuner.results.summary import summarize
from tuner.results.view import Picture, Table, View

__all__ = ["Picture", "Table", "View", "views"]


def views(history: History, name: str) -> list[View]:
    """Return the views of a run, finished or not, whose folder is called `name`: those that have something to show."""
    summary = summarize(history, name)
    return [*outcome_views(history, summary), *search_views(history, summary), *origin_views(history, summary)]
