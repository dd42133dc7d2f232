"""What is told of a run, and when: the plan, the lines that a log can keep, and, for who watches, the live view."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from tuner.engine.live.cell import NotebookCell, in_notebook
from tuner.engine.live.glyphs import glyphs_for
from tuner.engine.live.state import LiveState, Phase
from tuner.engine.live.terminal import TerminalBlock, is_drawn_on
from tuner.engine.live.ticker import Ticker
from tuner.engine.live.view import DOING, Size, draw
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
    SearchEnded,
    TrialEnded,
    TrialRetried,
    WarmStarted,
    WinnerSelected,
)
from tuner.results.selection import BASELINE, TUNED
from tuner.results.story import sentence
from tuner.results.wording import duration, short_duration
from tuner.search.trial import TrialState

_SECONDS_BETWEEN_LINES = 5.0
_WIDEST = 100
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

        If it `is_live`, a terminal or a notebook has a view that is kept up to date, and fewer lines.
        """
        self._console = console
        self._elapsed = elapsed
        self._state = LiveState()
        self._lock = threading.Lock()
        """Of the state."""
        self._sayings: deque[str] = deque()
        """What a signal wants to be said."""
        self._glyphs = glyphs_for(console)
        self._block: TerminalBlock | None = None
        self._cell: NotebookCell | None = None
        if is_live and in_notebook():
            self._cell = NotebookCell(self._lines)
        elif is_live and is_drawn_on(console):
            self._block = TerminalBlock(console, self._lines)
        self._is_drawn = self._block is not None or self._cell is not None
        self._showing = ExitStack()
        self._ticker: Ticker | None = None
        self._last_line = -_SECONDS_BETWEEN_LINES

    def __enter__(self) -> Self:
        if self._block is not None:
            self._showing.enter_context(self._block)
        # Also where nothing is drawn: the driver may train, or wait for its storage, for hours.
        self._ticker = self._showing.enter_context(Ticker(self._tick))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker = None
        self._showing.close()
        self._say_what_waits()
        if self._cell is not None:
            self._cell.draw()

    def say(self, text: str) -> None:
        """Print a line that must not be missed; the log has it too, for the screen may have gone."""
        say_to_log(text)
        if self._block is not None:
            self._block.print_above(text)
        else:
            self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def say_soon(self, text: str) -> None:
        """Let a line be said within about a second: for a signal, which comes in the middle of anything.

        It may come while this thread writes, or holds a lock that another one waits for.
        """
        self._sayings.append(text)

    def _say_what_waits(self) -> None:
        with suppress(IndexError):  # another thread says it
            while self._sayings:
                self.say(self._sayings.popleft())

    def _tick(self) -> None:
        self._say_what_waits()
        if self._block is not None:
            self._block.draw()
        elif self._cell is not None:
            self._cell.draw()

    @property
    def width(self) -> int:
        """Characters of a line that is easily read where the lines are shown."""
        return min(_WIDEST, self._console.width) if self._console.is_terminal else _WIDEST

    def close(self, text: str) -> None:
        """Print the last words, below an empty line."""
        for line in ("", *text.splitlines()):
            self.say(line)

    def show_plan(self, plan: Plan, data: str, workers: str, retrainings: Sequence[tuple[str, int]]) -> None:
        """Print the plan as `plan_lines` words it."""
        for line in plan_lines(plan, data, workers, retrainings):
            self.say(line)

    def enter(self, phase: Phase) -> None:
        """Show what is being done now, where no event tells it; a log is told of what comes before its first line."""
        if phase is Phase.MEASURING and not self._is_drawn:
            self.say(DOING[phase])
        with self._lock:
            self._state.phase = phase
        if self._ticker is not None:
            self._ticker.changed()

    def restore(self, events: Iterable[Event]) -> None:
        """Take note of an earlier driver's events; nothing is shown."""
        for event in events:
            self._state.take(event)

    def on_event(self, event: Event) -> None:
        """Take an event that has been written down."""
        self._say_what_waits()
        with self._lock:
            self._state.take(event)
        if self._is_due(event):
            self.say(f"[{duration(self._elapsed())}] {sentence(event, self._state.objective, brief=True)}")
        if self._ticker is not None:
            self._ticker.changed()

    def _lines(self, size: Size) -> list[Text]:
        """Return the view; what cannot be drawn is no reason for a study to end."""
        try:
            with self._lock:
                return draw(self._state, self._elapsed(), size, self._glyphs)
        except Exception:
            say_to_log(f"The view could not be drawn: {traceback.format_exc()}")
            return []

    def _is_due(self, event: Event) -> bool:
        has_failed = isinstance(event, TrialEnded) and event.state is TrialState.FAILED
        if has_failed or isinstance(event, _TOLD_AT_ONCE):
            self._last_line = time.monotonic()
            return True
        if self._is_drawn or not isinstance(event, _TOLD_NOW_AND_THEN):
            return False  # the view shows it
        if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            return True
        return False


def plan_lines(plan: Plan, data: str, workers: str, retrainings: Sequence[tuple[str, int]]) -> list[str]:
    """Return the plan in words.

    Args:
        plan: What is planned.
        data: The data set in words.
        workers: How many workers there are, which after a resume may be others than were planned with, and why.
        retrainings: Candidates with seeds, which follow the search.
    """
    total = plan.budget_seconds or plan.search_seconds + plan.retrain_seconds
    together = f"{'in' if plan.budget_seconds else 'about'} {duration(total)} together"
    epoch = short_duration(plan.seconds_per_epoch)
    return [
        f"data       {data}",
        f"workers    {workers}",
        f"epoch      {epoch} for the first configuration, with all workers busy",
        f"rungs      {_rungs(plan)}",
        f"trials     {_trials(plan)}",
        f"retraining {_retraining(plan, retrainings)}",
        f"time       search {duration(plan.search_seconds)}, retraining {duration(plan.retrain_seconds)}; {together}",
    ]


def _rungs(plan: Plan) -> str:
    whose = " of the first configuration, more of a cheaper one" if plan.cost_exponent else ""
    if len(plan.rungs) == 1:
        epochs = "1 epoch" if plan.rungs == (1,) else f"{plan.rungs[0]} epochs"
        return f"{epochs}{whose}, a whole training: no trial is stopped"
    stopping = f"one trial in {plan.reduction_factor} goes on" if plan.reduction_factor else "no trial is stopped"
    return f"{' '.join(map(str, plan.rungs))} epochs{whose}; {stopping} from each"


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
        return f"{each}, {epochs} epoch{'s' * (epochs != 1)} each"
    return f"{each}, as many epochs as there is time for: {epochs} of the first configuration"
