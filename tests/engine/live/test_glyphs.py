"""Tests of `tuner.engine.live.glyphs`: a screen is shown what it can show."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tuner.engine.live.glyphs import ASCII, UNICODE, Glyphs, glyphs_for


@pytest.mark.parametrize(
    ("encoding", "environment", "expected"),
    [
        ("utf-8", {}, UNICODE),
        ("utf-8", {"LC_ALL": "en_GB.UTF-8", "TERM": "xterm-256color"}, UNICODE),
        ("utf-8", {"LC_ALL": "C.UTF-8"}, UNICODE),
        ("utf-8", {"LC_ALL": "C"}, ASCII),
        ("utf-8", {"LC_CTYPE": "POSIX"}, ASCII),
        ("utf-8", {"TERM": "linux"}, ASCII),
        ("ascii", {}, ASCII),
        ("latin-1", {}, ASCII),
    ],
)
def test_ascii_is_for_screens_that_know_no_more(encoding: str, environment: dict[str, str], expected: Glyphs) -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert glyphs_for(console, environment) == expected
    assert "".join(vars(ASCII).values()).isascii()
