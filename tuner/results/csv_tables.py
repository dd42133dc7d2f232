"""A run's tables as CSV files, for programs that do not read Parquet."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from tuner.io.files import write_whole
from tuner.journal.history import History
from tuner.results.tables import epochs_table, final_table, retrain_epochs_table, trials_table


def write_csv(history: History, folder: Path) -> list[Path]:
    """Write `trials.csv`, `epochs.csv`, `final.csv` and `retrain_epochs.csv`, whole or not at all; return the paths.

    Columns are those of the Parquet files; what is missing there is an empty cell.
    """
    tables = {
        "trials": trials_table(history),
        "epochs": epochs_table(history),
        "final": final_table(history),
        "retrain_epochs": retrain_epochs_table(history),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.csv" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        write_whole(path, partial(_write, table))
    return paths


def _write(table: pa.Table, path: Path) -> None:
    with path.open("wb") as handle:
        csv.write_csv(table, handle)
