"""The figures of a search of which a trial diverged, or trained for very long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import pytest

from tuner.journal.events import EpochReported, Event, PlanMade, RungDecided, StudyStarted, TrialEnded, TrialProposed
from tuner.journal.history import History
from tuner.results.figures.optimization_history import optimization_history
from tuner.results.figures.rungs import rungs
from tuner.results.figures.slices import slices
from tuner.results.figures.style import new_figure
from tuner.results.figures.trial_curves import trial_curves
from tuner.search.objective import Objective
from tuner.search.trial import Origin, TrialState

Build = Callable[[Sequence[Event]], History]


def search(curves: Sequence[Sequence[float]]) -> list[Event]:
    """A trial for each curve of the loss, which is minimised."""
    events: list[Event] = [
        StudyStarted({"search": {}}, {}, objective=Objective("dev_loss", "minimize")),
        PlanMade({"workers": 1, "rungs": [1]}),
    ]
    for trial, losses in enumerate(curves):
        params = {"lr": 0.1 * (trial + 1)}
        events.append(TrialProposed(trial, params, {}, params, Origin.RANDOM, trial))
        events += [
            EpochReported(trial, epoch, {"dev_loss": loss}, 1.0, "desk:1") for epoch, loss in enumerate(losses, 1)
        ]
        events.append(RungDecided(trial, 1, "CONTINUE", "so"))
        events.append(TrialEnded(trial, TrialState.COMPLETE, "so"))
    return events


@pytest.mark.parametrize("draw", [optimization_history, rungs, slices, trial_curves])
def test_a_trial_that_diverged_does_not_flatten_the_others(
    build: Build, draw: Callable[[History], go.Figure | None]
) -> None:
    figure = draw(build(search([[0.2], [0.3], [0.25], [0.4], [1e9]])))
    assert figure is not None
    for axis in figure.select_yaxes():
        assert axis.range is not None
        assert axis.range[1] < 1
    assert figure.layout.yaxis.title.text.endswith(" (1 beyond the axis)")


def test_a_line_has_the_points_where_it_bends_and_its_ends(build: Build) -> None:
    figure = trial_curves(build(search([[0.9, 0.95, 0.9, 0.5, 0.6, 0.7, 0.8]])))
    assert figure is not None
    line = figure.data[0]
    assert line.x == (1, 3, 4, 7, None)
    assert line.y == (0.9, 0.9, 0.5, 0.5, None)
    assert line.mode == "lines+markers"


def test_thousands_of_points_have_no_markers(build: Build) -> None:
    falling = [1 / epoch for epoch in range(1, 1001)]
    figure = trial_curves(build(search([falling, falling, falling])))
    assert figure is not None
    assert {line.mode for line in figure.data} == {"lines"}


def test_x_axes_take_no_room_at_the_sides_for_which_plotly_would_look_in_vain_at_some_widths() -> None:
    assert new_figure(100).layout.template.layout.xaxis.automargin == "height"
