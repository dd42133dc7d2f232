"""Puts the arguments of a command where a page says `<!-- arguments: COMMAND -->`; a hook of mkdocs.yml."""

from __future__ import annotations

import html
import re
from typing import Any

from tuner.completion import arguments_of
from tuner.help_text import Argument

_PLACE = re.compile(r"^<!-- arguments: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with a table in each place; mkdocs calls this for every page."""
    return _PLACE.sub(lambda place: _table(arguments_of(place[1])), markdown)


def _table(arguments: list[Argument]) -> str:
    rows = [f"| {_code(one.title)} | {_cell(one.help)} | {_code(one.default)} |" for one in arguments]
    return "\n".join(["| argument | meaning | default |", "|---|---|---|", *rows])


def _code(text: str) -> str:
    """Return text as code; in a table of Markdown, `|` would end the cell even there."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;")
