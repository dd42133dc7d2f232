"""The report's figures, as SVG that is equal for equal histories."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tuner.journal.history import History, RetrainHistory, TrialHistory
from tuner.results.front import Placed
from tuner.results.incumbent import Improvement
from tuner.results.selection import BASELINE, TUNED, select
from tuner.search.objective import LATENCY, NUM_PARAMS, Objective
from tuner.search.trial import TrialState

_CANDIDATE_COLOURS = {TUNED: "#0b5fa5", BASELINE: "#c4510a"}
_STATE_COLOURS = {
    TrialState.RUNNING: "#777777",
    TrialState.PAUSED: "#777777",
    TrialState.COMPLETE: "#1b7f4d",
    TrialState.PRUNED: "#b0b0b0",
    TrialState.FAILED: "#b3261e",
}
_STYLE: dict[Any, Any] = {
    # Without a salt of our own, and a date, every drawing would differ.
    "svg.hashsalt": "tuner",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
}
_MARKS: Mapping[str, dict[str, Any]] = {
    "trials": {"color": "#b0b0b0", "markersize": 5},
    "front": {"color": _CANDIDATE_COLOURS[TUNED], "markersize": 5},
    "the winner": {"markersize": 10, "markerfacecolor": "none", "markeredgecolor": _CANDIDATE_COLOURS[BASELINE]},
}
_AXES = {
    NUM_PARAMS.metric: ("trainable parameters", "log", 1),
    LATENCY.metric: ("milliseconds for one example", "linear", 1000),
}
"""By measure: label, scale and unit of its axis."""
_SPLIT_STYLES = {"train": "--", "dev": "-"}
_PANELS_IN_A_ROW = 2
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def learning_curves(history: History) -> str | None:
    """Return every metric by epoch of the retrained winner and baseline; None before the first retraining.

    What is known of several splits (`train_loss`, `dev_loss`) shares a panel.
    """
    retrains = [retrain for retrain in history.retrains.values() if retrain.epochs]
    if not retrains:
        return None
    panels = _panels(
        dict.fromkeys(name for one in retrains for report in one.epochs.values() for name in report.metrics)
    )
    rows = math.ceil(len(panels) / _PANELS_IN_A_ROW)
    with _style():
        figure = Figure(figsize=(9, 3.6 * rows), layout="constrained")
        grid = figure.subplots(rows, _PANELS_IN_A_ROW, squeeze=False).ravel().tolist()
        for axes, (label, lines) in zip(grid, panels.items(), strict=False):
            for retrain in retrains:
                _draw_retrain(axes, retrain, lines)
            axes.set(xlabel="epoch", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            _legend_once(axes)
        for unused in grid[len(panels) :]:
            unused.remove()
        return _svg(figure, "curves")


def incumbent(found: Sequence[Improvement], history: History) -> str | None:
    """Return the objective's best value so far over time and over epochs; None before the first epoch."""
    if not found:
        return None
    duration = history.elapsed if history.search_seconds is None else history.search_seconds
    unit, size = _time_unit(duration)
    ends = duration / size, float(history.epochs_trained)
    times = [one.seconds / size for one in found]
    epochs = [float(one.epochs) for one in found]
    with _style():
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
        best = [one.value for one in found]
        for axes, steps, end in zip(panels, (times, epochs), ends, strict=True):
            axes.step([*steps, max(end, steps[-1])], [*best, best[-1]], where="post", color=_CANDIDATE_COLOURS[TUNED])
            axes.plot(steps, best, "o", markersize=4, color=_CANDIDATE_COLOURS[TUNED])
        panels[0].set(xlabel=unit, ylabel=f"best {history.objective.words} so far")
        panels[1].set(xlabel="epochs of all trials together")
        return _svg(figure, "incumbent")


def trial_curves(history: History, rungs: Iterable[int]) -> str | None:
    """Return every trial's best value of the objective by epoch, with the rungs; None before the first epoch."""
    trials = [trial for trial in history.trials.values() if trial.epochs]
    if not trials:
        return None
    levels = [level for level in rungs if level <= max(max(trial.epochs) for trial in trials)]
    winner = select(history)
    with _style():
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        axes = figure.subplots()
        for state, colour in _STATE_COLOURS.items():
            _draw_trials(axes, [trial for trial in trials if trial.state is state], state.value, colour)
        if winner is not None:
            epochs, values = _best_so_far(history.trials[winner.trial])
            axes.plot(
                epochs,
                values,
                color=_CANDIDATE_COLOURS[TUNED],
                linewidth=2.2,
                marker="o",
                markersize=3.5,
                label=f"trial {winner.trial}, the best",
            )
        for level in levels:
            axes.axvline(level, color="#999999", linewidth=0.8, linestyle=":")
        axes.autoscale_view()
        axes.set(xlabel="epoch (dotted: rungs)", ylabel=f"best {history.objective.words} so far", xscale="log")
        axes.set_xticks(levels or [1], [str(level) for level in levels or [1]])
        axes.set_xticks([], minor=True)
        axes.legend(loc=_worst_corner(history.objective))
        return _svg(figure, "trials")


