"""One view of a run: what a page shows under one heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Table:
    """A table of plain texts, to be escaped by whoever shows it."""

    header: Sequence[str]
    """Empty for a list of names and values."""
    rows: Sequence[Sequence[str]]
    left: int = 1
    """How many columns, from the first, are flush left; the others hold numbers."""


@dataclass(frozen=True)
class Picture:
    """A small image with what is to be said of it."""

    source: str
    """A `data:` address."""
    caption: str


@dataclass(frozen=True)
class View:
    """What stands under one heading; a view has at least one of figure, table, pictures and text."""

    id: str
    """Of letters and hyphens, unique in a page and the same in every run."""
    title: str
    note: str = ""
    """How to read it, in a sentence or two; it stands below figure and table."""
    figure: Figure | None = None
    table: Table | None = None
    text: Sequence[str] = ()
    """Paragraphs, which stand above."""
    pictures: Sequence[Picture] = ()
    preformatted: str = ""
    """A text whose lines stay as they are: a command, a trace."""
