"""What is logged is read back by MLflow's own client, from a database of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integrations.trackers.conftest import EPOCHS, Tell, places
from tests.results.conftest import AFTER
from tuner.integrations.trackers.mlflow import Tracker, _name
from tuner.journal.events import EpochReported, RetrainFailed, StudyEnded, TrialProposed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.timeout(120)  # MLflow takes long to import


@pytest.fixture
def told(tell_until: Tell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A study whose driver was killed twice, and which then ended."""
    from mlflow import MlflowClient

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    for count in (places(EpochReported)[1], places(TrialProposed)[2], None):
        tell_until(Tracker(), count)
    return MlflowClient(f"sqlite:///{tmp_path}/trackers/mlflow.db")


def test_a_study_that_was_killed_twice_is_one_run_with_every_epoch_once(told: MlflowClient) -> None:
    experiment = told.get_experiment_by_name("tuner")
    assert experiment is not None
    runs = {run.data.tags["tuner.trial"]: run for run in told.search_runs([experiment.experiment_id])}
    assert len(told.search_runs([experiment.experiment_id])) == len(runs) == 1 + 4 + 3
    parent = runs.pop("study")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert {trial: _steps(told, runs[str(trial)]) for trial in EPOCHS} == EPOCHS

    assert (parent.info.run_name, parent.info.status) == ("study", "FINISHED")
    assert parent.data.metrics["best/dev_accuracy"] == 0.90
    first = runs["0"]
    assert first.data.params == {"lr": "1", "flip": "True", "widths": "[8, 16]", "mixed": "1"}
    assert (first.data.metrics["best/dev_accuracy"], first.data.metrics["model/num_params"]) == (0.90, 1000.0)
    assert [runs[str(trial)].info.status for trial in EPOCHS] == ["FINISHED", "FINISHED", "FAILED", "RUNNING"]
    assert runs["1"].data.tags["tuner.state"] == "PRUNED"
    retrained = runs["retrained tuned seed 1"]
    assert (retrained.info.status, retrained.data.metrics["test/accuracy"]) == ("FINISHED", 0.92)
    assert _steps(told, retrained) == [1, 2]


def test_a_retraining_that_failed_after_an_epoch_ends_as_failed(
    tell_until: Tell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/failed.db"
    after = [*AFTER[:3], RetrainFailed("tuned", 1, "the loss is nan"), StudyEnded()]
    monkeypatch.setattr("tests.integrations.trackers.conftest.AFTER", after)
    tell_until(Tracker(uri), None)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tuner")
    assert experiment is not None
    runs = {run.data.tags["tuner.trial"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["retrained tuned seed 1"].info.status == "FAILED"


def _steps(client: MlflowClient, run: Run) -> list[int]:
    return [one.step for one in client.get_metric_history(run.info.run_id, "dev_accuracy")]


def test_every_name_is_one_that_mlflow_takes_and_no_two_become_one() -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param

    plain = ["dev_accuracy", "model/num_params", "block.0.width", "Größe", "ß"]
    odd = ["a,b", "a;b", "a//b", "a/b/", "/a", "../a", "..", ".", "", "x" * 251, "x" * 252, "a\nb", "\udcff"]
    found = [_name(name) for name in [*plain, *odd]]
    assert found[: len(plain)] == plain
    assert len(set(found)) == len(found)
    for name in found:
        _validate_metric_name(name)
        _validate_param(name, "1")
