"""What the screen shows of a run: the plan, a line that moves on a terminal, or a few lines that do not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.plan import Plan
from tuner.engine.run_log import say_to_log
from tuner.journal.events import (
    EnsembleMeasured,
    EpochReported,
    Event,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    TrialRetried,
    WarmStarted,
    WinnerSelected,
)
from tuner.results.selection import BASELINE, TUNED
from tuner.results.story import sentence
from tuner.results.wording import duration, named_value
from tuner.search.report import Reported, best_of
from tuner.search.scheduler import Action
from tuner.search.trial import TrialState

_SECONDS_BETWEEN_LINES = 5.0
_TOLD_AT_ONCE = (
    WarmStarted
    | SearchEnded
    | WinnerSelected
    | RetrainingPlanned
    | RetrainEnded
    | EnsembleMeasured
    | RetrainFailed
    | TrialRetried
)
_TOLD_NOW_AND_THEN = EpochReported | TrialEnded | RetrainEpochReported
"""Left out if they come closer than `_SECONDS_BETWEEN_LINES` to the last line; other events are worth none."""


class Progress:
    """Follows a run's events; constant memory and work for each."""

    def __init__(self, console: Console, elapsed: Callable[[], float], *, is_live: bool = True) -> None:
        """Show on `console`; `elapsed` counts the seconds worked on the run.

        If it `is_live`, a terminal has a line that is kept up to date.
        """
        self._console = console
        self._is_live = is_live and console.is_terminal
        self._elapsed = elapsed
        self._states: Counter[TrialState] = Counter()
        self._unfinished: dict[int, TrialState] = {}
        self._rungs: Counter[int] = Counter()
        self._objective = DEFAULT_OBJECTIVE
        self._best: EpochReported | None = None
        self._retraining: dict[str, RetrainEpochReported] = {}
        self._plan: Plan | None = None
        self._status: Status | None = None
        self._last_line = -_SECONDS_BETWEEN_LINES

    def __enter__(self) -> Self:
        if self._is_live:
            # Most spinners are drawn with characters that are not in ASCII.
            spinner = "line" if self._console.options.ascii_only else "dots"
            self._status = self._console.status("", spinner=spinner)
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def say(self, text: str) -> None:
        """Print a line that must not be missed; the log has it too, for the screen may have gone."""
        say_to_log(text)
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def show_plan(self, plan: Plan, data: str, retrainings: Sequence[tuple[str, int]]) -> None:
        """Print the plan; `retrainings`, candidates with seeds, follow the search."""
        self._plan = plan
        for line in plan_lines(plan, data, retrainings):
            self.say(line)

    def restore(self, events: Iterable[Event]) -> None:
        """Take note of an earlier driver's events; nothing is shown."""
        for event in events:
            self._count(event)

    def on_event(self, event: Event) -> None:
        """Take an event that has been written down."""
        self._count(event)
        if isinstance(event, _TOLD_AT_ONCE | _TOLD_NOW_AND_THEN) and self._is_due(event):
            self.say(f"[{duration(self._elapsed())}] {sentence(event, self._objective, brief=True)}")
        if self._status is not None:
            self._status.update(self._summary())

    def _count(self, event: Event) -> None:
        match event:
            case TrialProposed():
                self._unfinished[event.trial] = TrialState.RUNNING
                self._states[TrialState.RUNNING] += 1
            case StudyStarted():
                self._objective = event.objective
            case EpochReported():
                self._best = best_of([self._best or event, event], self._objective)
            case RungDecided():
                self._rungs[event.epoch] += 1
                if event.action == Action.PAUSE:
                    self._move(event.trial, TrialState.PAUSED)
            case TrialPromoted():
                self._move(event.trial, TrialState.RUNNING)
            case TrialEnded():
                self._states[self._unfinished.pop(event.trial)] -= 1
                self._states[event.state] += 1
            case RetrainEpochReported():
                self._retraining[f"{event.candidate} seed {event.seed}"] = event

    def _move(self, trial: int, state: TrialState) -> None:
        self._states[self._unfinished[trial]] -= 1
        self._states[state] += 1
        self._unfinished[trial] = state

    def _is_due(self, event: Event) -> bool:
        if isinstance(event, _TOLD_AT_ONCE) or time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            return True
        return False

    def _summary(self) -> str:
        if self._retraining:
            epochs = [
                f"{name}: epoch {report.epoch}, {self._value(report)}" for name, report in self._retraining.items()
            ]
            return f"{duration(self._elapsed())}{self._limit()}  retraining  {'  '.join(epochs)}"
        trials = ", ".join(f"{count} {state.lower()}" for state, count in self._states.items() if count)
        rungs = " ".join(f"{level}:{count}" for level, count in sorted(self._rungs.items()))
        best = f"best {self._value(self._best)} (trial {self._best.trial})" if self._best else "no result yet"
        return f"{duration(self._elapsed())}{self._limit()}  trials: {trials or 'starting'}  rungs {rungs}  {best}"

    def _value(self, report: Reported) -> str:
        return named_value(report.metrics[self._objective.metric], self._objective)

    def _limit(self) -> str:
        budget = self._plan.budget_seconds if self._plan else None
        return f" of {duration(budget)}" if budget else ""


def plan_lines(plan: Plan, data: str, retrainings: Sequence[tuple[str, int]]) -> list[str]:
    """Return the plan in words; `retrainings` are candidates with seeds."""
    stopping = f"one trial in {plan.reduction_factor} goes on" if plan.reduction_factor else "no trial is stopped"
    total = plan.budget_seconds or plan.search_seconds + plan.retrain_seconds
    together = f"{'in' if plan.budget_seconds else 'about'} {duration(total)} together"
    epoch = duration(plan.seconds_per_epoch)
    return [
        f"data       {data}",
        f"workers    {plan.workers}, one epoch of the first configuration takes {epoch} on each",
        f"rungs      {' '.join(map(str, plan.rungs))} epochs; {stopping} from each",
        f"trials     {_trials(plan)}",
        f"retraining {_retraining(plan, retrainings)}",
        f"time       search {duration(plan.search_seconds)}, retraining {duration(plan.retrain_seconds)}; {together}",
    ]


def _trials(plan: Plan) -> str:
    if plan.budget_seconds is None:
        return str(plan.max_trials)
    at_most = f", at most {plan.max_trials}" if plan.max_trials else ""
    return f"about {plan.expected_trials} if they cost what the first configuration does{at_most}"


def _retraining(plan: Plan, retrainings: Sequence[tuple[str, int]]) -> str:
    seeds = Counter(candidate for candidate, _ in retrainings)
    names = {TUNED: "the winner", BASELINE: "the baseline"}
    each = " and ".join(f"{names[one]} with {count} seed{'s' * (count != 1)}" for one, count in seeds.items())
    epochs = plan.expected_retrain_epochs or plan.retrain_lengths.least
    if plan.most_retrain_epochs is None:
        return f"{each}, {epochs} epochs each"
    return f"{each}, as many epochs as there is time for: {epochs} of the first configuration"
