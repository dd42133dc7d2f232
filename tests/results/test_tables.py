from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tuner.journal.events import Event, ModelMeasured, StudyStarted, TrialEnded, TrialProposed
from tuner.journal.history import History
from tuner.paths import RunPaths
from tuner.results.schema import EPOCHS, epoch_columns, split_columns
from tuner.results.tables import epochs_table, final_table, retrain_epochs_table, trials_table, write_tables
from tuner.search.objective import Objective
from tuner.search.trial import Origin, TrialState

TABLES = ("trials", "epochs", "final", "retrain_epochs")


@pytest.fixture
def written(finished: History, tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path)
    write_tables(finished, paths)
    return paths


def test_plain_pandas_reads_one_row_per_trial(written: RunPaths) -> None:
    trials = pd.read_parquet(written.trials)
    assert trials["trial"].tolist() == [0, 1, 2, 3]
    assert trials["state"].tolist() == ["COMPLETE", "PRUNED", "FAILED", "RUNNING"]
    assert trials["origin"].tolist() == ["start", "random", "random", "random"]
    assert trials["seed"].tolist() == [100, 101, 102, 103]
    assert trials["epochs"].tolist() == [3, 1, 1, 0]
    assert trials["best_dev_accuracy"].tolist()[:3] == [0.90, 0.70, 0.99]
    assert trials["best_epoch"].tolist()[:3] == [2, 1, 1]
    assert trials["seconds"].tolist() == [6.0, 2.0, 2.0, 0.0]
    assert trials["worker"].tolist()[:3] == ["desk:2", "desk:1", "desk:1"]
    assert trials["retries"].tolist() == [1, 0, 0, 0]
    assert trials.loc[3, ["best_dev_accuracy", "best_epoch", "worker", "reason", "error"]].isna().all()
    assert "ValueError" in trials["error"].tolist()[2]


def test_hyperparameters_have_the_type_that_all_their_values_share(finished: History) -> None:
    table = trials_table(finished)
    assert table.schema.field("hp_lr").type == pa.float64()
    assert table["hp_lr"].to_pylist() == [1.0, 0.5, 2.5, 0.25]
    assert table.schema.field("hp_flip").type == pa.bool_()
    assert table["hp_flip"].to_pylist() == [True, False, True, None]
    assert table.schema.field("hp_decay").type == pa.int64()
    assert table["hp_decay"].to_pylist() == [None, 3, None, None]
    assert table["hp_widths"].to_pylist() == ["[8, 16]", None, "[4]", None]
    assert table["hp_mixed"].to_pylist() == ["1", "one", None, None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, 1], ["true", "1"]),
        ([1, 1 << 70], ["1", str(1 << 70)]),
        ([None, None], [None, None]),
        (["a", [1, "b"]], ["a", '[1, "b"]']),
        ([None, 2], [None, 2]),
    ],
)
def test_odd_hyperparameters_find_a_type(
    build: Callable[[Sequence[Event]], History], values: list[Any], expected: list[Any]
) -> None:
    proposals = [TrialProposed(n, {}, {}, {"x": value}, Origin.RANDOM, 0) for n, value in enumerate(values)]
    assert trials_table(build([StudyStarted({}, {}), *proposals]))["hp_x"].to_pylist() == expected


def test_text_that_is_no_utf_8_is_written_with_escapes(build: Callable[[Sequence[Event]], History]) -> None:
    name = b"caf\xe9.png".decode(errors="surrogateescape")  # as Python reads the name of such a file
    history = build(
        [
            StudyStarted({}, {}),
            TrialProposed(0, {}, {}, {"file": name}, Origin.RANDOM, 0),
            TrialEnded(0, TrialState.FAILED, f"no file {name}", f"FileNotFoundError: {name}"),
            TrialProposed(1, {}, {}, {"file": "café.png"}, Origin.RANDOM, 0),
        ]
    )
    table = trials_table(history)
    assert table["hp_file"].to_pylist() == [r"caf\udce9.png", "café.png"]
    assert table["reason"].to_pylist() == [r"no file caf\udce9.png", None]
    assert table["error"].to_pylist() == [r"FileNotFoundError: caf\udce9.png", None]


def test_an_epoch_trained_twice_is_one_row(written: RunPaths) -> None:
    epochs = pd.read_parquet(written.epochs)
    keys = list(zip(epochs["trial"], epochs["epoch"], strict=True))
    assert keys == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1)]
    assert epochs["dev_accuracy"].tolist() == [0.80, 0.90, 0.85, 0.70, 0.99]
    assert set(epochs) == {
        "trial",
        "epoch",
        "train_loss",
        "train_accuracy",
        "dev_loss",
        "dev_accuracy",
        "lr",
        "seconds",
        "worker",
        "reused",
    }


