from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.objective import NUM_PARAMS
from tuner.search.optuna_searcher import MIN_RESULTS, SAMPLERS, OptunaSearcher
from tuner.search.seeds import Stream, derive_seed
from tuner.search.space import SearchSpace
from tuner.search.tpe import tpe_sampler
from tuner.search.trial import Origin, Proposal, TrialState

LEVELS = (1, 3, 9)


def build(space: SearchSpace, sampler: str = "tpe", seed: int = 0, startup_trials: int = 4) -> OptunaSearcher:
    return OptunaSearcher(
        space, SAMPLERS[sampler], LEVELS, seed=seed, startup_trials=startup_trials, objectives=(DEFAULT_OBJECTIVE,)
    )


def drive(searcher: OptunaSearcher, trials: int) -> list[Proposal]:
    """Run trials one after another: value is closeness of x to 0.7; one in three gets beyond the first level."""
    proposals = []
    for number in range(trials):
        proposal = searcher.propose(number)
        assert proposal is not None
        proposals.append(proposal)
        value = 1 - abs(proposal.hparams["x"] - 0.7)
        searcher.reached(number, 1, value)
        if number % 3 == 0:
            searcher.reached(number, 3, value)
        searcher.ended(number, TrialState.PRUNED, value)
    return proposals


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_start_configurations_come_first_in_their_order(space: SearchSpace, sampler: str) -> None:
    searcher = build(space, sampler)
    first, second, third = (searcher.propose(number) for number in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.hparams, first.origin) == ({"x": 0.5, "kind": "a"}, Origin.START)
    assert (second.hparams, second.origin) == ({"x": 0.25, "kind": "b", "y": 3}, Origin.START)
    assert third.origin is Origin.RANDOM


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_and_results_give_the_same_proposals(space: SearchSpace, sampler: str) -> None:
    assert drive(build(space, sampler), 30) == drive(build(space, sampler), 30)
    assert drive(build(space, sampler), 30) != drive(build(space, sampler, seed=1), 30)


@pytest.mark.parametrize("prior", [{}, {"x": 0.7, "y": 3}])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_searcher_rebuilt_by_replay_goes_on_as_the_first_would(
    space: SearchSpace, sampler: str, prior: Mapping[str, Any]
) -> None:
    space = replace(space, prior=prior)
    uninterrupted = drive(build(space, sampler), 31)
    resumed = build(space, sampler)
    for proposal in uninterrupted[:30]:
        resumed.restore(proposal)
        value = 1 - abs(proposal.hparams["x"] - 0.7)
        resumed.reached(proposal.number, 1, value)
        if proposal.number % 3 == 0:
            resumed.reached(proposal.number, 3, value)
        resumed.ended(proposal.number, TrialState.PRUNED, value)
    assert resumed.propose(30) == uninterrupted[30]


def test_the_model_is_used_after_the_start_up_and_finds_the_better_region(space: SearchSpace) -> None:
    proposals = drive(build(space), 60)
    assert {proposal.origin for proposal in proposals[4:10]} <= {Origin.RANDOM, Origin.MODEL}
    assert proposals[-1].origin is Origin.MODEL
    distances = [abs(proposal.hparams["x"] - 0.7) for proposal in proposals[-15:]]
    assert sum(distances) / len(distances) < 0.15  # uniform would give 0.29


def test_the_start_up_counts_started_trials_not_finished_ones(space: SearchSpace) -> None:
    searcher = build(space, startup_trials=3)
    for number in range(MIN_RESULTS):
        searcher.propose(number)
    for number in range(MIN_RESULTS):
        searcher.reached(number, 1, 0.1 * number)
    # Nothing has ended, yet the rung is informed and the start-up over.
    proposal = searcher.propose(MIN_RESULTS)
    assert proposal is not None
    assert proposal.origin is Origin.MODEL


def test_without_enough_results_chance_proposes_however_many_are_running(space: SearchSpace) -> None:
    searcher = build(space, startup_trials=0)
    proposals = [searcher.propose(number) for number in range(2, 40)]
    assert {proposal.origin for proposal in proposals if proposal} == {Origin.RANDOM}


