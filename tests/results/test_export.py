from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from tuner.journal.events import Event, StudyStarted
from tuner.journal.history import read_history
from tuner.paths import RunPaths
from tuner.results.export import export

WriteRun = Callable[[Sequence[Event] | None], RunPaths]
DERIVED = {"trials.parquet", "epochs.parquet", "final.parquet", "retrain_epochs.parquet", "report.txt", "report.html"}


def names(paths: RunPaths) -> set[str]:
    return {path.name for path in paths.root.iterdir()}


def test_everything_derived_lies_in_the_folder_and_nothing_else(run_folder: WriteRun) -> None:
    paths = run_folder(None)
    export(read_history(paths.journal), paths)
    assert names(paths) == DERIVED | {"journal"}
    assert "Run study: fashion-mnist" in paths.report_text.read_text()


def test_a_run_without_trials_is_exported_too(run_folder: WriteRun) -> None:
    paths = run_folder([StudyStarted({"data": {"dataset": "digits"}}, {})])
    export(read_history(paths.journal), paths)
    assert names(paths) == DERIVED | {"journal"}
    assert pd.read_parquet(paths.final).empty


def test_the_card_lies_beside_a_model_only(run_folder: WriteRun) -> None:
    paths = run_folder(None)
    history = read_history(paths.journal)
    export(history, paths)
    assert not paths.model_card.exists()
    paths.best.mkdir()
    paths.best_model.write_bytes(b"")
    export(history, paths)
    assert paths.model_card.read_text().startswith("# The tuned model of run `study`")


def test_exporting_twice_changes_no_byte(run_folder: WriteRun) -> None:
    paths = run_folder(None)
    export(read_history(paths.journal), paths)
    before = {name: (paths.root / name).read_bytes() for name in DERIVED}
    export(read_history(paths.journal), paths)
    assert {name: (paths.root / name).read_bytes() for name in DERIVED} == before
