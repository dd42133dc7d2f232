"""Optuna proposes, from the highest rung that has enough results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler

from tuner.search.rung_study import RungStudy
from tuner.search.seeds import derive_seed
from tuner.search.space import SearchSpace
from tuner.search.tpe import tpe_sampler
from tuner.search.trial import Origin, Proposal, TrialState, canonical
from tuner.search.warm_start import FittedTrial

MIN_RESULTS = 6
"""Results a rung needs before proposals are made from it."""
_ATTEMPTS = 100
"""Draws that may repeat earlier configurations before the space counts as exhausted."""

SamplerFactory = Callable[[int], BaseSampler]
"""Makes a sampler from a seed."""


def gp_sampler(seed: int) -> BaseSampler:
    """Return a Gaussian process with expected improvement; it takes seconds where `tpe` takes milliseconds."""
    return GPSampler(
        seed=seed,
        n_startup_trials=0,
        independent_sampler=tpe_sampler(seed),  # for conditional parameters, which the process does not know
        warn_independent_sampling=False,
    )


SAMPLERS: Mapping[str, SamplerFactory | None] = {"tpe": tpe_sampler, "gp": gp_sampler, "random": None}
"""By the public name of the searcher; None never models."""


class OptunaSearcher:
    """Start configurations first, then random ones, then an Optuna sampler's; see `Searcher` for the contract.

    The start-up counts trials started, not finished, so that many workers do not stretch it (ray#52535). No
    configuration is proposed twice (optuna#2021).
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: SamplerFactory | None,
        levels: tuple[int, ...],
        *,
        seed: int,
        startup_trials: int,
        earlier: Sequence[FittedTrial] = (),
    ) -> None:
        """Propose from `space`; `sampler` None means random throughout; `levels` are the scheduler's.

        `earlier` are trials of another run, which inform the model and count towards the start-up.
        """
        self._space = space
        self._sampler = sampler
        self._seed = seed
        self._startup_trials = startup_trials
        self._studies = {level: RungStudy() for level in levels}
        self._waiting: dict[int, list[int]] = {}
        """By trial, the levels it has not reached."""
        self._seen: set[str] = set()
        self._earlier = len(earlier)
        for place, fitted in enumerate(earlier, 1):
            self._learn(-place, fitted)

    @property
    def studies(self) -> Mapping[int, RungStudy]:
        """By level, the results there."""
        return self._studies

    def propose(self, number: int) -> Proposal | None:
        """See `Searcher.propose`; raises SpaceError if the space fails."""
        proposal = self._start_proposal(number) if number < len(self._space.start) else self._new_proposal(number)
        if proposal is not None:
            self.restore(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        """See `Searcher.restore`."""
        distributions = {name: json_to_distribution(text) for name, text in proposal.distributions.items()}
        self._seen.add(canonical(proposal.hparams))
        self._waiting[proposal.number] = list(self._studies)
        for study in self._studies.values():
            study.start(proposal.number, proposal.params, distributions)

    def reached(self, number: int, level: int, value: float) -> None:
        """See `Searcher.reached`."""
        self._waiting[number].remove(level)
        self._studies[level].complete(number, value)

    def ended(self, number: int, state: TrialState, value: float | None) -> None:
        """See `Searcher.ended`.

        A trial that completed before the last level (no progress for `patience` epochs) is worth the same at every
        level above, for it would gain nothing there.
        """
        for level in self._waiting.pop(number):
            if state is TrialState.COMPLETE:
                assert value is not None, number
                self._studies[level].complete(number, value)
            else:
                self._studies[level].end(number, state)

    def _learn(self, number: int, fitted: FittedTrial) -> None:
        """Enter an earlier trial, under a number that no trial of this search has.

        It says nothing of a level that its own run never asked for; that it was stopped before one, it does say.
        """
        params = {name: fitted.params[name] for name in fitted.searched}
        for level, study in self._studies.items():
            value = fitted.trial.value_at(level)
            if value is not None:
                study.start(number, params, fitted.searched)
                study.complete(number, value)
            elif fitted.trial.state is TrialState.PRUNED:
                study.start(number, params, fitted.searched)
                study.end(number, TrialState.PRUNED)

    def _start_proposal(self, number: int) -> Proposal:
        trial = optuna.trial.FixedTrial(dict(self._space.start[number]), number)
        hparams = self._space.hparams_of(trial)
        return _proposal(number, trial.params, trial.distributions, hparams, Origin.START)

    def _new_proposal(self, number: int) -> Proposal | None:
        for attempt in range(_ATTEMPTS):
            seed = derive_seed(self._seed, number, attempt)
            study, sampler, origin = self._source(number, seed, attempt)
            params, distributions, hparams = study.sample(sampler, self._space.hparams_of)
            if canonical(hparams) not in self._seen:
                return _proposal(number, params, distributions, hparams, origin)
        return None

    def _source(self, number: int, seed: int, attempt: int) -> tuple[RungStudy, BaseSampler, Origin]:
        informed = [study for study in self._studies.values() if study.completed >= MIN_RESULTS]
        # A model that repeats itself would go on repeating itself: after one repetition, chance decides.
        if self._sampler is None or number + self._earlier < self._startup_trials or not informed or attempt > 0:
            return next(iter(self._studies.values())), RandomSampler(seed=seed), Origin.RANDOM
        return informed[-1], self._sampler(seed), Origin.MODEL


def _proposal(
    number: int,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    hparams: Mapping[str, Any],
    origin: Origin,
) -> Proposal:
    as_json = {name: distribution_to_json(distribution) for name, distribution in distributions.items()}
    return Proposal(number, dict(params), as_json, dict(hparams), origin)
