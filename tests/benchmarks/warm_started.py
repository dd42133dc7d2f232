"""Searches that begin with the trials of an earlier search, as `--warm-start` does.

The earlier search is the default one with another seed, over the space itself (`warm_same`) or over one that asked for
less (`warm_changed`), and ends after ten full trainings' worth of epochs. Its epochs are not counted in the new
search's budget, nor are its results in the regret: the comparison asks what the new search gains, not whether the two
together pay. What becomes of a parameter that was fixed before is for `tuner.search.warm_start` to say; an earlier
trial's hyperparameters have the fixed value, its parameters have not.

Both searches try the same reference first, as two runs of a user do. It is drawn at random from the earlier space, as
the first trial of a cold search is from its own.

In production, what the earlier run trained of a configuration is not trained again. The simulator trains it again: the
reference and the best of the earlier search, at most two full trainings, which is to the warm search's disadvantage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from tests.benchmarks.ours import search_of
from tests.benchmarks.problem import Problem
from tuner.config import DEFAULT_OBJECTIVE, SearchConfig
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.quiet import quiet_study
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.seeds import derive_seed
from tuner.search.simulator import simulate
from tuner.search.space import Suggest
from tuner.search.trial import Proposal, TrialState

TRAININGS = 10
"""Work of the earlier search, in full trainings."""
_WORKERS = 4
"""Of the earlier search."""
_EARLIER, _REFERENCE = range(2)
"""Streams of the seed."""


def warm_same(problem: Problem, seed: int) -> Search:
    """Return the default search, begun with an earlier one over the same space."""
    return _begun_with(problem.suggest, problem, seed)


def warm_changed(problem: Problem, seed: int) -> Search:
    """Return the default search, begun with one over a space without two parameters and with a narrower range."""
    assert problem.suggest_before is not None
    return _begun_with(problem.suggest_before, problem, seed)


def earlier_trials(suggest: Suggest, problem: Problem, seed: int, reference: Mapping[str, Any]) -> list[EarlierTrial]:
    """Return the trials of a default search over the space of `suggest`, from its end, as its journal would tell."""
    search = search_of(suggest, problem.epochs, seed, SearchConfig(), (reference,))
    trials: dict[int, _Trained] = {}
    for epochs, (observation, proposal) in enumerate(simulate(search, problem.curve, _WORKERS), 1):
        trial = trials.setdefault(proposal.number, _Trained(proposal))
        trial.reports.append(
            EarlierEpoch(observation.epoch, {DEFAULT_OBJECTIVE.metric: observation.value}, 1.0, "simulated")
        )
        trial.is_complete = observation.decision.action is Action.COMPLETE
        if epochs == TRAININGS * problem.epochs:
            break
    return [trials[number].as_earlier() for number in sorted(trials)]


@dataclass
class _Trained:
    proposal: Proposal
    reports: list[EarlierEpoch] = field(default_factory=list)
    is_complete: bool = False

    def as_earlier(self) -> EarlierTrial:
        # A run that is over has pruned what was paused or under way.
        state = TrialState.COMPLETE if self.is_complete else TrialState.PRUNED
        proposal = self.proposal
        # Its seed matters only to a training that is taken over.
        return EarlierTrial(proposal.number, proposal.params, proposal.hparams, 0, state, self.reports, stalled=False)


def _begun_with(suggest: Suggest, problem: Problem, seed: int) -> Search:
    reference = suggest(quiet_study(optuna.samplers.RandomSampler(seed=derive_seed(seed, _REFERENCE))).ask())
    trials = earlier_trials(suggest, problem, derive_seed(seed, _EARLIER), reference)
    warm_start = WarmStart(trials, defaults={}, reusable=True)
    return search_of(problem.suggest, problem.epochs, seed, SearchConfig(), (reference,), warm_start)
