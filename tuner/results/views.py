"""Everything that a page shows of a run, in the order in which it is read, for the report and the live page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tuner.journal.history import History
from tuner.results.kept import Kept, read_kept
from tuner.results.sections.classes import data_views, mistake_views
from tuner.results.sections.origin import origin_views
from tuner.results.sections.outcome import outcome_views
from tuner.results.sections.search import search_views
from tuner.results.summary import Summary, summarize
from tuner.results.view import Picture, Table, View

__all__ = ["GROUPS", "Group", "Kept", "Picture", "Table", "View", "read_kept", "views"]


Group = Callable[[History, Summary, Kept], Iterable[View]]

GROUPS: tuple[Group, ...] = (
    outcome_views,
    mistake_views,
    search_views,
    data_views,
    origin_views,
)
"""The parts of `views`, in order: a live page draws up the cheap ones more often than the dear ones."""


def views(history: History, name: str, kept: Kept | None = None) -> list[View]:
    """Return the views of a run, finished or not, whose folder is called `name`: those that have something to show.

    `kept` is what the run keeps beside its journal (`read_kept`); without it there are fewer views.
    """
    summary = summarize(history, name)
    return [view for group in GROUPS for view in group(history, summary, kept or Kept())]
