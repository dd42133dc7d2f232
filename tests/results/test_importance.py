from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.metrics import metrics
from tests.results.conftest import OPENING
from tuner.journal.events import EpochReported, Event, PlanMade, TrialEnded, TrialProposed
from tuner.journal.history import History
from tuner.results.figures.importance import importance
from tuner.results.figures.parallel_coordinates import parallel_coordinates
from tuner.results.figures.slices import slices
from tuner.results.importance import importances, ranked_trials
from tuner.results.parameters import parameters
from tuner.results.selection import select
from tuner.search.trial import Origin, TrialState

Build = Callable[[Sequence[Event]], History]


def number(low: float, high: float, log: bool = False) -> str:
    return json.dumps({"name": "FloatDistribution", "attributes": {"step": None, "low": low, "high": high, "log": log}})


DISTRIBUTIONS = {
    "lr": number(1e-4, 1.0, log=True),
    "noise": number(0.0, 1.0),
    "kind": json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}),
}


def search(count: int) -> list[Event]:
    """Trials of which the better half by `lr` alone is trained for three epochs."""
    rng = random.Random(0)
    events: list[Event] = [*OPENING[:2], PlanMade({"rungs": [1, 3]})]
    for trial in range(count):
        params: dict[str, Any] = {"lr": 10 ** rng.uniform(-4, 0), "noise": rng.random(), "kind": rng.choice("ab")}
        if params["kind"] == "b":
            params["only_b"] = rng.random()
        distributions = {name: DISTRIBUTIONS.get(name, number(0, 1)) for name in params}
        events.append(TrialProposed(trial, params, distributions, params, Origin.RANDOM, trial))
        accuracy = 0.9 - abs(params["lr"] - 0.1) / 10
        epochs = 3 if abs(params["lr"] - 0.1) < 0.08 else 1
        events += [
            EpochReported(trial, epoch, metrics(dev_accuracy=accuracy), 1.0, "desk:1") for epoch in range(1, epochs + 1)
        ]
        events.append(TrialEnded(trial, TrialState.COMPLETE if epochs == 3 else TrialState.PRUNED, "so"))
    return events


def test_what_decides_is_found_to_be_important(build: Build) -> None:
    found = importances(build(search(60)))
    assert next(iter(found)) == "lr"
    assert found["lr"] > 0.6
    assert abs(sum(found.values()) - 1) < 1e-6
    figure = importance(build(search(60)))
    assert figure is not None
    assert figure.data[0].y[-1] == "lr"  # the topmost


def test_of_a_handful_of_trials_nothing_is_said(build: Build) -> None:
    assert importances(build(search(19))) == {}
    assert importance(build(search(19))) is None


def saturated(count: int, perfect: int) -> list[Event]:
    """Trials of which the first `perfect` have the same best value, whatever they are; those before the others."""
    rng = random.Random(0)
    events: list[Event] = [*OPENING[:2], PlanMade({"rungs": [1]})]
    for trial in range(count):
        params = {"lr": rng.random() if trial < 15 else rng.uniform(0.8, 1.0), "noise": rng.random()}
        events.append(
            TrialProposed(trial, params, {name: number(0, 1) for name in params}, params, Origin.RANDOM, trial)
        )
        reported = metrics(dev_accuracy=1.0 if trial < perfect else 0.5, dev_loss=0.1)
        events.append(EpochReported(trial, 1, reported, 1.0, "desk:1"))
        events.append(TrialEnded(trial, TrialState.COMPLETE, "so"))
    return events


def test_a_trial_that_ended_by_itself_ranks_by_what_it_reached(build: Build) -> None:
    events = search(2)
    reports = [one for one in events if isinstance(one, EpochReported)]
    proposals = [one for one in events if isinstance(one, TrialProposed)]
    far = [replace(reports[0], trial=0, epoch=epoch, metrics=metrics(dev_accuracy=0.4)) for epoch in (1, 2, 3)]
    early = replace(reports[0], trial=1, epoch=1, metrics=metrics(dev_accuracy=0.9))
    history = build([*OPENING[:2], PlanMade({"rungs": [1, 3]}), *proposals, *far, early])
    assert [trial.number for trial in ranked_trials(history)] == [1, 0]


def test_the_winner_ranks_first(build: Build) -> None:
    history = build(search(60))
    winner = select(history)
    assert winner is not None
    assert ranked_trials(history)[0].number == winner.trial


@pytest.mark.parametrize("perfect", [60, 40])
def test_where_the_best_are_no_fewer_than_the_others_nothing_is_said(build: Build, perfect: int) -> None:
    assert importances(build(saturated(60, perfect))) == {}


def test_equals_count_as_equals(build: Build) -> None:
    found = importances(build(saturated(60, 15)))  # all of the fifteen are the best, not the first six of them
    assert next(iter(found)) == "lr"


def test_parameters_are_read_by_their_kind(build: Build) -> None:
    found = {one.name: one for one in parameters(build(search(20)))}
    assert list(found) == ["lr", "noise", "kind", "only_b"]
    assert found["lr"].is_log
    assert not found["noise"].is_log
    assert found["kind"].choices == ("a", "b")
    assert set(found["only_b"].places) == {trial for trial, place in found["kind"].places.items() if place == 1.0}


