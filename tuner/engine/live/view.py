"""What is drawn of a run: from its state to lines of text, at any width and height."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from rich.text import Text

from tuner.engine.live.curve import Curve, sparkline
from tuner.engine.live.glyphs import UNICODE, Glyphs
from tuner.engine.live.rows import Cell, Column, cut, fitted, joined, table
from tuner.engine.live.state import Best, LiveState, Phase, Retrain, Rung, Trial
from tuner.results.far_off import brought_near
from tuner.results.wording import duration, hparam_text, named_value, plain
from tuner.search.trial import TrialState

T = TypeVar("T")

_LEAST_WIDTH = 20
_WIDE = 110
"""There is room for everything."""
_WIDEST = 160
"""Beyond it the eye loses the line."""
DOING = {
    Phase.STARTING: "starting the workers",
    Phase.MEASURING: "measuring how fast it trains",
    Phase.SEARCH: "search",
    Phase.RETRAINING: "retraining",
    Phase.ENSEMBLE: "measuring the ensemble",
    Phase.REPORT: "writing tables and report",
}
"""What is being done, in words."""
_STATE_STYLES = {TrialState.FAILED: "red", TrialState.RUNNING: "green"}
_MOST_TROUBLES = 3
_STEEPEST = 0.05
"""A curve that varies by a smaller share of all values seen is not drawn as if it varied much."""


@dataclass(frozen=True)
class Size:
    """Cells to draw on."""

    width: int
    height: int | None = None
    """None: as many lines as there are."""


@dataclass(frozen=True)
class _Section:
    """Lines that belong together, of which fewer can be drawn."""

    wanted: int
    draw: Callable[[int], list[Text]]
    """Given how many lines, returns at most so many."""
    least: int = 0
    rank: int = 0
    """Where there is no room, that of the highest rank gives up lines first."""


def draw(state: LiveState, elapsed: float, size: Size, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return the view of a run on which `elapsed` seconds have been worked: one line each, none wider than `size`."""
    width = max(_LEAST_WIDTH, min(size.width, _WIDEST))
    painter = _Painter(state, elapsed, width, glyphs)
    return _arranged(list(painter.sections()), size.height)


def _arranged(sections: list[_Section], height: int | None) -> list[Text]:
    """Return the sections below each other, with empty lines between them if there is room for all."""
    shares = [section.wanted for section in sections]
    gaps = sum(share > 0 for share in shares) - 1
    total = sum(shares)
    has_gaps = height is None or total + gaps <= height
    while height is not None and total > height:
        able = [place for place, section in enumerate(sections) if shares[place] > section.least]
        if not able:
            break
        shares[max(able, key=lambda place: sections[place].rank)] -= 1
        total -= 1
    lines: list[Text] = []
    for section, share in zip(sections, shares, strict=True):
        drawn = section.draw(share)[:share] if share else []
        if drawn and lines and has_gaps:
            lines.append(Text())
        lines += drawn
    return lines if height is None else lines[:height]


