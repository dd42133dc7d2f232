"""A whole study whose run lives in a bucket of a real S3 server (moto's, on loopback), on a real Ray."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tuner import job
from tuner.config import DataConfig, ResourceConfig, RetrainConfig, SearchConfig, StudyConfig
from tuner.errors import StorageError
from tuner.files import hash_file
from tuner.journal.events import EpochReported, RetrainEnded, StudyEnded, TrialEnded
from tuner.journal.store import read_journal
from tuner.paths import RunPaths
from tuner.storage import fetch, place

SPACE = """
from torch import nn

START = [{"learning_rate": 0.003}]

def suggest(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)}

def MODEL(hparams):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
TRIALS = 4

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "space.py").write_text(SPACE)


def _study(tmp_path: Path, bucket: str) -> StudyConfig:
    return StudyConfig(
        space=str(tmp_path / "space.py"),
        name="study",
        storage=f"{bucket}/runs",
        data=DataConfig(dataset="digits"),
        search=SearchConfig(trials=TRIALS, max_epochs=3, startup_trials=2),
        resources=ResourceConfig(workers=1),
        retrain=RetrainConfig(retrain_seeds=1),
    )


def _console() -> Console:
    return Console(file=io.StringIO())


def test_a_run_in_a_bucket_is_whole_there_and_can_go_on_from_another_machine(tmp_path: Path, bucket: str) -> None:
    here = job.run_new(_study(tmp_path, bucket), _console())
    remote = place(f"{bucket}/runs/study")
    names = remote.names()
    assert {"trials.parquet", "epochs.parquet", "final.parquet", "report.html", "best/model.safetensors"} <= set(names)
    assert [name for name in names if name.startswith("journal/")] == ["journal/00000001.jsonl"]
    assert not [name for name in names if name.startswith("checkpoints/")]
    fetch(remote, "trials.parquet", tmp_path / "trials.parquet")
    assert len(pd.read_parquet(tmp_path / "trials.parquet")) == TRIALS

    with pytest.raises(StorageError, match="s3://some-bucket/runs/study exists"):
        job.run_new(_study(tmp_path, bucket), _console())

    # The driver died after the sixth event: the bucket holds that part, and another machine knows nothing.
    lines = (here.journal / "00000001.jsonl").read_bytes().splitlines(keepends=True)
    remote.delete_all()
    part = tmp_path / "part"
    part.write_bytes(b"".join(lines[:6]))
    remote.put(part, f"journal/00000001.jsonl.{0:012d}")
    shutil.rmtree(tmp_path / "cache")

    there = job.resume(f"{bucket}/runs/study", _console())
    events = [entry.event for entry in read_journal(there.journal)]
    assert len([event for event in events if isinstance(event, TrialEnded)]) == TRIALS
    reports = [(event.trial, event.epoch) for event in events if isinstance(event, EpochReported)]
    assert len(reports) == len(set(reports))
    assert isinstance(events[-1], StudyEnded)
    [retrained] = [event for event in events if isinstance(event, RetrainEnded)]
    model = tmp_path / "model.safetensors"
    fetch(remote, "best/model.safetensors", model)
    assert hash_file(model) == retrained.weights_sha256
    assert [name for name in remote.names() if name.startswith("journal/")] == [
        "journal/00000001.jsonl",
        "journal/00000002.jsonl",
    ]


def test_a_bucket_that_is_not_there_ends_it_at_once(tmp_path: Path, aws: str) -> None:
    with pytest.raises(StorageError, match="no-such-bucket"):
        job.run_new(_study(tmp_path, "s3://no-such-bucket"), _console())
    assert not RunPaths(tmp_path / "runs/study").root.exists()
