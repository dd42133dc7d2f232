"""Tests of `tuner.engine.run_folder`: every folder that cannot be is refused, and a refused one leaves nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections import namedtuple
from datetime import datetime
from pathlib import Path
from typing import Self

import pytest

from tuner.config import StudyConfig
from tuner.engine.run_folder import check_space, create_run, open_run
from tuner.errors import ConfigError, JournalError, StorageError
from tuner.io.mirror import Mirror
from tuner.journal.events import DriverStarted, StudyStarted
from tuner.journal.store import JournalWriter, read_journal

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 5 << 20))


def config(tmp_path: Path, name: str | None = "study", space: str = "cnn") -> StudyConfig:
    return StudyConfig(name=name, space=space, storage=str(tmp_path / "runs"))


def test_a_run_has_the_name_it_was_given(tmp_path: Path) -> None:
    paths = create_run(config(tmp_path))
    assert paths.root == tmp_path / "runs" / "study"
    assert paths.root.is_dir()


@pytest.mark.parametrize("space", ["cnn", "somewhere/cnn.py"])
def test_a_run_without_a_name_is_named_after_time_and_space(tmp_path: Path, space: str) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-cnn", create_run(config(tmp_path, None, space)).root.name)


def test_the_path_stays_right_when_the_process_goes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert create_run(StudyConfig(name="study")).root == tmp_path / "runs" / "study"
    assert open_run(Path("runs/study")).root == tmp_path / "runs" / "study"


def test_a_run_that_exists_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    kept = create_run(config(tmp_path)).root / "trials.parquet"
    kept.touch()
    with pytest.raises(StorageError, match="runs/study exists: give another --name, or go on with --resume"):
        create_run(config(tmp_path))
    assert kept.exists()


def test_a_file_in_the_place_of_the_runs_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(StorageError, match=r"--storage is '.*/runs', which cannot be made: File exists\."):
        create_run(config(tmp_path))


def test_a_runs_folder_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"--storage is '.*/file/runs', which cannot be made: Not a directory\."):
        create_run(config(tmp_path / "file"))


@pytest.mark.usefixtures("full_disk")
def test_too_little_space_is_told_with_the_numbers_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="runs/study has 5 MiB free, but a run needs at least 1024 MiB"):
        create_run(config(tmp_path))
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_gibibyte_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1 << 30]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, free[0]))
    check_space(tmp_path)
    free[0] -= 1
    with pytest.raises(StorageError):
        check_space(tmp_path)


@pytest.mark.parametrize("kind", ["absent", "file"])
def test_a_resume_needs_a_folder(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / kind).touch()
    with pytest.raises(StorageError, match=f"--resume is '.*{kind}', but there is no such folder"):
        open_run(tmp_path / kind)


def test_a_resume_needs_a_folder_it_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests may be root, to whom every folder is writable.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(StorageError, match=r"--resume is .*, but it cannot be written"):
        open_run(tmp_path)


@pytest.mark.parametrize("run", ["s3://", "s3:///runs/a", "s3://bucket//runs", "s3://key:secret@bucket/runs/a"])
def test_a_resume_of_an_address_that_is_none_is_refused_in_a_line(run: str) -> None:
    with pytest.raises(ConfigError, match=r"^--resume ") as caught:
        open_run(run)
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("full_disk")
def test_a_resume_needs_space_too(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has 5 MiB free"):
        open_run(tmp_path)


@pytest.fixture
def _one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Self:
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr("tuner.engine.run_folder.datetime", Stopped)


@pytest.mark.usefixtures("_one_second")
def test_runs_that_begin_in_the_same_second_are_counted(tmp_path: Path) -> None:
    names = [create_run(config(tmp_path, None, "my space.py")).root.name for _ in range(3)]
    assert names == [f"2026-01-02-030405-my-space{place}" for place in ("", "-2", "-3")]


@pytest.mark.usefixtures("_one_second")
def test_runs_that_two_machines_begin_in_a_bucket_in_the_same_second_are_two(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for machine in ("first", "second"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        names.add(create_run(StudyConfig(space="cnn", storage=bucket)).root.name)
    assert len(names) == 2
    assert all(re.fullmatch(r"2026-01-02-030405-cnn-[0-9a-f]{6}", name) for name in names)


def test_a_resume_beside_a_driver_on_the_same_machine_leaves_its_copy_alone(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    study = StudyConfig(name="a", storage=bucket)
    paths = create_run(study)
    mirror = Mirror(paths)
    with JournalWriter(paths.journal) as journal:
        journal.append(StudyStarted({}, {}))
        with pytest.raises(JournalError, match=r"is being written by process \d+ on .*: wait for it, or stop it"):
            create_run(study)  # nothing is in the bucket yet
        mirror.publish_journal()
        journal.append(DriverStarted("not published", None))
        with pytest.raises(JournalError, match=r"is being written by process \d+ on .*: wait for it, or stop it"):
            open_run(f"{bucket}/a")
        assert len(read_journal(paths.journal)) == 2
        with pytest.raises(JournalError, match="is being written"):  # the lock still keeps others out
            JournalWriter(paths.journal)
    assert open_run(Path(f"{bucket}/a")) == paths
    assert len(read_journal(paths.journal)) == 1