def test_the_final_table_has_a_row_for_each_candidate_seed_and_split(written: RunPaths) -> None:
    final = pd.read_parquet(written.final)
    assert list(final[["candidate", "seed", "split", "accuracy", "n"]].itertuples(index=False, name=None)) == [
        ("baseline", 1, "train", 0.95, 50_000),
        ("baseline", 1, "dev", 0.90, 10_000),
        ("baseline", 1, "test", 0.89, 10_000),
        ("tuned", 1, "train", 0.96, 50_000),
        ("tuned", 1, "dev", 0.93, 10_000),
        ("tuned", 1, "test", 0.92, 10_000),
        ("tuned", 2, "train", 0.98, 50_000),
        ("tuned", 2, "dev", 0.94, 10_000),
        ("tuned", 2, "test", 0.91, 10_000),
    ]
    assert set(final["loss"]) == {0.25}
    assert set(final["best_epoch"]) == {2}


def test_the_retraining_has_a_row_for_each_epoch(written: RunPaths) -> None:
    epochs = pd.read_parquet(written.retrain_epochs)
    keys = list(epochs[["candidate", "seed", "epoch"]].itertuples(index=False, name=None))
    assert keys == [("baseline", 1, 1), ("tuned", 1, 1), ("tuned", 1, 2), ("tuned", 2, 1)]
    assert epochs["train_accuracy"].tolist() == [0.80, 0.81, 0.86, 0.82]


@pytest.mark.parametrize("name", TABLES)
def test_the_file_documents_itself(written: RunPaths, name: str) -> None:
    schema = pq.read_schema(getattr(written, name))
    assert schema.metadata[b"schema_version"] == b"2"
    assert schema.metadata[b"table"] == name.encode()
    for field in schema:
        assert field.metadata[b"description"].endswith(b".")
        assert b"unit" in field.metadata


@pytest.mark.parametrize("project", [trials_table, epochs_table, final_table, retrain_epochs_table])
def test_an_empty_table_has_the_schema_of_a_full_one(
    nothing: History, finished: History, project: Callable[[History], pa.Table]
) -> None:
    empty, full = project(nothing), project(finished)
    assert empty.num_rows == 0
    assert list(empty.schema) == [field for field in full.schema if not field.name.startswith("hp_")]


def test_writing_leaves_the_four_tables_and_nothing_else(written: RunPaths) -> None:
    assert sorted(path.name for path in written.root.iterdir()) == sorted(f"{name}.parquet" for name in TABLES)


def test_what_was_measured_stands_beside_each_trial(written: RunPaths) -> None:
    trials = pd.read_parquet(written.trials, dtype_backend="numpy_nullable")
    assert trials["num_params"].tolist()[:3] == [1000, 400, 50]
    assert trials["num_params"].dtype == "Int64"
    assert trials["latency_seconds"].tolist()[:3] == [0.0025, 0.00125, 0.0005]
    assert trials.loc[3, ["num_params", "latency_seconds"]].isna().all()


def test_with_one_objective_there_is_no_front(finished: History) -> None:
    assert trials_table(finished)["on_front"].to_pylist() == [None] * 4


def test_the_front_is_marked_and_null_where_a_trial_has_no_place(
    build: Callable[[Sequence[Event]], History], two_objectives: list[Event]
) -> None:
    assert trials_table(build(two_objectives))["on_front"].to_pylist() == [True, True, None, None]
    dominated = [
        ModelMeasured(1, {"num_params": 4000.0}) if isinstance(event, ModelMeasured) and event.trial == 1 else event
        for event in two_objectives
    ]
    assert trials_table(build(dominated))["on_front"].to_pylist() == [True, False, None, None]


@pytest.mark.parametrize("params", [float("nan"), float("inf"), 1e30])
def test_a_count_that_is_none_is_null(build: Callable[[Sequence[Event]], History], params: float) -> None:
    events: list[Event] = [TrialProposed(0, {}, {}, {}, Origin.RANDOM, 0), ModelMeasured(0, {"num_params": params})]
    assert trials_table(build([StudyStarted({}, {}), *events]))["num_params"].to_pylist() == [None]


def test_a_metric_called_n_keeps_its_fraction_in_a_table_of_epochs() -> None:
    objective = Objective("n", "minimize")
    (column,) = epoch_columns(["n"], objective, EPOCHS)
    assert column.type == pa.float64()
    # Of an evaluation it is the number of examples.
    (column,) = split_columns(["n"], objective)
    assert column.type == pa.int64()
