from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Any

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import ConfigError
from tuner.search.convergence import Convergence, as_told
from tuner.search.names import SEARCHERS
from tuner.search.objective import Objective, objectives_of
from tuner.search.registry import build_search
from tuner.search.search import Search
from tuner.search.simulator import Curve, simulate
from tuner.search.space import SearchSpace
from tuner.search.trial import Origin, Proposal

THRESHOLD = 0.01
SMALL, LARGE = 0.001, 0.02
"""Improvements below it and above."""


def reason_after(*improvements: float | None, workers: int = 1) -> str | None:
    convergence = Convergence(THRESHOLD, Objective("dev_loss", "minimize"), workers)
    for improvement in improvements:
        convergence.take(improvement)
    return convergence.reason


def test_a_search_has_converged_after_five_small_improvements_in_a_row() -> None:
    assert reason_after(*[SMALL] * 4) is None
    assert reason_after(*[SMALL] * 4, 0.00123) == (
        "converged, as each of the last 5 trials that the model proposed was expected to improve dev loss "
        "by less than 0.01, the last by 0.00123"
    )


def test_a_large_improvement_between_them_begins_the_count_anew_and_the_threshold_itself_is_one() -> None:
    assert reason_after(*[SMALL] * 4, LARGE, *[SMALL] * 4) is None
    assert reason_after(*[SMALL] * 4, THRESHOLD) is None
    assert reason_after(*[SMALL] * 4, LARGE, *[SMALL] * 5) is not None


def test_a_proposal_of_which_nothing_is_told_does_not_count() -> None:
    assert reason_after(SMALL, SMALL, None, SMALL, None, SMALL) is None
    assert reason_after(SMALL, SMALL, None, SMALL, None, SMALL, SMALL) is not None


def test_as_many_are_needed_as_there_are_workers() -> None:
    assert reason_after(*[SMALL] * 7, workers=8) is None
    assert "each of the last 8 trials" in (reason_after(*[SMALL] * 8, workers=8) or "")


def test_an_improvement_is_told_with_three_digits() -> None:
    assert as_told(0.00041249999) == as_told(0.00041250001 - 1e-9) == 0.000412
    assert as_told(0.0) == 0.0


# In a search.


def build(
    space: SearchSpace, threshold: float | None = THRESHOLD, max_trials: int | None = 60, **changes: Any
) -> Search:
    settings: dict[str, Any] = {"searcher": "gp", "scheduler": "asha-promote", "objectives": (DEFAULT_OBJECTIVE,)}
    return build_search(
        space,
        min_epochs=1,
        max_epochs=9,
        reduction_factor=3,
        startup_trials=4,
        max_trials=max_trials,
        seed=0,
        stop_when_converged=threshold,
        **settings | changes,
    )


def rising(hparams: Mapping[str, Any]) -> Curve:
    """Value rises with the epochs, and is best where x is 0.7."""
    best = 1.0 - (hparams["x"] - 0.7) ** 2 - (0.05 if hparams["kind"] == "a" else 0.01 * hparams["y"])
    return Curve([best * (1.0 - 0.5**epoch) for epoch in range(1, 10)], [1.0] * 9)


def proposals(search: Search, workers: int = 1) -> list[Proposal]:
    """Run a search to its end and return its trials in the order of their first results."""
    found: dict[int, Proposal] = {}
    for observation, proposal in simulate(search, rising, workers):
        found.setdefault(observation.trial, proposal)
    return list(found.values())


def test_a_search_that_has_converged_proposes_nothing_more_and_what_runs_comes_to_its_natural_end(
    space: SearchSpace,
) -> None:
    search = build(space)
    found = proposals(search)
    assert 10 < len(found) < 60
    assert search.converged is not None
    assert not search.running
    told = [one.expected_improvement for one in found if one.expected_improvement is not None]
    assert max(told[-5:]) < THRESHOLD
    small = list(takewhile(lambda improvement: improvement < THRESHOLD, reversed(told)))
    assert len(small) == 5
    assert search.next_trial() is None


def test_until_it_ends_it_is_the_search_without_the_option(space: SearchSpace) -> None:
    converged, whole = proposals(build(space)), proposals(build(space, None))
    assert len(whole) == 60
    assert {one.expected_improvement for one in whole} == {None}
    assert [replace(one, expected_improvement=None) for one in converged] == whole[: len(converged)]


def test_a_search_that_has_made_all_its_trials_has_not_converged(space: SearchSpace) -> None:
    needed = len(proposals(build(space)))
    search = build(space, max_trials=needed)
    assert len(proposals(search)) == needed
    assert search.converged is None


def test_random_proposals_are_told_nothing_of(space: SearchSpace) -> None:
    for one in proposals(build(space, threshold=1e-9, max_trials=30)):
        assert one.origin is Origin.MODEL or one.expected_improvement is None


@pytest.mark.parametrize("searcher", [one for one in SEARCHERS if one not in ("auto", "gp")])
def test_a_searcher_that_expects_nothing_in_figures_is_refused_with_what_is_available(
    space: SearchSpace, searcher: str
) -> None:
    law = (
        f"--stop-when-converged is 0.01, but must be left out where the searcher is '{searcher}', "
        "which cannot say what improvement it expects; available for it are: auto and gp, with one objective."
    )
    with pytest.raises(ConfigError, match=law):
        build(space, searcher=searcher)


def test_several_objectives_are_refused_too(space: SearchSpace) -> None:
    objectives = objectives_of(["dev_accuracy", "num_params"], DEFAULT_OBJECTIVE)
    with pytest.raises(ConfigError, match=r"--stop-when-converged is 0.01, .* are: auto and gp, with one objective"):
        build(space, searcher="auto", objectives=objectives)
    assert proposals(build(space, searcher="auto", max_trials=3))
