"""Tests of the command `python -m tuner.export`."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
import sys
import threading
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import pandas as pd
import pytest
import torch

from tests.results.conftest import AFTER, OPENING, SEARCH
from tuner.engine.model_formats import FORMATS, inputs_like
from tuner.errors import ConfigError, StorageError
from tuner.exits import main
from tuner.export import _look_at, export, run
from tuner.journal.store import JournalWriter
from tuner.models import get_model
from tuner.paths import RunPaths
from tuner.predict import load_model
from tuner.results.best import read_description
from tuner.training.checkpoints import save_model

NARROW = {name: 8 for name in get_model("cnn").defaults or {} if name.endswith("_width")}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A finished run whose best model is a narrow CNN."""
    paths = RunPaths(tmp_path_factory.mktemp("runs") / "study")
    with JournalWriter(paths.journal) as journal:
        journal.append(*OPENING, *SEARCH, *AFTER)
    paths.best.mkdir()
    names = [str(digit) for digit in range(10)]
    described = {"model": "cnn", "space": "cnn", "dataset": "digits", "class_names": names, "hparams": NARROW}
    paths.best_hparams.write_text(json.dumps({**described, "mean": 0.25, "std": 0.5}))
    torch.manual_seed(0)
    model = get_model("cnn").build(NARROW)
    model.train()(torch.randn(64, 1, 28, 28))  # so that batch norm has statistics to lose
    save_model(model, paths.best_model, {})
    return paths


