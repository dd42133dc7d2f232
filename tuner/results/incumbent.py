"""How the best value of the objective improved during the search."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.journal.history import History
from tuner.search.report import score_of


@dataclass(frozen=True)
class Improvement:
    """A trial became the best so far."""

    trial: int
    value: float
    """Of the objective."""
    seconds: float
    """Worked on the run until then."""
    epochs: int
    """Trained by all trials together until then, this one included; what was taken over from an earlier run is not."""


def improvements(history: History) -> list[Improvement]:
    """Return the improvements in the order of the journal; trials that cannot win, then or later, do not count."""
    objective = history.objective
    found: list[Improvement] = []
    epochs = 0
    for seconds, report in history.reported:
        epochs += not report.reused
        score = score_of(report, objective)
        is_better = not found or score > objective.score(found[-1].value)
        if is_better and history.trials[report.trial].can_win:
            found.append(Improvement(report.trial, objective.score(score), seconds, epochs))
    return found
