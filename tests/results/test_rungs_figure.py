from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.results.conftest import OPENING, SEARCH, epoch, proposed
from tuner.journal.events import Event, RungDecided, TrialEnded
from tuner.journal.history import History
from tuner.results.figures.rungs import rungs, stays_of
from tuner.search.pace import Pace
from tuner.search.trial import TrialState

Build = Callable[[Sequence[Event]], History]


def test_the_diagram_tells_who_went_on_who_was_given_up_and_why(searching: History) -> None:
    figure = rungs(searching)
    assert figure is not None
    found = {(line.name, *point) for line in figure.data if line.customdata is not None for point in line.customdata}
    assert ("went on", 0, "0.8000 is number 1 of 1, of which none goes on yet") in found
    assert ("given up", 1, "0.7000 &lt; 0.8000") in found
    assert ("complete", 0, "0.9000 after all 3 epochs") in found
    assert [*figure.layout.xaxis.ticktext] == ["rung 1<br>3 trials<br>1 went on", "rung 3<br>1 trial"]


def test_a_trial_that_waits_is_paused_and_one_given_up_while_it_waited_says_both_reasons(build: Build) -> None:
    waiting: list[Event] = [*OPENING, proposed(0), epoch(0, 1, 0.8), RungDecided(0, 1, "PAUSE", "number 2 of 2")]
    (stay,) = stays_of(build(waiting).trials[0], [1, 3], Pace([1, 3]))
    assert (stay.fate, stay.reason) == ("paused", "number 2 of 2")
    (stay,) = stays_of(
        build([*waiting, TrialEnded(0, TrialState.PRUNED, "no place above")]).trials[0], [1, 3], Pace([1, 3])
    )
    assert (stay.fate, stay.reason) == ("given up", "number 2 of 2; no place above")


def test_before_anything_was_compared_there_is_no_diagram(build: Build) -> None:
    assert rungs(build([*OPENING, *SEARCH[:4]])) is None


def test_values_are_the_best_by_the_rung(searching: History) -> None:
    stays = list(stays_of(searching.trials[0], [1, 3], Pace([1, 3])))
    assert [(stay.level, stay.value) for stay in stays] == [(1, 0.80), (3, 0.90)]


def test_where_rungs_count_seconds_a_trial_is_at_a_rung_with_the_epoch_that_brought_it_there(
    searching: History,
) -> None:
    pace = Pace([1, 3], 4.0)
    pace.note(0, 1, 2.0)  # an epoch costs half of the first configuration's, so rung 1 is its second
    (stay,) = stays_of(searching.trials[0], [1, 3], pace)
    assert (stay.level, stay.value, stay.fate) == (1, 0.90, "went on")
