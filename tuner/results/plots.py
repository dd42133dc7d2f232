"""A run's figures for notebooks: those of the report, made by the same functions."""

from __future__ import annotations

from dataclasses import dataclass

from plotly.graph_objects import Figure

from tuner.errors import TunerError
from tuner.journal.history import History
from tuner.results.figures.confusion import confusion
from tuner.results.figures.front import front
from tuner.results.figures.importance import importance
from tuner.results.figures.learning_curves import learning_curves
from tuner.results.figures.optimization_history import optimization_history
from tuner.results.figures.parallel_coordinates import parallel_coordinates
from tuner.results.figures.rungs import rungs
from tuner.results.figures.slices import slices
from tuner.results.figures.timeline import timeline
from tuner.results.figures.trial_curves import trial_curves
from tuner.results.importance import MIN_TRIALS
from tuner.results.kept import Kept

_EPOCH = "no trial has finished an epoch"


@dataclass(frozen=True)
class Plots:
    """Each method returns a plotly figure, as in the report; raises TunerError if there is nothing to show yet."""

    run: History
    kept: Kept

    def history(self) -> Figure:
        """Return the best value so far, and what each trial reached, over time and over epochs."""
        return _there(optimization_history(self.run), _EPOCH)

    def trials(self) -> Figure:
        """Return every trial's best value so far by epoch."""
        return _there(trial_curves(self.run), _EPOCH)

    def rungs(self) -> Figure:
        """Return every trial at every rung: who went on, who was given up, and why."""
        return _there(rungs(self.run), "no trials have been compared at a rung")

    def importance(self) -> Figure:
        """Return how much each hyperparameter mattered, by PED-ANOVA."""
        return _there(importance(self.run), f"it takes {MIN_TRIALS} trials, and hyperparameters that vary")

    def parallel(self) -> Figure:
        """Return the trials as lines across their hyperparameters."""
        return _there(parallel_coordinates(self.run), "it takes three trials with an epoch")

    def slices(self) -> Figure:
        """Return the trials' values by each hyperparameter."""
        return _there(slices(self.run), "it takes two trials with an epoch")

    def timeline(self) -> Figure:
        """Return which worker trained which trial when."""
        return _there(timeline(self.run), _EPOCH)

    def front(self) -> Figure:
        """Return the Pareto front of a run with several objectives."""
        return _there(front(self.run), "it takes several objectives, and a trial with a value in each")

    def curves(self) -> Figure:
        """Return the learning curves of the retrained winner and baseline."""
        return _there(learning_curves(self.run), "no retraining has finished an epoch")

    def confusion(self) -> Figure:
        """Return which classes the retrained winner takes for which, on the dev set."""
        return _there(confusion(self.kept.predictions), "the run keeps no answers of a retrained classifier")


def _there(figure: Figure | None, reason: str) -> Figure:
    if figure is None:
        raise TunerError(f"there is nothing to plot: {reason}.")
    # A page gives its own colours; a notebook may be dark, and the texts are not.
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    return figure
