"""How much each hyperparameter mattered, by Optuna's PED-ANOVA over all trials, those that were stopped included.

Trials trained for different numbers of epochs cannot be compared by their values. They are ranked as the scheduler
ranks them: who came to a higher rung is better, and of those that came to the same rung, who was better there.
PED-ANOVA (Watanabe et al., IJCAI 2023) looks at nothing but ranks: at how the best trials differ from all.
"""

from __future__ import annotations

import math
import warnings

from tuner.journal.history import History, TrialHistory
from tuner.results.summary import pace_of, rung_epochs
from tuner.search.trial import TrialState

MIN_TRIALS = 20
"""Of fewer nothing can be said."""
_BEST_TRIALS = 5
"""At least so many are compared with the others, as Optuna advises."""
_BEST_SHARE = 0.1


def importances(history: History) -> dict[str, float]:
    """Return by hyperparameter its share of the importance, which are 1 together, the largest first.

    Empty while fewer than `MIN_TRIALS` trials have finished an epoch, and if nothing was varied or nothing mattered.
    """
    ranked = ranked_trials(history)
    if len(ranked) < MIN_TRIALS or not any(trial.proposed.distributions for trial in ranked):
        return {}
    # Only here: it takes long to import, and a small study does without.
    import optuna

    from tuner.search.distributions import distribution_of
    from tuner.search.quiet import quietly

    def frozen(rank: int, trial: TrialHistory) -> optuna.trial.FrozenTrial:
        distributions = {
            name: distribution_of(text)
            for name, text in trial.proposed.distributions.items()
            if name in trial.proposed.params
        }
        params = {name: trial.proposed.params[name] for name in distributions}
        return optuna.trial.create_trial(params=params, distributions=distributions, value=float(rank))

    with quietly(), warnings.catch_warnings(action="ignore"):
        study = optuna.create_study()
        try:
            study.add_trials([frozen(rank, trial) for rank, trial in enumerate(ranked)])
            share = max(_BEST_SHARE, _BEST_TRIALS / len(ranked))
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
    """Return the trials that finished an epoch and did not fail, the best first."""
    levels, pace = rung_epochs(history), pace_of(history)
    trials = [one for _, one in sorted(history.trials.items()) if one.epochs and one.state is not TrialState.FAILED]

    def rank(trial: TrialHistory) -> tuple[int, float, int]:
        best = trial.best
        assert best is not None, trial.number
        reached = sum((pace.epoch_at(trial.number, level) or math.inf) <= max(trial.epochs) for level in levels)
        score = history.objective.score(best.metrics[history.objective.metric])
        return -reached, -score, trial.number

    return sorted(trials, key=rank)
