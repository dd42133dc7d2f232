"""Configurations as points, such that distances mean something where parameters are conditional or categorical.

A number is one column, its place in the unit interval; a category is one column for each choice, so that two choices
are one apart; a parameter that not all configurations have gets a column that says whether it is there, and where it
is not it lies in the middle. Parameters that always come together share that column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from tuner.search.arrays import Floats, Ints
from tuner.search.unit import snapped

_CHOICE = np.sqrt(0.5)
"""Two columns differ by it where two choices differ."""


class Encoding:
    """Columns for the parameters of some configurations."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], units: Floats) -> None:
        """Make columns for `distributions`; `units` [n, parameters] shows which of them are not always there."""
        self._distributions = dict(distributions)
        self._is_number = np.array([not _choices(one) for one in distributions.values()], dtype=bool)
        missing = np.isnan(units)
        # Not by np.unique, which sorts columns as long as there are trials, at each proposal.
        first = {missing[:, place].tobytes(): place for place in reversed(range(missing.shape[1]))}
        self._flags: list[int] = [place for place in sorted(first.values()) if missing[:, place].any()]
        names = []
        for name, distribution in self._distributions.items():
            names += [name] * (_choices(distribution) or 1)
        names += [f"has {list(self._distributions)[place]}" for place in self._flags]
        self.names: tuple[str, ...] = tuple(dict.fromkeys(names))
        """Of the groups of columns that share a length scale."""
        places = {name: place for place, name in enumerate(self.names)}
        self.groups: Ints = np.array([places[name] for name in names], dtype=np.int64)
        """[columns], the group of each."""

    def units(self, configurations: Sequence[Mapping[str, float]]) -> Floats:
        """Return [n, parameters], places in the unit interval; NaN where there is no such parameter."""
        return np.array([[one.get(name, np.nan) for name in self._distributions] for one in configurations]).reshape(
            len(configurations), len(self._distributions)
        )

    def named(self, row: Floats) -> dict[str, float]:
        """Return the places of one configuration [parameters] by name."""
        return {name: float(unit) for name, unit in zip(self._distributions, row, strict=True) if not np.isnan(unit)}

    def points(self, units: Floats) -> Floats:
        """Return [n, columns] of places [n, parameters]."""
        columns = []
        missing = np.isnan(units)
        filled = np.where(missing, 0.5, units)
        for place, distribution in enumerate(self._distributions.values()):
            choices = _choices(distribution)
            if not choices:
                columns.append(filled[:, place])
            else:
                chosen = np.minimum(np.floor(filled[:, place] * choices), choices - 1)
                chosen[missing[:, place]] = -1
                columns += [_CHOICE * (chosen == choice) for choice in range(choices)]
        columns += [np.where(missing[:, place], 0.0, 1.0) for place in self._flags]
        return np.stack(columns, axis=1)

    def numbers_decide(self, units: Floats) -> bool:
        """Whether categories alone do not tell which parameters each of some configurations [n, parameters] has.

        Two that have the same categories in the places before that of a parameter show it, if one of them has the
        parameter and one has not. What it depends on was asked for before it, but has a later place if a trial before
        had the parameter without that: then categories may be taken for numbers. Missed is what no two show, and the
        space is not asked then: of configurations with many switches hardly two have the same categories.
        """
        for place in self._flags:
            kinds = [row.tobytes() for row in units[:, np.flatnonzero(~self._is_number[:place])]]
            missing = np.isnan(units[:, place]).tolist()
            if len(set(zip(kinds, missing, strict=True))) > len(set(kinds)):
                return True
        return False

    @property
    def has_numbers(self) -> bool:
        """Whether there is anything that `moved` could move."""
        return bool(self._is_number.any())

    def moved(self, units: Floats, generator: np.random.Generator, width: float, mutations: float = 2.0) -> Floats:
        """Return places near `units` [n, parameters]: about `mutations` numbers of each, at least one, are moved.

        Categories stay, for what is asked for may depend on them.
        """
        numbers = np.flatnonzero(self._is_number)
        if not len(numbers):
            return units
        moves = (generator.random(units.shape) < mutations / len(numbers)) & self._is_number
        moves[np.arange(len(units)), generator.choice(numbers, len(units))] = True
        stepped = np.clip(units + width * generator.standard_normal(units.shape), 0.0, 1.0)
        for place, distribution in enumerate(self._distributions.values()):
            if self._is_number[place]:
                stepped[:, place] = snapped(distribution, stepped[:, place])
        return np.where(moves, stepped, units)


def _choices(distribution: BaseDistribution) -> int:
    """Return the number of choices of a categorical parameter, 0 for a number."""
    return len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else 0
