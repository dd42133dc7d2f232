"""The documents as tests read them: their blocks of code, and their tables."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """Return the blocks of code in a language, in their order."""
    return [code for found, code in _BLOCK.findall(path.read_text(encoding="utf-8")) if found == language]


def sections(path: Path) -> dict[str, str]:
    """Return what stands below each heading of the second level."""
    return dict(_SECTION.findall(path.read_text(encoding="utf-8")))


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of the first table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines[1:]]
