"""Making promising candidates better: from each of several starts the best of some moves is made, again and again.

Which moves are feasible, and which parameters come with them, only the space knows. To ask it takes longer than to
ask the model, so it is asked about the best moves alone, and only where numbers matter to it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tuner.search.arrays import Floats, Ints
from tuner.search.drawing import near, places
from tuner.search.encoding import Encoding
from tuner.search.space import SearchSpace

Score = Callable[[Floats], Floats]
"""What places in the unit intervals [n, parameters] promise, [n]."""

_MOVES = 20
"""Of the numbers of a start, in a round."""
_ROUNDS = (0.2, 0.1, 0.05, 0.025)
"""Widths of these moves, round by round, in shares of a parameter's range."""
_ASKED = 4
"""Of the moves of a start in a round, the best so many are asked about at most, until one is made."""


@dataclass(frozen=True)
class LocalSearch:
    """A climb to where `score` is highest nearby."""

    space: SearchSpace
    encoding: Encoding
    score: Score
    generator: np.random.Generator
    good: Sequence[dict[str, float]]
    """Places of good configurations, the best first: what a move adds begins as in the first that has it."""
    asks_about_numbers: bool
    """Whether a moved number may make a configuration infeasible, or one with other parameters."""

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
        ranked, rows = np.argsort(-found, axis=1, kind="stable"), np.arange(len(units))
        for place in range(_ASKED if self.asks_about_numbers else 1):
            best = ranked[rows, place]
            better = found[rows, best] > scores[rows]
            rows, best = rows[better], best[better]
            if self.asks_about_numbers:
                rows = self._go(units, scores, rows, moves[rows, best])
            else:
                units[rows], scores[rows] = moves[rows, best], found[rows, best]

    def _go(self, units: Floats, scores: Floats, rows: Ints, moves: Floats) -> Ints:
        """Let the starts `rows` [m] make these moves [m, parameters] where the space allows it and they improve.

        Return those of the rows that stay.
        """
        asked = [self._completed(move) for move in moves]
        feasible = np.array([move is not None for move in asked], dtype=bool)
        if not feasible.any():
            return rows
        completed = np.array([move for move in asked if move is not None])
        found = self.score(completed)
        better = found > scores[rows[feasible]]
        going = rows[feasible][better]
        units[going], scores[going] = completed[better], found[better]
        return np.setdiff1d(rows, going)

    def _completed(self, move: Floats) -> Floats | None:
        """Return a configuration [parameters] with all that the space asks for, and no more; None if infeasible."""
        known = ChainMap(self.encoding.named(move), *self.good)
        found = places(self.space, near(known, self.generator, 0.0, 0.0))
        if found is None:
            return None
        completed: Floats = self.encoding.units([found])[0]
        return completed
