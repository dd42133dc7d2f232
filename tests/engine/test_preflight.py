from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import ray
from ray.exceptions import GetTimeoutError

from tuner.engine import preflight
from tuner.engine.hardware import describe_hardware
from tuner.engine.preflight import check_storage, hardware_of_nodes, probe
from tuner.errors import ConfigError, StorageError


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / ".probe-1").write_text(".probe-1")
    return tmp_path


def test_a_node_that_shares_the_folder_leaves_nothing_there(shared: Path) -> None:
    assert probe(str(shared), ".probe-1", "node") is None
    assert [path.name for path in shared.iterdir()] == [".probe-1"]


def test_a_folder_of_the_nodes_own_is_not_the_shared_one(tmp_path: Path) -> None:
    assert probe(str(tmp_path), ".probe-1", "node") == "does not see what the driver wrote there"


def test_a_folder_that_the_node_has_not_at_all_is_not_made(tmp_path: Path) -> None:
    assert probe(str(tmp_path / "runs"), ".probe-1", "node") == "does not see what the driver wrote there"
    assert not (tmp_path / "runs").exists()


def test_an_older_probe_under_the_same_name_is_noticed(shared: Path) -> None:
    (shared / ".probe-1").write_text("older")
    assert probe(str(shared), ".probe-1", "node") == "reads something else than the driver wrote there"


def test_a_disk_that_fails_is_told_in_its_own_words(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    assert probe(str(shared), ".probe-1", "node") == "cannot use it (No space left on device)"


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("ray_running")
def test_each_node_describes_itself() -> None:
    [node] = hardware_of_nodes("auto")
    assert node == describe_hardware("auto")


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("ray_running")
def test_the_drivers_own_node_answers_without_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*arguments: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr("ray.remote_function.RemoteFunction._remote", ask)
    check_storage(str(tmp_path), "runs")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(preflight, "probe", lambda location, name, suffix: "does not see what the driver wrote there")
    with pytest.raises(StorageError, match="--storage is 'runs', but this machine does not see"):
        check_storage(str(tmp_path), "runs")


class Silent:
    """A question that nobody answers."""

    def options(self, **_: object) -> Silent:
        return self

    def remote(self, *_: object) -> str:
        return "asked"


def test_nodes_that_are_silent_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(asked: str, timeout: float) -> None:
        waited.append(timeout)
        raise GetTimeoutError

    waited: list[float] = []
    nodes = [
        {"Alive": True, "NodeID": name * 56, "NodeManagerHostname": name, "NodeManagerAddress": ""} for name in "abc"
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(ray, "wait", lambda asked, num_returns, timeout: waited.append(timeout))
    monkeypatch.setattr(ray, "get", get)
    answers = preflight.ask_every_node(Silent())
    assert [str(answer) for answer in answers.values()] == ["did not answer within 60s"] * 3
    assert sum(waited) == 60.0


def test_a_node_that_does_not_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"node a (10.0.0.1)": {"host": "a"}, "node b (10.0.0.2)": ConfigError("did not answer within 60s")}
    monkeypatch.setattr(preflight, "ask_every_node", lambda question, precision: answers)
    assert hardware_of_nodes("auto") == [{"host": "a"}]
