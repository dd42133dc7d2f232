"""Tests of `tuner.engine.traces`."""

from __future__ import annotations

import traceback

import pytest

from tuner.engine.traces import trace
from tuner.errors import ConfigError
from tuner.io.retry import Outage
from tuner.search.objective import Objective, objectives_of


def fails() -> None:
    raise ValueError("not this time")


def test_a_trace_begins_where_our_code_calls_the_users() -> None:
    with pytest.raises(ValueError, match="not this time") as caught:
        Outage(print).retry(fails)
    error = caught.value
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next  # without the frame of this test
    assert "retry.py" in "".join(traceback.format_exception(error))
    told = trace(error)
    assert "retry.py" not in told
    assert "in fails" in told
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith("ValueError: not this time\n")


def test_of_an_error_of_our_code_alone_all_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        objectives_of(["size"], Objective("dev_loss", "minimize"))
    error = caught.value
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next
    assert "objective.py" in trace(error)
