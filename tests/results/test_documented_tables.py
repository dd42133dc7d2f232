"""`docs/tables.md` names every column of every table with its unit, and its examples run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.documents import REPOSITORY, blocks, sections, table_rows
from tuner.journal.events import Event, StudyStarted, TrialProposed
from tuner.journal.history import History
from tuner.paths import RunPaths
from tuner.results.schema import CONDITIONS, SCHEMA_VERSION
from tuner.results.tables import epochs_table, final_table, retrain_epochs_table, trials_table, write_tables
from tuner.search.trial import Origin

DOCUMENT = REPOSITORY / "docs" / "tables.md"
TABLES = {
    "trials": trials_table,
    "epochs": epochs_table,
    "final": final_table,
    "retrain_epochs": retrain_epochs_table,
}
_GENERAL = "`hp_NAME`"
"""The row for the columns whose names and types are the search space's."""


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_as_the_file_describes_it_and_no_other_is(table: str, finished: History) -> None:
    documented = table_rows(sections(DOCUMENT)[f"`{table}.parquet`"])
    assert [row for row in documented if row[0] != _GENERAL] == [
        _row(field) for field in TABLES[table](finished).schema if b"hparam" not in field.metadata
    ]
    assert (_GENERAL in [row[0] for row in documented]) is (table == "trials")


def _row(field: pa.Field) -> list[str]:
    described = field.metadata[b"description"].decode()
    unit = field.metadata[b"unit"].decode()
    return [f"`{field.name}`", f"{field.type}{' or null' if field.nullable else ''}", unit, described]


def test_the_version_and_the_metadata_are_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"`schema_version` is {SCHEMA_VERSION}" in text
    for key in ("`metric`", "`hparam`", "`unit`", "`description`", f"`{CONDITIONS}`"):
        assert key in text


@pytest.fixture
def runs(tmp_path: Path, finished: History, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder above `runs/NAME`, as the examples expect it."""
    paths = RunPaths(tmp_path / "runs" / "NAME")
    paths.root.mkdir(parents=True)
    write_tables(finished, paths)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_of_pandas_polars_and_duckdb_find_the_same(runs: Path) -> None:
    found = {}
    for code in blocks(DOCUMENT, "python"):
        names: dict[str, Any] = {}
        exec(code, names)
        library = next(name for name in ("pandas", "polars", "duckdb", "pyarrow") if f"import {name}" in code)
        found[library] = names
    best = {name: names["best"] for name, names in found.items() if name != "pyarrow"}
    # A trial that failed after an epoch has a best epoch too.
    expected = [(2, 0.99), (0, 0.90), (1, 0.70)]
    assert list(best["pandas"][["trial", "best_dev_accuracy"]].itertuples(index=False, name=None)) == expected
    assert best["polars"].select("trial", "best_dev_accuracy").rows() == expected
    assert [row[:2] for row in best["duckdb"].fetchall()] == expected
    assert found["pyarrow"]["names"]["hp_lr"] == "lr"


HOSTILE = {"LR": 1.0, "lr": 2.0, "a.b": 3.0, "a b": 4.0, "": 5.0, "café": 6.0, 'x"y': 7.0, "hp_lr": 8.0}
"""Names that differ only by their case, hold a dot, a space, a quote, or nothing."""


def test_no_name_of_a_hyperparameter_troubles_a_reader_of_tables(
    build: Callable[[Sequence[Event]], History], tmp_path: Path
) -> None:
    import duckdb  # these two here, as they take long
    import polars as pl

    proposals = [TrialProposed(0, {}, {}, HOSTILE, Origin.RANDOM, 0)]
    paths = RunPaths(tmp_path)
    write_tables(build([StudyStarted({}, {}), *proposals]), paths)
    held = {
        field.metadata[b"hparam"].decode(): field.name
        for field in pq.read_schema(paths.trials)
        if b"hparam" in field.metadata
    }
    assert list(held) == list(HOSTILE)
    assert len({name.casefold() for name in held.values()}) == len(HOSTILE)
    assert all(name.startswith("hp_") and name.isidentifier() for name in held.values())
    columns = list(held.values())
    assert pd.read_parquet(paths.trials)[columns].to_numpy().tolist() == [list(HOSTILE.values())]
    assert pl.read_parquet(paths.trials).select(columns).rows() == [tuple(HOSTILE.values())]
    query = f"select {', '.join(columns)} from '{paths.trials}'"  # without a quote around any
    assert duckdb.sql(query).fetchall() == [tuple(HOSTILE.values())]
