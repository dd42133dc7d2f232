from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.results.conftest import AFTER, OPENING, SEARCH, epoch, proposed, three_of_which_one_diverged
from tuner.journal.events import EnsembleMeasured, Event, PlanMade, RetrainEnded, StudyStarted
from tuner.journal.history import History
from tuner.results.intervals import wilson
from tuner.results.reference import reference_for
from tuner.results.summary import pace_of, summarize
from tuner.results.wording import final_notes

Build = Callable[[Sequence[Event]], History]


def test_the_final_rows_are_reference_baseline_tuned_mean_and_the_kept_seed(finished: History) -> None:
    rows = summarize(finished, "study").final
    assert [(row.label, row.seeds) for row in rows] == [
        ("reference", "1"),
        ("baseline", "1 seed"),
        ("tuned, mean", "2 seeds"),
        ("tuned, in best/", "2"),
    ]
    assert [round(row.values["accuracy"]["test"].mean, 6) for row in rows] == [0.9353, 0.89, 0.915, 0.91]
    # Of 0.92 and 0.91: half the difference times the root of 2.
    assert rows[2].values["accuracy"]["test"].sd == pytest.approx(0.0070710678)
    assert rows[2].test_interval == wilson(0.915, 10000)
    assert rows[3].test_interval is not None
    assert rows[3].test_interval.low == pytest.approx(0.9042, abs=1e-4)


@pytest.mark.parametrize(
    ("keep", "labels"),
    [
        ("single", ["tuned, mean", "ensemble", "tuned, in best/"]),
        ("ensemble", ["tuned, mean", "tuned, best on dev", "ensemble, in best/"]),
    ],
)
def test_the_ensemble_has_a_row_and_an_interval_of_its_own(finished: History, keep: str, labels: list[str]) -> None:
    found = {"dev": {"accuracy": 0.93, "n": 10000}, "test": {"accuracy": 0.92, "n": 10000}}
    ensemble = EnsembleMeasured([1, 2], found, "w", "h")
    history = replace(finished, ensemble=ensemble, config={**finished.config, "retrain": {"keep": keep}})
    rows = {row.label: row for row in summarize(history, "study").final}
    assert list(rows)[2:] == labels
    row = next(row for label, row in rows.items() if label.startswith("ensemble"))
    assert (row.seeds, row.test_interval) == ("2 seeds", wilson(0.92, 10000))
    assert row.spread("accuracy", "train") is None


def test_a_loss_has_no_interval_of_a_proportion_where_the_accuracy_was_not_evaluated(build: Build) -> None:
    found = {split: {"loss": 0.25 * seed, "n": 10_000.0} for seed, split in enumerate(("train", "dev", "test"), 1)}
    ended = [RetrainEnded("tuned", seed, {}, 2, found, "weights", "5ha") for seed in (1, 2)]
    summary = summarize(build([*OPENING, *SEARCH, *AFTER[:2], *ended]), "study")
    row = next(row for row in summary.final if row.label == "tuned, mean")
    test = row.spread("loss", "test")
    assert test is not None
    assert row.test_interval == test.interval
    assert "Wilson" not in " ".join(final_notes(summary))


def test_seeds_without_a_finite_value_are_counted_by_split(build: Build) -> None:
    events = [*OPENING, *SEARCH, *AFTER[:2], *three_of_which_one_diverged()]
    row = next(row for row in summarize(build(events), "study").final if row.label == "tuned, mean")
    assert (row.seeds, row.lacking) == ("3 seeds", {"test": 1})
    found = row.spread("accuracy", "test")
    assert found is not None
    assert found.n == 2


@pytest.mark.parametrize(("planned", "horizon"), [({"cost_epochs": 2}, 18), ({}, 4)])
def test_a_trial_has_the_horizon_that_its_first_epochs_tell_by_the_rule_of_its_plan(
    build: Build, planned: dict[str, int], horizon: int
) -> None:
    plan = {"rungs": [1, 3, 9], "seconds_per_epoch": 4.0, "cost_exponent": 1.0, **planned}
    cold, warm = (replace(epoch(0, number, 0.8), seconds=seconds) for number, seconds in ((1, 8.0), (2, 2.0)))
    history = build([StudyStarted({}, {}), PlanMade(plan), proposed(0), cold, warm])
    assert pace_of(history).horizon(0) == horizon


def test_trials_epochs_and_times_are_counted(finished: History) -> None:
    summary = summarize(finished, "study")
    assert summary.states == {"RUNNING": 1, "PAUSED": 0, "COMPLETE": 1, "PRUNED": 1, "FAILED": 1}
    assert summary.epochs == 5
    assert summary.search_seconds == 24.0
    assert summary.total_seconds == 34.0
    assert summary.stage == "finished"


def test_the_rung_table_counts_who_got_there_and_who_was_stopped(finished: History) -> None:
    rungs = summarize(finished, "study").rungs
    assert [(rung.epoch, rung.reached, rung.stopped, rung.best) for rung in rungs] == [(1, 3, 1, 0.80), (3, 1, 0, 0.90)]


def test_the_reference_stands_only_beside_fashion_mnist(build: Build) -> None:
    digits = summarize(build([StudyStarted({"data": {"dataset": "auto"}}, {"dataset": "digits"})]), "study")
    assert (digits.dataset, digits.final) == ("digits", ())
    assert reference_for("digits", "cnn") is None
    reference = reference_for("fashion-mnist", "cnn")
    assert reference is not None
    assert reference.accuracy == {"train": 0.9731, "dev": 0.9370, "test": 0.9353}


def test_a_search_under_way_has_an_incumbent_and_no_measurement(searching: History) -> None:
    summary = summarize(searching, "study")
    assert summary.winner is not None
    assert summary.winner.trial == 0
    assert not summary.is_measured
    assert summary.search_seconds is None
    assert summary.stage == "not finished: the search has not ended"
