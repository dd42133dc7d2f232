"""The view in a notebook's cell: one output that is replaced in place, without widgets."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tuner.engine.live.view import Size

_SIZE = Size(width=110, height=40)
_THEME = TerminalTheme(
    (255, 255, 255),
    (0, 0, 0),
    # Black to white, as terminals number them: of a lightness that can be read on white and on black.
    [
        (0, 0, 0), (201, 60, 55), (26, 140, 66), (166, 124, 0),
        (50, 110, 200), (160, 80, 170), (0, 132, 150), (128, 128, 128),
    ],
)  # fmt: skip
_HTML = '<pre style="line-height:1.35;overflow-x:auto;margin:0">{code}</pre>'
"""Colours of text and background are the notebook's own."""


def in_notebook() -> bool:
    """Return whether this process is a notebook's: of Jupyter, VS Code, Colab and what else has an IPython kernel."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


class NotebookCell:
    """An output of the cell that runs, which is replaced when there is something new."""

    def __init__(self, lines: Callable[[Size], Sequence[Text]]) -> None:
        """Show what `lines` returns."""
        self._lines = lines
        self._handle: Any = None
        self._shown = ""

    def draw(self) -> None:
        """Show what is to be seen now; if it is what is seen already, nothing is sent."""
        lines = self._lines(_SIZE)
        text = "\n".join(line.plain for line in lines)
        if text == self._shown:
            return
        self._shown = text
        bundle = {"text/html": to_html(lines), "text/plain": text}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def to_html(lines: Sequence[Text]) -> str:
    """Return the lines as HTML that needs no style sheet, and on which a page's own colours show."""
    console = Console(file=io.StringIO(), record=True, width=_SIZE.width, force_jupyter=False, color_system="standard")
    console.print(Text("\n").join(lines), no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
    return console.export_html(theme=_THEME, code_format=_HTML, inline_styles=True)
