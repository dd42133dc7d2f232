from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import tuner
from tests.metrics import metrics
from tuner.errors import JournalError, StorageError, TunerError
from tuner.io.files import write_json
from tuner.io.mirror import Mirror
from tuner.journal.events import EpochReported, StudyStarted, TrialProposed
from tuner.journal.store import JournalWriter
from tuner.loaded_run import load_run
from tuner.models import get_model
from tuner.paths import RunPaths
from tuner.report import report
from tuner.search.trial import Origin
from tuner.training.checkpoints import save_model

NARROW = {name: 8 for name in get_model("cnn").defaults or {} if name.endswith("_width")}


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run with two trials, one of which has the conditional hyperparameters, reported on."""
    paths = RunPaths(tmp_path / "study")
    config = {"space": "cnn", "data": {"dataset": "digits"}}
    with JournalWriter(paths.journal) as journal:
        journal.append(
            StudyStarted(config, {"dataset": "digits"}),
            TrialProposed(0, {}, {}, {"lr": 0.1, "layers": 3, "flip": True}, Origin.START, 5),
            TrialProposed(1, {}, {}, {"lr": 0.2}, Origin.RANDOM, 6),
            EpochReported(0, 1, metrics(0.5, 0.8, 0.4, 0.9, 0.01), 2.0, "desk:1"),
        )
    write_json(paths.config, config)
    report(paths.root)
    return paths


def add_best(paths: RunPaths) -> None:
    torch.manual_seed(0)
    save_model(get_model("cnn").build(NARROW), paths.best_model, {})
    description = {
        "model": "cnn",
        "space": "cnn",
        "dataset": "digits",
        "class_names": [*"0123456789"],
        "mean": 0.1,
        "std": 0.2,
    }
    paths.best_hparams.write_text(json.dumps(description | {"hparams": NARROW}))


def test_the_frames_keep_their_types_where_values_are_missing(paths: RunPaths) -> None:
    trials = load_run(paths.root).trials
    assert trials.dtypes.astype(str)[["trial", "hp_lr", "hp_layers", "hp_flip", "best_epoch"]].tolist() == [
        "Int64",
        "Float64",
        "Int64",
        "boolean",
        "Int64",
    ]
    assert trials["hp_layers"].isna().tolist() == [False, True]
    assert trials["hp_flip"].dropna().tolist() == [True]


def test_all_tables_and_the_configuration_are_there(paths: RunPaths) -> None:
    run = load_run(str(paths.root))
    assert run.epochs["dev_accuracy"].tolist() == [0.9]
    assert list(run.final.columns) == ["candidate", "seed", "split", "accuracy", "loss", "n", "best_epoch"]
    assert run.final.empty
    assert run.retrain_epochs.empty
    assert run.config["space"] == "cnn"


def test_the_reports_figures_are_there_for_notebooks(paths: RunPaths) -> None:
    plot = load_run(paths.root).plot
    figure = plot.history()
    (best, *_) = (line for line in figure.data if line.name == "best so far")
    assert list(best.y) == [0.9, 0.9]
    assert figure.layout.paper_bgcolor == "white"
    names = [name for name, method in vars(type(plot)).items() if callable(method) and not name.startswith("_")]
    assert {"history", "importance", "parallel", "slices", "rungs", "timeline", "confusion"} <= set(names)
    shown = {"history", "trials", "timeline"}
    for name in shown:
        assert getattr(plot, name)().data
    for name in set(names) - shown:
        with pytest.raises(TunerError, match="there is nothing to plot: "):
            getattr(plot, name)()


def test_hyperparameters_and_model_come_from_best(paths: RunPaths) -> None:
    run = load_run(paths.root)
    with pytest.raises(StorageError, match="holds no retrained model"):
        _ = run.hparams
    add_best(paths)
    assert run.hparams == NARROW
    model = run.model()
    assert not model.training
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_tables_need_no_torch(paths: RunPaths) -> None:
    code = f"""
import sys
from tuner.loaded_run import load_run
load_run({str(paths.root)!r}).trials
assert not {{"torch", "ray", "plotly"}} & set(sys.modules), "imported"
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="is not the folder of a run"):
        load_run(tmp_path)


def test_a_missing_or_damaged_table_says_how_to_get_it(paths: RunPaths) -> None:
    paths.final.unlink()
    paths.epochs.write_bytes(paths.epochs.read_bytes()[:50])
    run = load_run(paths.root)
    with pytest.raises(StorageError, match=r"final\.parquet is missing: write it with tuner report"):
        _ = run.final
    with pytest.raises(StorageError, match=r"epochs\.parquet is damaged"):
        _ = run.epochs


def test_a_run_in_a_bucket_is_loaded_by_its_address(paths: RunPaths, bucket: str) -> None:
    add_best(paths)
    Mirror(RunPaths(paths.root, f"{bucket}/runs/a")).push()
    expected = load_run(paths.root)
    for given in (f"{bucket}/runs/a", Path(f"{bucket}/runs/a")):
        run = tuner.load_run(given)
        pd.testing.assert_frame_equal(run.trials, expected.trials)
        assert run.hparams == expected.hparams
        copy = run.path
        del run
        gc.collect()
        assert not copy.exists()
    with pytest.raises(JournalError, match=r"some-bucket/runs/b holds no run"):
        tuner.load_run(f"{bucket}/runs/b")


def test_a_run_at_home_is_found(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(paths.root.parent))
    assert load_run(f"~/{paths.root.name}").path == paths.root
