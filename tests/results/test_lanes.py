from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.metrics import metrics
from tests.results.conftest import OPENING, proposed
from tuner.journal.events import EpochReported, Event
from tuner.journal.history import History, fold
from tuner.journal.store import Entry
from tuner.results.figures.timeline import timeline
from tuner.results.lanes import lanes, timeline_of

Build = Callable[[Sequence[Event]], History]


def trained(trial: int, epoch: int, worker: str, seconds: float, *, reused: bool = False) -> EpochReported:
    return EpochReported(trial, epoch, metrics(dev_accuracy=0.5), seconds, worker, reused=reused)


def history(*reports: tuple[float, EpochReported]) -> History:
    """A run whose trials 0 to 3 reported so, after so many seconds of work."""
    opening = [Entry(seq, 0.0, 0.0, event) for seq, event in enumerate([*OPENING, *map(proposed, range(4))])]
    return fold([*opening, *(Entry(0, 0.0, elapsed, report) for elapsed, report in reports)])


def test_epochs_that_follow_each_other_are_one_stretch_and_a_rest_parts_them() -> None:
    found = lanes(
        history(
            (10.0, trained(0, 1, "desk:1", 9.0)),
            (20.5, trained(0, 2, "desk:1", 10.0)),
            (40.0, trained(0, 3, "desk:1", 10.0)),
        )
    )
    (lane,) = found
    assert [(one.begin, one.end, one.first, one.last) for one in lane.stretches] == [
        (1.0, 20.5, 1, 2),
        (30.0, 40.0, 3, 3),
    ]


def test_a_process_that_takes_the_place_of_one_that_died_continues_its_lane() -> None:
    found = lanes(
        history(
            (10.0, trained(0, 1, "desk:1", 10.0)),
            (10.0, trained(1, 1, "desk:2", 10.0)),
            (20.0, trained(2, 1, "desk:3", 8.0)),
            (20.0, trained(3, 1, "attic:3", 8.0)),
        )
    )
    assert [(lane.host, [one.trial for one in lane.stretches]) for lane in found] == [
        ("attic", [3]),
        ("desk", [0, 2]),
        ("desk", [1]),
    ]


def test_idle_is_what_the_workers_did_not_train() -> None:
    run = history((10.0, trained(0, 1, "desk:1", 10.0)), (20.0, trained(1, 1, "desk:2", 12.0)))
    whole = timeline_of(run)
    assert whole is not None
    assert whole.idle_share == pytest.approx(1 - 22 / 40)


def test_the_time_before_the_first_epoch_is_not_the_searchs() -> None:
    whole = timeline_of(history((50.0, trained(0, 1, "desk:1", 10.0))))
    assert whole is not None
    assert (whole.begin, whole.end, whole.idle_share) == (40.0, 50.0, 0.0)


def test_what_an_earlier_run_trained_is_not_in_the_timeline() -> None:
    assert timeline(history((1.0, trained(0, 1, "desk:1", 500.0, reused=True)))) is None


def test_with_more_workers_than_can_be_told_apart_their_number_is_drawn() -> None:
    reports = [(10.0, trained(worker % 4, worker // 4 + 1, f"host-{worker}:1", 10.0)) for worker in range(40)]
    figure = timeline(history(*reports))
    assert figure is not None
    (line,) = figure.data
    assert max(line.y) == 40
    assert line.y[-1] == 0
