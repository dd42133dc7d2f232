from __future__ import annotations

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.hyperband import Hyperband
from tuner.search.scheduler import Action

# Levels 1 3 9, factor 3: an average trial costs 1 + 2/3 + 6/9, 3 + 6/3 and 9 epochs in the three brackets.
COSTS = (7 / 3, 5.0, 9.0)
# Given so far, worked out by hand: the bracket with the least after the new trial gets it.
BRACKETS = [0, 0, 1, 0, 2, 0, 1]
#          2.3 4.7 5  7  9  9.3 10


def bracket_of(scheduler: Hyperband, trial: int) -> int:
    """Return the bracket by what the scheduler does: it compares at 1, first at 3, or never before the end."""
    for bracket, epoch in enumerate((1, 3)):
        if scheduler.report(trial, epoch, 0.0).reason:
            return bracket
    return 2


def test_trials_are_given_to_brackets_as_worked_out_by_hand() -> None:
    for count, expected in enumerate(BRACKETS):
        scheduler = Hyperband((1, 3, 9), 3, objective=DEFAULT_OBJECTIVE)
        for trial in range(count + 1):
            scheduler.start(trial)
        assert bracket_of(scheduler, count) == expected, count


def test_brackets_are_given_about_equal_epochs() -> None:
    counts = [0, 0, 0]
    scheduler = Hyperband((1, 3, 9), 3, objective=DEFAULT_OBJECTIVE)
    for trial in range(300):
        scheduler.start(trial)
        counts[bracket_of(scheduler, trial)] += 1
    given = [count * cost for count, cost in zip(counts, COSTS, strict=True)]
    assert max(given) < 1.05 * min(given)


def test_trials_of_other_brackets_are_not_compared() -> None:
    scheduler = Hyperband((1, 3), 2, objective=DEFAULT_OBJECTIVE)
    scheduler.start(0)  # costs 2 epochs in the first bracket, 3 in the second
    scheduler.start(1)
    assert scheduler.report(0, 1, 0.9).action is Action.CONTINUE
    assert scheduler.report(1, 1, 0.1).reason == ""
    assert scheduler.report(1, 3, 0.1).action is Action.COMPLETE


def test_a_bracket_protects_whom_hyperband_protects() -> None:
    scheduler = Hyperband((1, 3), 2, objective=DEFAULT_OBJECTIVE)
    scheduler.start(0)
    scheduler.start(1)
    scheduler.start(2, protected=True)  # 2 and 3 epochs given: the first bracket again
    scheduler.report(0, 1, 0.9)
    assert scheduler.report(2, 1, 0.1).action is Action.CONTINUE
