"""Tests of `tuner.engine.live.terminal`: what a terminal shows after all that was written to it."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console
from rich.text import Text

from tuner.engine.live.terminal import TerminalBlock
from tuner.engine.live.view import Size

_CODE = re.compile(r"\x1b\[(\d*)([A-Z])")


class Terminal(io.StringIO):
    """A terminal that knows the few codes that a block needs, and breaks long lines when it becomes narrower."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.rows = [""]
        self.row = self.column = 0

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows).rstrip("\n")

    def write(self, text: str) -> int:
        place = 0
        while place < len(text):
            code = _CODE.match(text, place)
            if code is not None:
                self._obey(code[2], int(code[1] or 0))
                place = code.end()
                continue
            self._put(text[place])
            place += 1
        return len(text)

    def resize(self, width: int) -> None:
        rows = [row.rstrip() for row in self.rows]
        self.rows = [row[at : at + width] for row in rows for at in range(0, max(1, len(row)), width)]
        self.width, self.row = width, len(self.rows) - 1
        self.column = len(self.rows[-1])

    def _obey(self, letter: str, number: int) -> None:
        match letter:
            case "A":
                self.row = max(0, self.row - number)
            case "K":
                self.rows[self.row] = self.rows[self.row][: 0 if number == 2 else self.column]
            case _:
                raise AssertionError(letter)

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row + 1 - len(self.rows))
        else:
            assert self.column < self.width, "the terminal would go on by itself"
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
            self.column += 1


class Shown:
    """A block on a terminal, and what it is to show."""

    def __init__(self, width: int = 40) -> None:
        self.terminal = Terminal(width)
        self.console = Console(file=self.terminal, force_terminal=True, width=width, height=10, color_system=None)
        self.lines: list[str] = ["one", "two"]
        self.sizes: list[Size] = []
        self.block = TerminalBlock(self.console, self._draw)

    def _draw(self, size: Size) -> Sequence[Text]:
        self.sizes.append(size)
        return [Text(line) for line in self.lines]

    def resize(self, width: int) -> None:
        self.terminal.resize(width)
        self.console.width = width


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_a_block_is_drawn_in_place(shown: Shown) -> None:
    with shown.block as block:
        block.draw()
        assert shown.terminal.text == "one\ntwo"
        for lines in (["three", "2", "1"], ["a longer line", ""], ["one"]):
            shown.lines = lines
            block.draw()
            assert shown.terminal.text == "\n".join(lines).rstrip("\n")


def test_what_is_said_stands_above_the_block_and_stays(shown: Shown) -> None:
    with shown.block as block:
        block.draw()
        block.print_above("the plan")
        block.print_above("x" * 30)
        shown.lines = ["three"]
        block.draw()
        assert shown.terminal.text == f"the plan\n{'x' * 30}\nthree"
    assert shown.terminal.text == f"the plan\n{'x' * 30}"


def test_what_anybody_prints_stands_above_the_block_too(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = sys.stdout, sys.stderr
    with shown.block as block:
        block.draw()
        print("from a space file")
        print("from a library", file=sys.stderr)
        assert shown.terminal.text == "from a space file\nfrom a library\none\ntwo"
    assert (sys.stdout, sys.stderr) == streams


@pytest.mark.parametrize("width", [39, 25, 12])
def test_a_terminal_that_becomes_narrower_keeps_nothing_of_the_old_block(shown: Shown, width: int) -> None:
    shown.lines = ["x" * 38, "short", "y" * 30]
    with shown.block as block:
        block.print_above("said")
        shown.resize(width)
        shown.lines = ["x" * (width - 2), "short"]
        block.draw()
        assert shown.terminal.text == f"said\n{'x' * (width - 2)}\nshort"
    assert shown.terminal.text == "said"


def test_the_last_column_and_the_last_line_stay_free(shown: Shown) -> None:
    with shown.block as block:
        block.draw()
    assert set(shown.sizes) == {Size(39, 9)}


def test_a_drawing_erases_nothing_before_it_is_drawn_over(shown: Shown) -> None:
    with shown.block as block:
        block.draw()
        written: list[str] = []
        write: Callable[[str], int] = shown.terminal.write
        shown.terminal.write = lambda text: written.append(text) or write(text)  # type: ignore[method-assign, func-returns-value]
        block.draw()
        (text,) = [one for one in written if one]
        assert text == "\r\x1b[1Aone\x1b[0K\ntwo\x1b[0K"
