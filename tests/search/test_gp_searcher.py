from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
from optuna.trial import BaseTrial

from tuner.errors import ConfigError
from tuner.search.arrays import Floats
from tuner.search.convergence import FULL_TRAININGS
from tuner.search.drawing import at_random, draw
from tuner.search.encoding import Encoding
from tuner.search.gaussian_process import Posterior, Results
from tuner.search.gp_searcher import MIN_RESULTS, GaussianProcessSearcher, Settings
from tuner.search.objective import Objective
from tuner.search.rules import TODAYS, Rules
from tuner.search.searchers import build_searcher
from tuner.search.seeds import Stream, derive_seed
from tuner.search.space import SearchSpace
from tuner.search.trial import Origin, Proposal, TrialState
from tuner.search.warp import warped

LEVELS = (1, 3, 9)

BRANCHES = """
MODEL = "cnn"
START = [{"kind": "plain", "rate": 0.001}]


def suggest(trial):
    hparams = {"kind": trial.suggest_categorical("kind", ["plain", "deep"])}
    hparams["rate"] = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    if hparams["kind"] == "deep":
        hparams["layers"] = trial.suggest_int("layers", 1, 6)
        hparams["skip"] = trial.suggest_int("skip", 0, hparams["layers"])
    return hparams
"""


def build(
    space: SearchSpace, seed: int = 0, startup_trials: int = 4, cost_weight: float = 0.0, **changes: float
) -> GaussianProcessSearcher:
    shares = {"random_share": 0.0, "random_share_of_branches": 0.0}
    settings = Settings(startup_trials=startup_trials, **{**shares, **changes})  # type: ignore[arg-type]
    return GaussianProcessSearcher(
        space, LEVELS, objective=Objective("score"), seed=seed, settings=settings, cost_weight=cost_weight
    )


def closeness(proposal: Proposal) -> float:
    return 1.0 - abs(float(proposal.hparams["x"]) - 0.7)


def depth(proposal: Proposal) -> float:
    """Six layers with four skipped are best, and the best rate is in the middle."""
    hparams = proposal.hparams
    branch = -1.0 if hparams["kind"] == "plain" else -abs(hparams["layers"] - 6) / 6 - abs(hparams["skip"] - 4) / 6
    return float(branch - abs(np.log10(hparams["rate"]) + 2.5))


def drive(
    searcher: GaussianProcessSearcher, trials: int, value_of: Callable[[Proposal], float] = closeness
) -> list[Proposal]:
    """Run trials one after another; one in three gets beyond the first level."""
    proposals = []
    for number in range(trials):
        proposal = searcher.propose(number)
        assert proposal is not None
        proposals.append(proposal)
        tell(searcher, proposal, value_of)
    return proposals


def seconds(proposal: Proposal) -> float:
    """The larger `x`, the dearer."""
    return float(np.exp(3.0 * proposal.hparams.get("x", 0.0)))


def tell(searcher: GaussianProcessSearcher, proposal: Proposal, value_of: Callable[[Proposal], float]) -> None:
    searcher.timed(proposal.number, seconds(proposal))
    searcher.reached(proposal.number, 1, value_of(proposal) - 0.2)
    if proposal.number % 3 == 0:
        searcher.reached(proposal.number, 3, value_of(proposal))
    searcher.ended(proposal.number, TrialState.PRUNED, value_of(proposal))


def origins(proposals: Sequence[Proposal]) -> set[Origin]:
    return {proposal.origin for proposal in proposals}


def test_the_start_configurations_come_first_then_chance_then_the_model(space: SearchSpace) -> None:
    proposals = drive(build(space, startup_trials=8), 14)
    assert [proposal.hparams for proposal in proposals[:2]] == [
        {"x": 0.5, "kind": "a"},
        {"x": 0.25, "kind": "b", "y": 3},
    ]
    assert origins(proposals[:2]) == {Origin.START}
    assert origins(proposals[2:8]) == {Origin.RANDOM}
    assert origins(proposals[8:]) == {Origin.MODEL}


