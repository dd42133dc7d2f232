"""Lines at the bottom of a terminal that are drawn anew in place, below everything that is printed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TextIO, cast

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.text import Text

from tuner.engine.live.view import Size


def is_drawn_on(console: Console) -> bool:
    """Return whether the console is a terminal whose cursor can be moved.

    Rich also takes for one what is told to use colours, by $FORCE_COLOR, such as a pipe in continuous integration.
    """
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


class TerminalBlock(RenderHook):
    """Draws in place, as `rich.live` does, with three differences that a run of hours makes felt.

    Nothing is erased before it is drawn over, so nothing flickers. A terminal that has become narrower has broken the
    lines that stood there: they are counted as it shows them now, so nothing is left over. And the cursor stays
    visible: a process that is killed cannot give it back.
    """

    def __init__(self, console: Console, lines: Callable[[Size], Sequence[Text]]) -> None:
        """Show on `console` what `lines` returns for the size that the terminal has."""
        self._console = console
        self._lines = lines
        self._lock = threading.RLock()
        self._drawn: list[int] = []
        """The widths of the lines that stand there."""
        self._width = console.width
        """Of the terminal, when they were drawn."""
        self._streams: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> Self:
        self._console.push_render_hook(self)
        self._streams = sys.stdout, sys.stderr
        # What anybody prints would else be drawn over. Ends of processes write to the streams as they were.
        sys.stdout = cast("TextIO", FileProxy(self._console, sys.stdout))
        sys.stderr = cast("TextIO", FileProxy(self._console, sys.stderr))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._lines = _nothing
            self.draw()
            self._console.pop_render_hook()
            if self._streams is not None:
                sys.stdout, sys.stderr = self._streams

    def draw(self) -> None:
        """Draw what is to be seen now."""
        self.print_above(Control())

    def print_above(self, text: ConsoleRenderable | str) -> None:
        """Print above the block, a long line broken between words."""
        with self._lock:
            self._console.print(text, markup=False, emoji=False, highlight=False)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what a print writes: the way up to the block's first line, what is printed, and the block."""
        with self._lock:
            size = self._console.size
            # The last column and the last line stay free: what is written there moves some terminals on.
            lines = self._lines(Size(size.width - 1, size.height - 1))
            rows = sum(max(1, -(-width // size.width)) for width in self._drawn)
            is_new = not lines or size.width != self._width or not all(isinstance(one, Control) for one in renderables)
            self._drawn, self._width = [line.cell_len for line in lines], size.width
        if is_new:
            return [_erased(rows), *renderables, _Block(lines)]
        return [_way_up(rows), *renderables, _Block(lines, spare=max(0, rows - len(lines)))]


class _Block:
    """The lines, each drawn over what stood there, and `spare` rows below that are cleared."""

    def __init__(self, lines: Sequence[Text], spare: int = 0) -> None:
        self._lines = lines
        self._spare = spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for place, line in enumerate(self._lines):
            if place:
                yield Segment.line()
            yield from line.render(console)
            yield from Control((ControlType.ERASE_IN_LINE, 0)).__rich_console__(console, options)
        for _ in range(self._spare):
            yield Segment.line()
            yield from Control((ControlType.ERASE_IN_LINE, 2)).__rich_console__(console, options)
        if self._spare:
            yield from Control((ControlType.CURSOR_UP, self._spare)).__rich_console__(console, options)


def _way_up(rows: int) -> Control:
    """Return the way from the end of so many rows to the first one's beginning."""
    up = [(ControlType.CURSOR_UP, rows - 1)] if rows > 1 else []
    return Control(ControlType.CARRIAGE_RETURN, *up)


def _erased(rows: int) -> Control:
    """Return the way up that clears each row.

    One by one, for tmux keeps what is cleared from the screen's first line on; and wholly, for a row remembers that a
    line which was broken went on in it.
    """
    clear = (ControlType.ERASE_IN_LINE, 2)
    return Control(ControlType.CARRIAGE_RETURN, clear, *((ControlType.CURSOR_UP, 1), clear) * (rows - 1))


def _nothing(_: Size) -> Sequence[Text]:
    return ()
