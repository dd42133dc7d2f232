"""Hyperparameters of a Gaussian process that are found anew only when there are enough more results.

At which numbers of results depends on nothing else, so a search that was replayed has the same.
"""

from __future__ import annotations

from collections.abc import Callable

from tuner.search.encoding import Encoding
from tuner.search.gaussian_process import Hyperparameters, Prior, Results, fit


class Refitted:
    """The hyperparameters found last, and of what."""

    def __init__(self, prior: Prior, first: int, growth: float) -> None:
        """Find them by this `prior` from `first` results, and again from `growth` times as many."""
        self._prior = prior
        self._first = first
        self._growth = growth
        self.found: Hyperparameters | None = None
        """The last that were found."""
        self._found_for: tuple[int, tuple[str, ...]] | None = None

    def of(self, count: int, encoding: Encoding, results_of: Callable[[int], Results]) -> Hyperparameters:
        """Return the hyperparameters when `count` results are known; `results_of` gives the first so many of them."""
        due = self._first
        while (following := int(due * self._growth) + 1) <= count:
            due = following
        if self.found is None or self._found_for != (due, encoding.names):
            self.found = fit(results_of(due), encoding.groups, self._prior)
            self._found_for = due, encoding.names
        return self.found
