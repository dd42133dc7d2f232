from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.samplers import RandomSampler

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.optuna_searcher import OptunaSearcher
from tuner.search.seeds import Stream, derive_seed
from tuner.search.space import SearchSpace


def test_streams_never_change() -> None:
    # Written down once; another value would make earlier studies unrepeatable.
    assert derive_seed(0, Stream.TRAINING, 0) == 3964924996
    assert derive_seed(0, Stream.TRAINING, 1) == 901243215
    assert derive_seed(1, Stream.TRAINING, 0) == 1189033389
    assert derive_seed(0, Stream.PROPOSAL, 0, 0) == 3141116543


def test_no_configuration_is_drawn_with_the_seed_that_trains_a_trial(
    space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def sampler(*, seed: int) -> RandomSampler:
        drawn.append(seed)
        return RandomSampler(seed=seed)

    monkeypatch.setattr("tuner.search.optuna_searcher.RandomSampler", sampler)
    one_start = replace(space, start=space.start[:1])
    searcher = OptunaSearcher(one_start, None, (1,), seed=0, startup_trials=0, objectives=(DEFAULT_OBJECTIVE,))
    for number in range(8):
        searcher.propose(number)
    assert len(drawn) == 7
    assert not {derive_seed(0, Stream.TRAINING, trial) for trial in range(8)} & set(drawn)
