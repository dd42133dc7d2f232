"""Tests of `tuner.exits`: what a command says at its end, and its exit code."""

from __future__ import annotations

import pytest

from tuner.errors import SpaceError
from tuner.exits import main


def refused(*traces: str) -> None:
    error = SpaceError("it cannot\nbe trained")
    for trace in traces:
        error.add_note(trace)
    raise error


@pytest.mark.parametrize("traces", [(), ("Traceback:\n  mine.py, line 3",)])
def test_a_users_mistake_is_a_line_below_where_their_code_failed(
    capsys: pytest.CaptureFixture[str], traces: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(lambda: refused(*traces))
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        *(line for trace in traces for line in trace.splitlines()),
        "error: it cannot be trained",
    ]
