"""ASHA as published: a trial pauses at each rung and goes on once it is among the best fraction of those that came.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2. Ray's ASHA only stops
(ray#32634, ray#44256).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter

from tuner.search.objective import Objective
from tuner.search.scheduler import NONE_YET, PROTECTED, Action, Decision, Scheduler, after_all


class AshaPromote(Scheduler):
    """Asynchronous successive halving that pauses and promotes, so that no early decision is final.

    A trial is promoted from a rung once it is among the best n // reduction_factor of the n scores seen there so far; a
    trial that already is when it arrives goes on at once. Higher rungs are served first, then better scores. Where too
    few have come for one to be promoted, the best of them goes on in the end, when there is nothing else to do: as in
    successive halving, max(1, n // reduction_factor).
    """

    def __init__(self, levels: tuple[int, ...], reduction_factor: int, objective: Objective) -> None:
        """Compare at `levels` (from `rung_levels`) by `objective`; `reduction_factor` is at least 2."""
        self._levels = levels
        self._objective = objective
        self._rungs = {level: _Rung(reduction_factor) for level in levels[:-1]}
        self._paused_at: dict[int, int] = {}
        """By PAUSED trial, its level."""
        self._protected: set[int] = set()
        self._reached: dict[int, int] = {}
        """By unfinished trial, the highest level it has reached; 0 before the first."""
        self._unfinished_at: Counter[int] = Counter()
        """By level, how many of those there are: a scan of them at each result would grow with the study."""

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs; the last is `max_epochs`."""
        return self._levels

    def start(self, trial: int, *, protected: bool = False) -> None:
        """See `Scheduler.start`."""
        if protected:
            self._protected.add(trial)
        self._move(trial, 0)

    def report(self, trial: int, epoch: int, score: float) -> Decision:
        """Decide for one trial; see `Scheduler.report`."""
        shown = self._objective.text_of_score(score)
        if epoch == self._levels[-1]:
            self.end(trial)
            return Decision(Action.COMPLETE, after_all(shown, epoch))
        if epoch not in self._rungs:
            return Decision(Action.CONTINUE)
        self._move(trial, epoch)
        rung = self._rungs[epoch]
        rung.arrive(trial, score)
        going = f"the best {rung.kept} go on" if rung.kept else NONE_YET
        place = f"{shown} is number {rung.place(trial) + 1} of {len(rung)}, of which {going}"
        if rung.is_promotable(trial):
            rung.promote(trial)
            return Decision(Action.CONTINUE, place)
        if trial in self._protected and epoch == self._levels[0]:
            rung.promote(trial)
            return Decision(Action.CONTINUE, f"{place}; {PROTECTED}")
        self._paused_at[trial] = epoch
        return Decision(Action.PAUSE, place)

    def promote(self) -> int | None:
        """See `Scheduler.promote`."""
        for level in reversed(self._levels[:-1]):
            trial = self._rungs[level].best_waiting()
            if trial is not None and self._rungs[level].is_promotable(trial):
                self.resume(trial)
                return trial
        return None

    def promote_best(self) -> int | None:
        """See `Scheduler.promote_best`."""
        for level in reversed(self._levels[:-1]):
            trial = self._rungs[level].best_waiting()
            if trial is not None and self._rungs[level].place(trial) == 0:
                self.resume(trial)
                return trial
        return None

    def resume(self, trial: int) -> None:
        """See `Scheduler.resume`."""
        self._rungs[self._paused_at.pop(trial)].promote(trial)

    def unpromotable(self, trials_to_come: int, *, best_goes_on: bool = True) -> list[int]:
        """See `Scheduler.unpromotable`."""
        given_up = []
        for level, rung in self._rungs.items():
            still_below = sum(count for reached, count in self._unfinished_at.items() if reached < level)
            given_up += rung.unpromotable(still_below + trials_to_come, at_least=1 if best_goes_on else 0)
        return given_up

    def end(self, trial: int) -> None:
        """See `Scheduler.end`."""
        self._move(trial, None)
        level = self._paused_at.pop(trial, None)
        if level is not None:
            self._rungs[level].promote(trial)

    def _move(self, trial: int, level: int | None) -> None:
        """Note that a trial has reached a level, or (None) has ended; one that has ended may end again."""
        before = self._reached.pop(trial, None)
        if before is not None:
            self._unfinished_at[before] -= 1
        if level is not None:
            self._reached[trial] = level
            self._unfinished_at[level] += 1


class _Rung:
    """The scores at one level, best first, and who waits there. Equal scores are ordered by arrival."""

    def __init__(self, reduction_factor: int) -> None:
        self._reduction_factor = reduction_factor
        self._ranked: list[tuple[float, int]] = []
        """Of all that arrived: minus the score, and the number of the arrival."""
        self._waiting: list[tuple[float, int]] = []
        """Likewise, of those that wait."""
        self._trials: list[int] = []
        """By number of arrival."""
        self._key: dict[int, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._ranked)

    @property
    def kept(self) -> int:
        """How many of those that arrived go on."""
        return len(self._ranked) // self._reduction_factor

    def arrive(self, trial: int, score: float) -> None:
        """Enter a trial, waiting."""
        key = (-score, len(self._trials))
        self._trials.append(trial)
        self._key[trial] = key
        insort(self._ranked, key)
        insort(self._waiting, key)

    def place(self, trial: int) -> int:
        """Return how many are better."""
        return bisect_left(self._ranked, self._key[trial])

    def is_promotable(self, trial: int) -> bool:
        """Whether a waiting trial is among those that go on."""
        return self.place(trial) < self.kept

    def best_waiting(self) -> int | None:
        """Return the best of those that wait."""
        return self._trials[self._waiting[0][1]] if self._waiting else None

    def promote(self, trial: int) -> None:
        """Let a waiting trial go; its score stays."""
        del self._waiting[bisect_left(self._waiting, self._key[trial])]

    def unpromotable(self, arrivals_to_come: int, at_least: int) -> list[int]:
        """Return those waiting that are out of reach even if all that arrive are worse; `at_least` so many go on."""
        kept_at_most = max(at_least, (len(self._ranked) + arrivals_to_come) // self._reduction_factor)
        given_up = []
        for key in reversed(self._waiting):
            if bisect_left(self._ranked, key) < kept_at_most:
                break
            given_up.append(self._trials[key[1]])
        return given_up