def test_without_enough_results_chance_proposes_however_many_are_running(space: SearchSpace) -> None:
    searcher = build(space, startup_trials=0)
    proposals = [searcher.propose(number) for number in range(2, 12)]
    assert {proposal.origin for proposal in proposals if proposal} == {Origin.RANDOM}
    for number in range(2, 2 + MIN_RESULTS):
        searcher.reached(number, 1, 0.1 * number)
    last = searcher.propose(12)
    assert last is not None
    assert last.origin is Origin.MODEL


def test_it_finds_the_better_region_from_results_of_the_first_levels(space: SearchSpace) -> None:
    proposals = drive(build(space), 20)
    distances = [abs(proposal.hparams["x"] - 0.7) for proposal in proposals[-8:]]
    assert sum(distances) / len(distances) < 0.1  # uniform would give 0.29


def test_on_a_conditional_space_it_finds_the_branch_and_proposes_nothing_invalid(
    make_space: Callable[[str], SearchSpace],
) -> None:
    space = make_space(BRANCHES)
    searches = [drive(build(space, seed, startup_trials=8), 40, depth) for seed in range(7)]
    found = [max(map(depth, proposals)) for proposals in searches]
    assert np.median(found) > -0.4  # the best of 40 at random is at -0.51 in the median
    for proposal in chain.from_iterable(searches):
        if proposal.hparams["kind"] == "deep":
            assert 0 <= proposal.hparams["skip"] <= proposal.hparams["layers"] <= 6
        else:
            assert "layers" not in proposal.params


def test_the_same_calls_give_the_same_proposals_and_another_seed_others(space: SearchSpace) -> None:
    assert drive(build(space), 16) == drive(build(space), 16)
    assert drive(build(space), 16) != drive(build(space, seed=1), 16)


def two_hills(proposal: Proposal) -> float:
    """As good at 0.2, where trials are cheap, as at 0.8."""
    x = float(proposal.hparams["x"])
    return 1.0 - min(abs(x - 0.2), abs(x - 0.8))


def test_of_two_regions_that_are_as_good_the_cheaper_is_looked_at_more_where_cost_counts(space: SearchSpace) -> None:
    def dear(cost_weight: float) -> float:
        searches = [drive(build(space, seed, 8, cost_weight), 24, two_hills)[8:] for seed in range(4)]
        return float(np.mean([proposal.hparams["x"] > 0.5 for search in searches for proposal in search]))

    assert dear(1.0) < 0.7 * dear(0.0)


def test_what_trials_cost_counts_for_nothing_where_it_has_no_weight(space: SearchSpace) -> None:
    timed, untimed = build(space), build(space)
    for number in range(16):
        proposal = timed.propose(number)
        assert proposal is not None
        assert proposal == untimed.propose(number)
        for searcher in (timed, untimed):
            searcher.reached(number, 1, closeness(proposal))
            searcher.ended(number, TrialState.PRUNED, closeness(proposal))
        timed.timed(number, seconds(proposal))


@pytest.mark.parametrize(("prior", "cost_weight"), [({}, 0.0), ({"x": 0.7, "y": 3}, 0.0), ({}, 1.0)])
@pytest.mark.parametrize("cut", [3, 7, 13, 22])
def test_a_searcher_rebuilt_by_replay_goes_on_as_the_first_would(
    space: SearchSpace, cut: int, prior: Mapping[str, Any], cost_weight: float
) -> None:
    space = replace(space, prior=prior)
    uninterrupted = drive(build(space, cost_weight=cost_weight), 24)
    resumed = build(space, cost_weight=cost_weight)
    for proposal in uninterrupted[:cut]:
        resumed.restore(proposal)
        tell(resumed, proposal, closeness)
    for expected in uninterrupted[cut:]:
        assert resumed.propose(expected.number) == expected
        tell(resumed, expected, closeness)


