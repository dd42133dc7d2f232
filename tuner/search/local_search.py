"""Making promising candidates better: from each of several starts the best of some moves is made, again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tuner.search.arrays import Floats
from tuner.search.encoding import Encoding

Score = Callable[[Floats], Floats]
"""What places in the unit intervals [n, parameters] promise, [n]."""

_MOVES = 20
"""Of the numbers of a start, in a round."""
_ROUNDS = (0.2, 0.1, 0.05, 0.025)
"""Widths of these moves, round by round, in shares of a parameter's range."""


@dataclass(frozen=True)
class LocalSearch:
    """A climb to where `score` is highest nearby."""

    encoding: Encoding
    score: Score
    generator: np.random.Generator

    def climb(self, units: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """Return where starts at `units` [n, parameters] with these `scores` [n] come to, and the scores there."""
        units, scores = units.copy(), scores.copy()
        for width in _ROUNDS if self.encoding.has_numbers else ():
            self._move_numbers(units, scores, width)
        return units, scores

    def _move_numbers(self, units: Floats, scores: Floats, width: float) -> None:
        """Let each start make the best of some moves of its numbers, if it is an improvement."""
        moves = self.encoding.moved(np.repeat(units, _MOVES, axis=0), self.generator, width)
        found = self.score(moves).reshape(len(units), _MOVES)
        moves = moves.reshape(len(units), _MOVES, -1)
        rows, best = np.arange(len(units)), found.argmax(axis=1)
        better = found[rows, best] > scores
        rows, best = rows[better], best[better]
        units[rows], scores[rows] = moves[rows, best], found[rows, best]