def front(placed: Sequence[Placed], objectives: Sequence[Objective], winner: int | None) -> str | None:
    """Return the trials by the first objective over each other, the front marked; None if there is no trial."""
    if not placed:
        return None
    shown = {
        "trials": [one.values for one in placed if not one.is_on_front],
        "front": [one.values for one in placed if one.is_on_front],
        "the winner": [one.values for one in placed if one.trial == winner],
    }
    with _style():
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, len(objectives) - 1, sharey=True, squeeze=False)[0]
        for place, (axes, objective) in enumerate(zip(panels, objectives[1:], strict=True), 1):
            label, scale, unit = _AXES.get(objective.metric, (objective.words, "linear", 1))
            for name, points in shown.items():
                xs, ys = [point[place] * unit for point in points], [point[0] for point in points]
                axes.plot(xs, ys, "o", label=name, **_MARKS[name])
            axes.set(xlabel=label, xscale=scale)
        panels[0].set(ylabel=f"best {objectives[0].words}")
        panels[-1].legend(loc=_worst_corner(objectives[0]))
        return _svg(figure, "front")


@contextmanager
def _style() -> Iterator[None]:
    """Draw in our style on matplotlib's own defaults, whatever the user's `matplotlibrc` says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _panels(metrics: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return by panel its metrics, each with its split, which is empty for one of no split."""
    panels: dict[str, dict[str, str]] = {}
    for name in metrics:
        split, _, rest = name.partition("_")
        is_of_split = split in _SPLIT_STYLES and rest != ""
        panels.setdefault(rest if is_of_split else name, {})[name] = split if is_of_split else ""
    return panels


def _draw_retrain(axes: Axes, retrain: RetrainHistory, lines: Mapping[str, str]) -> None:
    colour = _CANDIDATE_COLOURS.get(retrain.candidate, "#555555")
    for metric, split in lines.items():
        known = [report for _, report in sorted(retrain.epochs.items()) if metric in report.metrics]
        axes.plot(
            [report.epoch for report in known],
            [report.metrics[metric] for report in known],
            _SPLIT_STYLES.get(split, "-"),
            color=colour,
            linewidth=1.4,
            marker="o" if len(known) == 1 else None,
            label=f"{retrain.candidate}, {split}" if split else retrain.candidate,
        )


def _draw_trials(axes: Axes, trials: Sequence[TrialHistory], label: str, colour: str) -> None:
    if not trials:
        return
    lines = [list(zip(*_best_so_far(trial), strict=True)) for trial in trials]
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=1.0, label=label))
    # A trial of one epoch is a point, which no line shows.
    points = [line[-1] for line in lines]
    axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=3)


def _best_so_far(trial: TrialHistory) -> tuple[list[int], list[float]]:
    epochs = sorted(trial.epochs)
    values = (trial.epochs[epoch].metrics[trial.objective.metric] for epoch in epochs)
    return epochs, list(accumulate(values, max if trial.objective.is_maximised else min))


def _worst_corner(objective: Objective) -> Literal["lower right", "upper right"]:
    """Return the corner where a legend hides no good trial."""
    return "lower right" if objective.is_maximised else "upper right"


def _time_unit(seconds: float) -> tuple[str, int]:
    """Return the unit in which a search of this length is drawn, and its seconds."""
    if seconds < 120:
        return "seconds", 1
    return ("minutes", 60) if seconds < 7200 else ("hours", 3600)


def _legend_once(axes: Axes) -> None:
    """Name each kind of line once, however many seeds there are."""
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    axes.legend(named.values(), named.keys(), loc="best")


def _svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG element; its ids begin with `name`, so that several fit into one page."""
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata=_NO_METADATA)
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'((?:xlink:)?href="|url\()#', rf"\g<1>#{name}-", svg)
    # The page decides the size, by the view box.
    head, rest = svg.split(">", 1)
    return re.sub(r' (?:width|height)="[^"]*"', "", head) + ">" + rest
