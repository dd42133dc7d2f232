"""What an epoch of a configuration takes: a Gaussian process over the logarithms of the seconds of those timed.

An improvement is looked for where it is had soonest: the expected improvement is divided by the predicted cost, as in
Snoek et al., "Practical Bayesian Optimization of Machine Learning Algorithms", NeurIPS 2012, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tuner.search.arrays import Floats
from tuner.search.encoding import Encoding
from tuner.search.gaussian_process import Posterior, Prior, Results
from tuner.search.refitted import Refitted
from tuner.search.results_table import ResultsTable

COST_WEIGHT = 0.5
"""The power of the cost by which an expected improvement is divided, where time is short and trials have equal epochs.

Chosen by simulation, docs/search-evidence.md: with 1 the search stays too long with what is cheap. Where the dearer a
trial, the fewer its epochs, less of its cost is left to weigh.
"""
LEAST_TIMED = 6
"""Trials that were timed, before anything is predicted."""
_MOST_TIMED = 120
"""Trials of which the process is made, every so many if there are more: costs are smooth, and hardly scattered."""
_PRIOR = Prior(noise=(np.log(0.003), 1.5))
"""Two trainings of the same network differ by a few per cent."""


class CostModel:
    """Predicts by how much dearer than usual configurations are."""

    def __init__(self, table: ResultsTable, growth: float) -> None:
        """Learn from the times in `table`; hyperparameters are found anew when there are `growth` times as many."""
        self._table = table
        self._refitted = Refitted(_PRIOR, LEAST_TIMED, growth)

    def log_cost(self, encoding: Encoding) -> Callable[[Floats], Floats] | None:
        """Return what tells the logarithm of the cost of places [n, parameters], [n]; None if too few were timed.

        They are known but for a constant, the same for all of them.
        """
        timed = self._table.timed
        if timed < LEAST_TIMED:
            return None

        def results_of(count: int) -> Results:
            rows, seconds = self._table.times(count)
            chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_TIMED)).astype(np.int64))
            points = encoding.points(self._table.units()[rows[chosen]])
            logarithms = np.log(np.maximum(seconds[chosen], 1e-6))
            return Results(points, np.zeros(len(chosen)), logarithms - np.median(logarithms))

        posterior = Posterior(results_of(timed), encoding.groups, self._refitted.of(timed, encoding, results_of))
        return lambda units: posterior.mean(encoding.points(units))
