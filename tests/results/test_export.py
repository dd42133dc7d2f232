from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tests.results.conftest import AFTER, OPENING, SEARCH
from tuner.io.files import write_json
from tuner.journal.events import Event, StudyStarted
from tuner.journal.history import read_history
from tuner.journal.store import JournalWriter
from tuner.loaded_run import load_run
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


def test_a_folder_and_a_file_whose_names_are_not_utf8_can_be_reported_on(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / os.fsdecode(b"caf\xe9"))
    opening = OPENING[0]
    assert isinstance(opening, StudyStarted)
    config = {**opening.config, "space": os.fsdecode(b"mod\xe8le.py"), "storage": str(tmp_path / os.fsdecode(b"\xff"))}
    with JournalWriter(paths.journal) as journal:
        journal.append(replace(opening, config=config), *OPENING[1:], *SEARCH, *AFTER)
    history = read_history(paths.journal)
    assert history.config == config
    paths.best.mkdir()
    paths.best_model.touch()
    export(history, paths)
    assert "mod\\udce8le.py" in paths.report_html.read_text(encoding="utf-8")
    assert "caf" in paths.model_card.read_text(encoding="utf-8")
    write_json(paths.config, config)
    run = load_run(paths.root)
    assert run.config == config
    assert len(run.trials) == 4
