"""One way to start, watch, retry and count the failures of trainings, whatever they are for and wherever they run.

A run is a row of works: the measuring of the speed, the search, the retraining. An executor asks for assignments, has
them trained and hands the outcomes over; what follows from them only the work knows. Whatever a work does about an
outcome is written down when the call returns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tuner.engine.outcome import Outcome, StorageAway, WorkerLost
from tuner.engine.training_logs import TrainingLogs
from tuner.engine.worker import Assignment, Job
from tuner.errors import StorageError
from tuner.io.retry import Outage

T = TypeVar("T")

Key = Hashable
"""Names a training within its work."""


class Work(Protocol):
    """What has to be trained for one purpose, and what is made of the outcomes."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do. What is still under way is then dropped, and its outcome ignored."""

    def next(self) -> tuple[Key, Assignment] | None:
        """Return an assignment to begin, from its checkpoint if it has one; None if there is none now."""

    def take(self, key: Key, outcome: Outcome) -> bool:
        """Take what came of a training; return whether it goes on, after a crash or a death from its checkpoint."""

    def give_back(self, key: Key) -> None:
        """Take back a training that could not be begun; `next` will return it."""


class Executor(Protocol):
    """Somewhere to train."""

    @property
    def workers(self) -> int:
        """Trainings that go on at the same time."""

    @property
    def workers_in_words(self) -> str:
        """Why they are so many."""

    @property
    def nodes(self) -> Sequence[Mapping[str, Any]]:
        """Hardware of the machines where trainings go on; empty if they are the driver's own alone."""

    @property
    def workers_a_node(self) -> int:
        """Of them, those that share a machine, where most do."""

    @property
    def cpus_a_trial(self) -> int:
        """CPUs, and threads, of one training."""

    def share_gpus(self, job: Job, assignment: Assignment) -> None:
        """Let several trainings share each GPU, and so more of them go on, if `assignment` shows that it has room."""

    def share(self, value: T) -> Callable[[], T]:
        """Return what fetches `value` wherever trainings run."""

    def run(self, job: Job, works: Iterator[Work]) -> None:
        """Do the works, one after the other, each asked for when the one before is over.

        Raises:
            TunerError: what made going on impossible; the run can be resumed.
        """


@dataclass
class Order:
    """An assignment on its way."""

    number: int
    """Counts from 0 in the order of giving out."""
    work: Work
    key: Key
    assignment: Assignment
    outage: Outage = field(repr=False)
    """Of the storage, as this training finds it."""


class Agenda:
    """The works of a run; the one that is on gives out and takes, until all are over or an error ends it.

    After the first error nothing is asked and nothing handed over: what follows one that could not be written must not
    be written.
    """

    def __init__(
        self,
        works: Iterator[Work],
        say: Callable[[str], None],
        logs: TrainingLogs | None = None,
        hang_reports: Path | None = None,
    ) -> None:
        """Do `works`; what cannot wait is told with `say`, and what trainings print is kept in `logs`.

        Where they hang they may leave in the folder `hang_reports`, on this machine.
        """
        self._works = works
        self._say = say
        self._logs = logs
        self._hang_reports = hang_reports
        self._work: Work | None = None
        self._numbers = itertools.count()
        self.is_over = False
        """Whether all works are."""
        self.error: Exception | None = None
        """What ended it early."""

    def next(self) -> Order | None:
        """Return what is to begin now; None if there is nothing."""
        return self._guarded(self._next, None)

    @property
    def current(self) -> Work | None:
        """The work that is on, None when all are over: of an order of another the outcome no longer matters."""
        return self._guarded(self._current, None)

    def is_wanted(self, order: Order) -> bool:
        """Whether the order's outcome still matters."""
        return order.work is self.current

    def take(self, order: Order, outcome: Outcome | StorageAway, printed: str = "") -> bool:
        """Hand an outcome over, after what was `printed` until then is kept; return whether the training goes on."""
        if self._logs is not None:
            self._logs.take(order.assignment.checkpoints, outcome, printed)
        return self.is_wanted(order) and self._guarded(lambda: _take(order, outcome), False)

    def give_back(self, order: Order) -> None:
        """Hand back what could not be begun."""
        if self.is_wanted(order):
            self._guarded(lambda: order.work.give_back(order.key), None)

    def _current(self) -> Work | None:
        while not self.is_over and (self._work is None or self._work.is_over):
            self._work = next(self._works, None)
            self.is_over = self._work is None
        return self._work

    def _next(self) -> Order | None:
        while (work := self._current()) is not None:
            found = work.next()
            if found is not None:
                return self._order(work, *found)
            if not work.is_over:
                return None
        return None

    def _order(self, work: Work, key: Key, assignment: Assignment) -> Order:
        number = next(self._numbers)
        if self._hang_reports is not None:
            assignment = replace(assignment, hang_report=self._hang_reports / f"{number}.hanging")
        return Order(number, work, key, assignment, Outage(self._say))

    def _guarded(self, call: Callable[[], T], otherwise: T) -> T:
        """Call, and keep an error for when the executor has wound down; Ray would bury it in a traceback of its own."""
        if self.error is not None:
            return otherwise
        try:
            return call()
        except Exception as error:
            self.error, self.is_over = error, True
            return otherwise


def _take(order: Order, outcome: Outcome | StorageAway) -> bool:
    if isinstance(outcome, StorageAway):
        order.outage.note(StorageError(outcome.reason))
        return True  # it is asked again, and only reads or writes again
    if not isinstance(outcome, WorkerLost):
        order.outage.over()
    return order.work.take(order.key, outcome)
