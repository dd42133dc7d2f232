"""A latency holds on the hardware on which the trials trained, which on a cluster is not the driver's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.results.conftest import epoch, proposed
from tuner.journal.events import DriverStarted, Event, StudyStarted
from tuner.journal.history import History
from tuner.results.tables import conditions

HEAD = {"host": "head", "cpu": "a small one", "gpus": [], "precision": "float32"}
FAST = {"host": "one", "cpu": "a big one", "gpus": ["H100"], "precision": "bfloat16"}
SAME = {**FAST, "host": "two"}
SLOW = {**FAST, "host": "three", "gpus": ["T4"]}


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([], ["head:1"], ["a small one", [], "float32"]),
        ([HEAD, FAST], ["one:7"], ["a big one", ["H100"], "bfloat16"]),
        ([HEAD, FAST, SAME], ["one:7", "two:7"], ["a big one", ["H100"], "bfloat16"]),
        ([HEAD, FAST, SLOW], ["one:7", "three:7"], None),
        ([HEAD, FAST], ["one:7", "joined-later:7"], None),
        ([HEAD, FAST], [], None),
        ([FAST, SAME], [], ["a big one", ["H100"], "bfloat16"]),
    ],
)
def test_it_is_that_of_the_machines_that_trained_if_they_are_of_one_kind(
    build: Callable[[Sequence[Event]], History],
    nodes: list[dict[str, Any]],
    workers: list[str],
    expected: list[Any] | None,
) -> None:
    trials: list[Event] = [
        proposed(0),
        *(epoch(0, number, 0.5, worker=worker) for number, worker in enumerate(workers, 1)),
    ]
    history = build([StudyStarted({}, HEAD), DriverStarted("head", None, 2, nodes), *trials])
    assert conditions(history)["hardware"] == expected
