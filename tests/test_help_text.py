"""Tests of `tuner.help_text`: what a reader of the help sees first, and on what width."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
import tyro

from tuner.cli import parse

DEFAULT_HELP = """\
usage: tool RUN [ARGUMENTS]

Does this and that.

Try it:
  tool runs/a  the first

Arguments:
  RUN                    Where it lies.
  --trials N             How many. Default: 32.
  --[no-]quiet           Say little. Default: yes.
  --scheduler asha|none  Who stops.

1 more arguments, for when you need them: tool --help-all
"""


@dataclass(frozen=True)
class Rare:
    """What is rarely needed."""

    seconds: float | None = None
    """A limit, which is told in a sentence of so many words that it cannot stand on one line of a terminal that is
    `narrow`."""


@dataclass(frozen=True)
class Config:
    """Not shown."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Where it lies."""
    scheduler: Literal["asha", "none"] | None = None
    """Who stops."""
    trials: int = 32
    """How many."""
    quiet: bool = True
    """Say little."""
    rare: Rare = field(default_factory=Rare)


def help_of(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(
            Config,
            args,
            prog="tool",
            description="Does this and that.",
            config=(tyro.conf.OmitArgPrefixes,),
            basic=("--trials", "--quiet", "--scheduler"),
            examples={"runs/a": "the first"},
        )
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("args", [["-h"], ["--help"], ["--trials", "many", "--help"]])
def test_the_help_begins_with_what_a_beginner_needs(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert help_of(capsys, *args) == DEFAULT_HELP


def test_all_of_the_help_adds_the_rest_below_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    first, _, rest = help_of(capsys, "--help-all").partition("\n\nWhat is rarely needed:\n")
    assert first == DEFAULT_HELP.rpartition("\n\n")[0]
    assert rest.startswith("  --seconds X  A limit, which")


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
def test_the_help_is_no_wider_than_the_terminal_and_loses_no_word(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    printed = help_of(capsys, "--help-all")
    assert max(map(len, printed.splitlines())) <= min(columns, 100)
    assert "on one line of a terminal that is `narrow`." in " ".join(printed.split())


def test_programs_read_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = {one["name"]: one for one in json.loads(help_of(capsys, "--help-json"))}
    assert list(found) == ["RUN", "--scheduler", "--trials", "--quiet", "--seconds"]
    assert found["--scheduler"]["choices"] == ["asha", "none"]
    assert found["--seconds"]["section"] == "What is rarely needed"
    assert [name for name, one in found.items() if one["is_switch"]] == ["--quiet"]
