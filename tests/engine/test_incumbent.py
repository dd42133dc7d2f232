"""Tests of `tuner.engine.incumbent`: whoever leads would win."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine import incumbent as incumbents
from tuner.engine.incumbent import Incumbent
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    EpochReported,
    Event,
    ModelMeasured,
    StudyStarted,
    TrialEnded,
    TrialProposed,
)
from tuner.journal.history import fold
from tuner.journal.store import Entry
from tuner.results.selection import order, select
from tuner.search.objective import objectives_of
from tuner.search.trial import Origin, TrialState

TRIALS = 8
SEVERAL = ("dev_accuracy", "num_params", "dev_f1:maximize")
WITH_LOSS = ("dev_accuracy", "dev_loss:minimize", "dev_f1:maximize")
"""A second objective that changes from epoch to epoch where the first stays."""


def report(trial: int, epoch: int, accuracy: float, loss: float = 0.5, f1: float = 0.5) -> EpochReported:
    return EpochReported(trial, epoch, {"dev_accuracy": accuracy, "dev_loss": loss, "dev_f1": f1}, 1.0, "here:1")


def winner(events: Sequence[Event]) -> int | None:
    """Return whom the selection chooses of the trials that can win."""
    history = fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(events))
    chosen = select(history)
    return chosen.trial if chosen is not None and history.trials[chosen.trial].can_win else None


@pytest.mark.parametrize("objectives", [SEVERAL[:1], SEVERAL[:2], SEVERAL, WITH_LOSS], ids=",".join)
@pytest.mark.parametrize("seed", range(25))
def test_it_is_whom_the_selection_would_choose_after_every_event(objectives: tuple[str, ...], seed: int) -> None:
    rng = random.Random(seed)
    incumbent = Incumbent(objectives_of(objectives, DEFAULT_OBJECTIVE))
    events: list[Event] = [StudyStarted({"search": {"objectives": list(objectives)}}, {})]
    epochs = dict.fromkeys(range(TRIALS), 0)
    sizes: dict[int, dict[str, float]] = {}
    for trial in epochs:
        # One of them was not measured, and has no place on the front.
        sizes[trial] = {} if trial == 3 else {"num_params": float(rng.randint(1, 3))}
        events += [TrialProposed(trial, {}, {}, {}, Origin.RANDOM, 0), ModelMeasured(trial, sizes[trial])]
    for step in range(80):
        if not epochs:
            break
        trial = rng.choice(list(epochs))
        if rng.random() < 0.06:
            events.append(TrialEnded(trial, TrialState.FAILED, "nan"))
            incumbent.remove(trial, is_late=False)
            del epochs[trial]
        else:
            epochs[trial] += 1
            few = (rng.choice([0.5, 0.6, 0.6 + 0.1 * (step > 40)]), rng.choice([0.1, 0.2]), rng.choice([0.3, 0.4]))
            found = report(trial, epochs[trial], *few)
            can_win = trial == incumbent.trial or rng.random() > 0.06
            events.append(found)
            incumbent.take(found, sizes[trial], can_win=can_win)
            if not can_win:
                events.append(TrialEnded(trial, TrialState.PRUNED, NO_TIME_TO_RETRAIN))
                del epochs[trial]
        assert incumbent.trial == winner(events), step


def test_in_older_runs_the_first_of_equals_stays_ahead_until_it_is_out() -> None:
    incumbent = Incumbent(objectives_of(SEVERAL[:2], DEFAULT_OBJECTIVE), breaks_ties=False)
    for trial, loss, size in ((2, 0.3, 9.0), (1, 0.2, 5.0), (0, 0.1, 1.0)):
        incumbent.take(report(trial, 1, 0.9, loss), {"num_params": size}, can_win=True)
        assert incumbent.trial == 2
    incumbent.remove(2, is_late=False)
    assert incumbent.trial == 0


@pytest.mark.parametrize("is_late", [True, False])
def test_in_older_runs_the_removal_of_an_equal_leaves_the_first_ahead(is_late: bool) -> None:
    incumbent = Incumbent(objectives_of(SEVERAL[:1], DEFAULT_OBJECTIVE), breaks_ties=False)
    for trial in (2, 0, 1):
        incumbent.take(report(trial, 1, 0.9), {}, can_win=True)
    incumbent.remove(1, is_late=is_late)
    assert incumbent.trial == 2


@pytest.mark.parametrize("objectives", [SEVERAL[:1], SEVERAL[:2], WITH_LOSS[:2], WITH_LOSS], ids=",".join)
def test_a_result_costs_no_more_where_many_trials_tie(
    objectives: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal compared
        compared += 1
        return order(*args, **kwargs)

    monkeypatch.setattr(incumbents, "order", counted)
    incumbent = Incumbent(objectives_of(objectives, DEFAULT_OBJECTIVE))
    for epoch in (1, 2, 3):  # the same value with a lower loss
        for trial in range(400):
            compared = 0
            incumbent.take(report(trial, epoch, 1.0, 1.0 / epoch), {"num_params": 7.0}, can_win=True)
            assert compared <= 6
    assert incumbent.trial == 0
