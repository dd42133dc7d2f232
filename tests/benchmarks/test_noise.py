"""Tests of `tests.benchmarks.noise`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json

from tests.benchmarks.noise import copies, noisy
from tuner.search.simulator import Curve
from tuner.search.trial import Origin, Proposal

DISTRIBUTIONS = {
    "rate": distribution_to_json(FloatDistribution(1e-4, 1.0, log=True)),
    "kind": distribution_to_json(CategoricalDistribution(["a", "b"])),
}


def proposal(number: int, rate: float, kind: str) -> Proposal:
    params = {"rate": rate, "kind": kind}
    return Proposal(number, params, DISTRIBUTIONS, params, Origin.MODEL)


def test_trainings_of_one_configuration_differ_as_a_whole_and_epoch_by_epoch() -> None:
    def flat(hparams: Mapping[str, Any]) -> Curve:
        return Curve([0.5] * 400, [1.0] * 400)

    curve = noisy(flat, 0.1, np.random.default_rng(0))
    found = np.array([curve({}).values for _ in range(400)])
    assert abs(found.mean() - 0.5) < 0.02
    assert 0.09 < found.mean(axis=1).std() < 0.11  # of seeds
    assert 0.09 < (found - found.mean(axis=1, keepdims=True)).std() < 0.11  # of epochs


def test_a_copy_is_what_no_training_can_tell_from_an_earlier_one() -> None:
    tried = [proposal(0, 0.1, "a"), proposal(1, 0.1, "b"), proposal(2, 0.11, "a"), proposal(3, 0.2, "a")]
    assert copies(tried) == 1


def test_of_what_does_not_tell_its_ranges_no_copy_is_known() -> None:
    assert copies([Proposal(number, {}, {}, {"rate": 0.1}, Origin.MODEL) for number in range(3)]) == 0
