from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.trial import BaseTrial

from tuner.search.arrays import Floats
from tuner.search.candidates import Candidates
from tuner.search.drawing import at_random, draw, near, places, units_of
from tuner.search.encoding import Encoding
from tuner.search.local_search import Score
from tuner.search.prior import UserPrior
from tuner.search.proposing import Configuration
from tuner.search.rules import TODAYS, Rules
from tuner.search.space import SearchSpace
from tuner.search.tried import Tried

TWO = 'MODEL = "cnn"\nSTART = [{"x": 0.5, "n": 1}]\ndef suggest(trial):\n    x = trial.suggest_float("x", 0.0, 1.0)\n'
DEPENDENT = TWO + '    return {"x": x, "n": trial.suggest_int("n", 0, 1 + int(8 * x))}\n'


@pytest.fixture
def dependent(make_space: Callable[[str], SearchSpace]) -> SearchSpace:
    """A space in which the range of one parameter depends on another."""
    return make_space(DEPENDENT)


def encoding_of(space: SearchSpace) -> tuple[Encoding, Floats]:
    drawn = [draw(space, at_random(np.random.default_rng(seed))) for seed in range(3)]
    rows = Encoding(drawn[0].distributions, np.zeros((1, 2))).units([units_of(one) for one in drawn])
    return Encoding(drawn[0].distributions, rows), rows


def best_of(
    candidates: Candidates, number: int, encoding: Encoding, score: Score, tops: Floats, tried: Tried
) -> Configuration | None:
    pool = candidates.pool(number, encoding, tops)
    return pool.best(score, score(pool.units), tried)


def closeness(units: Floats) -> Floats:
    result: Floats = -np.abs(units[:, 0] - 0.3)
    return result


def test_the_best_is_near_the_optimum_and_the_same_each_time(dependent: SearchSpace) -> None:
    encoding, tops = encoding_of(dependent)
    found = [best_of(Candidates(dependent, 0), 7, encoding, closeness, tops, Tried()) for _ in range(2)]
    assert found[0] is not None
    assert found[0] == found[1]
    assert found[0].params["x"] == pytest.approx(0.3, abs=0.005)


def test_a_search_that_begins_later_draws_the_same_candidates(dependent: SearchSpace) -> None:
    encoding, tops = encoding_of(dependent)
    candidates = Candidates(dependent, 0)
    for number in range(6):
        best_of(candidates, number, encoding, closeness, tops, Tried())
    expected = best_of(candidates, 6, encoding, closeness, tops, Tried())
    assert best_of(Candidates(dependent, 0), 6, encoding, closeness, tops, Tried()) == expected


def test_candidates_around_a_belief_come_on_top(dependent: SearchSpace) -> None:
    encoding, tops = encoding_of(dependent)
    asked: list[Floats] = []

    def watched(units: Floats) -> Floats:
        asked.append(units)
        return closeness(units)

    for prior in (None, UserPrior({"x": 0.9}, 0)):
        assert best_of(Candidates(dependent, 0, prior), 7, encoding, watched, tops, Tried()) is not None
    without, believing = (units for units in asked if len(units) in (len(asked[0]), len(asked[0]) + 32))
    assert np.array_equal(believing[: len(without) - len(tops)], without[: -len(tops)], equal_nan=True)
    assert np.mean(believing[len(without) - len(tops) : -len(tops), 0]) > 0.65


def test_where_a_range_depends_on_another_parameter_the_space_has_the_last_word(dependent: SearchSpace) -> None:
    encoding, tops = encoding_of(dependent)

    def many_for_a_small_x(units: Floats) -> Floats:
        result: Floats = units[:, 1] - units[:, 0]
        return result

    found = best_of(Candidates(dependent, 0), 0, encoding, many_for_a_small_x, tops, Tried())
    assert found is not None
    assert 0 <= found.params["n"] <= 1 + int(8 * found.params["x"])


LIMITED = """
import optuna
MODEL = "cnn"
START = [{f"x{place}": 0.25 for place in range(6)}]


def suggest(trial):
    hparams = {f"x{place}": trial.suggest_float(f"x{place}", 0.0, 1.0) for place in range(6)}
    if hparams["x0"] > 0.5:
        raise optuna.TrialPruned("too large")
    return hparams
"""


