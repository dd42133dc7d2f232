"""The characters that the live view draws with: for screens that know Unicode, and for those that know ASCII alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Glyphs:
    """What stands for what."""

    spark: str
    """From the lowest to the highest."""
    done: str
    """A bar's part that is done."""
    to_do: str
    promoted: str
    """These three: parts of a rung's bar."""
    paused: str
    given_up: str
    ellipsis: str


UNICODE = Glyphs(spark="▁▂▃▄▅▆▇█", done="━", to_do="─", promoted="█", paused="▒", given_up="░", ellipsis="…")
ASCII = Glyphs(spark="_.-~=+*#", done="=", to_do="-", promoted="#", paused="=", given_up=".", ellipsis="...")

_PLAIN_LOCALES = ("C", "POSIX")


def glyphs_for(console: Console, environment: Mapping[str, str] = os.environ) -> Glyphs:
    """Return what the console can show.

    Python writes UTF-8 in the C locale too. Where a person has set that locale, it is for a screen that knows no more
    than ASCII. The font of Linux' own text screen lacks the blocks.
    """
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE") or ""
    is_plain = console.options.ascii_only or locale in _PLAIN_LOCALES or environment.get("TERM") == "linux"
    return ASCII if is_plain else UNICODE
