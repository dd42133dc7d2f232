"""When a search has converged: nothing that it could still try is expected to improve on the best by enough.

To stop where the expected improvement falls below a threshold is the condition of Nguyen et al., "Regret for Expected
Improvement over the Best-Observed Value and Stopping Condition", ACML 2017. That the threshold is one of the objective
itself, so that it can be held against how exactly the objective is known, is after Makarova et al., "Automatic
Termination for Hyperparameter Optimization", AutoML 2022.
"""

from __future__ import annotations

from tuner.search.objective import Objective

FULL_TRAININGS = 3
"""Results at the last rung before an improvement is told: what trials gain on the way there is a median, and with fewer
a single odd trial moves it."""
_LEAST_STRETCH = 5
"""Proposals in a row, at least: once the model may be too sure by chance, and each brings a result that corrects it."""


def as_told(improvement: float) -> float:
    """Return an expected improvement as it is written down and compared, with three digits.

    The model knows no more of them, and a processor that sums in another order finds the same.
    """
    return float(f"{improvement:.3g}")


class Convergence:
    """Watches what there was to gain at the proposals of a search.

    It has converged once nothing was expected to improve the objective by a threshold at so many proposals of the model
    in a row: as many as there are workers, for so many are made of the same results, and at least five. At a random
    proposal, or before enough full trainings, nothing is told; such a proposal does not count.
    """

    def __init__(self, threshold: float, objective: Objective, workers: int) -> None:
        """Watch for improvements of `objective` below `threshold`, in its own units, with so many trials at a time."""
        self._threshold = threshold
        self._objective = objective
        self._stretch = max(_LEAST_STRETCH, workers)
        self._in_a_row = 0
        self._last = 0.0

    def take(self, improvement: float | None) -> None:
        """Take the expected improvement that is told with the next proposal; None if nothing is told."""
        if improvement is None:
            return
        self._in_a_row = self._in_a_row + 1 if improvement < self._threshold else 0
        self._last = improvement

    @property
    def reason(self) -> str | None:
        """Why the search need not go on, in words; None while it must."""
        if self._in_a_row < self._stretch:
            return None
        return (
            f"converged, as each of the last {self._stretch} trials that the model proposed was expected to improve "
            f"{self._objective.words} by less than {self._threshold:g}, the last by {self._last:g}"
        )
