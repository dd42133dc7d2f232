"""Tests of `tuner.engine.live.view`: what stands on the screen, at any size, in any alphabet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.live.events import AFTER, SEARCH, epoch, proposed, started, state_of
from tuner.engine.live.glyphs import ASCII
from tuner.engine.live.state import LiveState, Phase
from tuner.engine.live.view import Size, draw
from tuner.journal.events import Event, RungDecided, TrialEnded
from tuner.search.trial import TrialState

WIDTHS = (40, 80, 140)
HEIGHTS = (1, 2, 3, 5, 8, 13, 24, 60)


def drawn(state: LiveState, width: int = 80, height: int | None = None, **options: object) -> list[str]:
    lines = draw(state, 65.0, Size(width, height), **options)  # type: ignore[arg-type]
    return [line.plain for line in lines]


@pytest.fixture
def searching() -> LiveState:
    return state_of(started(), SEARCH)


@pytest.fixture
def retraining() -> LiveState:
    return state_of(started(), SEARCH, AFTER)


def test_the_search_is_shown_whole(searching: LiveState) -> None:
    assert drawn(searching) == [
        "search  ━──────────────────────────────────────  1m 05s of 30m 00s, 28m 55s left",
        "5 trials: 2 running, 1 paused, 1 pruned, 1 failed; 6 epochs",
        "",
        "best  dev accuracy 0.8500  trial 1, epoch 2  baseline 0.7500 (epoch 3)",
        "  width 16, lr 0.01",
        "",
        "rung  reached                                promoted  paused  given up    best",
        "   1        3  ███████████████████░░░░░░░░░         2       -         1  0.8000",
        "   3        1  ▒▒▒▒▒▒▒▒▒                            -       1         -  0.7500",
        "   9        0                                       -       -         -",
        "",
        "trial  epoch  dev accuracy",
        "    1    2/9        0.8500  ▁█  width 16, lr 0.01",
        "    4    0/9             -      width 32, lr 0.003",
        "",
        "trial 3 failed: the loss is nan",
    ]


def test_the_retraining_is_shown_whole(retraining: LiveState) -> None:
    assert drawn(retraining, 140)[3:] == [
        "winner  dev accuracy 0.8500  trial 1, epoch 2  baseline 0.7500 (epoch 3)",
        "  width 16, lr 0.01",
        "",
        "retraining  seed  epoch  dev accuracy    best",
        "tuned          1    4/4        0.9000  0.9000  ▁▃▆█  dev 0.9000, test 0.8800",
        "tuned          2    1/4        0.6000  0.6000  ▅",
        "baseline       1    0/4             -       -        waits",
        "",
        "trial 3 failed: the loss is nan",
    ]
    assert drawn(retraining)[7].endswith("▁▃▆█  test 0.8800")


def test_neither_another_trial_that_diverged_nor_its_own_bad_beginning_flattens_a_curve() -> None:
    lost: list[Event] = [proposed(10), epoch(10, 1, -1e9)]
    begun_badly: list[Event] = [
        proposed(11),
        *(epoch(11, 1 + n, value) for n, value in enumerate([-900.0, 0.7, 0.75, 0.8, 0.9])),
    ]
    (line,) = [line for line in drawn(state_of(started(), SEARCH, lost, begun_badly)) if line.startswith("   11 ")]
    assert "▁▁▃▅█" in line
    two: list[Event] = [proposed(12), epoch(12, 1, -1e9), epoch(12, 2, 0.8)]
    (line,) = [line for line in drawn(state_of(started(), SEARCH, two)) if line.startswith("   12 ")]
    assert "▁█" in line


def test_in_ascii_nothing_else_is_drawn(searching: LiveState, retraining: LiveState) -> None:
    for state in (searching, retraining, LiveState()):
        assert "\n".join(drawn(state, glyphs=ASCII)).isascii()
    assert "   1        3  ###################.........         2" in "\n".join(drawn(searching, glyphs=ASCII))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("workers", [2, 64])
def test_no_line_is_too_long_and_no_view_too_high(width: int, height: int, workers: int) -> None:
    many = [proposed(number, lr=0.001 * number) for number in range(10, 10 + workers)]
    for state in (
        LiveState(),
        state_of(started()),
        state_of(started(), SEARCH, many),
        state_of(started(), SEARCH, AFTER),
    ):
        lines = drawn(state, width, height)
        assert 1 <= len(lines) <= height
        assert max(map(len, lines)) <= width
        assert not any(line != line.rstrip() for line in lines)


def test_where_there_is_little_room_what_matters_most_stays(searching: LiveState) -> None:
    assert [line.split()[0] for line in drawn(searching, 80, 3)] == ["search", "best", "1"]
    low = drawn(searching, 80, 8)
    assert [line.split()[0] for line in low] == ["search", "5", "best", "width", "trial", "1", "4"]


def test_a_narrow_screen_keeps_every_number_of_the_rungs(searching: LiveState) -> None:
    lines = drawn(searching, 40)
    assert "rung reached promoted paused given up" in lines
    assert "   1       3        2      -        1" in lines


def test_many_trials_are_shown_as_far_as_there_is_room() -> None:
    many = [proposed(number) for number in range(64)]
    lines = drawn(state_of(started(workers=64), many), 80, 24)
    assert len(lines) == 24
    assert lines[-1] == "and 44 more"


def test_of_many_retrainings_those_that_run_come_first(retraining: LiveState) -> None:
    lines = drawn(retraining, 80, 6)
    assert lines[-2].startswith("tuned          2")
    assert lines[-1] == "and 2 more"
    assert [line[:16] for line in drawn(retraining, 80, 5)[3:]] == ["tuned          2", "baseline       1"]


def test_the_view_does_not_jump_while_a_worker_has_nothing_to_do(searching: LiveState) -> None:
    before = len(drawn(searching, 80, 24))
    searching.take(TrialEnded(4, TrialState.PRUNED, "worse"))
    assert len(drawn(searching, 80, 24)) == before


def test_before_there_is_a_plan_it_says_what_is_being_done() -> None:
    state = LiveState()
    assert drawn(state) == ["starting the workers  1m 05s"]
    state.phase = Phase.MEASURING
    assert drawn(state) == ["measuring how fast it trains  1m 05s"]


def test_without_a_budget_trials_and_then_epochs_are_counted() -> None:
    counted: dict[str, Any] = {"budget_seconds": None, "max_trials": 8}
    assert drawn(state_of(started(**counted), SEARCH))[0].endswith("  2 of 8 trials, 1m 05s")
    assert drawn(state_of(started(**counted), SEARCH, AFTER))[0].endswith("  5 of 12 epochs, 1m 05s")


def test_the_parameters_that_matter_come_first() -> None:
    state = state_of(started())
    for number in range(40):
        rate = 10.0 ** -(1 + number % 4)
        state.take(proposed(number, lr=rate, width=8 * (1 + number // 4 % 8)))
        state.take(epoch(number, 1, 0.9 if rate == 0.01 else 0.1 + number / 1000))
        state.take(RungDecided(number, 1, "STOP", "worse"))
        state.take(TrialEnded(number, TrialState.PRUNED, "worse"))
    assert drawn(state)[4] == "  lr 0.01, width 8"


def test_the_reference_is_to_be_beaten_too() -> None:
    state = state_of(started("fashion-mnist", "cnn"), SEARCH)
    line = "best  dev accuracy 0.8500  trial 1, epoch 2  baseline 0.7500 (epoch 3)  reference 0.9370"
    assert drawn(state, 140)[3] == line


def test_nothing_in_a_reason_steers_the_terminal(searching: LiveState) -> None:
    searching.take(TrialEnded(4, TrialState.FAILED, "\x1b[2J\rgone\nfor [red]good[/nothing]"))
    last = drawn(searching, 80)[-1]
    assert last == "trial 4 failed: \N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}gone for [red]good[/nothing]"


def test_many_failures_are_counted_and_the_last_are_shown(searching: LiveState) -> None:
    for number in range(10, 20):
        searching.take(proposed(number))
        searching.take(TrialEnded(number, TrialState.FAILED, "the loss is nan, " + "and so on " * 20))
    lines = drawn(searching, 80)
    assert lines[-3].startswith("trial 17 failed: the loss is nan, and so on")
    assert lines[-3].endswith("…")
    assert lines[-1].startswith("trial 19 failed: ")
    assert lines[-1].endswith("  (and 8 more before)")
