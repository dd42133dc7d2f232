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
from tuner.search.trial import Proposal, TrialState

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
    active: list[int] = []
    while True:
        while len(active) < 3 and (proposal := search.next_trial()) is not None:
            log.append(("resume" if proposal.number in epochs else "propose", proposal))
            epochs.setdefault(proposal.number, 0)
            xs[proposal.number] = proposal.hparams["x"]
            active.append(proposal.number)
        if not active:
            return log
        for number in list(active):
            epochs[number] += 1
            if number % 7 == 5 and epochs[number] == 2:
                search.end(number, TrialState.FAILED)
                log.append(("fail", number))
                active.remove(number)
                continue
            decision = search.report(number, epochs[number], xs[number] * epochs[number] / 9)
            log.append(("report", number, epochs[number], xs[number] * epochs[number] / 9, decision))
            if decision.action is not Action.CONTINUE:
                active.remove(number)


def replay(search: Search, log: list[tuple[object, ...]]) -> None:
    """Tell a fresh search what another one did; every decision must come out the same."""
    for entry in log:
        match entry:
            case ("propose", Proposal() as proposal):
                search.restore(proposal)
            case ("resume", Proposal() as proposal):
                search.resume(proposal.number)
            case ("fail", int(number)):
                search.end(number, TrialState.FAILED)
            case ("report", int(number), int(epoch), float(value), decision):
                assert search.report(number, epoch, value) == decision


def test_a_study_ends_after_its_trials_with_none_left_running(
    space: SearchSpace, searcher: str, scheduler: str
) -> None:
    search = build(space, searcher, scheduler)
    log = run(search)
    assert sum(entry[0] == "propose" for entry in log) == 20
    assert not search.running
    assert search.next_trial() is None


def test_paused_trials_are_counted_and_can_all_be_ended(space: SearchSpace, searcher: str, scheduler: str) -> None:
    search = build(space, searcher, scheduler)
    log = run(search)
    paused = {entry[1] for entry in log if entry[0] == "report" and entry[4].action is Action.PAUSE}  # type: ignore[attr-defined]
    promoted = {entry[1].number for entry in log if entry[0] == "resume"}  # type: ignore[attr-defined]
    assert set(search.paused) <= paused
    assert promoted <= paused
    for number in tuple(search.paused):
        search.end(number, TrialState.PRUNED)
    assert not search.paused


def test_a_search_rebuilt_by_replay_decides_as_the_first_did_and_goes_on_alike(
    space: SearchSpace, searcher: str, scheduler: str
) -> None:
    log = run(build(space, searcher, scheduler))
    for cut in range(0, len(log), 7):
        replayed = build(space, searcher, scheduler)
        replay(replayed, log[:cut])
        following = next((entry for entry in log[cut:] if entry[0] in ("propose", "resume")), None)
        if log[cut][0] in ("propose", "resume"):
            assert following is not None
            assert replayed.next_trial() == following[1]


def test_the_same_seed_gives_the_same_study(space: SearchSpace, searcher: str, scheduler: str) -> None:
    assert run(build(space, searcher, scheduler)) == run(build(space, searcher, scheduler))


def test_a_trial_completes_at_max_epochs_and_at_no_other(space: SearchSpace, searcher: str, scheduler: str) -> None:
    completed = [
        entry[2]
        for entry in run(build(space, searcher, scheduler))
        if entry[0] == "report" and entry[4].action is Action.COMPLETE  # type: ignore[attr-defined]
    ]
    assert set(completed) == {9}


def test_levels_begin_at_min_epochs_and_end_at_max_epochs(space: SearchSpace, searcher: str, scheduler: str) -> None:
    assert build(space, searcher, scheduler).levels == (1, 3, 9)


def test_an_unknown_name_lists_those_that_exist(space: SearchSpace, searcher: str, scheduler: str) -> None:
    with pytest.raises(ConfigError, match="--searcher is 'tpee', but must be one of: random, tpe"):
        build(space, "tpee", scheduler)
    with pytest.raises(
        ConfigError, match="--scheduler is 'ash', but must be one of: asha, asha-promote, hyperband, none"
    ):
        build(space, searcher, "ash")