@pytest.fixture
def dashboard(paths: RunPaths, tmp_path: Path) -> Iterator[str]:
    """The address of the real dashboard, serving the exported storage."""
    from optuna_dashboard import wsgi

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    export(paths.root, "optuna", tmp_path / "study.db")
    app = wsgi(optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db"))
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _ask(address: str) -> Any:
    with urllib.request.urlopen(address) as answer:
        return json.load(answer)


def test_the_real_dashboard_shows_states_epochs_and_attributes(dashboard: str) -> None:
    (summary,) = _ask(f"{dashboard}/api/studies")["study_summaries"]
    assert (summary["study_name"], summary["directions"]) == ("study", ["maximize"])
    detail = _ask(f"{dashboard}/api/studies/{summary['study_id']}?after=0")
    trials = detail["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Pruned", "Fail", "Running"]
    assert trials[0]["values"] == [0.90]
    assert [(one["step"], one["value"]) for one in trials[0]["intermediate_values"]] == [
        (1, 0.80),
        (2, 0.90),
        (3, 0.85),
    ]
    attributes = {one["key"]: one["value"] for one in trials[0]["user_attrs"]}
    assert json.loads(attributes["best_epoch"]) == 2


def test_the_tables_become_csv(paths: RunPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run([str(paths.root), "--to", "csv", "--out", str(tmp_path / "tables")])
    assert str(tmp_path / "tables" / "trials.csv") in capsys.readouterr().out
    trials = pd.read_csv(tmp_path / "tables" / "trials.csv")
    assert trials["state"].tolist() == ["COMPLETE", "PRUNED", "FAILED", "RUNNING"]
    assert pd.read_csv(tmp_path / "tables" / "epochs.csv")["dev_accuracy"].tolist() == [0.80, 0.90, 0.85, 0.70, 0.99]


def test_a_tracker_gets_what_it_would_have_been_sent_and_nothing_twice(paths: RunPaths, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # here, as it takes long

    for _ in range(2):
        export(paths.root, "tensorboard", tmp_path)
    read = EventAccumulator(str(tmp_path / paths.root.name / "trial-00000")).Reload()
    assert [event.step for event in read.Scalars("dev_accuracy")] == [1, 2, 3]


def test_two_runs_in_one_folder_of_tensorboard_stay_apart(paths: RunPaths, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(paths.root, other)
    for folder in (paths.root, other):
        export(folder, "tensorboard", tmp_path / "logs")
    found = {one.parent.relative_to(tmp_path / "logs").as_posix() for one in (tmp_path / "logs").rglob("*tfevents*")}
    assert {f"{folder.name}/trial-00000" for folder in (paths.root, other)} <= found


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_answers_as_the_original_does_in_every_format(name: Any, paths: RunPaths, tmp_path: Path) -> None:
    path = tmp_path / f"model{FORMATS[name].suffix}"
    said = export(paths.root, name, path)
    assert "differ from the original's by at most" in said[0]
    model, (inputs, _) = load_model(paths), inputs_like(read_description(paths), 7, seed=1)
    if name == "onnx":
        import onnxruntime  # here, as it takes long

        (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"input": inputs.numpy()})
        answer = torch.from_numpy(found)
    else:
        answer = FORMATS[name].read(path)(inputs)
    torch.testing.assert_close(answer, model(inputs).detach(), atol=1e-4, rtol=0)
    card = path.with_name(f"{path.name}.md").read_text()
    assert "# The tuned model of run" in card
    assert "pixels scaled to 0..1, minus 0.25, divided by 0.5" in card


def test_a_model_that_answers_otherwise_is_not_left_behind(
    paths: RunPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(FORMATS["torchscript"], read=lambda path: lambda inputs: torch.zeros(len(inputs), 10))
    monkeypatch.setattr("tuner.engine.model_formats.FORMATS", {"torchscript": wrong})
    with pytest.raises(StorageError, match=r"the model's answers differ by .* nothing is written"):
        export(paths.root, "torchscript", tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


def test_without_its_package_the_line_that_installs_it_is_named(
    paths: RunPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"onnxscript is not installed: .*install .*onnxscript"):
        export(paths.root, "onnx", tmp_path / "model.onnx")


def test_the_address_of_a_tracking_server_is_not_shown_for_it_may_hold_a_password() -> None:
    assert "secret" not in _look_at("postgresql://me:secret@there/mlflow")
    assert _look_at("sqlite:///mlflow.db").endswith("mlflow ui --backend-store-uri sqlite:///mlflow.db")


def test_a_tracking_server_that_is_away_is_an_error_of_a_line_without_its_password(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageError, match=r"^MLflow cannot be written: .*http://\*\*\*@127.0.0.1:1/") as raised:
        export(paths.root, "mlflow")
    assert "secret" not in "".join(traceback.format_exception(raised.value))


def test_an_address_is_no_place_for_a_storage(paths: RunPaths) -> None:
    with pytest.raises(ConfigError, match="but must be the path of a file"):
        export(paths.root, "optuna", Path("sqlite:///study.db"))


@pytest.mark.parametrize("to", ["optuna", "mlflow", "onnx"])
def test_a_folder_is_no_place_for_a_file(to: Any, paths: RunPaths, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"a folder, but {to} is written to a file"):
        export(paths.root, to, tmp_path)
    assert not list(tmp_path.iterdir())


def _sqlite(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_text("no database " * 100), "file is not a database"),
        (
            lambda path: _sqlite(path, "CREATE TABLE studies (other INTEGER)"),
            "table studies has no column named study_name",
        ),
        (
            lambda path: _sqlite(
                path,
                "CREATE TABLE alembic_version (version_num VARCHAR(32))",
                "INSERT INTO alembic_version VALUES ('of MLflow')",
            ),
            "its tables are of another version of Optuna's, or another program's",
        ),
    ],
    ids=["no database", "other tables", "another program's"],
)
def test_what_is_no_storage_of_optunas_is_named_in_a_line(
    make: Callable[[Path], object], reason: str, paths: RunPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study.db"
    make(out)
    with pytest.raises(SystemExit) as ended:
        main(lambda: run([str(paths.root), "--to", "optuna", "--out", str(out)]))
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{out} cannot be written as an Optuna storage: " in line
    assert reason in line


def test_a_path_that_would_end_within_an_address_is_that_of_the_storage(paths: RunPaths, tmp_path: Path) -> None:
    out = tmp_path / "q?x" / "a study.db"
    said = export(paths.root, "optuna", out)
    assert out.stat().st_size > 0
    address = shlex.split(said[1])[-1]
    assert optuna.load_study(study_name=paths.root.name, storage=address).trials


def test_a_run_in_a_bucket_needs_a_place() -> None:
    with pytest.raises(ConfigError, match="--out is missing: s3://bucket/run is only read"):
        export("s3://bucket/run", "csv")
