"""Configurations that a model may choose from, the best of all made better.

They are random ones, some near the best so far, and some near what the author of the space believes in, if anything.
A local search begins at the most promising of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuner.search.arrays import Floats
from tuner.search.drawing import Answer, at_random, draw, near, places, units_of
from tuner.search.encoding import Encoding
from tuner.search.local_search import LocalSearch, Score
from tuner.search.prior import UserPrior
from tuner.search.proposing import Configuration
from tuner.search.rules import TODAYS, Rules
from tuner.search.seeds import Stream, derive_seed
from tuner.search.space import SearchSpace
from tuner.search.tried import Tried

_DRAWN, _PROPOSALS = 32, 16
"""Random configurations drawn for a proposal, and how many proposals' are looked at: drawing is most of the cost."""
_NEAR = 32
"""Near the best, and as many near what is believed in."""
_WIDTHS = (0.3, 0.1, 0.03)
"""Of the moves of a parameter, in shares of its range."""
_STARTS, _TOP_STARTS = 15, 5
"""Of the local search: the most promising, and some of the best seen."""
_FEWER = 2
"""Times fewer starts where the space is asked about moves, which costs as much as the other starts would."""
_FINALISTS, _ASKED = 4, 100
"""Configurations among which the last choice is made, and how many the space is asked for at most to find them."""


@dataclass(frozen=True)
class Pool:
    """Candidates for one trial."""

    space: SearchSpace
    encoding: Encoding
    units: Floats
    """[n, parameters], their places in the unit intervals; the best trials so far come last, the best of them first."""
    good: Sequence[dict[str, float]]
    """The places of those by name."""
    generator: np.random.Generator
    asks_about_numbers: bool
    """As in `LocalSearch`."""

    def best(self, score: Score, scores: Floats, tried: Tried, *, fewer: int = 1) -> Configuration | None:
        """Return the most promising configuration, None if all found were tried before.

        `scores` [n] are those of `units`. The local search has so many times `fewer` starts.
        """
        fewer *= _FEWER if self.asks_about_numbers else 1
        best_seen = np.arange(len(self.units) - len(self.good), len(self.units))[: _TOP_STARTS // fewer]
        starts = np.union1d(np.argsort(-scores, kind="stable")[: _STARTS // fewer], best_seen)
        search = LocalSearch(self.space, self.encoding, score, self.generator, self.good, self.asks_about_numbers)
        climbed, climbed_scores = search.climb(self.units[starts], scores[starts])
        # Where all local optima were tried, as in a small space, the best of the others.
        ranked = np.concatenate(
            (climbed[np.argsort(-climbed_scores, kind="stable")], self.units[np.argsort(-scores, kind="stable")])
        )
        finalists = self._new(ranked, tried)
        if not finalists:
            return None
        return finalists[int(score(self.encoding.units([units_of(one) for one in finalists])).argmax())]

    def _new(self, ranked: Floats, tried: Tried) -> list[Configuration]:
        """Return the first few of the ranked places that were not tried, as configurations.

        Asked of the space itself: where ranges or conditions depend on what was moved, it has the last word.
        """
        finalists: dict[str, Configuration] = {}
        for row in ranked[:_ASKED]:
            one = draw(self.space, near(self.encoding.named(row), self.generator, 0.0, 0.0))
            if one.infeasible is None and one.hparams not in tried:
                finalists.setdefault(tried.key(one.hparams), one)
            if len(finalists) == _FINALISTS:
                break
        return list(finalists.values())


class Candidates:
    """Draws candidates from a space; the same for the same seed, number and best."""

    def __init__(self, space: SearchSpace, seed: int, prior: UserPrior | None = None, rules: Rules = TODAYS) -> None:
        """Draw from `space` by streams of `seed`, also around `prior`; `rules` are those of the run."""
        self._space = space
        self._seed = seed
        self._prior = prior
        self._rules = rules
        self._drawn: dict[int, list[dict[str, float] | None]] = {}
        """By number, the places of random configurations; None if infeasible."""
        self._drawn_at = 0
        """After so many changes of the space; after another, who goes on with the search would draw others."""

    def pool(self, number: int, encoding: Encoding, tops: Floats) -> Pool:
        """Return the candidates for trial `number`; `tops` [n, parameters] are the best trials so far, best first."""
        generator = np.random.default_rng(derive_seed(self._seed, Stream.CANDIDATES, number))
        good = [encoding.named(top) for top in tops]
        drawn = self._random(number) + self._near(good, generator)
        if self._prior is not None:
            drawn += self._places(self._prior.around(generator) for _ in range(_NEAR))
        feasible = encoding.units([one for one in drawn if one is not None])
        asks = self._rules.asks_about_moves and (len(feasible) < len(drawn) or encoding.numbers_decide(feasible))
        units = np.concatenate((feasible, tops))
        return Pool(self._space, encoding, units, good, generator, asks)

    def _random(self, number: int) -> list[dict[str, float] | None]:
        if self._drawn_at != self._space.changes:
            self._drawn, self._drawn_at = {}, self._space.changes
        numbers = range(max(0, number - _PROPOSALS + 1), number + 1)
        drawn = {}
        for past in numbers:
            generator = np.random.default_rng(derive_seed(self._seed, Stream.RANDOM_CANDIDATES, past))
            drawn[past] = self._drawn.get(past) or self._places(at_random(generator) for _ in range(_DRAWN))
        self._drawn = drawn
        return [one for past in numbers for one in drawn[past]]

    def _near(
        self, good: Sequence[Mapping[str, float]], generator: np.random.Generator
    ) -> list[dict[str, float] | None]:
        return self._places(
            near(good[index % len(good)], generator, 2.0, _WIDTHS[index % len(_WIDTHS)]) for index in range(_NEAR)
        )

    def _places(self, answers: Iterable[Answer]) -> list[dict[str, float] | None]:
        return [places(self._space, answer) for answer in answers]