def test_hyperparameters_are_found_anew_only_when_results_have_grown_by_a_tenth(space: SearchSpace) -> None:
    searcher = build(space)
    drive(searcher, 40)
    found = searcher.hyperparameters
    proposal = searcher.propose(40)
    assert proposal is not None
    tell(searcher, proposal, closeness)
    searcher.propose(41)
    assert searcher.hyperparameters is found


def test_trials_that_run_keep_the_model_from_proposing_beside_them(space: SearchSpace) -> None:
    searcher = build(space)
    drive(searcher, 6)
    running = [searcher.propose(number) for number in range(6, 14)]
    xs = [proposal.hparams["x"] for proposal in running if proposal]
    assert np.ptp(xs) > 0.2
    searcher = build(space)
    drive(searcher, 6)
    alone = []
    for number in range(6, 14):
        proposal = searcher.propose(number)
        assert proposal is not None
        searcher.paused(number)  # without a result: nothing is known of it, and nothing keeps away from it
        alone.append(proposal.hparams["x"])
    assert np.ptp(alone) < np.ptp(xs)


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.PRUNED])
def test_a_region_in_which_trials_fail_or_are_refused_is_left(space: SearchSpace, state: TrialState) -> None:
    searcher = build(space, startup_trials=10)
    late = []
    for number in range(30):
        proposal = searcher.propose(number)
        assert proposal is not None
        x = proposal.hparams["x"]
        if x > 0.6:  # where values are best up to the edge
            searcher.ended(number, state, None)
        else:
            searcher.reached(number, 1, x)
            searcher.ended(number, TrialState.PRUNED, x)
        late.append(x)
    assert sum(x > 0.6 for x in late[-12:]) <= 6


def test_a_trial_that_ended_for_want_of_progress_counts_at_the_last_level(space: SearchSpace) -> None:
    searcher = build(space)
    for number in range(4):
        searcher.propose(number)
        searcher.reached(number, 1, 0.1 * number)
        searcher.ended(number, TrialState.COMPLETE, 0.1 * number)
    _, at, _ = searcher.table.results(8)
    assert at.tolist() == [0, 2] * 4


@pytest.mark.parametrize("prior", [{}, {"n": 9}])
@pytest.mark.parametrize("startup_trials", [2, 20])
def test_no_configuration_is_proposed_twice_and_a_small_space_ends(
    make_space: Callable[[str], SearchSpace], prior: Mapping[str, Any], startup_trials: int
) -> None:
    small = make_space(
        'MODEL = "cnn"\nSTART = [{"n": 1}]\ndef suggest(trial):\n    return {"n": trial.suggest_int("n", 1, 9)}\n'
    )
    searcher = build(replace(small, prior=prior), startup_trials=startup_trials)
    values: list[int] = []
    while (proposal := searcher.propose(len(values))) is not None:
        values.append(proposal.hparams["n"])
        searcher.reached(proposal.number, 1, 0.1 * values[-1])
        searcher.ended(proposal.number, TrialState.PRUNED, 0.1 * values[-1])
    assert sorted(values) == list(range(1, 10))


def test_a_few_proposals_are_random_for_ever(make_space: Callable[[str], SearchSpace]) -> None:
    proposals = drive(build(make_space(FLAT), random_share=0.3), 40)
    share = np.mean([proposal.origin is Origin.RANDOM for proposal in proposals[10:]])
    assert 0.1 < share < 0.55


FLAT = """
MODEL = "cnn"


def suggest(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0), "kind": trial.suggest_categorical("kind", ["a", "b"])}
"""


def test_until_every_branch_was_tried_as_often_as_the_whole_space_at_start_up_more_are_random(
    space: SearchSpace, make_space: Callable[[str], SearchSpace]
) -> None:
    def is_random(of: SearchSpace) -> list[bool]:
        proposals = drive(build(of, startup_trials=6, random_share_of_branches=1.0), 40)
        return [proposal.origin is Origin.RANDOM for proposal in proposals]

    assert not any(is_random(make_space(FLAT))[8:])
    chance = is_random(space)
    kinds = [proposal.hparams["kind"] for proposal in drive(build(space, startup_trials=40), 40)]
    known = next(count for count in range(40) if min(kinds[:count].count(kind) for kind in "ab") == 6)
    assert all(chance[2:known])
    assert not any(chance[known:])


