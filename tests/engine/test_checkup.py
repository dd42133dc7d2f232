"""Tests of `tuner.engine.checkup`: what is missing is named, with the command that mends it."""

from __future__ import annotations

import gzip
import os
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner.engine.checkup import machine, network, places, software
from tuner.engine.checkup.finding import Finding, Level
from tuner.io import storage

DiskUsage = namedtuple("DiskUsage", "total used free")
GIB = 2**30


def only(found: Iterator[Finding]) -> Finding:
    [finding] = found
    return finding


def test_a_python_that_is_too_new_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(software.python()).level is Level.OK
    monkeypatch.setattr("tuner.engine.checkup.software.platform.python_version", lambda: "3.14.1")
    found = only(software.python())
    assert found.level is Level.PROBLEM
    assert "3.14.1" in found.text
    assert "3.13" in (found.mend or "")


def test_a_package_that_is_missing_or_too_old_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [one.level for one in software.packages()] == [Level.OK]
    monkeypatch.setattr(software, "requirements_of", lambda extra: ["numpy<3,>=2.0", "optuna>=99", "no-such-package"])
    _, found = software.packages()
    assert found.level is Level.PROBLEM
    assert "no-such-package (missing" in found.text
    assert (found.mend or "").endswith(" 'optuna>=99' no-such-package")


def test_a_missing_extra_is_a_note_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "available_extras", lambda: ["onnx"])
    monkeypatch.setattr(software, "is_installed", lambda extra: False)
    found = only(software.extras())
    assert (found.name, found.level) == ("extra onnx", Level.NOTE)
    assert "install" in (found.mend or "")
    assert "onnxscript" in (found.mend or "")


def test_fewer_cpus_than_there_are_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cpus", lambda: 2)
    monkeypatch.setattr("tuner.engine.checkup.machine.os.cpu_count", lambda: 64)
    found = only(machine.processors())
    assert found.level is Level.NOTE
    assert found.text.startswith("2 of 64 CPUs")


@pytest.mark.parametrize(
    ("gib", "level", "mend"), [(1.5, Level.PROBLEM, None), (4, Level.NOTE, "--workers 3"), (16, Level.OK, None)]
)
def test_memory_is_weighed_against_the_trials_that_share_it(
    gib: float, level: Level, mend: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "usable_cpus", lambda: 8)
    monkeypatch.setattr(machine, "get_system_memory", lambda: int(gib * GIB))
    found = only(machine.memory())
    assert found.level is level
    assert (found.mend or "").endswith(mend or "")


@pytest.mark.parametrize(("free", "level"), [(64 << 20, Level.NOTE), (64 * GIB, Level.OK)])
def test_small_shared_memory_is_told_because_ray_does_not(
    free: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "get_system_memory", lambda: 16 * GIB)
    monkeypatch.setattr(machine, "resolve_object_store_memory", lambda available: 5 * GIB)
    monkeypatch.setattr("tuner.engine.checkup.machine.shutil.disk_usage", lambda path: DiskUsage(free, 0, free))
    found = only(machine.shared_memory())
    assert found.level is level
    assert ("without a word" in found.text) is (level is Level.NOTE)


def test_a_driver_that_torch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tuner.engine.checkup.machine.torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("tuner.engine.checkup.machine.shutil.which", lambda name: None)
    monkeypatch.setattr(machine, "_DRIVER", tmp_path / "missing")
    assert only(machine.gpus()).level is Level.OK
    monkeypatch.setattr(machine, "_DRIVER", tmp_path)
    monkeypatch.setattr("tuner.engine.checkup.machine.torch.version.cuda", None)
    assert "built for CPUs alone" in only(machine.gpus()).text


def test_a_nearly_full_disk_of_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tuner.engine.checkup.machine.shutil.disk_usage", lambda path: DiskUsage(100 * GIB, 97 * GIB, 3 * GIB)
    )
    found = only(machine.folder_of_ray())
    assert found.level is Level.NOTE
    assert "RAY_TMPDIR" in (found.mend or "")


