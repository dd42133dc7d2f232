"""Tables and reports of a task that is no classification: two metrics of its own, an error that is minimised."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import t

from tuner.journal.events import (
    EpochReported,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RungDecided,
    SearchEnded,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
)
from tuner.journal.history import History, fold
from tuner.paths import RunPaths
from tuner.results.html import html_report
from tuner.results.incumbent import improvements
from tuner.results.model_card import model_card
from tuner.results.selection import kept_retraining, select
from tuner.results.story import tell
from tuner.results.summary import summarize
from tuner.results.tables import write_tables
from tuner.results.text import text_report
from tuner.search.objective import Objective
from tuner.search.trial import Origin, TrialState

RMSE = Objective("dev_rmse", "minimize")
Build = Callable[[Sequence[Event]], History]


def epoch(trial: int, number: int, rmse: float, r2: float) -> EpochReported:
    return EpochReported(trial, number, {"dev_rmse": rmse, "dev_r2": r2}, 1.0, "desk:1")


def retrained(seed: int, dev: float, test: float) -> list[Event]:
    found = {"train": {"rmse": 40.0, "r2": 0.6}, "dev": {"rmse": dev, "r2": 0.5}, "test": {"rmse": test, "r2": 0.4}}
    metrics = {"dev_rmse": dev, "dev_r2": 0.5}
    return [
        RetrainEpochReported("tuned", seed, 1, metrics, 1.0),
        RetrainEnded("tuned", seed, {"depth": 3}, 1, found, f"weights-{seed}", "5ha"),
    ]


SEARCH: list[Event] = [
    StudyStarted(
        {"search": {"objectives": ["dev_rmse", "dev_r2:maximize"]}},
        {"dataset": "diabetes"},
        objective=RMSE,
    ),
    PlanMade({"rungs": [1, 2]}),
    TrialProposed(0, {}, {}, {"depth": 2}, Origin.START, 1),
    epoch(0, 1, 70.0, 0.2),
    RungDecided(0, 1, "CONTINUE", "70.0000 is in the best 1 of 1 result"),
    epoch(0, 2, 60.0, 0.3),
    TrialEnded(0, TrialState.COMPLETE, "60.0000 after all 2 epochs"),
    TrialProposed(1, {}, {}, {"depth": 3}, Origin.RANDOM, 2),
    epoch(1, 1, 55.5, 0.25),
    epoch(1, 2, 58.0, 0.35),
    TrialEnded(1, TrialState.COMPLETE, "55.5000 after all 2 epochs"),
]


@pytest.fixture
def regression(build: Build) -> History:
    winner = select(build(SEARCH))
    assert winner is not None
    return build(
        [*SEARCH, SearchEnded("done"), winner, *retrained(1, 54.0, 57.0), *retrained(2, 53.0, 59.0), StudyEnded()]
    )


def test_the_lowest_error_wins_and_is_kept(regression: History) -> None:
    winner = regression.winner
    assert winner is not None
    assert (winner.trial, winner.metric, winner.value, winner.epoch) == (1, "dev_rmse", 55.5, 1)
    assert winner.rule == (
        "The lowest dev rmse of any epoch of any trial that is not FAILED; of equals one on the front of all "
        "objectives, then the lower trial number."
    )
    kept = kept_retraining(regression)
    assert kept is not None
    assert kept.seed == 2
    assert [(one.trial, one.value) for one in improvements(regression)] == [(0, 70.0), (0, 60.0), (1, 55.5)]


def test_every_metric_has_its_column(regression: History, run_folder: Callable[..., RunPaths]) -> None:
    paths = run_folder(SEARCH[:1])
    write_tables(regression, paths)
    trials, epochs = pd.read_parquet(paths.trials), pd.read_parquet(paths.epochs)
    assert trials[["best_dev_rmse", "best_epoch"]].to_numpy().tolist() == [[60.0, 2], [55.5, 1]]
    assert trials["on_front"].tolist() == [True, True]
    assert epochs[["dev_rmse", "dev_r2"]].to_numpy().tolist() == [[70.0, 0.2], [60.0, 0.3], [55.5, 0.25], [58.0, 0.35]]
    assert not {"dev_accuracy", "dev_loss", "lr"} & set(epochs)
    final = pd.read_parquet(paths.final)
    assert final[final["split"] == "test"][["seed", "rmse", "r2"]].to_numpy().tolist() == [
        [1, 57.0, 0.4],
        [2, 59.0, 0.4],
    ]
    assert set(final) == {"candidate", "seed", "split", "rmse", "r2", "best_epoch"}
    field = pq.read_schema(paths.epochs).field("dev_rmse")
    assert field.metadata[b"metric"] == b"dev_rmse"


def test_names_that_no_reader_could_tell_apart_get_columns_of_their_own(
    build: Build, run_folder: Callable[..., RunPaths]
) -> None:
    metrics = {"F1": 0.1, "f1": 0.2, "top.5": 0.3, "top 5": 0.4, "epoch": 0.5, "dev_rmse": 1.0, "ß": 0.6}
    events = [*SEARCH[:3], EpochReported(0, 1, metrics, 1.0, "desk:1")]
    paths = run_folder(SEARCH[:1])
    write_tables(build(events), paths)
    table = pq.read_table(paths.epochs)
    columns = {field.metadata[b"metric"].decode(): field.name for field in table.schema if b"metric" in field.metadata}
    assert columns.keys() == metrics.keys()
    assert len({name.casefold() for name in table.column_names}) == len(table.column_names)
    assert not any("." in name for name in columns.values())
    assert {name: table[column][0].as_py() for name, column in columns.items()} == metrics


def test_without_a_state_or_a_test_split_nothing_is_said_of_either(build: Build) -> None:
    def kept(state: str, *splits: str) -> str:
        found = {split: {"rmse": 50.0} for split in splits}
        ended = RetrainEnded("tuned", 1, {"depth": 3}, 1, found, state, "5ha")
        report = RetrainEpochReported("tuned", 1, 1, {"dev_rmse": 50.0, "dev_r2": 0.5}, 1.0)
        winner = select(build(SEARCH))
        assert winner is not None
        history = build([*SEARCH, SearchEnded("done"), winner, report, ended, StudyEnded()])
        return text_report(history, "study") + (model_card(history, "study", is_of_images=False) or "")

    whole = kept("weights", "train", "dev", "test")
    assert "of the state of the best dev epoch; the test set was read once" in " ".join(whole.split())
    bare = " ".join(kept("", "dev").split())
    assert "of the last epoch, for no state is saved. " in bare
    assert "test set was read" not in bare
    assert "best on dev: the one with the lowest dev rmse; best/ holds its hyperparameters" in bare
    assert "what was trained saves no state, so none is here" in bare
    assert "safetensors" not in bare
    assert "`tuner.load_run(RUN).state()`" in kept("best/state.pt", "dev")


def test_the_interval_is_that_of_the_mean_over_seeds(regression: History) -> None:
    (mean, kept) = summarize(regression, "study").final
    assert (mean.label, kept.label) == ("tuned, mean", "tuned, in best/")
    expected = t.interval(0.95, 1, loc=58.0, scale=2**0.5 / 2**0.5)
    assert mean.test_interval is not None
    assert (mean.test_interval.low, mean.test_interval.high) == pytest.approx(expected)
    assert kept.test_interval is None


def test_the_texts_speak_of_what_is_there(regression: History) -> None:
    text, card = text_report(regression, "study"), model_card(regression, "study", is_of_images=False)
    assert "Trial 1 won with dev rmse 55.5000 at epoch 1." in text
    assert "2 of 2 trials are on the front of best dev rmse and best dev r2" in text
    assert re.search(r"tuned, mean +2 seeds +40\.0000 ±0\.0000 +53\.5000 ±0\.7071 +58\.0000 ±1\.4142", text)
    assert re.search(r"tuned, in best/ +r2 +0\.6000 +0\.5000 +0\.4000", text)
    assert card is not None
    assert "| `rmse` | 40.0000 | 53.0000 | 59.0000 |" in card
    for report in (text, card):
        assert not re.search(r"accurac|image|Wilson|Keras|28x28|nats", report, re.IGNORECASE)


def test_the_page_draws_every_metric(regression: History) -> None:
    page = html_report(regression, "study")
    assert not re.search(
        r"accurac|\bimages?\b|Wilson|Keras", page.split("<body>")[1].split("<script>")[0], re.IGNORECASE
    )
    figures = re.findall(r'id="(\S+)-figure">', page)
    assert figures == ["learning-curves", "front", "history", "rungs", "trials", "timeline"]
    assert '"text":"rmse"' in page
    assert '"text":"r2"' in page
    assert "best dev rmse so far" in page


def test_an_evaluation_that_does_not_tell_the_objective_is_shown_all_the_same(build: Build) -> None:
    winner = select(build(SEARCH))
    assert winner is not None
    found = {"dev": {"error": 3.0}, "test": {"error": 4.0}}
    events: list[Event] = []
    for seed, rmse in ((1, 50.0), (2, 40.0)):
        events += [
            RetrainEpochReported("tuned", seed, 1, {"dev_rmse": rmse}, 1.0),
            RetrainEnded("tuned", seed, {}, 1, found, "w", "5ha"),
        ]
    history = build([*SEARCH, winner, *events])
    kept = kept_retraining(history)
    assert kept is not None
    assert kept.seed == 2  # by its best epoch
    text = text_report(history, "study")
    assert text.index("Error\n=====") < text.index("Winner")
    assert "train" not in text.split("Winner")[0].split("Error\n")[1].splitlines()[1]
    assert model_card(history, "study", is_of_images=False) is not None
    html_report(history, "study")


def test_the_story_tells_every_metric(regression: History, run_folder: Callable[..., RunPaths]) -> None:
    from tuner.journal.store import read_journal

    entries = read_journal(run_folder(SEARCH).journal)
    lines = [tell(entry, fold(entries).objective) for entry in entries]
    assert any("trial 0 epoch 1: dev rmse 70.0000, dev r2 0.2000; 1.0s on desk:1" in line for line in lines)