def test_what_a_refused_trial_had_not_asked_for_is_no_branch(make_space: Callable[[str], SearchSpace]) -> None:
    searcher = build(make_space(FLAT), random_share_of_branches=1.0)
    proposals = drive(searcher, 12)
    assert searcher.propose(12) is not None
    searcher.asked(12, {"x": 0.1}, {"x": proposals[0].distributions["x"]})
    searcher.ended(12, TrialState.PRUNED, None)
    proposal = searcher.propose(13)
    assert proposal is not None
    assert proposal.origin is Origin.MODEL


@pytest.mark.parametrize("version", [6, 7])
def test_a_branch_whose_trials_all_fail_is_known_when_it_was_tried_often_enough(
    space: SearchSpace, version: int
) -> None:
    settings = Settings(startup_trials=6, random_share=0.0, random_share_of_branches=1.0)
    searcher = GaussianProcessSearcher(
        space, LEVELS, objective=Objective("score"), seed=0, settings=settings, rules=Rules.of(version)
    )
    proposals: list[Proposal] = []
    for number in range(40):
        proposal = searcher.propose(number)
        assert proposal is not None
        proposals.append(proposal)
        if proposal.hparams["kind"] == "b":
            searcher.ended(number, TrialState.FAILED, None)
        else:
            tell(searcher, proposal, closeness)
    kinds = [proposal.hparams["kind"] for proposal in proposals]
    known = next(count for count in range(40) if min(kinds[:count].count(kind) for kind in "ab") == 6)
    assert origins(proposals[2:known]) == {Origin.RANDOM}
    assert origins(proposals[known:]) == {Origin.RANDOM if version < 7 else Origin.MODEL}


def test_with_more_results_than_it_conditions_on_it_still_finds_the_better_region(space: SearchSpace) -> None:
    searcher = build(space, results=20)
    proposals = drive(searcher, 40)
    assert abs(proposals[-1].hparams["x"] - 0.7) < 0.1


def test_with_several_objectives_it_says_that_it_knows_one(space: SearchSpace) -> None:
    objectives = (Objective("score"), Objective("num_params", "minimize"))
    law = "--searcher is 'gp', which knows one objective, but --objectives is 'score,num_params'"
    with pytest.raises(ConfigError, match=law):
        build_searcher("gp", space, LEVELS, seed=0, objectives=objectives)


def test_an_infeasible_configuration_is_not_proposed_while_there_are_feasible_ones(
    make_space: Callable[[str], SearchSpace],
) -> None:
    source = (
        'import optuna\nMODEL = "cnn"\nSTART = [{"x": 0.1}]\ndef suggest(trial):\n'
        '    x = trial.suggest_float("x", 0.0, 1.0)\n'
        '    if x > 0.5:\n        raise optuna.TrialPruned("too large")\n    return {"x": x}\n'
    )
    proposals = drive(build(make_space(source)), 14, lambda proposal: float(proposal.hparams["x"]))
    assert all(proposal.infeasible is None for proposal in proposals)
    assert max(proposal.hparams["x"] for proposal in proposals) > 0.45


def test_where_nothing_is_feasible_it_says_why_and_ends(make_space: Callable[[str], SearchSpace]) -> None:
    source = (
        'import optuna\nMODEL = "cnn"\nSTART = []\ndef suggest(trial):\n    trial.suggest_float("x", 0.0, 1.0)\n'
        '    raise optuna.TrialPruned("never")\n'
    )
    searcher = build(replace(make_space(source.replace("[]", '[{"x": 0.1}]')), start=()))
    refused = [searcher.propose(number) for number in range(4)]
    assert [proposal and proposal.infeasible for proposal in refused] == ["infeasible: never"] * 3 + [None]


