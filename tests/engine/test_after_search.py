"""Tests of `tuner.engine.after_search`: what is planned from a journal, and what is done about slow epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE, StudyConfig, merge, nested
from tuner.engine.after_search import AfterSearch, Retraining, RetrainTimes, retrainings_of
from tuner.engine.plan import Plan, make_plan
from tuner.engine.task import load_task
from tuner.errors import SpaceError
from tuner.journal.events import (
    EpochReported,
    Event,
    RetrainEpochReported,
    RetrainingPlanned,
    StudyStarted,
    TrialProposed,
    WinnerSelected,
)
from tuner.journal.history import History, RetrainHistory, fold
from tuner.journal.store import Entry
from tuner.search.space import load_space
from tuner.search.trial import Origin

SPACE = """
MODEL = "cnn"
START = [{"x": 0.5}]
EPOCH_HPARAMS = ["cycle"]


def suggest(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0), "decay_epochs": 6.0, "cycle": 2, "batch_size": 64}
"""
REFERENCE = {"x": 0.5, "decay_epochs": 6.0, "cycle": 2, "batch_size": 64}
WINNER = {"x": 0.25, "decay_epochs": 3.0, "cycle": 4, "batch_size": 128}


def trial(number: int, hparams: dict[str, Any], *seconds: float, reused: bool = False) -> list[Event]:
    proposed = TrialProposed(number, {}, {}, hparams, Origin.START, 1)
    reports = [
        EpochReported(number, epoch, {"dev_accuracy": 0.5}, one, "here:1", reused=reused)
        for epoch, one in enumerate(seconds, 1)
    ]
    return [proposed, *reports]


def history_of(*events: Event) -> History:
    all_events = [StudyStarted({}, {}), *events, WinnerSelected(1, WINNER, "dev_accuracy", 0.9, 3, "rule")]
    return fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(all_events))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., AfterSearch]:
    """Make what follows a search of one hour on two workers, an epoch of the reference planned at 56 seconds."""
    path = tmp_path / "space.py"

    def make(space: str = SPACE, **values: Any) -> AfterSearch:
        path.write_text(space)
        settings: dict[str, Any] = {"budget": "1h", "retrain_seeds": 2, "baseline": True} | values
        config = merge(StudyConfig(), nested(settings), "test")
        return AfterSearch(config, load_space(str(path)), make_plan(config, 2, 56.0, 0.0), 2)

    return make


def lengths(planned: RetrainingPlanned) -> list[tuple[str, int, int]]:
    return [(one.candidate, one.seed, one.max_epochs) for one in retrainings_of(planned)]


def test_the_time_left_is_shared_by_what_epochs_have_cost(make: Callable[..., AfterSearch]) -> None:
    history = history_of(*trial(0, REFERENCE, 50.0, 40.0, 40.0), *trial(1, WINNER, 20.0, 90.0, 20.0))
    planned = make().planned(history, 2160.0)
    assert planned.seconds_per_epoch == {"tuned": 20.0, "baseline": 40.0}
    # Two rounds of (2160 - 20) x 0.97 / 2 = 1037.9 seconds.
    assert lengths(planned) == [("tuned", 1, 51), ("tuned", 2, 51), ("baseline", 1, 25), ("baseline", 2, 25)]


def test_what_a_search_that_ended_early_has_left_makes_the_retraining_longer_up_to_its_most(
    make: Callable[..., AfterSearch],
) -> None:
    history = history_of(*trial(0, REFERENCE, 40.0), *trial(1, WINNER, 20.0))
    after = make(resource="epochs")
    epochs = [retrainings_of(after.planned(history, 2160.0 + early))[0].max_epochs for early in (0.0, 600.0, 1300.0)]
    assert epochs == [51, 66, 81]  # and not 83, which two rounds of (3460 - 20) x 0.97 / 2 seconds would hold
    assert after.plan.most_retrain_epochs == 81


def test_a_cheap_winner_that_had_more_epochs_in_the_search_may_have_more_in_the_retraining_too(
    make: Callable[..., AfterSearch],
) -> None:
    history = history_of(*trial(0, REFERENCE, 56.0), *trial(1, WINNER, 7.0))  # an eighth of what was measured
    after = make(resource="seconds")
    times_as_long = retrainings_of(after.planned(history, 9 * 3600.0))[0].max_epochs / after.plan.rungs[-1]
    assert times_as_long == pytest.approx(8 * 81 / after.plan.rungs[-1])


def test_what_was_not_trained_here_costs_what_was_measured(make: Callable[..., AfterSearch]) -> None:
    history = history_of(*trial(0, {"x": 0.9}, 9.0), *trial(1, WINNER, 2.0, reused=True))
    assert make().planned(history, 2160.0).seconds_per_epoch == {"tuned": 56.0, "baseline": 56.0}


def test_without_a_baseline_nothing_is_said_of_its_cost(make: Callable[..., AfterSearch]) -> None:
    planned = make(baseline=False).planned(history_of(*trial(1, WINNER, 20.0)), 2160.0)
    assert planned.seconds_per_epoch == {"tuned": 20.0}
    assert {one.candidate for one in retrainings_of(planned)} == {"tuned"}


def test_hyperparameters_that_count_epochs_grow_with_the_winners_horizon_and_the_baseline_is_as_it_was_written(
    make: Callable[..., AfterSearch],
) -> None:
    after = make(max_epochs=10, resource="epochs")
    history = history_of(*trial(0, REFERENCE, 40.0), *trial(1, WINNER, 20.0))
    tuned, _, baseline, _ = retrainings_of(after.planned(history, 2160.0))
    assert (tuned.max_epochs, baseline.max_epochs) == (51, 25)
    assert tuned.hparams == WINNER | {"decay_epochs": pytest.approx(3.0 * 5.1), "cycle": 20}
    assert baseline.hparams == REFERENCE


@pytest.mark.parametrize("seconds", [(14.0,), (28.0, 14.0)])
def test_where_rungs_count_seconds_a_cheap_winner_had_more_epochs_already(
    make: Callable[..., AfterSearch], seconds: tuple[float, ...]
) -> None:
    after = make(max_epochs=10, resource="seconds")
    history = history_of(*trial(0, REFERENCE, 56.0), *trial(1, WINNER, *seconds))
    tuned, *_ = retrainings_of(after.planned(history, 2160.0))
    assert tuned.hparams == WINNER | {"decay_epochs": pytest.approx(3.0 * tuned.max_epochs / 40), "cycle": 7}


def test_what_only_the_retraining_has_only_the_winner_gets_there(make: Callable[..., AfterSearch]) -> None:
    after = make(space=SPACE + 'RETRAIN = {"cooldown": 0.5, "batch_size": 32}\n', max_epochs=10, resource="epochs")
    history = history_of(*trial(0, REFERENCE, 40.0), *trial(1, WINNER, 20.0))
    tuned, _, baseline, _ = retrainings_of(after.planned(history, 2160.0))
    assert (tuned.hparams["cooldown"], tuned.hparams["batch_size"]) == (0.5, 32)
    assert baseline.hparams == REFERENCE


def test_a_retraining_as_long_as_the_search_changes_nothing(make: Callable[..., AfterSearch]) -> None:
    after = make(budget=None, trials=3, max_epochs=9)
    planned = after.planned(history_of(*trial(1, WINNER, 20.0)), None)
    assert {one.max_epochs for one in retrainings_of(planned)} == {9}
    assert retrainings_of(planned)[0].hparams == WINNER


def test_names_of_hyperparameters_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_text(SPACE.replace('["cycle"]', '"cycle"'))
    with pytest.raises(SpaceError, match=r"EPOCH_HPARAMS of space .* is 'cycle', but must be a list of the names"):
        load_space(str(path))


def test_a_name_that_no_configuration_has_is_refused_and_one_of_a_rare_branch_is_not(tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_text(SPACE.replace('["cycle"]', '["cycles"]'))
    reason = r"EPOCH_HPARAMS of space .* names 'cycles', but no configuration .* did you mean 'cycle'\?"
    with pytest.raises(SpaceError, match=reason):
        load_space(str(path)).check(None)
    rare = SPACE.replace('"cycle": 2', '**({"cycle": 2} if trial.params["x"] > 0.95 else {})')
    path.write_text(rare)
    load_space(str(path)).check(None)


@pytest.mark.parametrize(
    ("retrain", "message"),
    [
        ("['cooldown']", r"RETRAIN of space .* is \['cooldown'\], but must be a dictionary of hyperparameters"),
        ("{1: 0.5}", "but must be a dictionary of hyperparameters"),
        ("{'cooldown': print}", "RETRAIN of space .* cannot be written as JSON"),
        ("{'cooldwon': 0.5}", "hyperparameter 'cooldwon', which neither its model nor the training knows"),
    ],
)
def test_what_the_retraining_cannot_have_is_refused(tmp_path: Path, retrain: str, message: str) -> None:
    path = tmp_path / "space.py"
    path.write_text(f"MODEL = 'cnn'\ndef suggest(trial):\n    return {{}}\nRETRAIN = {retrain}\n")
    with pytest.raises(SpaceError, match=message):
        load_task(str(path)).check()


class Watched:
    """Retrainings of a plan whose time a test moves."""

    def __init__(self, after: AfterSearch, *, saves_state: bool = True) -> None:
        self.left: float | None = 2160.0
        self.events: list[Event] = []
        self.said: list[str] = []
        self.history = history_of(*trial(0, REFERENCE, 40.0), *trial(1, WINNER, 20.0))
        planned = after.planned(self.history, self.left)
        self.waiting = retrainings_of(planned)
        record, say = self.events.append, self.said.append
        self.times = RetrainTimes(after, self.history, planned, lambda: self.left, record, say, saves_state)

    def had(self, epochs: int, seconds: float, *retrainings: Retraining) -> None:
        """Let an earlier driver have trained so many epochs of each."""
        for one in retrainings:
            known = self.history.retrains.setdefault(one.key, RetrainHistory(*one.key, DEFAULT_OBJECTIVE))
            for epoch in range(1, epochs + 1):
                known.epochs[epoch] = RetrainEpochReported(*one.key, epoch, metrics(), seconds)

    def begin(self) -> Retraining:
        self.waiting = self.times.fit(self.waiting)
        retraining = self.waiting.pop(0)
        self.times.begin(retraining)
        return retraining

    def train(self, retraining: Retraining, seconds: float) -> list[bool]:
        """Train to the planned end; return what each epoch was told."""
        return [self.times.epoch(retraining, epoch, seconds) for epoch in range(1, retraining.max_epochs + 1)]


@pytest.fixture
def watched(make: Callable[..., AfterSearch]) -> Watched:
    return Watched(make())


def test_while_epochs_cost_what_was_planned_nothing_is_said(watched: Watched) -> None:
    tuned = [watched.begin(), watched.begin()]
    assert [any(watched.train(one, 20.0)) for one in tuned] == [False, False]
    watched.left = 2160.0 - 51.3 * 20
    for one in tuned:
        watched.times.end(one)
    assert [watched.begin().max_epochs, watched.begin().max_epochs] == [25, 25]
    assert (watched.events, watched.said) == ([], [])


def test_slower_epochs_shorten_what_has_not_begun_and_that_is_written_down_and_told(watched: Watched) -> None:
    tuned = [watched.begin(), watched.begin()]
    for one in tuned:
        watched.train(one, 30.0)
        watched.times.end(one)
    watched.left = 2160.0 - 51.3 * 30  # 621 seconds; 25 epochs of the baseline take 1012
    shorter = watched.begin()
    assert shorter.max_epochs == 14  # 601 x 0.97 / 40 - 0.3
    assert shorter.hparams == REFERENCE
    (event,) = watched.events
    assert isinstance(event, RetrainingPlanned)
    assert lengths(event) == [("tuned", 1, 51), ("tuned", 2, 51), ("baseline", 1, 14), ("baseline", 2, 14)]
    assert watched.said == [
        (
            "Epochs are slower than planned, so the rest of the retraining is planned anew: "
            "baseline seed 1 gets 14 epochs, not 25; baseline seed 2 gets 14 epochs, not 25."
        )
    ]


def test_where_nothing_fits_any_more_the_rest_is_given_up(watched: Watched) -> None:
    for one in [watched.begin(), watched.begin()]:
        watched.train(one, 40.0)
        watched.times.end(one)
    watched.left = 60.0
    assert watched.times.fit(watched.waiting) == []
    assert watched.said == [
        (
            "Epochs are slower than planned, so the rest of the retraining is planned anew: "
            "without baseline seed 1, baseline seed 2."
        )
    ]


@pytest.mark.parametrize(
    ("seconds", "blame"), [(20.0, "less time is left than planned"), (20.5, "epochs are slower than planned")]
)
def test_a_retraining_that_cannot_be_finished_ends_after_the_last_epoch_that_fits(
    watched: Watched, seconds: float, blame: str
) -> None:
    tuned = watched.begin()
    watched.left = 72.1  # 26 seconds are for another epoch and the evaluation, 20 for the closing
    assert not watched.times.epoch(tuned, 11, seconds)
    watched.left = 45.9
    assert watched.times.epoch(tuned, 12, seconds)
    assert watched.said == [
        (
            "tuned seed 1 ends with its best epoch so far, after 12 of 51: "
            f"{blame}, and only the time for the report is left."
        )
    ]


def test_where_time_went_on_a_restart_the_epochs_are_not_blamed(watched: Watched) -> None:
    watched.left = 1500.0
    assert watched.times.fit(watched.waiting)[0].max_epochs < 51
    assert watched.said[0].startswith("Less time is left than planned, so the rest of the retraining is planned anew: ")


def test_a_later_driver_leaves_what_has_begun_as_long_as_it_is_and_counts_what_was_trained(watched: Watched) -> None:
    tuned = watched.waiting[:2]
    watched.had(40, 20.0, *tuned)
    watched.left = 20 + 11.3 * 20 + 25.3 * 40 + 1  # for all four from their beginning it takes 2058 seconds
    assert watched.times.fit(watched.waiting) == watched.waiting
    assert (watched.events, watched.said) == ([], [])


def test_what_has_begun_comes_first_and_is_never_given_up(watched: Watched) -> None:
    first, second, *baseline = watched.waiting
    watched.had(40, 20.0, second)
    watched.left = 60.0
    assert watched.times.fit([first, second, *baseline]) == [second]
    assert "without tuned seed 1, baseline seed 1, baseline seed 2" in watched.said[0]


def test_without_a_tuned_one_there_is_no_result_so_one_stays_however_late_it_is(watched: Watched) -> None:
    watched.left = 25.0
    (only,) = watched.times.fit(watched.waiting)
    assert (only.key, only.max_epochs) == (("tuned", 1), 1)


def test_a_training_without_state_begins_anew_and_is_trained_to_its_end(make: Callable[..., AfterSearch]) -> None:
    watched = Watched(make(), saves_state=False)
    watched.had(40, 20.0, *watched.waiting[:2])
    watched.left = 20 + 11.3 * 20 + 25.3 * 40 + 1
    assert watched.times.fit(watched.waiting)[0].max_epochs < 51
    tuned = watched.begin()
    watched.left = -100.0
    assert not watched.times.epoch(tuned, 3, 20.0)


def test_a_later_driver_goes_on_with_the_last_plan(make: Callable[..., AfterSearch]) -> None:
    planned = make().planned(history_of(*trial(1, WINNER, 20.0)), 2160.0)
    later = replace(planned, retrainings=planned.retrainings[:2])
    events: list[Event] = [StudyStarted({}, {}), planned, later]
    assert fold(Entry(seq, 0.0, 0.0, event) for seq, event in enumerate(events)).retraining_planned == later


def test_a_plan_of_an_older_run_retrains_as_long_as_it_searched(make: Callable[..., AfterSearch]) -> None:
    after = make()
    values = after.plan.to_dict()
    for name in ("least_retrain_epochs", "most_retrain_epochs", "expected_retrain_epochs"):
        del values[name]
    old = replace(after, plan=Plan.from_dict(values))
    planned = old.planned(history_of(*trial(1, WINNER, 20.0)), 2160.0)
    assert {one.max_epochs for one in retrainings_of(planned)} == {after.plan.max_epochs}
