"""Optuna proposes, from the highest rung that has enough results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler

from tuner.search.distributions import distributions_of
from tuner.search.drawing import draw
from tuner.search.enumerating import untried
from tuner.search.names import RANDOM, TPE
from tuner.search.objective import Direction, Objective
from tuner.search.prior import UserPrior
from tuner.search.proposing import ATTEMPTS, MOST_INFEASIBLE, Configuration, is_new, proposal_of, start_proposal
from tuner.search.report import EpochReport, score_of
from tuner.search.rules import TODAYS, Rules
from tuner.search.rung_study import RungStudy
from tuner.search.searcher import NO_METRICS
from tuner.search.seeds import Stream, derive_seed
from tuner.search.space import InfeasibleError, SearchSpace
from tuner.search.tpe import tpe_sampler
from tuner.search.trial import Origin, Proposal, TrialState
from tuner.search.tried import Tried
from tuner.search.warm_start import FittedTrial

MIN_RESULTS = 6
"""Results a rung needs before proposals are made from it."""
STARTUP_TRIALS = 25
"""Trials started before the model proposes, if nothing else is said."""
_MODEL_ATTEMPTS = 8
"""Of these, how many a model may make: it does not know what is infeasible, and may go on proposing it."""

SamplerFactory = Callable[[int], BaseSampler]
"""Makes a sampler from a seed."""


SAMPLERS: Mapping[str, SamplerFactory | None] = {TPE: tpe_sampler, RANDOM: None}
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
        startup_trials: int | None = None,
        earlier: Sequence[FittedTrial] = (),
        objectives: Sequence[Objective],
        rules: Rules = TODAYS,
    ) -> None:
        """Propose from `space`; `sampler` None means random throughout; `levels` are the scheduler's.

        `earlier` are trials of another run, which inform the model and count towards the start-up; where a model is of
        several `objectives`, only those of which each is known do. By the first of the objectives the scheduler
        compares; the others are metrics of the epoch that is best by the first, or measures of the model.
        `rules` are those that the run was begun with.
        """
        self._space = space
        self._prior = UserPrior.of(space)
        self._sampler = sampler
        self._seed = seed
        self._startup_trials = STARTUP_TRIALS if startup_trials is None else startup_trials
        self._objective = objectives[0]
        self._others = tuple(one.metric for one in objectives[1:])
        directions: list[Direction] = [
            "maximize",
            *(one.direction for one in objectives[1:]),
        ]  # of the first, the score
        self._studies = {level: RungStudy(directions) for level in levels}
        self._waiting: dict[int, list[int]] = {}
        """By trial, the levels it has not reached."""
        self._measures: dict[int, Mapping[str, float]] = {}
        """By trial, what was measured of its model."""
        self._forgotten: set[int] = set()
        """Paused trials of which the levels above know nothing."""
        self._tried = Tried(rounds=rules.rounds_tried)
        self._infeasible = 0
        """Of the last proposals, how many in a row were infeasible."""
        known = [one for one in earlier if self._values_beside(one.trial.best(self._objective), one) is not None]
        self._earlier = len(known)
        for place, fitted in enumerate(known, 1):
            self._learn(-place, fitted)

    @property
    def studies(self) -> Mapping[int, RungStudy]:
        """By level, the results there."""
        return self._studies

    def propose(self, number: int) -> Proposal | None:
        """See `Searcher.propose`; raises SpaceError if the space fails."""
        is_start = number < len(self._space.start)
        proposal = start_proposal(self._space, number) if is_start else self._new_proposal(number)
        if proposal is not None:
            self.restore(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        """See `Searcher.restore`."""
        distributions = distributions_of(proposal.distributions)
        if proposal.infeasible is None:
            self._tried.add(proposal.hparams)
        self._infeasible = 0 if proposal.infeasible is None else self._infeasible + 1
        self._waiting[proposal.number] = list(self._studies)
        self._measures[proposal.number] = {}
        for study in self._studies.values():
            study.start(proposal.number, proposal.params, distributions)

    def asked(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, str]) -> None:
        """See `Searcher.asked`."""
        found = distributions_of(distributions)
        self._space.learn(number, params, found)
        self._tried.add(params)
        for level in self._waiting[number]:
            self._studies[level].ask_again(number, params, found)

    def timed(self, number: int, seconds: float) -> None:
        """See `Searcher.timed`; what trials cost is not asked."""

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """See `Searcher.measured`."""
        self._measures[number] = measures

    def reached(self, number: int, level: int, score: float, metrics: Mapping[str, float] = NO_METRICS) -> None:
        """See `Searcher.reached`."""
        self._waiting[number].remove(level)
        self._tell(number, level, score, metrics)

    def paused(self, number: int) -> None:
        """See `Searcher.paused`.

        With one objective the trial goes on as RUNNING above: proposals keep away from what did not get there. With
        several it may be on the front, and they must not.
        """
        if self._others:
            self._forgotten.add(number)
            for level in self._waiting[number]:
                self._studies[level].end(number, TrialState.FAILED)

    def resumed(self, number: int) -> None:
        """See `Searcher.resumed`."""
        if number in self._forgotten:
            self._forgotten.remove(number)
            for level in self._waiting[number]:
                self._studies[level].start_again(number)

    def ended(
        self, number: int, state: TrialState, score: float | None, metrics: Mapping[str, float] = NO_METRICS
    ) -> None:
        """See `Searcher.ended`.

        A trial that completed before the last level (no progress for `patience` epochs) is worth the same at every
        level above, for it would gain nothing there. One that was stopped is worse than those that got there, by the
        first objective; if there are others, nothing follows for the front.
        """
        self.resumed(number)
        if self._others and state is TrialState.PRUNED:
            state = TrialState.FAILED
        for level in self._waiting.pop(number):
            if state is TrialState.COMPLETE:
                assert score is not None, number
                self._tell(number, level, score, metrics)
            else:
                self._studies[level].end(number, state)
        del self._measures[number]

    def _values(self, known: Mapping[str, float]) -> tuple[float, ...] | None:
        """Return the values in the objectives beside the first; None if one is not known."""
        if any(name not in known for name in self._others):
            return None
        return tuple(known[name] for name in self._others)

    def _values_beside(self, epoch: EpochReport, fitted: FittedTrial) -> tuple[float, ...] | None:
        return self._values({**epoch.metrics, **fitted.trial.measures})

    def _tell(self, number: int, level: int, score: float, metrics: Mapping[str, float]) -> None:
        beside = self._values({**metrics, **self._measures[number]})
        if beside is None:
            self._studies[level].end(number, TrialState.FAILED)  # nothing can be learnt from a score alone
        else:
            self._studies[level].complete(number, score, *beside)

    def _learn(self, number: int, fitted: FittedTrial) -> None:
        """Enter an earlier trial, under a number that no trial of this search has.

        It says nothing of the levels it did not reach, also if it was stopped below: of many such trials TPE counts so
        many as good that it learns little (measured in docs/search-evidence.md).
        """
        params = {name: fitted.params[name] for name in fitted.searched}
        for level, study in self._studies.items():
            best = fitted.best_at(level, self._objective)
            beside = None if best is None else self._values_beside(best, fitted)
            if best is not None and beside is not None:
                study.start(number, params, fitted.searched)
                study.complete(number, score_of(best, self._objective), *beside)

    def _new_proposal(self, number: int) -> Proposal | None:
        """Return a configuration that is feasible and new.

        None if there is none. If there is nothing feasible, the last draw with its reason.
        """
        refused: Proposal | None = None
        is_repeating = False
        for attempt in range(ATTEMPTS):
            configuration, origin = self._sampled(number, attempt, is_repeating)
            if configuration.infeasible is not None:
                refused = proposal_of(number, configuration, origin)
            elif is_new(self._space, configuration, self._tried):
                return proposal_of(number, configuration, origin)
            else:
                is_repeating = True
        if is_repeating:
            seed = derive_seed(self._seed, Stream.PROPOSAL, number, ATTEMPTS)
            left = untried(self._space, self._tried, np.random.default_rng(seed))
            return None if left is None else proposal_of(number, left, Origin.RANDOM)
        return None if self._infeasible >= MOST_INFEASIBLE else refused

    def _sampled(self, number: int, attempt: int, is_repeating: bool) -> tuple[Configuration, Origin]:
        seed = derive_seed(self._seed, Stream.PROPOSAL, number, attempt)
        informed = [study for study in self._studies.values() if study.completed >= MIN_RESULTS]
        is_starting_up = number + self._earlier < self._startup_trials
        if self._sampler is None or is_starting_up or not informed:
            if self._prior is not None and self._prior.is_due(number, attempt):
                return draw(self._space, self._prior.around(np.random.default_rng(seed))), Origin.RANDOM
        # A model that repeats itself would go on repeating itself: after one repetition, chance decides.
        elif not is_repeating and attempt < _MODEL_ATTEMPTS:
            return self._asked_of(informed[-1], self._sampler(seed)), Origin.MODEL
        return self._asked_of(next(iter(self._studies.values())), RandomSampler(seed=seed)), Origin.RANDOM

    def _asked_of(self, study: RungStudy, sampler: BaseSampler) -> Configuration:
        try:
            return Configuration(*study.sample(sampler, self._space.hparams_of))
        except InfeasibleError as error:
            return Configuration(error.params, error.distributions, {}, error.reason)
