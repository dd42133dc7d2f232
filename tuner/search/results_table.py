"""What a search has seen, as arrays: where each trial lies in the space and what it was worth at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from tuner.search.arrays import Floats, Ints
from tuner.search.unit import to_unit


class ResultsTable:
    """Trials and results in the order in which they came; no result is ever taken out or changed."""

    def __init__(self, levels: int) -> None:
        """Begin without trials; results come at so many levels."""
        self._levels = levels
        self.distributions: dict[str, BaseDistribution] = {}
        """By name, of each parameter met so far, the first that was met."""
        self._rows: dict[int, int] = {}
        """By trial, its row."""
        self._units = np.empty((0, 0))
        self._trials: list[int] = []
        self._at: list[int] = []
        self._values: list[float] = []
        self._timed: list[int] = []
        self._seconds: list[float] = []

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self._values)

    def add(self, trial: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Enter a trial."""
        self._rows[trial] = len(self._rows)
        self.change(trial, params, distributions)

    def change(self, trial: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Put a trial where these parameters are, in place of those it was entered with.

        A place is one in the range that the trial itself had, as those of candidates are: a range may depend on other
        parameters.
        """
        for name in params:
            self.distributions.setdefault(name, distributions[name])
        self._grow()
        places = {name: to_unit(distributions[name], value) for name, value in params.items()}
        self._units[self._rows[trial], : len(self.distributions)] = [
            places.get(name, np.nan) for name in self.distributions
        ]

    def result(self, trial: int, level: int, value: float) -> None:
        """Enter what a trial was worth at a level, counted from 0; NaN if it failed on the way there."""
        self._trials.append(self._rows[trial])
        self._at.append(level)
        self._values.append(value)

    def time(self, trial: int, seconds: float) -> None:
        """Enter what an epoch of a trial took; once for a trial."""
        self._timed.append(self._rows[trial])
        self._seconds.append(seconds)

    @property
    def timed(self) -> int:
        """How many trials were timed."""
        return len(self._timed)

    def times(self, count: int) -> tuple[Ints, Floats]:
        """Return of the first `count` timed trials rows and seconds of an epoch."""
        return np.array(self._timed[:count], dtype=np.int64), np.array(self._seconds[:count], dtype=np.float64)

    def successes(self, level: int) -> int:
        """Return how many trials were worth something at a level, counted from 0: not those that failed before it."""
        return sum(at == level and not np.isnan(value) for at, value in zip(self._at, self._values, strict=True))

    def units(self, trials: Sequence[int] | None = None) -> Floats:
        """Return [trials, parameters], places in the unit interval; NaN where a trial has no such parameter."""
        rows = slice(len(self._rows)) if trials is None else [self._rows[trial] for trial in trials]
        return self._units[rows, : len(self.distributions)]

    def results(self, count: int) -> tuple[Ints, Ints, Floats]:
        """Return the first `count` results: rows of trials, levels and values."""
        return (
            np.array(self._trials[:count], dtype=np.int64),
            np.array(self._at[:count], dtype=np.int64),
            np.array(self._values[:count], dtype=np.float64),
        )

    def _grow(self) -> None:
        rows, columns = len(self._rows) - len(self._units), len(self.distributions) - self._units.shape[1]
        if rows > 0 or columns > 0:
            more = (0, len(self._rows) if rows > 0 else 0), (0, max(columns, 0))
            self._units = np.pad(self._units, more, constant_values=np.nan)
