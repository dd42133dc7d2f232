"""What holds for every searcher with every scheduler."""

from __future__ import annotations

from itertools import product

import pytest

from tuner.errors import ConfigError
from tuner.search.optuna_searcher import SAMPLERS
from tuner.search.registry import SCHEDULERS, build_search
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.space import SearchSpace
from tuner.search.trial import TrialState

pytestmark = pytest.mark.parametrize(("searcher", "scheduler"), list(product(SAMPLERS, SCHEDULERS)))


def build(space: SearchSpace, searcher: str, scheduler: str, max_trials: int | None = 20) -> Search:
    return build_search(
        space,
        searcher=searcher,
        scheduler=scheduler,
        min_epochs=1,
        max_epochs=9,
        reduction_factor=3,
        startup_trials=4,
        max_trials=max_trials,
        seed=0,
    )


def run(search: Search) -> list[tuple[object, ...]]:
    """Run to the end with three trials at a time, one of them failing now and then; return all decisions."""
    log: list[tuple[object, ...]] = []
    epochs: dict[int, int] = {}
    xs: dict[int, float] = {}
    while True:
        while len(epochs) < 3 and (proposal := search.propose()) is not None:
            epochs[proposal.number], xs[proposal.number] = 0, proposal.hparams["x"]
            log.append(("propose", proposal))
        if not epochs:
            return log
        for number in list(epochs):
            epochs[number] += 1
            if number % 7 == 5 and epochs[number] == 2:
                search.end(number, TrialState.FAILED)
                del epochs[number]
                continue
            decision = search.report(number, epochs[number], xs[number] * epochs[number] / 9)
            log.append((number, epochs[number], decision))
            if decision.action is not Action.CONTINUE:
                del epochs[number]


def test_a_study_ends_after_its_trials_with_none_left_running(
    space: SearchSpace, searcher: str, scheduler: str
) -> None:
    search = build(space, searcher, scheduler)
    log = run(search)
    assert sum(entry[0] == "propose" for entry in log) == 20
    assert search.running == ()


def test_the_same_seed_gives_the_same_study(space: SearchSpace, searcher: str, scheduler: str) -> None:
    assert run(build(space, searcher, scheduler)) == run(build(space, searcher, scheduler))


def test_a_trial_completes_at_max_epochs_and_at_no_other(space: SearchSpace, searcher: str, scheduler: str) -> None:
    completed = [
        entry[1]
        for entry in run(build(space, searcher, scheduler))
        if entry[0] != "propose" and entry[2].action is Action.COMPLETE  # type: ignore[attr-defined]
    ]
    assert set(completed) == {9}


def test_levels_begin_at_min_epochs_and_end_at_max_epochs(space: SearchSpace, searcher: str, scheduler: str) -> None:
    assert build(space, searcher, scheduler).levels == (1, 3, 9)


def test_an_unknown_name_lists_those_that_exist(space: SearchSpace, searcher: str, scheduler: str) -> None:
    with pytest.raises(ConfigError, match="--searcher is 'tpee', but must be one of: random, tpe"):
        build(space, "tpee", scheduler)
    with pytest.raises(ConfigError, match="--scheduler is 'ash', but must be one of: asha, none"):
        build(space, searcher, "ash")
