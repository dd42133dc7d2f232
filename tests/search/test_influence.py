"""Tests of `tuner.search.influence`: what moves the results comes first, and chance explains nothing."""

from __future__ import annotations

import random

from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json

from tuner.search.influence import Influence

DISTRIBUTIONS = {
    "noise": distribution_to_json(FloatDistribution(0.0, 1.0)),
    "lr": distribution_to_json(FloatDistribution(1e-5, 1e-1, log=True)),
    "kind": distribution_to_json(CategoricalDistribution(["a", "b", "c", None])),
}
NAMES = list(DISTRIBUTIONS)


def drawn(generator: random.Random) -> dict[str, object]:
    return {
        "noise": generator.random(),
        "lr": 10.0 ** generator.uniform(-5, -1),
        "kind": generator.choice(["a", "b", "c", None]),
    }


def test_a_best_value_in_the_middle_of_a_range_is_seen() -> None:
    generator, influence = random.Random(0), Influence()
    for _ in range(60):
        params = drawn(generator)
        rate = params["lr"]
        assert isinstance(rate, float)
        score = (1e-4 < rate < 1e-2) + 0.5 * (params["kind"] == "b") + 0.2 * generator.random()
        influence.add(params, DISTRIBUTIONS, score)
    assert influence.ranked(NAMES) == ["lr", "kind", "noise"]
    assert influence.share("lr") > influence.share("kind") > 0.05
    assert influence.share("noise") < 0.05


def test_chance_explains_next_to_nothing() -> None:
    shares = []
    for seed in range(50):
        generator, influence = random.Random(seed), Influence()
        for _ in range(20):
            influence.add(drawn(generator), DISTRIBUTIONS, generator.random())
        shares += [influence.share(name) for name in NAMES]
    assert sum(shares) / len(shares) < 0.08


def test_as_long_as_little_is_known_the_order_is_that_of_the_space() -> None:
    influence = Influence()
    assert influence.ranked(NAMES) == NAMES
    for place in range(7):
        influence.add({"lr": 10.0 ** -(1 + place % 4)}, DISTRIBUTIONS, float(place % 4))
    assert influence.ranked(NAMES) == NAMES
    influence.add({"lr": 0.01}, DISTRIBUTIONS, 1.0)
    assert influence.ranked(NAMES)[0] == "lr"


def test_a_parameter_without_a_distribution_and_equal_results_tell_nothing() -> None:
    influence = Influence()
    for place in range(20):
        influence.add({"free": place, "lr": 10.0 ** -(1 + place % 4)}, DISTRIBUTIONS, 1.0)
    assert influence.share("free") == influence.share("lr") == 0.0
