"""Tests of `tuner.serve.runs`: which names lead to files, and that no other does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.serve.conftest import Serve
from tuner.errors import StorageError
from tuner.io.mirror import Mirror
from tuner.journal.events import StudyStarted
from tuner.journal.live import LiveHistory
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.serve.runs import RunsFolder


def make_run(folder: Path) -> None:
    with JournalWriter(folder / "journal") as journal:
        journal.append(StudyStarted({}, {}))


def test_runs_are_listed_and_what_lies_beside_them_is_not(tmp_path: Path) -> None:
    for name in ("b", "a run", "<i>", "\u00e4#?%"):
        make_run(tmp_path / name)
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").touch()
    make_run(tmp_path / "line\nbreak")
    assert RunsFolder(str(tmp_path)).names() == ["<i>", "a run", "b", "\u00e4#?%"]


def test_a_copy_from_a_bucket_that_has_only_parts_of_a_journal_is_listed(tmp_path: Path) -> None:
    (tmp_path / "copy" / "journal").mkdir(parents=True)
    (tmp_path / "copy" / "journal" / "00000001.jsonl.000000000000").touch()
    assert RunsFolder(str(tmp_path)).names() == ["copy"]


def test_a_run_called_journal_is_one_among_others(tmp_path: Path) -> None:
    make_run(tmp_path / "journal")
    make_run(tmp_path / "other")
    assert RunsFolder(str(tmp_path)).names() == ["journal", "other"]


def test_files_beside_the_runs_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "run")
    for number in range(50):
        (tmp_path / f"{number}.png").touch()
        (tmp_path / "run" / f"{number}.png").touch()
    asked: list[str] = []
    real = Path.stat

    def counted(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        asked.append(path.name)
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", counted)
    assert RunsFolder(str(tmp_path)).names() == ["run"]
    assert not [name for name in asked if name.endswith(".png")]


def test_a_folder_that_is_not_there_yet_has_no_runs(tmp_path: Path) -> None:
    runs = RunsFolder(str(tmp_path / "runs"))
    assert runs.names() == []
    make_run(tmp_path / "runs" / "first")
    assert runs.names() == ["first"]


def test_a_place_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("AWS Error ACCESS_DENIED")

    monkeypatch.setattr("tuner.io.storage.BucketPlace.folders", refuse)
    with pytest.raises(StorageError, match=r"^s3://theirs/runs cannot be read: "):
        RunsFolder("s3://theirs/runs")


def test_one_run_is_shown_alone(tmp_path: Path) -> None:
    make_run(tmp_path / "mine #1")
    make_run(tmp_path / "other")
    runs = RunsFolder(str(tmp_path / "mine #1") + "/")
    assert runs.names() == ["mine #1"]
    assert runs.source("other") is None
    assert (runs.location, runs.first_path) == (str(tmp_path), "/runs/mine%20%231")


@pytest.mark.parametrize("name", ["..", ".", "", "../secret", "a/../../secret", "/etc", "a/", "a\0", "nobody"])
def test_a_name_that_is_not_in_the_list_leads_nowhere(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "secret")
    make_run(tmp_path / "runs" / "a")
    runs = RunsFolder(str(tmp_path / "runs"))
    assert runs.names() == ["a"]
    assert runs.source(name) is None


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../secret",
        "/runs/..%2fsecret",
        "/api/runs/%2e%2e",
        "/api/runs/..%2Fsecret",
        "/api/runs/..%5csecret",
        "/api/runs/a%2f..%2f..%2fsecret",
        "/static/..%2fapp.py",
        "/static/../app.py",
        "/static/%2e%2e%2fguard.py",
        "/static//etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_folder(serve: Serve, tmp_path: Path, path: str) -> None:
    make_run(tmp_path / "secret")
    make_run(tmp_path / "runs" / "a")
    assert serve(tmp_path / "runs").ask(path).status == 404


def test_runs_in_a_bucket_are_listed_and_followed(bucket: str, tmp_path: Path) -> None:
    theirs = RunPaths(tmp_path / "run", f"{bucket}/some/runs/run")
    mirror = Mirror(theirs)
    with JournalWriter(theirs.journal) as journal:
        journal.append(StudyStarted({}, {}))
        mirror.publish_journal()
        runs = RunsFolder(f"{bucket}/some/runs/")
        assert runs.names() == ["run"]
        source = runs.source("run")
        assert source is not None
        assert RunsFolder(f"{bucket}/some/runs/run").names() == ["run"]
        source.update()
        assert LiveHistory(source.paths.journal).refresh()
        assert source.has_owner
    mirror.push()
    source.update()
    assert source.has_owner is False
