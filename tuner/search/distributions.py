"""Reading parameters' distributions, which the journal has as Optuna's JSON; nearly all trials have the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from optuna.distributions import BaseDistribution, json_to_distribution


@lru_cache(maxsize=1024)
def distribution_of(text: str) -> BaseDistribution:
    """Return the distribution, which is shared and not to be changed; raises ValueError or KeyError if it is none."""
    return json_to_distribution(text)


def distributions_of(texts: Mapping[str, str]) -> dict[str, BaseDistribution]:
    """Return the distributions by parameter."""
    return {name: distribution_of(text) for name, text in texts.items()}
