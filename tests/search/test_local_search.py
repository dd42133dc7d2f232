from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest

from tuner.search.arrays import Floats
from tuner.search.drawing import draw, units_of
from tuner.search.encoding import Encoding
from tuner.search.local_search import LocalSearch, Score
from tuner.search.proposing import Configuration
from tuner.search.space import SearchSpace, Suggest


def layers(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """A number decides which parameters there are."""
    count = trial.suggest_int("layers", 1, 4)
    return {f"rate_{layer}": trial.suggest_float(f"rate_{layer}", 0.0, 1.0) for layer in range(count)}


def limited(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """Half of it is infeasible."""
    hparams = {"x": trial.suggest_float("x", 0.0, 1.0), "y": trial.suggest_float("y", 0.0, 1.0)}
    if hparams["x"] > 0.5:
        raise optuna.TrialPruned("too large")
    return hparams


def place(suggest: Suggest, at: float) -> Configuration:
    """The configuration all of whose parameters lie there."""
    return draw(SearchSpace("place", suggest, start=()), lambda name, distribution: at)


class Climb:
    """From the configurations at some places, all of one space."""

    def __init__(self, suggest: Suggest, score: Score, starts: Sequence[float], *, asks: bool = True) -> None:
        distributions = place(suggest, 1.0).distributions
        rows = Encoding(distributions, np.zeros((1, len(distributions))))
        self.starts = rows.units([units_of(place(suggest, at)) for at in starts])
        self.encoding = Encoding(distributions, self.starts)
        good = [self.encoding.named(start) for start in self.starts]
        space, generator = SearchSpace("climb", suggest, start=()), np.random.default_rng(0)
        search = LocalSearch(space, self.encoding, score, generator, good, asks)
        self.found, self.scores = search.climb(self.starts, score(self.starts))


def first(units: Floats) -> Floats:
    return units[:, 0]


@pytest.mark.parametrize("asks", [True, False])
def test_where_a_number_decides_what_is_climbed_to_has_what_the_space_asks_for(asks: bool) -> None:
    climb = Climb(layers, first, [1.0, 0.0, 0.3], asks=asks)
    counts = np.rint(4 * climb.found[:, 0] + 0.5)
    assert counts.max() > 2 > np.rint(4 * climb.starts[1:, 0] + 0.5).min()
    assert ((~np.isnan(climb.found[:, 1:])).sum(axis=1) == counts).all() == asks


def test_what_a_move_brings_along_begins_as_in_the_best_that_has_it() -> None:
    def kept(units: Floats) -> Floats:
        """Each rate that lies where the first configuration has it counts, and the layers a little."""
        result: Floats = np.where(np.isnan(units[:, 1:]), 0.0, 10.0 * (np.abs(units[:, 1:] - 0.8) < 1e-9)).sum(axis=1)
        return result + units[:, 0]

    climb = Climb(layers, kept, [0.8, 0.1])
    assert climb.starts[1, 0] == 0.125
    assert climb.found[1, 0] > 0.125
    assert climb.found[1, 2] == pytest.approx(0.8)


def test_a_start_stays_on_the_feasible_side_and_comes_nearer_to_the_constraint() -> None:
    climb = Climb(limited, first, [0.1, 0.2, 0.3, 0.4])
    assert (climb.found[:, 0] <= 0.5).all()
    assert (climb.found[:, 0] > climb.starts[:, 0]).all()
    assert climb.found[:, 0].max() > 0.45
    assert (climb.scores == climb.found[:, 0]).all()
    unasked = Climb(limited, first, [0.1, 0.2, 0.3, 0.4], asks=False)
    assert (unasked.found[:, 0] > 0.5).any()


def test_it_never_gets_worse_and_leaves_its_starts_alone() -> None:
    def middle(units: Floats) -> Floats:
        result: Floats = -np.abs(units - 0.3).sum(axis=1)
        return result

    starts = [0.0, 0.1, 0.25, 0.3]
    climb = Climb(limited, middle, starts)
    assert (climb.starts == np.array(starts)[:, None]).all()
    assert (climb.scores >= middle(climb.starts)).all()
    assert climb.scores.min() > -0.2