def start_up(space: SearchSpace, numbers: Sequence[int]) -> list[Mapping[str, Any]]:
    searcher = build(space, startup_trials=100)
    return [proposal.params for proposal in map(searcher.propose, numbers) if proposal is not None]


def test_without_a_belief_the_first_proposals_are_what_their_numbers_draw_from_anywhere(space: SearchSpace) -> None:
    generators = [np.random.default_rng(derive_seed(0, Stream.PROPOSAL, number, 0)) for number in range(2, 12)]
    for generator in generators:
        generator.random()  # by which a random one is chosen once there is a model
    expected = [draw(space, at_random(generator)).params for generator in generators]
    assert start_up(space, range(2, 12)) == expected


def test_while_no_model_proposes_every_other_draw_is_around_the_belief_and_the_others_are_unchanged(
    space: SearchSpace,
) -> None:
    believed = start_up(replace(space, prior={"x": 0.9, "kind": "b"}), range(2, 82))
    without = start_up(space, range(2, 82))
    assert believed[1::2] == without[1::2]
    assert np.mean([params["x"] for params in believed[::2]]) == pytest.approx(0.74, abs=0.06)
    assert np.mean([params["kind"] == "b" for params in believed[::2]]) == pytest.approx(0.8, abs=0.12)


OPTIMUM = {"x0": 0.2, "x1": 0.8, "x2": 0.35, "x3": 0.6, "x4": 0.7}


def distances(prior: Mapping[str, Any], seed: int) -> Floats:
    """How far from the optimum the best is after each of 50 trials."""

    def suggest(trial: BaseTrial) -> dict[str, Any]:
        return {name: trial.suggest_float(name, 0.0, 1.0) for name in OPTIMUM}

    def value_of(proposal: Proposal) -> float:
        return -float(np.mean([abs(proposal.hparams[name] - place) for name, place in OPTIMUM.items()]))

    space = SearchSpace("five", suggest, (), prior=prior)
    found: Floats = np.minimum.accumulate([-value_of(one) for one in drive(build(space, seed), 50, value_of)])
    return found


def test_a_right_belief_helps_early_and_from_a_wrong_one_the_search_recovers() -> None:
    priors: dict[str, dict[str, float]] = {
        "right": {name: place + 0.05 for name, place in OPTIMUM.items()},
        "none": {},
        "wrong": {name: float(place < 0.5) for name, place in OPTIMUM.items()},
    }
    found = {name: np.mean([distances(one, seed) for seed in range(2)], axis=0) for name, one in priors.items()}
    assert found["right"][9] < 0.6 * found["none"][9]
    assert found["right"][-1] < 0.02
    assert found["wrong"][19] > 1.5 * found["none"][19]
    assert found["wrong"][-1] < 0.05  # the best of 50 at random is at 0.11


# What is expected of a proposal.


def trained(space: SearchSpace, trials: int, scale: float = 1.0, *, tells: bool = True) -> GaussianProcessSearcher:
    """A searcher that has seen full trainings alone, of trials that lie here and there."""
    settings = Settings(startup_trials=trials, random_share=0.0, random_share_of_branches=0.0)
    objective = Objective("score")
    searcher = GaussianProcessSearcher(
        space, (1,), objective=objective, seed=0, settings=settings, tells_improvement=tells
    )
    for number in range(trials):
        proposal = searcher.propose(number)
        assert proposal is not None
        assert proposal.expected_improvement is None
        searcher.reached(number, 1, scale * closeness(proposal))
        searcher.ended(number, TrialState.COMPLETE, scale * closeness(proposal))
    return searcher


