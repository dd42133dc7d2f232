"""One Gaussian process over the results of all rungs proposes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tuner.search.arrays import Floats, Ints
from tuner.search.candidates import Candidates
from tuner.search.convergence import FULL_TRAININGS, as_told
from tuner.search.cost_model import CostModel
from tuner.search.distributions import distributions_of
from tuner.search.drawing import Answer, at_random, draw, units_of
from tuner.search.encoding import Encoding
from tuner.search.enumerating import untried
from tuner.search.gaussian_process import Hyperparameters, Posterior, Prior, Results
from tuner.search.improvement import log_expected_improvement
from tuner.search.objective import Objective
from tuner.search.prior import UserPrior
from tuner.search.proposing import ATTEMPTS, MOST_INFEASIBLE, is_new, proposal_of, start_proposal
from tuner.search.refitted import Refitted
from tuner.search.report import score_of
from tuner.search.results_table import ResultsTable
from tuner.search.rules import TODAYS, Rules
from tuner.search.searcher import NO_METRICS
from tuner.search.seeds import Stream, derive_seed
from tuner.search.space import SearchSpace
from tuner.search.trial import Origin, Proposal, TrialState
from tuner.search.tried import Tried
from tuner.search.warm_start import FittedTrial
from tuner.search.warp import warped

MIN_RESULTS = 6
"""Results that the process needs before it proposes."""
_TOPS = 10
"""Of the best trials, how many are looked around."""
_FEWER_TO_TELL = 3
"""Times fewer starts to find what improves most, where that is only told and something else may be chosen."""


@dataclass(frozen=True)
class Settings:
    """How the process is used; chosen by simulation, see docs/search-evidence.md."""

    startup_trials: int = 12
    """Trials started before the process proposes."""
    random_share: float = 0.05
    """Of the proposals after that, for ever."""
    random_share_of_branches: float = 1 / 3
    """In place of it as long as a parameter that not all configurations have was there, or was not, in fewer trials
    than those at start-up: of a branch that was hardly tried the process believes that it is like the others.
    """
    prior: Prior = field(default_factory=Prior)
    results: int = 320
    """At most so many results are conditioned on, and half as many for finding the hyperparameters."""
    refit: float = 1.1
    """Hyperparameters are found anew when there are so many times the results."""


class GaussianProcessSearcher:
    """Start configurations first, then random ones, then those that may improve most on the best at the last level.

    All results of all levels inform one process, those of paused and stopped trials too; of a running trial
    is believed what is expected of it. A trial that failed or was refused counts as bad at the level it was on the
    way to. What the author of the space believes in draws proposals towards it, the less the more is known. The
    hyperparameters are found from a number of first results that depends on how many there are alone, so that a search
    that was replayed has the same.
    """

    def __init__(
        self,
        space: SearchSpace,
        levels: tuple[int, ...],
        *,
        objective: Objective,
        seed: int,
        startup_trials: int | None = None,
        earlier: Sequence[FittedTrial] = (),
        settings: Settings | None = None,
        tells_improvement: bool = False,
        cost_weight: float = 0.0,
        rules: Rules = TODAYS,
    ) -> None:
        """Propose from `space`; `levels` are the scheduler's, `earlier` trials of another run, which count as started.

        `startup_trials` is in place of that of the `settings`. With `tells_improvement` a proposal of the model says
        what is to be gained, from `FULL_TRAININGS` results at the last level on. What is expected of a configuration
        is divided by what its epochs are expected to take, to the power of `cost_weight`. `rules` are those that
        the run was begun with.
        """
        self._space = space
        self._objective = objective
        self._levels = levels
        self._depths = np.log(np.array(levels) / levels[-1]) / np.log(3.0)
        self._seed = seed
        self._settings = settings or Settings()
        self._tells_improvement = tells_improvement
        self._startup_trials = self._settings.startup_trials if startup_trials is None else startup_trials
        self.table = ResultsTable(len(levels))
        """What was seen."""
        self._prior = UserPrior.of(space)
        self._candidates = Candidates(space, seed, self._prior, rules)
        self._next_level: dict[int, int] = {}
        """By trial, how many levels it has reached."""
        self._running: dict[int, None] = {}
        """In the order in which they began to run."""
        self._tried = Tried(rounds=rules.rounds_tried)
        self._infeasible = 0
        """Of the last proposals, how many in a row were infeasible."""
        self._refitted = Refitted(self._settings.prior, MIN_RESULTS, self._settings.refit)
        self._cost_weight = cost_weight
        self._rules = rules
        self._costs = CostModel(self.table, self._settings.refit)
        self._earlier = len(earlier)
        for place, fitted in enumerate(earlier, 1):
            self._learn(-place, fitted)

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """The last that were found for the process."""
        return self._refitted.found

    def propose(self, number: int) -> Proposal | None:
        """See `Searcher.propose`; raises SpaceError if the space fails."""
        proposal = start_proposal(self._space, number) if number < len(self._space.start) else self._new(number)
        if proposal is not None:
            self.restore(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        """See `Searcher.restore`."""
        distributions = distributions_of(proposal.distributions)
        self.table.add(proposal.number, proposal.params, distributions)
        if proposal.infeasible is None:
            self._tried.add(proposal.hparams)
        self._infeasible = 0 if proposal.infeasible is None else self._infeasible + 1
        self._next_level[proposal.number] = 0
        self._running[proposal.number] = None

    def asked(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, str]) -> None:
        """See `Searcher.asked`."""
        found = distributions_of(distributions)
        self._space.learn(number, params, found)
        self._tried.add(params)
        self.table.change(number, params, found)

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """See `Searcher.measured`; there is one objective."""

    def timed(self, number: int, seconds: float) -> None:
        """See `Searcher.timed`."""
        self.table.time(number, seconds)

    def reached(self, number: int, level: int, score: float, metrics: Mapping[str, float] = NO_METRICS) -> None:
        """See `Searcher.reached`."""
        at = self._levels.index(level)
        self._next_level[number] = at + 1
        self.table.result(number, at, score)

    def paused(self, number: int) -> None:
        """See `Searcher.paused`."""
        del self._running[number]

    def resumed(self, number: int) -> None:
        """See `Searcher.resumed`."""
        self._running[number] = None

    def ended(
        self, number: int, state: TrialState, score: float | None, metrics: Mapping[str, float] = NO_METRICS
    ) -> None:
        """See `Searcher.ended`; one that completed early would gain nothing until the last level.

        What was pruned without a score was refused: the training, or the space, declared it impossible.
        """
        self._running.pop(number, None)
        reached = self._next_level.pop(number)
        if reached == len(self._levels):
            return
        if state is TrialState.COMPLETE:
            assert score is not None, number
            self.table.result(number, len(self._levels) - 1, score)
        elif state is TrialState.FAILED or score is None:
            self.table.result(number, reached, np.nan)

    def _learn(self, number: int, fitted: FittedTrial) -> None:
        self.table.add(number, {name: fitted.params[name] for name in fitted.searched}, fitted.searched)
        for at, level in enumerate(self._levels):
            best = fitted.best_at(level, self._objective)
            if best is not None:
                self.table.result(number, at, score_of(best, self._objective))

    def _new(self, number: int) -> Proposal | None:
        generator = np.random.default_rng(derive_seed(self._seed, Stream.PROPOSAL, number, 0))
        chance = generator.random()
        if self._is_informed(number) and chance >= self._random_share:
            proposal = self._most_promising(number)
            if proposal is not None:
                return proposal
        return self._random(number, generator)

    @property
    def _random_share(self) -> float:
        trials, _, values = self.table.results(len(self.table))
        # Of a trial that failed or was refused it is known what it asked for, but not what else it would have, and one
        # of an earlier run may have searched less.
        ours = trials >= self._earlier
        told = np.unique(trials[~np.isnan(values) & ours])
        lacking = np.isnan(self.table.units()[told]).sum(axis=0)
        asked = np.unique(trials[ours]) if self._rules.learns_branches_from_failures else told
        present = (~np.isnan(self.table.units()[asked])).sum(axis=0)
        rarer = np.minimum(lacking, present)
        is_unknown = bool(((lacking > 0) & (rarer < self._startup_trials)).any())
        return self._settings.random_share_of_branches if is_unknown else self._settings.random_share

    def _random(self, number: int, generator: np.random.Generator) -> Proposal | None:
        """Return a random configuration that is feasible and new, None if there is none.

        If there is nothing feasible, the last draw with its reason.
        """
        draws = []
        for attempt in range(ATTEMPTS):
            draws.append(draw(self._space, self._answer(number, attempt, generator)))
            if draws[-1].infeasible is None and is_new(self._space, draws[-1], self._tried):
                return proposal_of(number, draws[-1], Origin.RANDOM)
        if any(one.infeasible is None for one in draws):
            left = untried(self._space, self._tried, generator)
            return None if left is None else proposal_of(number, left, Origin.RANDOM)
        return None if self._infeasible >= MOST_INFEASIBLE else proposal_of(number, draws[-1], Origin.RANDOM)

    def _answer(self, number: int, attempt: int, generator: np.random.Generator) -> Answer:
        prior = self._prior
        if prior is not None and prior.is_due(number, attempt) and not self._is_informed(number):
            return prior.around(generator)
        return at_random(generator)

    def _is_informed(self, number: int) -> bool:
        has_begun = number + self._earlier >= self._startup_trials and len(self.table) >= MIN_RESULTS
        return has_begun and bool(self.table.distributions)  # of an objective that asks for nothing there are none

    def _most_promising(self, number: int) -> Proposal | None:
        with _threads().limit(limits=1):  # sums in one order everywhere, and no fight with the trainings for the cores
            encoding = Encoding(self.table.distributions, self.table.units())
            trials, width, results = self._results(encoding, len(self.table), self._settings.results)
            hyperparameters = self._refitted.of(
                len(self.table), encoding, lambda count: self._results(encoding, count, self._settings.results // 2)[2]
            )
            posterior = Posterior(results, encoding.groups, hyperparameters)
            seen = self.table.units()[np.unique(trials)]
            means = posterior.mean(encoding.points(seen))
            best = float(means.max())
            if self._running:
                running = encoding.points(self.table.units(list(self._running)))
                best = max(best, float(posterior.mean(running).max()))
                posterior.believe(running)

            def gain(units: Floats) -> Floats:
                return log_expected_improvement(*posterior.mean_and_deviation(encoding.points(units)), best)

            weights = self._weights(encoding)

            def weighted(units: Floats, gains: Floats) -> Floats:
                return sum((weigh(units) for weigh in weights), gains)

            pool = self._candidates.pool(number, encoding, seen[np.argsort(-means, kind="stable")[:_TOPS]])
            gains = gain(pool.units)
            scores = weighted(pool.units, gains)
            chosen = pool.best(lambda units: weighted(units, gain(units)), scores, self._tried)
            if chosen is None:
                return None
            if not self._tells_improvement or self.table.successes(len(self._levels) - 1) < FULL_TRAININGS:
                return proposal_of(number, chosen, Origin.MODEL)
            told = [chosen]
            if weights and self._rules.tells_most_improvement:
                told.append(pool.best(gain, gains, self._tried, fewer=_FEWER_TO_TELL) or chosen)
            # Above the floor, where whatever improves lies, the warp is a line: a unit is the width.
            improvement = width * np.exp(gain(encoding.units([units_of(one) for one in told])).max())
            return proposal_of(number, chosen, Origin.MODEL, as_told(improvement))

    def _weights(self, encoding: Encoding) -> list[Callable[[Floats], Floats]]:
        """Return by what the expected improvement is multiplied, as logarithms of places: the belief and the cost."""
        weights: list[Callable[[Floats], Floats]] = []
        if self._prior is not None:
            weights.append(self._prior.log_weight(self.table.distributions, len(self.table)))
        log_cost = self._costs.log_cost(encoding) if self._cost_weight else None
        if log_cost is not None:
            weights.append(lambda units: -self._cost_weight * log_cost(units))
        return weights

    def _results(self, encoding: Encoding, count: int, limit: int) -> tuple[Ints, float, Results]:
        """Return at most `limit` of the first `count` results: their trials, their unit, and as the process takes them.

        The unit is in the objective's.
        """
        trials, at, values = self.table.results(count)
        unit, width = warped(trials, at, values, len(self._levels), scales_ties=self._rules.scales_ties)
        chosen = _most_telling(trials, at, unit, limit)
        points = encoding.points(self.table.units()[trials[chosen]])
        return trials[chosen], width, Results(points, self._depths[at[chosen]], unit[chosen])


@cache
def _threads() -> ThreadpoolController:
    """Return what limits the threads of linear algebra, SciPy's too, which loads a library of its own when first used.

    It takes half a second to load, which the first trials need not wait for.
    """
    import_module("scipy.linalg")
    return ThreadpoolController()


def _most_telling(trials: Ints, at: Ints, values: Floats, limit: int) -> Ints:
    """Return the places of at most `limit` results, in order.

    If there are more, of each trial the last alone, then of those half the best, higher levels first, and of the
    others every so many.
    """
    if len(trials) <= limit:
        return np.arange(len(trials))
    last = len(trials) - 1 - np.unique(trials[::-1], return_index=True)[1]
    if len(last) > limit:
        ranked = last[np.lexsort((-values[last], -at[last]))]
        best, others = ranked[: limit // 2], ranked[limit // 2 :]
        spread = others[np.linspace(0, len(others) - 1, limit - len(best)).astype(np.int64)]
        last = np.concatenate((best, spread))
    return np.sort(last)