@dataclass(frozen=True)
class _Painter:
    state: LiveState
    elapsed: float
    width: int
    glyphs: Glyphs

    def sections(self) -> Iterator[_Section]:
        """Yield what there is to show now."""
        state = self.state
        yield _Section(2 if state.states else 1, self._head, least=1)
        if state.best is not None:
            yield _Section(2 if state.best.params else 1, self._best, least=1, rank=2)
        if state.winner is None:
            ladder = self._ladder()
            yield _Section(len(ladder), lambda lines: ladder[:lines] if lines > 1 else [], rank=3)
            yield from self._trials()
        else:
            rows = len(state.retrains)
            yield _Section(rows + 1 if rows else 0, self._retrains, least=min(rows, 1), rank=1)
        shown = min(_MOST_TROUBLES, len(state.troubles))
        yield _Section(shown, self._troubles, rank=4)

    def _head(self, lines: int) -> list[Text]:
        return [self._clock(), self._counts()][:lines]

    def _clock(self) -> Text:
        state = self.state
        label = Cell(DOING[state.phase], "bold")
        share, words = self._progress()
        for text in (*words, ""):
            room = self.width - len(label.text) - len(text) - 4
            if room >= 8 or not text:
                break
        if share is None or room < 8:
            return fitted([label, Cell(text)], self.width, self.glyphs.ellipsis)
        room = min(room, 40)
        done = round(share * room)
        bar = joined(Cell(self.glyphs.done * done, "cyan"), Cell(self.glyphs.to_do * (room - done), "dim"), gap=0)
        return Text("  ", end="").join([joined(label), bar, joined(Cell(text))])

    def _progress(self) -> tuple[float | None, list[str]]:
        """Return the share that is done, if that can be told, and the time in words, the longest first."""
        plan, now = self.state.plan, duration(self.elapsed)
        if plan is None:
            return None, [now]
        if plan.budget_seconds:
            left = max(0.0, plan.budget_seconds - self.elapsed)
            short = f"{now} of {duration(plan.budget_seconds)}"
            return min(1.0, self.elapsed / plan.budget_seconds), [f"{short}, {duration(left)} left", short, now]
        if self.state.phase is Phase.SEARCH and plan.max_trials:
            ended = sum(count for state, count in self.state.states.items() if state.is_finished)
            return min(1.0, ended / plan.max_trials), [f"{ended} of {plan.max_trials} trials, {now}", now]
        if self.state.phase is Phase.RETRAINING and self.state.retrains:
            done, total = self._retrained_epochs()
            return done / total if total else None, [f"{done} of {total} epochs, {now}", now]
        return None, [now]

    def _retrained_epochs(self) -> tuple[int, int]:
        """Return how many epochs of the retraining are done, and how many it will have in all."""
        done = total = 0
        for one in self.state.retrains.values():
            over = one.evaluations is not None or one.failed is not None
            done += one.epoch
            total += one.epoch if over else max(one.max_epochs or 0, one.epoch)
        return done, total

    def _counts(self) -> Text:
        counts = [(state, count) for state in TrialState if (count := self.state.states[state])]
        total = sum(count for _, count in counts)
        words = [Cell(f"{count} {state.lower()}", _STATE_STYLES.get(state, "")) for state, count in counts]
        line = Text(", ", no_wrap=True, end="").join([joined(word) for word in words])
        extras = [
            f"{total} trial{'s' * (total != 1)}: ",
            f"; {self.state.epochs:,} epoch{'s' * (self.state.epochs != 1)}",
        ]
        if line.cell_len + sum(map(len, extras)) <= self.width:
            line = Text.assemble(extras[0], line, (extras[1], "dim"), no_wrap=True, end="")
        line.truncate(self.width)
        return line

    def _best(self, lines: int) -> list[Text]:
        best = self.state.best
        assert best is not None
        value = named_value(best.value, self.state.objective)
        where = f"trial {best.trial}, epoch {best.epoch}"
        word = "best" if self.state.winner is None else "winner"
        cells = [Cell(word, "bold"), Cell(value, "bold green"), Cell(where), *self._to_beat(best)]
        found = [fitted(cells, self.width, self.glyphs.ellipsis)]
        hparams = self._hparams(best.params, self.width - 2)
        if hparams:
            line = Text("  ", no_wrap=True, end="")
            line.append(hparams, "dim")
            found.append(line)
        return found[:lines]

    def _to_beat(self, best: Best) -> Iterator[Cell]:
        state = self.state
        baseline = state.baseline
        if baseline is not None and baseline.trial != best.trial:
            yield Cell(f"baseline {state.objective.text(baseline.value)} (epoch {baseline.epoch})")
        elif baseline is not None:
            yield Cell("which is the baseline")
        reference = None if state.reference is None else state.reference.value("dev")
        if state.reference is not None and reference is not None:
            yield Cell(f"{state.reference.name} {state.objective.text(reference)}")

    def _ladder(self) -> list[Text]:
        rungs = list(self.state.rungs.values())
        if not any(rung.reached for rung in rungs):
            return []
        most = max(rung.reached for rung in rungs)
        room = max(8, min(32, self.width - 52))
        columns = [
            Column("rung"),
            Column("reached"),
            Column("", is_right=False, rank=1),
            Column("promoted"),
            Column("paused"),
            Column("given up"),
            Column("best", rank=2),
        ]
        rows = []
        for rung in rungs:
            best = "" if rung.best is None else self.state.objective.text(rung.best)
            counts = (rung.promoted, rung.paused, rung.given_up)
            rows.append(
                [
                    Cell(str(rung.epoch)),
                    Cell(str(rung.reached)),
                    Cell(self._bar(rung, most, room)),
                    *(Cell(str(count) if count else "-", "" if count else "dim") for count in counts),
                    Cell(best),
                ]
            )
        return table(columns, rows, self.width)

    def _bar(self, rung: Rung, most: int, room: int) -> str:
        """Return the trials of a rung as a bar: those that went on, those that wait, those that were given up."""
        glyphs = self.glyphs
        ends = [0, rung.promoted, rung.promoted + rung.paused, rung.promoted + rung.paused + rung.given_up]
        marks = [round(end / most * room) for end in ends]
        parts = (glyphs.promoted, glyphs.paused, glyphs.given_up)
        return "".join(part * (marks[place + 1] - marks[place]) for place, part in enumerate(parts))

    def _trials(self) -> Iterator[_Section]:
        running = self.state.running
        rows = max(len(running), self.state.workers if self.state.states else 0)
        # As many lines as there are workers, also while one has nothing to do: a view that grows and shrinks jumps.
        yield _Section(rows + 1 if rows else 0, self._running, least=min(1, len(running)), rank=1)

    def _running(self, lines: int) -> list[Text]:
        running = sorted(self.state.running, key=lambda trial: trial.number)
        shown, rest, has_header = _shown(running, lines)
        columns = [
            Column("trial"),
            Column("epoch"),
            Column(self.state.objective.words),
            Column("", is_right=False, rank=1),
        ]
        found = table(columns, [self._trial_cells(trial) for trial in shown], self.width)
        start = max(map(len, found))
        for line, trial in zip(found[1:], shown, strict=True):
            self._append_hparams(line, trial, start)
        if not has_header:
            return found[1:]
        if rest:
            found.append(_more(rest))
        return [*found, *(Text() for _ in range(lines - len(found)))]

    def _trial_cells(self, trial: Trial) -> list[Cell]:
        last = trial.curve.last
        return [
            Cell(str(trial.number)),
            Cell(f"{trial.epoch}/{self.state.pace.horizon(trial.number)}" if self.state.plan else str(trial.epoch)),
            Cell("-" if last is None else self.state.objective.text(last)),
            Cell(self._spark(trial.curve), "cyan"),
        ]

    def _append_hparams(self, line: Text, trial: Trial, start: int) -> None:
        hparams = self._hparams(trial.params, self.width - start - 2)
        if hparams:
            line.append(" " * (start - len(line) + 2))
            line.append(hparams, "dim")

    def _hparams(self, params: Mapping[str, Any], room: int) -> str:
        """Return as many parameters as there is room for, those that matter most first."""
        shown = ""
        for name in self.state.ranked(list(params)):
            value = params[name]
            text = f"{value:.3g}" if isinstance(value, float) else hparam_text(value)
            longer = f"{shown}{', ' if shown else ''}{plain(name)} {' '.join(text.split())}"
            if len(longer) > room:
                break
            shown = longer
        return shown

    def _spark(self, curve: Curve) -> str:
        room = 10 if self.width < 80 else 16 if self.width < _WIDE else 24
        seen = self._seen
        if not curve.values or not seen:
            return ""
        low, high = min(seen), max(seen)
        # Its own beginning may be far off what it came to, though not off all that was seen.
        near = brought_near(curve.values, self.state.objective)
        shown = [min(max(value, low), high) for value in near]
        return sparkline(shown, room, self.glyphs.spark, _STEEPEST * (high - low))

    @cached_property
    def _seen(self) -> list[float]:
        """The values of all trainings, none of them far off."""
        return brought_near(self.state.seen.values, self.state.objective)

    def _retrains(self, lines: int) -> list[Text]:
        retrains = list(self.state.retrains.values())
        if len(retrains) >= lines:
            retrains.sort(key=_by_urgency)
        shown, rest, has_header = _shown(retrains, lines)
        columns = [
            Column("retraining", is_right=False),
            Column("seed", rank=1),
            Column("epoch"),
            Column(self.state.objective.words),
            Column("best", rank=3),
            Column("", is_right=False, rank=2),
            Column("", is_right=False, rank=4),
        ]
        found = table(columns, [self._retrain_cells(one) for one in shown], self.width)
        if not has_header:
            return found[1:]
        return [*found, _more(rest)] if rest else found

    def _retrain_cells(self, one: Retrain) -> list[Cell]:
        objective, last = self.state.objective, one.curve.last
        outcome = "failed" if one.failed else "" if one.epoch else "waits"
        if one.evaluations is not None:
            splits = one.evaluations if self.width >= _WIDE else list(one.evaluations)[-1:]
            outcome = ", ".join(f"{split} {objective.text(one.evaluations[split])}" for split in splits)
        return [
            Cell(one.candidate),
            Cell(str(one.seed)),
            Cell(f"{one.epoch}/{one.max_epochs}" if one.max_epochs else str(one.epoch)),
            Cell("-" if last is None else objective.text(last)),
            Cell("-" if one.best is None else objective.text(one.best)),
            Cell(self._spark(one.curve), "cyan"),
            Cell(outcome, "red" if one.failed else "dim" if not one.epoch else "green"),
        ]

    def _troubles(self, lines: int) -> list[Text]:
        latest = list(self.state.troubles)[-lines:]
        found = [joined(Cell(cut(plain(trouble), self.width, self.glyphs.ellipsis), "red")) for trouble in latest]
        more = self.state.trouble_count - len(latest)
        if more > 0 and found:
            count = f"(and {more} more before)"
            room = self.width - len(count) - 2
            found[-1] = joined(Cell(cut(plain(latest[-1]), room, self.glyphs.ellipsis), "red"), Cell(count, "dim"))
        return found


def _shown(rows: Sequence[T], lines: int) -> tuple[Sequence[T], int, bool]:
    """Return the rows that so many lines show, how many are left, and whether a header stands above them.

    The rest takes a line of its own; where there are but two lines, rows are worth more than that and a header.
    """
    if len(rows) < lines:
        return rows, 0, True
    if lines <= 2:
        return rows[:lines], 0, False
    return rows[: lines - 2], len(rows) - lines + 2, True


def _more(rest: int) -> Text:
    return joined(Cell(f"and {rest} more", "dim"))


def _by_urgency(one: Retrain) -> int:
    return 0 if one.is_running else 1 if one.evaluations is None else 2