@pytest.mark.parametrize("odd", [math.inf, math.nan])
def test_choices_of_which_one_is_no_finite_number_are_a_category(build: Build, odd: float) -> None:
    events: list[Event] = [*OPENING[:2], PlanMade({"rungs": [1]})]
    for trial in range(24):
        params = {"clip": (1.0, 5.0, odd)[trial % 3]}
        events.append(TrialProposed(trial, params, {}, params, Origin.RANDOM, trial))
        events.append(EpochReported(trial, 1, metrics(dev_accuracy=0.5 + 0.01 * trial), 1.0, "desk:1"))
    history = build(events)
    (found,) = parameters(history)
    assert found.choices == ("1", "5", str(odd))
    assert slices(history) is not None
    assert parallel_coordinates(history) is not None


def test_parallel_lines_of_trials_that_did_not_diverge_are_told_apart_and_the_others_told_of(build: Build) -> None:
    events = search(20)
    place = next(place for place, event in enumerate(events) if isinstance(event, EpochReported))
    lost = events[place]
    assert isinstance(lost, EpochReported)
    events = [
        replace(event, metrics=metrics(dev_accuracy=-1e9))
        if isinstance(event, EpochReported) and event.trial == lost.trial
        else event
        for event in events
    ]
    figure = parallel_coordinates(build(events))
    assert figure is not None
    last = len(figure.layout.xaxis.ticktext) - 1
    ends = {
        text: y
        for line in figure.data
        for x, y, text in zip(line.x, line.y, line.text, strict=True)
        if x == last and text
    }
    assert sorted(ends.values())[:2] == [0.0, 0.0]  # the lost one, and the worst of the others
    assert sum(0.2 < height < 1.0 for height in ends.values()) > 5
    assert ends[f"trial {lost.trial}: -1e+09"] == 0.0
    assert [note.text for note in figure.layout.annotations if note.text.startswith("\u2264 ")] == ["\u2264 0.816"]
    undisturbed = parallel_coordinates(build(search(20)))
    assert undisturbed is not None
    assert not any(note.text.startswith("\u2264 ") for note in undisturbed.layout.annotations)


def test_parallel_lines_have_a_gap_where_a_trial_lacks_the_parameter(build: Build) -> None:
    history = build(search(20))
    figure = parallel_coordinates(history)
    assert figure is not None
    columns = [*figure.layout.xaxis.ticktext]
    assert columns[0] == "lr"
    assert columns[-1] == "dev accuracy"
    drawn = [y for line in figure.data for x, y in zip(line.x, line.y, strict=True) if x == columns.index("only_b")]
    lacking = 20 - sum("only_b" in trial.proposed.params for trial in history.trials.values())
    assert sum(height is None for height in drawn) == lacking > 0
    assert all(0 <= height <= 1 for height in drawn if height is not None)


def test_a_slice_shows_the_trials_that_have_the_parameter(build: Build) -> None:
    history = build(search(20))
    figure = slices(history)
    assert figure is not None
    titles = [figure.layout[f"xaxis{place or ''}"].title.text for place in ("", 2, 3, 4)]
    sizes = dict(zip(titles, (len(panel.x) for panel in figure.data), strict=True))
    assert sizes["lr"] == 20
    assert sizes["only_b"] < 20


def test_a_parameter_that_only_failed_trials_have_gets_no_slice(build: Build) -> None:
    events = search(20)
    for trial in range(20, 24):
        params = {"lr": 0.1, "lr_of_adamw": 0.001 * trial}
        distributions = dict.fromkeys(params, DISTRIBUTIONS["lr"])
        events.append(TrialProposed(trial, params, distributions, params, Origin.RANDOM, trial))
        events.append(TrialEnded(trial, TrialState.FAILED, "it diverged"))
    figure = slices(build(events))
    assert figure is not None
    titles = [panel.title.text for panel in figure.select_xaxes()]
    assert "lr" in titles
    assert "lr_of_adamw" not in titles


def test_long_names_and_choices_are_shortened_where_they_would_overprint_and_whole_in_the_hover(build: Build) -> None:
    name, choices = "optimizer.of.the.whole.model", ("adamw_with_warm_up", "sgd_with_momentum")
    events: list[Event] = [*OPENING[:2], PlanMade({"rungs": [1]})]
    for trial in range(24):
        params = {name: choices[trial % 2]}
        distribution = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": choices}})
        events.append(TrialProposed(trial, params, {name: distribution}, params, Origin.RANDOM, trial))
        accuracy = 0.5 + 0.4 * (trial % 2) + 0.001 * trial
        events.append(EpochReported(trial, 1, metrics(dev_accuracy=accuracy), 1.0, "desk:1"))
    history = build(events)
    figure = slices(history)
    assert figure is not None
    axis, panel = figure.layout.xaxis, figure.data[0]
    assert axis.title.text == "optimizer.of.th…"
    assert axis.tickvals == choices
    assert axis.ticktext == ("adamw_with_wa…", "sgd_with_mome…")
    assert (panel.meta, panel.x[0]) == (name, choices[1])
    figure = importance(history)
    assert figure is not None
    assert figure.layout.yaxis.ticktext == ("optimizer.of.the.whole.…",)
    assert figure.data[0].y == (name,)


def test_of_thousands_of_trials_few_enough_are_drawn(build: Build) -> None:
    history = build(search(1500))
    figure = slices(history)
    assert figure is not None
    assert max(len(panel.x) for panel in figure.data) <= 500
    figure = parallel_coordinates(history)
    assert figure is not None
    assert sum(len(line.x) for line in figure.data) < 3 * 121 * 6
