"""Lines of text in columns, made to measure: nothing here knows of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

_GAP = 2


@dataclass(frozen=True)
class Cell:
    """A text in a column."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """How the cells of a column stand, and which columns go first where there is no room for all."""

    title: str
    is_right: bool = True
    """Flush right, as numbers are."""
    rank: int = 0
    """The column of the highest rank goes first; one of rank 0 stays."""


def joined(*cells: Cell, gap: int = _GAP) -> Text:
    """Return one line of the cells that hold a text."""
    line = Text(no_wrap=True, end="")
    for cell in cells:
        if cell.text:
            line.append(" " * gap if line else "")
            line.append(cell.text, cell.style)
    return line


def fitted(cells: Sequence[Cell], width: int, ellipsis: str) -> Text:
    """Return one line of as many of the cells as there is room for; the first is cut if it must be."""
    shown: list[Cell] = []
    used = 0
    for cell in cells:
        if not cell.text:
            continue
        needed = cell_len(cell.text) + (_GAP if shown else 0)
        if used + needed > width:
            break
        shown.append(cell)
        used += needed
    if not shown and cells:
        shown = [Cell(cut(cells[0].text, width, ellipsis), cells[0].style)]
    return joined(*shown)


def cut(text: str, width: int, ellipsis: str) -> str:
    """Return the text in one line of at most `width` cells, with an ellipsis if it was longer."""
    text = " ".join(text.split())
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - len(ellipsis))).rstrip() + ellipsis[: max(0, width)]


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Text]:
    """Return a header and a line for each row, in aligned columns, without those for which there is no room."""
    widths = [
        max([cell_len(column.title), *(cell_len(row[place].text) for row in rows)])
        for place, column in enumerate(columns)
    ]
    kept = [place for place, size in enumerate(widths) if size]
    gap = _GAP
    while sum(widths[place] for place in kept) + gap * (len(kept) - 1) > width:
        droppable = [place for place in kept if columns[place].rank]
        if droppable:
            kept.remove(max(droppable, key=lambda place: columns[place].rank))
        elif gap > 1:
            gap -= 1
        else:
            break
    header = [Cell(column.title, "dim") for column in columns]
    return [
        _line([(row[place], columns[place], widths[place]) for place in kept], gap, width) for row in [header, *rows]
    ]


def _line(cells: Sequence[tuple[Cell, Column, int]], gap: int, width: int) -> Text:
    line = Text(no_wrap=True, end="")
    for place, (cell, column, size) in enumerate(cells):
        space = " " * (size - cell_len(cell.text))
        line.append(" " * gap if place else "")
        line.append(space if column.is_right else "")
        line.append(cell.text, cell.style)
        line.append("" if column.is_right else space)
    line.rstrip()
    line.truncate(width)
    return line