def test_a_folder_for_runs_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    runs, clock = places.runs(str(tmp_path / "runs"))
    assert [runs.level, clock.level] == [Level.OK, Level.OK]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "precious").touch()
    assert [one.level for one in places.runs(str(tmp_path / "runs"))] == [Level.OK, Level.OK]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["precious"]


def test_folders_above_that_are_missing_are_made_and_taken_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, _ = places.runs(str(tmp_path / "a" / "b" / "runs"))
    assert (runs.level, str(tmp_path / "a" / "b" / "runs") in runs.text) == (Level.OK, True)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    assert [one.level for one in places.runs("a/runs")] == [Level.OK, Level.OK]
    assert list(tmp_path.iterdir()) == []

    def refuse(place: storage.FolderPlace, made: Path, name: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.FolderPlace, "put", refuse)
    assert "a/runs cannot be written: No space left on device." in only(places.runs("a/runs")).text
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for location in (str(tmp_path / "file" / "runs"), "gs://bucket/runs"):
        found = only(places.runs(location))
        assert found.level is Level.PROBLEM
        assert location in found.text


def test_a_clock_that_is_behind_or_differs_is_told() -> None:
    now = time.time()
    assert only(places.clock(now, now, now - 10)).level is Level.OK
    assert only(places.clock(0.0, 0.0, now)).level is Level.PROBLEM
    assert "300s off" in only(places.clock(now, now - 300, now - 10)).text


def test_data_are_right_damaged_or_not_there_yet(
    fashion_mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(places.data(fashion_mnist_dir)).level is Level.OK
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    with gzip.open(raw / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(b"something else")
    damaged = only(places.data(tmp_path))
    assert damaged.level is Level.PROBLEM
    assert "md5" in damaged.text
    monkeypatch.delenv("TUNER_DATA_DIR", raising=False)
    monkeypatch.setattr(places, "user_cache_dir", lambda: tmp_path / "empty")
    absent = only(places.data(None))
    assert (absent.level, absent.mend) == (Level.NOTE, "tuner describe --dataset fashion-mnist")


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({}, Level.OK),
        ({"https_proxy": ""}, Level.OK),
        ({"HTTP_PROXY": "http://proxy:3128"}, Level.NOTE),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "localhost"}, Level.NOTE),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost, 127.0.0.1"}, Level.OK),
        ({"ALL_PROXY": "socks5://proxy", "NO_PROXY": "*"}, Level.OK),
    ],
)
def test_a_proxy_that_would_get_what_is_meant_for_this_machine_is_told(
    environment: dict[str, str], level: Level
) -> None:
    found = only(network.proxies(environment))
    assert found.level is level
    assert "proxy:3128" not in found.text  # it may hold a password


@pytest.mark.parametrize(
    ("environment", "level", "said"),
    [
        ({}, Level.OK, "made anew"),
        ({"RAY_AUTH_MODE": "disabled"}, Level.NOTE, "every user"),
        ({"RAY_AUTH_TOKEN": "secret"}, Level.OK, "$RAY_AUTH_TOKEN"),
    ],
)
def test_whose_token_ray_asks_for_is_told_but_never_the_token(
    environment: dict[str, str], level: Level, said: str
) -> None:
    found = only(network.token(environment))
    assert found.level is level
    assert said in found.text
    assert "secret" not in found.text


def test_a_ray_that_does_not_start_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = only(network.ray(0.05))
    assert found.level is Level.PROBLEM
    assert "--in-process" in (found.mend or "")


def test_a_ray_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tuner.engine.checkup.network.sys.executable", _failing(tmp_path))
    found = only(network.ray(30))
    assert (found.level, found.text) == (Level.PROBLEM, "does not start: no socket")


def _failing(folder: Path) -> str:
    script = folder / "python"
    script.write_text("#!/bin/sh\necho first >&2\necho no socket >&2\nexit 1\n")
    script.chmod(0o700)
    return os.fspath(script)
