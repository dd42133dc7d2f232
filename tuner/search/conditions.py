"""When a training asks for a parameter and when it does not, learnt from what its trials have asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

Value = float | None
"""Of a parameter, in Optuna's internal form; None: a trial did not ask for it."""
LeftOut = Mapping[str, Mapping[str, frozenset[Value]]]
"""By parameter and by another that decides: the values of the other under which the parameter is not asked for."""

_MOST_VALUES = 32
"""That a whole number may have to be taken for what decides, as a number of layers is."""


class Conditions:
    """What trials have asked for, counted; the work for a trial does not grow with their number."""

    def __init__(self) -> None:
        """Begin without trials."""
        self._trials: dict[int, Mapping[str, Value]] = {}
        self._asked: Counter[str] = Counter()
        """By parameter, how many trials asked for it."""
        self._had: defaultdict[str, Counter[Value]] = defaultdict(Counter)
        """By parameter that may decide, how many trials had which value."""
        self._together: defaultdict[tuple[str, str], Counter[Value]] = defaultdict(Counter)
        """By parameter and another that may decide, how many that asked for the first had which value of the other."""

    def take(self, trial: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Take what a trial has asked for, in place of what it had asked for before."""
        self._count(self._trials.get(trial, {}), -1)
        self._trials[trial] = {name: _deciding(distributions[name], value) for name, value in params.items()}
        self._count(self._trials[trial], 1)

    def left_out(self, names: Iterable[str]) -> LeftOut:
        """Return when parameters are not asked for; `names` are all there are, in the order in which they are drawn.

        If there are parameters by whose values alone it can be told, the one with the fewest decides: of many values
        each is met once, by which any could tell. Else each decides that has a value under which it was never asked
        for.
        """
        found: dict[str, Mapping[str, frozenset[Value]]] = {}
        before: list[str] = []
        for name in names:
            if self._asked[name] < len(self._trials):
                found[name] = self._decided(name, [decider for decider in before if decider in self._had])
            before.append(name)
        return found

    def _decided(self, name: str, deciders: Iterable[str]) -> Mapping[str, frozenset[Value]]:
        never: dict[str, frozenset[Value]] = {}
        clear: dict[str, int] = {}
        for decider in deciders:
            together = self._together[name, decider]
            with_it = together | Counter({None: self._asked[name] - together.total()})
            had = self._had[decider] | Counter({None: len(self._trials) - self._asked[decider]})
            never[decider] = frozenset(value for value in had if not with_it[value])
            if all(with_it[value] in (0, trials) for value, trials in had.items()):
                clear[decider] = len(had)
        if clear:
            best = min(clear, key=lambda decider: clear[decider])
            return {best: never[best]}
        return {decider: values for decider, values in never.items() if values}

    def _count(self, values: Mapping[str, Value], by: int) -> None:
        for decider, value in values.items():
            self._asked[decider] += by
            if value is not None:
                self._had[decider][value] += by
                for name in values:
                    self._together[name, decider][value] += by


def _deciding(distribution: BaseDistribution, value: Any) -> Value:
    """Return a value in Optuna's internal form, None if it can decide nothing."""
    is_count = isinstance(distribution, IntDistribution) and (
        distribution.high - distribution.low < _MOST_VALUES * distribution.step
    )
    if is_count or isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    return None
