"""Between Ray Tune and the works: Ray asks for trials and hands over results, the works answer.

For Ray each assignment is a trial of its own, whatever it is for; in these parts `trial` is Ray's.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tuner.engine.executor import Agenda, Order
from tuner.engine.outcome import Failed, StepOutcome, WorkerLost
from tuner.engine.ray_patches import has_resources
from tuner.engine.ray_session import is_lost_node
from tuner.engine.trainable import ASSIGNMENT, ORDER, OUTCOME, PRINTED
from tuner.engine.watchdog import take_report

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

_SECONDS_TO_FINISH = 5.0
"""A training that is no longer wanted may end its epoch for so long; a new process would take as long to start."""
_SECONDS_FOR_RESOURCES = 5.0
"""What has waited longer for CPUs and GPUs gets a free process: after the loss of a node there are none for another."""


class _Unrecorded:
    """Ray pickles its parts for a record of its own; the driver's state is not part of that, the journal has it."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Processes:
    """Ray's trials that have a process, or wait for one, and the orders that they carry out.

    A trial whose order is done stays RUNNING for Ray, idle, until its process is wanted for another: Ray itself keeps
    no more than one process that has nothing to do, and would start those of the next work anew.
    """

    def __init__(self, most: int) -> None:
        """Have at most `most` processes."""
        self._most = most
        self._orders: dict[int, Order] = {}
        """By number, those under way."""
        self._unwanted: dict[int, float] = {}
        """By number, when it was seen that the order no longer matters."""
        self._chosen: dict[int, float] = {}
        """By number, when a process was last asked for."""
        self.busy: dict[int, Trial] = {}
        """By number, those for which a process was asked for."""
        self.free: deque[Trial] = deque()
        """Idle ones; the process to be used first is the last to have become free, whose memory is warm."""

    @property
    def has_room(self) -> bool:
        """Whether an order can begin at once. Ray hands out free processes one by one."""
        is_one_unchosen = len(self._orders) > len(self.busy)
        return len(self._orders) < self._most and not (self.free and is_one_unchosen)

    def begin(self, order: Order) -> None:
        """Take an order that is to have a process."""
        self._orders[order.number] = order

    def order_of(self, trial: Trial) -> Order | None:
        """Return what the trial carries out; None if that is done."""
        return self._orders.get(trial.config[ORDER])

    def choose(self, trial: Trial) -> None:
        """Take note that a process is asked for, for the trial's order."""
        self._chosen[trial.config[ORDER]] = time.monotonic()
        self.busy[trial.config[ORDER]] = trial

    def release(self, trial: Trial) -> None:
        """Take note that the trial's order is done and its process free."""
        self.end(trial)
        self.free.append(trial)

    def end(self, trial: Trial) -> None:
        """Take note that the trial's order is done, and its process of no use."""
        number = trial.config[ORDER]
        for known in (self._orders, self._unwanted, self._chosen, self.busy):
            known.pop(number, None)

    def seconds_unwanted(self, trial: Trial) -> float:
        """Return since when the trial's order no longer matters; who asks has seen that it does not."""
        now = time.monotonic()
        return now - self._unwanted.setdefault(trial.config[ORDER], now)

    def is_one_waiting(self, controller: TuneController) -> bool:
        """Return whether there is an order for whose process there are no resources."""
        now = time.monotonic()
        return any(
            trial.status == Trial.PENDING
            and now - self._chosen[number] > _SECONDS_FOR_RESOURCES
            and not has_resources(controller, trial)
            for number, trial in self.busy.items()
        )


class TuneSearcher(_Unrecorded, Searcher):
    """Ray's source of trials."""

    def __init__(self, agenda: Agenda, processes: Processes) -> None:
        """Ask `agenda`."""
        super().__init__(metric="none", mode="max")
        self._agenda = agenda
        self._processes = processes

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override] # FINISHED is a string
        """Return the next assignment, None if none can begin now, FINISHED if there will be none."""
        order = self._agenda.next() if self._processes.has_room else None
        if order is not None:
            self._processes.begin(order)
            return {ORDER: order.number, ASSIGNMENT: order.assignment}
        finished: str = Searcher.FINISHED
        return finished if self._agenda.is_over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ignore it: ends are decided by the works or told by `TuneCallback`."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the journal is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the journal is the record."""


