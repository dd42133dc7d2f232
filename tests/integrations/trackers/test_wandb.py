"""What is logged offline is read back from W&B's files."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.integrations.trackers.conftest import EPOCHS, Tell, places
from tuner.integrations.trackers import wandb as ours
from tuner.integrations.trackers.open_runs import OpenRuns
from tuner.integrations.trackers.wandb import Tracker
from tuner.integrations.trackers.wandb_files import records
from tuner.journal.events import EpochReported, TrialProposed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("WANDB_PROJECT", "WANDB_DIR", "WANDB_RUN_GROUP", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path / "trackers" / "wandb"


def test_a_study_that_was_killed_twice_has_every_epoch_once(tell_until: Tell, folder: Path) -> None:
    for count in (places(EpochReported)[1], places(TrialProposed)[2], None):
        tracker = Tracker()
        tell_until(tracker, count)
        tracker._runs.close_all()  # a process that is killed leaves its files to W&B's own, which writes them down
        _wait_until_written(folder)
    steps: dict[str, Counter[int]] = {}
    names, groups, summary = set(), set(), {}
    for path in sorted(folder.glob("*/run-*.wandb")):
        for record in records(path):
            if record.HasField("run"):
                names.add(record.run.display_name)
                groups.add(record.run.run_group)
            found = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            if "dev_accuracy" in found:
                steps.setdefault(record_trial(path), Counter())[found["epoch"]] += 1
            for item in record.summary.update:
                summary[record_trial(path), item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert {trial: list(found.elements()) for trial, found in steps.items()} == {
        **{str(trial): epochs for trial, epochs in EPOCHS.items() if epochs},
        "tuned-seed-1": [1, 2],
        "tuned-seed-2": [1],
        "baseline-seed-1": [1],
    }
    files = sorted(folder.rglob("*.wandb"))
    tell_until(Tracker(), None)
    assert sorted(folder.rglob("*.wandb")) == files  # what is whole is not opened again
    assert groups == {"study"}
    assert names == {"study", *(f"study trial {trial}" for trial in (0, 1, 2))} | {
        f"study retrained {one}" for one in ("tuned-seed-1", "tuned-seed-2", "baseline-seed-1")
    }
    assert summary["0", "best/dev_accuracy"] == 0.90
    assert summary["1", "state"] == "PRUNED"
    assert summary["study", "tuned-seed-1/test/accuracy"] == 0.92


def _wait_until_written(folder: Path) -> None:
    """W&B's process writes on after a run is finished; a driver that goes on comes seconds later."""
    until = time.monotonic() + 10
    while not all(any(one.HasField("exit") for one in records(path)) for path in folder.glob("*/run-*.wandb")):
        assert time.monotonic() < until
        time.sleep(0.02)


def record_trial(path: Path) -> str:
    return path.stem.split("-", 2)[2]  # run-STUDY-TRIAL


def test_a_record_over_several_blocks_is_read_whole(tmp_path: Path) -> None:
    from wandb.proto import wandb_internal_pb2 as protocol

    record = protocol.Record()
    record.history.item.add(key="text", value_json=json.dumps("x" * 70_000))
    content = record.SerializeToString()
    chunks: list[bytes] = []
    place = 7
    while content:
        part, content = content[: (32 << 10) - place % (32 << 10) - 7], content[(32 << 10) - place % (32 << 10) - 7 :]
        kind = (2 if not chunks else 3) if content else 4
        chunks.append(bytes(4) + len(part).to_bytes(2, "little") + bytes([kind]) + part)
        place += len(chunks[-1])
    path = tmp_path / "run.wandb"
    path.write_bytes(b":W&B\xe1\xbe\x00" + b"".join(chunks))
    assert [json.loads(one.history.item[0].value_json) for one in records(path)] == ["x" * 70_000]
    path.write_bytes(path.read_bytes()[:-1])
    assert list(records(path)) == []


def test_without_a_key_or_a_mode_nothing_is_asked_and_nothing_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not ours._has_key()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password 0123\n")
    assert ours._has_key()


def test_of_many_runs_those_are_closed_that_nobody_wants() -> None:
    closed: list[str] = []
    runs = OpenRuns(str.upper, closed.append, most=2)
    assert [runs[key] for key in ("a", "b", "a", "c")] == ["A", "B", "A", "C"]
    assert closed == ["B"]
    runs.close_all()
    assert closed == ["B", "A", "C"]
