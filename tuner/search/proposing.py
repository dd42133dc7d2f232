"""What all searchers do alike: begin with the start configurations, and write a proposal down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json

from tuner.search.plain import plain
from tuner.search.space import SearchSpace
from tuner.search.trial import Origin, Proposal
from tuner.search.tried import Tried

ATTEMPTS = 100
"""Draws that may repeat earlier configurations, or be infeasible, before what is left is looked for one by one."""
MOST_INFEASIBLE = 3
"""Proposals in a row without one feasible draw, after which the space counts as exhausted."""


@dataclass(frozen=True)
class Configuration:
    """One answer of the space."""

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    hparams: Mapping[str, Any]
    infeasible: str | None = None
    """Why the space refused it; `hparams` is then empty."""


def start_proposal(space: SearchSpace, number: int) -> Proposal:
    """Return the start configuration of that number as a proposal; raises SpaceError if the space fails."""
    trial, hparams = space.answer(space.start[number], number)
    return proposal_of(number, Configuration(trial.params, trial.distributions, hparams), Origin.START)


def is_new(space: SearchSpace, configuration: Configuration, tried: Tried) -> bool:
    """Whether a configuration was not tried.

    Of a space that is not known yet nothing is proposed, and each trial draws for itself.
    """
    hparams = configuration.hparams
    return hparams not in tried or (space.is_learned and not hparams)


def proposal_of(
    number: int, configuration: Configuration, origin: Origin, expected_improvement: float | None = None
) -> Proposal:
    """Return a configuration as the proposal of a trial."""
    as_json = {name: distribution_to_json(one) for name, one in configuration.distributions.items()}
    params, hparams = plain(configuration.params), configuration.hparams
    return Proposal(number, params, as_json, hparams, origin, configuration.infeasible, expected_improvement)