def test_where_the_best_is_at_a_constraint_the_local_search_comes_near_it(
    make_space: Callable[[str], SearchSpace],
) -> None:
    limited = make_space(LIMITED)
    encoding = Encoding(draw(limited, lambda name, distribution: 0.25).distributions, np.zeros((1, 6)))

    def score(units: Floats) -> Floats:
        result: Floats = 2.0 * units[:, 0] - np.abs(units[:, 1:] - 0.3).sum(axis=1)
        return result

    def found(rules: Rules) -> list[float]:
        candidates = Candidates(limited, 0, rules=rules)
        tops = np.full((1, 6), 0.25)
        best = [best_of(candidates, number, encoding, score, tops, Tried()) for number in range(12, 16)]
        assert all(one is not None and one.params["x0"] <= 0.5 for one in best)
        return [float(score(encoding.units([units_of(one)]))[0]) for one in best if one is not None]

    # Before, all moves led beyond the constraint, and what was drawn was proposed as it was.
    assert np.mean(found(TODAYS)) > np.mean(found(Rules.of(7))) + 0.05


LAYERS = """
MODEL = "cnn"
START = [{"layers": 1, "rate_0": 0.5}]


def suggest(trial):
    layers = trial.suggest_int("layers", 1, 4)
    return {f"rate_{layer}": trial.suggest_float(f"rate_{layer}", 0.0, 1.0) for layer in range(layers)}
"""


@pytest.mark.parametrize(("source", "is_asked"), [(DEPENDENT, False), (LAYERS, True)])
def test_the_space_is_asked_about_moves_only_where_a_number_decides_which_parameters_there_are(
    make_space: Callable[[str], SearchSpace], source: str, is_asked: bool
) -> None:
    space = make_space(source)
    calls: list[int] = []

    def middle(units: Floats) -> Floats:
        result: Floats = -np.nansum(np.abs(units - 0.3), axis=1)
        return result

    def counted(trial: BaseTrial) -> dict[str, Any]:
        calls[-1] += 1
        return space.suggest(trial)

    most, least = draw(space, lambda name, distribution: 1.0), draw(space, lambda name, distribution: 0.0)
    without = Encoding(most.distributions, np.zeros((1, len(most.distributions))))
    tops = without.units([units_of(most), units_of(least)])
    found = []
    for rules in (Rules.of(7), TODAYS):
        calls.append(0)
        candidates = Candidates(replace(space, suggest=counted), 0, rules=rules)
        found.append(best_of(candidates, 5, Encoding(most.distributions, tops), middle, tops, Tried()))
    assert (calls[1] > calls[0]) is is_asked
    assert is_asked or found[0] == found[1]


def test_what_was_tried_is_not_proposed_and_if_all_was_there_is_none(make_space: Callable[[str], SearchSpace]) -> None:
    few = make_space(
        'MODEL = "cnn"\nSTART = [{"n": 1}]\ndef suggest(trial):\n    return {"n": trial.suggest_int("n", 1, 3)}\n'
    )
    one = draw(few, at_random(np.random.default_rng(0)))
    encoding = Encoding(one.distributions, np.zeros((1, 1)))

    def large(units: Floats) -> Floats:
        return units[:, 0]

    tried = Tried()
    tried.add({"n": 3})
    found = best_of(Candidates(few, 0), 0, encoding, large, np.array([[0.5]]), tried)
    assert found is not None
    assert found.params == {"n": 2}
    tried.add({"n": 1})
    tried.add({"n": 2})
    assert best_of(Candidates(few, 0), 0, encoding, large, np.array([[0.5]]), tried) is None


def test_a_start_configuration_is_not_proposed_again_as_rounding_has_it(
    make_space: Callable[[str], SearchSpace],
) -> None:
    steps = make_space(
        'MODEL = "cnn"\nSTART = [{"x": 0.3}]\n'
        'def suggest(trial):\n    return {"x": trial.suggest_float("x", 0.1, 0.5, step=0.1)}\n'
    )
    encoding = Encoding(draw(steps, at_random(np.random.default_rng(0))).distributions, np.zeros((1, 1)))

    def middle(units: Floats) -> Floats:
        result: Floats = -np.abs(units[:, 0] - 0.5)
        return result

    tried = Tried()
    tried.add(steps.hparams_of_start(0))
    found = best_of(Candidates(steps, 0), 0, encoding, middle, np.array([[0.5]]), tried)
    assert found is not None
    assert round(10 * found.params["x"]) in (2, 4)


def test_a_draw_near_a_configuration_moves_little_and_an_unmoved_one_is_the_same(space: SearchSpace) -> None:
    generator = np.random.default_rng(0)
    units = places(space, lambda name, distribution: 0.4)
    assert units is not None
    same = draw(space, near(units, generator, 0.0, 0.1))
    assert units_of(same) == pytest.approx(units)
    moved = [places(space, near(units, generator, 1.0, 0.05)) for _ in range(100)]
    xs = np.array([one["x"] for one in moved if one is not None])
    assert 0.2 < np.mean(xs != units["x"]) < 0.8
    assert np.abs(xs - units["x"]).max() < 0.25
