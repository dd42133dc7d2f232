"""Tests of `tuner.engine.checkpoint_store` with real trainings and real damage."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.worker import Job
from tuner.errors import StorageError
from tuner.io.files import hash_file
from tuner.training import checkpoints
from tuner.training.session import Session

MakeTraining = Callable[[], Session]


@pytest.fixture
def make_training(job: Job) -> MakeTraining:
    def make() -> Session:
        return Session(
            job.trainable,
            {"batch_size": 64},
            job.splits,
            objectives=job.objectives,
            seed=1,
            max_epochs=20,
            patience=None,
            device=torch.device("cpu"),
            precision=torch.float32,
            keep_best=False,
        )

    return make


def trained(make_training: MakeTraining, store: CheckpointStore, epochs: int) -> Session:
    training = make_training()
    for _ in range(epochs):
        training.run_epoch()
        store.save(training)
    return training


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_the_newest_two_are_kept_and_named_by_epoch_and_hash(tmp_path: Path, make_training: MakeTraining) -> None:
    trained(make_training, CheckpointStore(tmp_path / "trial"), epochs=11)
    kept = files(tmp_path / "trial")
    assert [path.name for path in kept] == [
        f"epoch-{epoch:05d}-{hash_file(path)}.pt" for epoch, path in zip((10, 11), kept, strict=True)
    ]


def test_the_newest_is_loaded_whole(tmp_path: Path, make_training: MakeTraining) -> None:
    store = CheckpointStore(tmp_path)
    saved, loaded = trained(make_training, store, epochs=3), make_training()
    loaded.load_state_dict(store.newest())
    assert loaded.reports == saved.reports
    for name, weights in saved.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], weights)


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-100], lambda content: b"", lambda content: content + b"!"]
)
def test_a_damaged_newest_one_falls_back_to_the_one_before(
    tmp_path: Path, make_training: MakeTraining, damage: Callable[[bytes], bytes]
) -> None:
    store = CheckpointStore(tmp_path)
    saved, loaded = trained(make_training, store, epochs=3), make_training()
    newest = files(tmp_path)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    loaded.load_state_dict(store.newest())
    assert loaded.reports == saved.reports[:2]


def test_without_a_good_one_nothing_is_loaded(tmp_path: Path, make_training: MakeTraining) -> None:
    store = CheckpointStore(tmp_path / "trial")
    assert store.newest() is None
    trained(make_training, store, epochs=2)
    for path in files(tmp_path / "trial"):
        path.write_bytes(b"damaged")
    assert store.newest() is None
    # They are not in the way of those of the training that begins again.
    trained(make_training, store, epochs=1)
    assert {path.name[:11] for path in files(tmp_path / "trial")} == {"epoch-00001"}
    assert store.newest() is not None


@pytest.mark.parametrize("readable", [0, 1])
def test_one_that_cannot_be_read_is_not_taken_for_damaged(
    tmp_path: Path, make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch, readable: int
) -> None:
    store = CheckpointStore(tmp_path)
    trained(make_training, store, epochs=2)
    unread = files(tmp_path)[readable:]

    def hash_of(path: Path) -> str:
        if path in unread:
            raise OSError(errno.EIO, "Input/output error")
        return hash_file(path)

    monkeypatch.setattr(checkpoints, "hash_file", hash_of)
    if readable:
        loaded = make_training()
        loaded.load_state_dict(store.newest())
        assert loaded.epoch == 1
    else:
        with pytest.raises(StorageError, match="cannot be read: Input/output error"):
            store.newest()


def test_one_that_was_not_finished_is_not_loaded_and_not_in_the_way(
    tmp_path: Path, make_training: MakeTraining
) -> None:
    store = CheckpointStore(tmp_path)
    training = trained(make_training, store, epochs=1)
    complete = files(tmp_path)
    (tmp_path / f"unfinished-{socket.gethostname()}-1.pt").write_bytes(complete[0].read_bytes()[:1000])
    loaded = make_training()
    loaded.load_state_dict(store.newest())
    assert loaded.epoch == 1
    training.run_epoch()
    store.save(training)
    assert [path.name[:11] for path in files(tmp_path)] == ["epoch-00001", "epoch-00002"]


def test_a_full_disk_is_a_storage_error_and_the_checkpoints_before_stay(
    tmp_path: Path, make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = CheckpointStore(tmp_path)
    training = trained(make_training, store, epochs=1)
    training.run_epoch()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"no checkpoint can be written in .*: No space left on device\."):
        store.save(training)
    loaded = make_training()
    loaded.load_state_dict(store.newest())
    assert loaded.epoch == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, make_training: MakeTraining) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"no checkpoint can be written in .*file/trial on .+: Not a directory\."):
        CheckpointStore(tmp_path / "file" / "trial").save(make_training())


def test_deleting_takes_the_folder_away_and_may_be_repeated(tmp_path: Path, make_training: MakeTraining) -> None:
    store = CheckpointStore(tmp_path / "trial")
    trained(make_training, store, epochs=1)
    store.delete()
    assert not (tmp_path / "trial").exists()
    store.delete()
