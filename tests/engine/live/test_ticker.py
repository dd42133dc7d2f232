"""Tests of `tuner.engine.live.ticker`: seldom enough to cost nothing, often enough to be up to date."""

from __future__ import annotations

import time
from itertools import pairwise

from tuner.engine.live.ticker import Ticker


def test_however_much_happens_it_draws_four_times_a_second_at_most() -> None:
    drawn: list[float] = []
    with Ticker(lambda: drawn.append(time.monotonic())) as ticker:
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            ticker.changed()
            time.sleep(0.001)
    assert 2 <= len(drawn) <= 5
    assert all(after - before >= 0.25 for before, after in pairwise(drawn))


def test_the_clock_goes_on_where_nothing_happens() -> None:
    drawn: list[float] = []
    with Ticker(lambda: drawn.append(time.monotonic())):
        time.sleep(1.6)
    assert len(drawn) == 2


def test_a_drawing_that_takes_long_is_done_seldom() -> None:
    drawn: list[float] = []

    def draw() -> None:
        drawn.append(time.monotonic())
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    with Ticker(draw) as ticker:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            ticker.changed()
            time.sleep(0.001)
    assert len(drawn) == 1