def test_the_improvement_told_is_what_random_draws_of_the_objective_gain_on_the_best(space: SearchSpace) -> None:
    searcher = trained(space, 9)
    proposal = searcher.propose(9)
    assert proposal is not None
    encoding = Encoding(searcher.table.distributions, searcher.table.units())
    trials, at, values = searcher.table.results(9)
    unit, _ = warped(trials, at, values, 1)
    points = encoding.points(searcher.table.units()[trials])
    assert searcher.hyperparameters is not None
    posterior = Posterior(Results(points, np.zeros(9), unit), encoding.groups, searcher.hyperparameters)
    (mean,), (deviation,) = posterior.mean_and_deviation(encoding.points(searcher.table.units([9])))
    # Back to the objective by hand: 0 is the median, 1 the width of what is above it.
    middle = np.median(values)
    width = np.sqrt(np.mean((values[values >= middle] - middle) ** 2))
    drawn = middle + width * np.random.default_rng(0).normal(mean, deviation, 1_000_000)
    best = middle + width * posterior.mean(points).max()
    gained = np.maximum(drawn - best, 0.0).mean()
    assert gained > 1e-4
    assert proposal.expected_improvement == pytest.approx(gained, rel=0.03)


def test_the_improvement_told_is_in_the_units_of_the_objective(space: SearchSpace) -> None:
    one, thousand = (trained(space, 9, scale).propose(9) for scale in (1.0, 1000.0))
    assert one is not None
    assert one.expected_improvement is not None
    assert thousand is not None
    assert thousand.expected_improvement == pytest.approx(1000.0 * one.expected_improvement, rel=0.02)


def test_the_improvement_is_told_of_the_models_proposals_alone_and_changes_nothing_else(space: SearchSpace) -> None:
    told, silent = (trained(space, 9, tells=tells).propose(9) for tells in (True, False))
    assert told is not None
    assert silent is not None
    assert told.origin is Origin.MODEL
    assert silent.expected_improvement is None
    assert replace(told, expected_improvement=None) == silent


def test_the_improvement_told_is_the_most_there_is_also_where_something_cheap_is_chosen(space: SearchSpace) -> None:
    def last(cost_weight: float, rules: Rules = TODAYS) -> Proposal:
        searcher = GaussianProcessSearcher(
            space,
            (1,),
            objective=Objective("score"),
            seed=0,
            settings=Settings(startup_trials=12, random_share=0.0, random_share_of_branches=0.0),
            tells_improvement=True,
            cost_weight=cost_weight,
            rules=rules,
        )
        for number in range(12):
            proposal = searcher.propose(number)
            assert proposal is not None
            searcher.timed(number, seconds(proposal))
            searcher.reached(number, 1, closeness(proposal))
            searcher.ended(number, TrialState.COMPLETE, closeness(proposal))
        proposal = searcher.propose(12)
        assert proposal is not None
        assert proposal.origin is Origin.MODEL
        return proposal

    best, cheap, older = last(0.0), last(200.0), last(200.0, replace(TODAYS, tells_most_improvement=False))
    assert best.expected_improvement is not None
    assert cheap.expected_improvement is not None
    assert older.expected_improvement is not None
    assert cheap.params == older.params
    assert cheap.params["x"] < 0.5 < best.params["x"]
    assert cheap.expected_improvement > 0.8 * best.expected_improvement
    assert older.expected_improvement < 0.5 * best.expected_improvement


def test_no_improvement_is_told_before_enough_full_trainings(space: SearchSpace) -> None:
    settings = Settings(startup_trials=4, random_share=0.0, random_share_of_branches=0.0)
    searcher = GaussianProcessSearcher(
        space, LEVELS, objective=Objective("score"), seed=0, settings=settings, tells_improvement=True
    )
    told = []
    for number in range(12):
        proposal = searcher.propose(number)
        assert proposal is not None
        told.append(proposal.expected_improvement is not None)
        tell(searcher, proposal, closeness)
        if number >= 12 - FULL_TRAININGS - 1:
            searcher.table.result(number, 2, closeness(proposal) if number % 2 else np.nan)
    assert told == [False] * 12  # a training that failed on its way to the last level is none
    for number in range(FULL_TRAININGS):
        searcher.table.result(number, 2, 0.5)
    last = searcher.propose(12)
    assert last is not None
    assert last.expected_improvement is not None
