"""What holds for every searcher with every scheduler."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import ConfigError
from tuner.search import names
from tuner.search.names import GP, SEARCHERS
from tuner.search.objective import objectives_of
from tuner.search.optuna_searcher import SAMPLERS
from tuner.search.registry import SCHEDULERS, build_search
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.space import SearchSpace
from tuner.search.trial import Origin, Proposal, TrialState

TWO = "dev_accuracy,num_params"

pytestmark = pytest.mark.timeout(180)  # none takes long, but all together: begun early

every_search = pytest.mark.parametrize(
    ("searcher", "scheduler", "objectives"),
    [
        (searcher, scheduler, objectives)
        for searcher, scheduler, objectives in product(SEARCHERS, SCHEDULERS, ("dev_accuracy", TWO))
        if (searcher, objectives) != (GP, TWO)
    ],
)

Log = list[tuple[Any, ...]]
"""In order: ("propose" or "resume", proposal), ("measured", trial, measures), ("fail", trial),
("report", trial, epoch, value, decision)."""


def build(space: SearchSpace, searcher: str, scheduler: str, objectives: str) -> Search:
    return build_search(
        space,
        searcher=searcher,
        scheduler=scheduler,
        min_epochs=1,
        max_epochs=9,
        reduction_factor=3,
        startup_trials=4,
        max_trials=20,
        objectives=objectives_of(objectives.split(","), DEFAULT_OBJECTIVE),
        seed=0,
    )


def run(search: Search) -> Log:
    """Run to the end with three trials at a time, one of them failing now and then; return all decisions."""
    log: Log = []
    epochs: dict[int, int] = {}
    xs: dict[int, float] = {}
    active: list[int] = []
    while True:
        while len(active) < 3 and (proposal := search.next_trial()) is not None:
            log.append(("resume" if proposal.number in epochs else "propose", proposal))
            if proposal.number not in epochs:
                measures = {"num_params": 100.0 * proposal.hparams.get("y", 0) + 50}
                search.measured(proposal.number, measures)
                log.append(("measured", proposal.number, measures))
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


def replay(search: Search, log: Log) -> None:
    """Tell a fresh search what another one did; every decision must come out the same."""
    for entry in log:
        match entry:
            case ("propose", Proposal() as proposal):
                search.restore(proposal)
            case ("resume", Proposal() as proposal):
                search.resume(proposal.number)
            case ("measured", int(number), dict(measures)):
                search.measured(number, measures)
            case ("fail", int(number)):
                search.end(number, TrialState.FAILED)
            case ("report", int(number), int(epoch), float(value), decision):
                assert search.report(number, epoch, value) == decision


_ENDED: dict[tuple[str, str, str], tuple[Search, Log]] = {}


@pytest.fixture
def ended(space: SearchSpace, searcher: str, scheduler: str, objectives: str) -> tuple[Search, Log]:
    """A search at its end and what it did, run once for all tests."""
    key = searcher, scheduler, objectives
    if key not in _ENDED:
        search = build(space, *key)
        _ENDED[key] = search, run(search)
    return _ENDED[key]


@pytest.fixture
def log(ended: tuple[Search, Log]) -> Log:
    return ended[1]


def decisions(log: Log, action: Action) -> list[tuple[int, int]]:
    """Return trial and epoch of the reports that were answered by an action."""
    return [(entry[1], entry[2]) for entry in log if entry[0] == "report" and entry[4].action is action]


@every_search
def test_a_study_ends_after_its_trials_with_none_left_running(
    ended: tuple[Search, Log], searcher: str, scheduler: str, objectives: str
) -> None:
    search, log = ended
    assert sum(entry[0] == "propose" for entry in log) == 20
    assert not search.running
    assert search.next_trial() is None
    for number in tuple(search.paused):
        search.end(number, TrialState.PRUNED)
    assert not search.paused


@every_search
def test_only_paused_trials_are_taken_up_again(log: Log, searcher: str, scheduler: str, objectives: str) -> None:
    paused = {trial for trial, _ in decisions(log, Action.PAUSE)}
    resumed = {entry[1].number for entry in log if entry[0] == "resume"}
    assert resumed <= paused
    if (searcher, scheduler) == (GP, "asha-promote"):  # elsewhere it is a matter of chance
        assert resumed


@every_search
def test_a_search_rebuilt_by_replay_decides_as_the_first_did_and_goes_on_alike(
    space: SearchSpace, log: Log, searcher: str, scheduler: str, objectives: str
) -> None:
    for cut in range(0, len(log), 7):
        replayed = build(space, searcher, scheduler, objectives)
        replay(replayed, log[:cut])
        if log[cut][0] in ("propose", "resume"):
            assert replayed.next_trial() == log[cut][1]


@every_search
def test_the_same_seed_gives_the_same_study(
    space: SearchSpace, log: Log, searcher: str, scheduler: str, objectives: str
) -> None:
    assert run(build(space, searcher, scheduler, objectives)) == log


@every_search
def test_a_trial_completes_at_max_epochs_and_at_no_other(
    log: Log, searcher: str, scheduler: str, objectives: str
) -> None:
    assert {epoch for _, epoch in decisions(log, Action.COMPLETE)} == {9}


@every_search
def test_levels_begin_at_min_epochs_and_end_at_max_epochs(
    space: SearchSpace, searcher: str, scheduler: str, objectives: str
) -> None:
    assert build(space, searcher, scheduler, objectives).levels == (1, 3, 9)


def test_each_name_that_may_be_given_is_one_of_something() -> None:
    assert set(names.SCHEDULERS) == set(SCHEDULERS)
    assert set(names.SEARCHERS) == {names.AUTO, GP, *SAMPLERS}


def test_an_unknown_name_lists_those_that_exist(space: SearchSpace) -> None:
    with pytest.raises(ConfigError, match="--searcher is 'tpee', but must be one of: auto, gp, random, tpe"):
        build(space, "tpee", "asha", "dev_accuracy")
    with pytest.raises(
        ConfigError, match="--scheduler is 'ash', but must be one of: asha, asha-promote, hyperband, none"
    ):
        build(space, "tpe", "ash", "dev_accuracy")
    with pytest.raises(ConfigError, match="'speed' is none of num_params, latency"):
        build(space, "tpe", "asha", "dev_accuracy,speed")


@every_search
def test_a_model_proposes_unless_chance_was_asked_for(log: Log, searcher: str, scheduler: str, objectives: str) -> None:
    origins = {entry[1].origin for entry in log if entry[0] == "propose"}
    assert (Origin.MODEL in origins) == (searcher != "random")