class TuneScheduler(_Unrecorded, FIFOScheduler):
    """Ray's judge of results, and who says which trial gets which process."""

    def __init__(self, agenda: Agenda, processes: Processes) -> None:
        """Hand results to `agenda`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._agenda = agenda
        self._processes = processes
        self._queue: deque[Trial] = deque()
        """Trials that have not been chosen yet."""

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Queue a trial, new or taken up again."""
        self._queue.append(trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the oldest pending trial that was not returned yet, a free process made ready for it.

        Ray starts a process for a trial that is returned, or gives it the one that it has in its cache. To one that is
        returned again while its process starts it gives the next that is free, and ends the starting one: where starts
        take longer than trials, a cluster would never be full.
        """
        self._drop_unwanted(tune_controller)
        trial = self._next_pending(tune_controller)
        if self._processes.free and (trial is not None or self._processes.is_one_waiting(tune_controller)):
            # Into Ray's cache, from where it goes to the trial returned, else to one that waits.
            tune_controller.stop_trial(self._processes.free.pop())  # type: ignore[no-untyped-call]
        if trial is not None:
            self._processes.choose(trial)
        return trial

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Hand a result over and return Ray's word for the decision.

        A paused trial of the search ends for Ray too. When it is promoted, Ray gets it as a new one that goes on from
        the checkpoint, just as one that an earlier driver left; so Ray keeps no state that a resume would lack.
        """
        outcome: StepOutcome = result[OUTCOME]
        order = self._processes.order_of(trial)
        printed = result.get(PRINTED, "")
        if order is None or self._agenda.take(order, outcome, printed):  # a process without an order is about to end
            return str(TrialScheduler.CONTINUE)
        if isinstance(outcome, Failed) and outcome.spoils_process:
            self._processes.end(trial)
            return str(TrialScheduler.CONTINUE)  # the next step ends the process
        self._processes.release(trial)
        return str(TrialScheduler.NOOP)

    def _next_pending(self, controller: TuneController) -> Trial | None:
        """Return the oldest trial that waits to be chosen.

        Ray takes up again whatever lost its worker; what is not to go on is taken from it here.
        """
        while self._queue:
            trial = self._queue.popleft()
            if trial.status != Trial.PENDING:
                continue
            order = self._processes.order_of(trial)
            if order is not None and self._agenda.is_wanted(order):
                return trial
            controller.stop_trial(trial)  # type: ignore[no-untyped-call]
            self._processes.end(trial)
        return None

    def _drop_unwanted(self, controller: TuneController) -> None:
        """End what is under way for a work that is over, if need be with its process."""
        current = self._agenda.current  # asked once: with a thousand workers Ray comes here at each of their reports
        for trial in list(self._processes.busy.values()):
            order = self._processes.order_of(trial)
            if order is not None and order.work is current:
                continue
            if trial.status == Trial.PENDING:
                controller.stop_trial(trial)  # type: ignore[no-untyped-call]
                self._processes.end(trial)
            elif self._processes.seconds_unwanted(trial) > _SECONDS_TO_FINISH:
                self._processes.end(trial)
                actor = trial.temporary_state.ray_actor
                if actor is not None:
                    ray.kill(actor)


class TuneCallback(_Unrecorded, TrialProgressCallback):
    """Ray's word that a trial ended or its worker died.

    It stands in the place of Ray's own reporter, which would print the last result of each trial.
    """

    def __init__(self, agenda: Agenda, processes: Processes) -> None:
        """Tell `agenda`."""
        super().__init__()
        self._agenda = agenda
        self._processes = processes

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Print nothing."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Drop what nobody reads: Ray keeps every trial to the end, with 30 KiB, and with what it printed last."""
        trial.run_metadata.last_result.pop(PRINTED, None)
        trial.run_metadata.metric_analysis = {}
        trial.run_metadata.metric_n_steps = {}

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that the trial lost its worker. Ray takes it up again without end, the works may not."""
        self._lose_worker(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that the trial lost its worker before it began, which Ray does not forgive: it gets a new one."""
        order = self._processes.order_of(trial)
        if self._lose_worker(trial) and order is not None:
            self._agenda.give_back(order)
        self._processes.end(trial)

    def _lose_worker(self, trial: Trial) -> bool:
        order = self._processes.order_of(trial)
        if order is None:
            return False
        said = _error_of(trial)
        hung = take_report(order.assignment.checkpoints, order.assignment.hang_report)
        goes_on = self._agenda.take(order, WorkerLost(hung or said, charged=not is_lost_node(said)))
        if not goes_on:
            self._processes.end(trial)
        return goes_on


class TuneStopper(_Unrecorded, Stopper):
    """Ray's question whether everything is to end."""

    def __init__(self, agenda: Agenda) -> None:
        """Ask `agenda`."""
        self._agenda = agenda

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stop a single trial; the scheduler does that."""
        return False

    def stop_all(self) -> bool:
        """Return whether all works are over."""
        return self._agenda.is_over


def _error_of(trial: Trial) -> str:
    """Return the worker's last traceback, or what Ray knows of its death."""
    file = trial.error_file
    text = Path(file).read_text(encoding="utf-8", errors="replace") if file else "the worker died without a word"
    # Ray appends each failure, with a number and a date before it, to the same file.
    _, heading, last = text.rpartition("Failure # ")
    return last.partition("\n")[2] if heading else text