def test_optuna_is_told_honestly_what_became_of_each_trial(space: SearchSpace) -> None:
    searcher = build(space)
    for number in range(5):
        searcher.propose(number)
    searcher.reached(0, 1, 0.5)
    searcher.reached(0, 3, 0.6)
    searcher.reached(0, 9, 0.7)
    searcher.ended(0, TrialState.COMPLETE, 0.7)
    searcher.reached(1, 1, 0.2)
    searcher.ended(1, TrialState.PRUNED, 0.2)
    searcher.reached(2, 1, 0.4)
    searcher.ended(2, TrialState.FAILED, 0.4)
    searcher.ended(3, TrialState.FAILED, None)
    complete, pruned, fail, running = OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.FAIL, OptunaState.RUNNING
    assert searcher.studies[1].states() == {0: complete, 1: complete, 2: complete, 3: fail, 4: running}
    assert searcher.studies[3].states() == {0: complete, 1: pruned, 2: fail, 3: fail, 4: running}
    assert searcher.studies[9].states() == {0: complete, 1: pruned, 2: fail, 3: fail, 4: running}


def test_a_trial_that_ended_for_want_of_progress_is_worth_the_same_at_every_later_level(space: SearchSpace) -> None:
    searcher = build(space)
    searcher.propose(0)
    searcher.reached(0, 1, 0.5)
    searcher.ended(0, TrialState.COMPLETE, 0.6)
    assert [study.completed for study in searcher.studies.values()] == [1, 1, 1]


@pytest.mark.parametrize("prior", [{}, {"n": 6}])
@pytest.mark.parametrize("startup_trials", [2, 20])
def test_no_configuration_is_proposed_twice_and_a_small_space_ends(
    make_space: Callable[[str], SearchSpace], prior: Mapping[str, Any], startup_trials: int
) -> None:
    small = make_space(
        'MODEL = "cnn"\nSTART = [{"n": 1}]\ndef suggest(trial):\n    return {"n": trial.suggest_int("n", 1, 6)}\n'
    )
    searcher = build(replace(small, prior=prior), startup_trials=startup_trials)
    values: list[int] = []
    while (proposal := searcher.propose(len(values))) is not None:
        values.append(proposal.hparams["n"])
        searcher.reached(proposal.number, 1, 0.1 * values[-1])
        searcher.ended(proposal.number, TrialState.PRUNED, 0.1 * values[-1])
    assert sorted(values) == [1, 2, 3, 4, 5, 6]


