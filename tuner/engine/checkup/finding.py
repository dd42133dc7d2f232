"""One thing that was looked at: how it is, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much it matters."""

    OK = "ok"
    NOTE = "note"
    """A run works, perhaps slower or without something that you may want."""
    PROBLEM = "problem"
    """A run fails."""


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    name: str
    level: Level
    text: str
    mend: str | None = None
    """A command for the shell, if one mends it."""


def ok(name: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(name, Level.OK, text)


def note(name: str, text: str, mend: str | None = None) -> Finding:
    """Return what is good to know."""
    return Finding(name, Level.NOTE, text, mend)


def problem(name: str, text: str, mend: str | None = None) -> Finding:
    """Return what no run can do without."""
    return Finding(name, Level.PROBLEM, text, mend)
