"""What mkdocs.yml cannot say: pages that nobody has placed, and the arguments of the commands."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from tuner.completion import arguments_of
from tuner.help_text import Argument

_PLACE = re.compile(r"^<!-- arguments: (\w+) -->$", re.MULTILINE)


def on_config(config: Any) -> None:
    """Put the pages that have no place in the navigation at its end, so that each can be found."""
    placed = set(_pages(config["nav"]))
    found = sorted(path.name for path in Path(config["docs_dir"]).glob("*.md"))
    others = [name for name in found if name not in placed]
    if others:
        config["nav"].append({"More": others})


def _pages(nav: Any) -> list[str]:
    """Return the files that a navigation, or a part of one, names."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in _pages(part)]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with the arguments of a command where it says `<!-- arguments: COMMAND -->`."""
    return _PLACE.sub(lambda place: _table(arguments_of(place[1])), markdown)


def _table(arguments: list[Argument]) -> str:
    rows = [f"| {_code(one.title)} | {_cell(one.help)} | {_code(one.default)} |" for one in arguments]
    return "\n".join(["| argument | meaning | default |", "|---|---|---|", *rows])


def _code(text: str) -> str:
    """Return text as code; in a table of Markdown, `|` would end the cell even there."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;")