def test_while_no_model_proposes_every_other_draw_is_around_the_belief_and_the_others_are_unchanged(
    space: SearchSpace,
) -> None:
    def params(sampler: str, prior: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        searcher = build(replace(space, prior=prior), sampler, startup_trials=100)
        return [proposal.params for proposal in map(searcher.propose, range(2, 82)) if proposal is not None]

    for sampler in SAMPLERS:
        believed, without = params(sampler, {"x": 0.9, "kind": "b"}), params(sampler, {})
        assert believed[1::2] == without[1::2]
        assert np.mean([one["x"] for one in believed[::2]]) == pytest.approx(0.74, abs=0.06)


def test_where_a_model_proposes_the_belief_has_no_say_and_without_a_model_it_always_has(space: SearchSpace) -> None:
    believed = drive(build(replace(space, prior={"x": 0.1}), "random"), 60)
    assert np.mean([one.params["x"] for one in believed[40::2]]) < 0.45
    origins = {one.origin for one in drive(build(replace(space, prior={"x": 0.1})), 20)[10:]}
    assert origins == {Origin.MODEL}


def test_the_users_own_verbosity_of_optuna_is_left_alone(space: SearchSpace, capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    drive(build(space), 12)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr().err == ""


# One objective: nothing has changed.


def test_with_one_objective_a_model_proposes_what_a_plain_optuna_study_of_one_direction_would(
    space: SearchSpace,
) -> None:
    searcher = build(space, "tpe")
    compared = 0
    for number in range(20):
        plain = plain_study(searcher, 1)
        proposal = searcher.propose(number)
        assert proposal is not None
        if proposal.origin is Origin.MODEL:
            plain.sampler = tpe_sampler(derive_seed(0, Stream.PROPOSAL, number, 0))
            trial = plain.ask()
            space.hparams_of(trial)
            assert trial.params == proposal.params
            compared += 1
        searcher.measured(number, {"num_params": 10.0 * number})
        searcher.reached(number, 1, 1 - abs(proposal.hparams["x"] - 0.7))
        if number % 4 == 0:
            searcher.paused(number)
            assert searcher.studies[3].states()[number] is OptunaState.RUNNING
        else:
            searcher.ended(number, TrialState.PRUNED, 0.5)
    assert compared > 3


def plain_study(searcher: OptunaSearcher, level: int) -> optuna.Study:
    """The results at a level in a study as Optuna's users make it."""
    plain = optuna.create_study(direction="maximize")
    for trial in searcher.studies[level].trials:
        plain.add_trial(trial)
    return plain


# Several objectives.


def build_two(space: SearchSpace, sampler: str = "tpe", **changes: Any) -> OptunaSearcher:
    arguments: dict[str, Any] = {
        "seed": 0,
        "startup_trials": 4,
        "objectives": (DEFAULT_OBJECTIVE, NUM_PARAMS),
        **changes,
    }
    return OptunaSearcher(space, SAMPLERS[sampler], LEVELS, **arguments)


def propose_measured(searcher: OptunaSearcher, number: int, params: float) -> Proposal:
    proposal = searcher.propose(number)
    assert proposal is not None
    searcher.measured(number, {"num_params": params, "latency": 0.5})
    return proposal


def test_optuna_is_told_every_value_of_a_trial_at_the_rung_where_it_was_stopped_and_nothing_above(
    space: SearchSpace,
) -> None:
    searcher = build_two(space)
    for number in range(4):
        propose_measured(searcher, number, 100.0 * number)
    searcher.reached(0, 1, 0.5)
    searcher.ended(0, TrialState.PRUNED, 0.5)
    searcher.reached(1, 1, 0.6)
    searcher.ended(1, TrialState.COMPLETE, 0.7)  # it made no progress
    searcher.ended(2, TrialState.FAILED, None)
    assert [trial.values for trial in searcher.studies[1].trials if trial.values] == [[0.5, 0.0], [0.6, 100.0]]
    assert [trial.values for trial in searcher.studies[9].trials if trial.values] == [[0.7, 100.0]]
    complete, fail, running = OptunaState.COMPLETE, OptunaState.FAIL, OptunaState.RUNNING
    assert searcher.studies[1].states() == {0: complete, 1: complete, 2: fail, 3: running}
    assert searcher.studies[9].states() == {0: fail, 1: complete, 2: fail, 3: running}


def test_a_paused_trial_is_forgotten_above_until_it_goes_on(space: SearchSpace) -> None:
    searcher = build_two(space)
    proposal = propose_measured(searcher, 0, 100.0)
    searcher.reached(0, 1, 0.5)
    searcher.paused(0)
    complete, fail, running = OptunaState.COMPLETE, OptunaState.FAIL, OptunaState.RUNNING
    assert [study.states()[0] for study in searcher.studies.values()] == [complete, fail, fail]
    searcher.resumed(0)
    assert [study.states()[0] for study in searcher.studies.values()] == [complete, running, running]
    assert searcher.studies[3].trials[-1].params == proposal.params
    searcher.reached(0, 3, 0.6)
    searcher.paused(0)
    searcher.ended(0, TrialState.PRUNED, 0.6)
    assert [study.states()[0] for study in searcher.studies.values()] == [complete, complete, fail]


def test_a_paused_trial_that_is_complete_is_worth_the_same_above(space: SearchSpace) -> None:
    searcher = build_two(space)
    propose_measured(searcher, 0, 100.0)
    searcher.reached(0, 1, 0.5)
    searcher.paused(0)
    searcher.ended(0, TrialState.COMPLETE, 0.5)
    assert [study.trials[-1].values for study in searcher.studies.values()] == [[0.5, 100.0]] * 3


@pytest.mark.parametrize("measures", [None, {}, {"latency": 0.5}])
def test_a_trial_of_which_an_objective_was_not_measured_teaches_nothing(
    space: SearchSpace, measures: dict[str, float] | None
) -> None:
    searcher = build_two(space)
    searcher.propose(0)
    if measures is not None:
        searcher.measured(0, measures)
    searcher.reached(0, 1, 0.5)
    searcher.ended(0, TrialState.COMPLETE, 0.5)
    assert {study.states()[0] for study in searcher.studies.values()} == {OptunaState.FAIL}
    assert [study.completed for study in searcher.studies.values()] == [0, 0, 0]
