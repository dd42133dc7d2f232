"""How much each hyperparameter mattered, by Optuna's PED-ANOVA over all trials, those that were stopped included.

It looks at nothing but ranks: at how the best trials differ from all (Watanabe et al., IJCAI 2023). A trial ranks by
its best epoch, as for the choice of the winner: one that was better after fewer epochs than another would not be worse
after as many.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from tuner.journal.history import History, TrialHistory
from tuner.search.report import rank
from tuner.search.trial import TrialState

MIN_TRIALS = 20
"""Of fewer nothing can be said."""
_BEST_TRIALS = 5
"""At least so many are compared with the others, as Optuna advises."""
_BEST_SHARE = 0.1
_MOST_BEST = 0.5
"""If a larger share ties with the last of the best, the best are no others than all."""


def importances(history: History) -> dict[str, float]:
    """Return by hyperparameter its share of the importance, which are 1 together, the largest first.

    Empty while fewer than `MIN_TRIALS` trials have finished an epoch, and if nothing was varied, nothing mattered, or
    the best cannot be told from the others.
    """
    standings, ranked = _ranked(history)
    if len(ranked) < MIN_TRIALS or not any(trial.proposed.distributions for trial in ranked):
        return {}
    share = max(_BEST_SHARE, _BEST_TRIALS / len(ranked))
    places = _places(standings)
    last = places[math.ceil(share * len(ranked)) - 1]
    if sum(place <= last for place in places) > _MOST_BEST * len(ranked):
        return {}
    # Only here: it takes long to import, and a small study does without.
    import optuna

    from tuner.search.distributions import distribution_of
    from tuner.search.quiet import quietly

    def frozen(place: int, trial: TrialHistory) -> optuna.trial.FrozenTrial:
        distributions = {
            name: distribution_of(text)
            for name, text in trial.proposed.distributions.items()
            if name in trial.proposed.params
        }
        params = {name: trial.proposed.params[name] for name in distributions}
        return optuna.trial.create_trial(params=params, distributions=distributions, value=float(place))

    with quietly(), warnings.catch_warnings(action="ignore"):
        study = optuna.create_study()
        try:
            study.add_trials([frozen(place, trial) for place, trial in zip(places, ranked, strict=True)])
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # a space that Optuna does not take for one, as after a warm start
            return {}
    known = {str(name): float(value) for name, value in found.items() if value > 0}
    return dict(sorted(known.items(), key=lambda one: (-one[1], one[0])))


def prepare() -> None:
    """Import what `importances` needs, which takes seconds, for who must answer at once when he is asked."""
    import optuna

    optuna.importance.PedAnovaImportanceEvaluator()


def ranked_trials(history: History) -> list[TrialHistory]:
    """Return the trials that finished an epoch and did not fail, the best first, of equals the earlier one."""
    return _ranked(history)[1]


_Standing = tuple[float, float]
"""Of a trial's best epoch, as `rank` has it."""


def _ranked(history: History) -> tuple[list[_Standing], list[TrialHistory]]:
    """Return the standings and the trials of `ranked_trials`."""
    trials = (one for _, one in sorted(history.trials.items()) if one.state is not TrialState.FAILED)
    known = [(rank(best, history.objective), one) for one in trials if (best := one.best) is not None]
    known.sort(key=lambda pair: pair[0], reverse=True)
    return [standing for standing, _ in known], [trial for _, trial in known]


def _places(standings: Sequence[_Standing]) -> list[int]:
    """Return of each the place of the first of its equals: their order says nothing."""
    first: dict[_Standing, int] = {}
    return [first.setdefault(standing, place) for place, standing in enumerate(standings)]
