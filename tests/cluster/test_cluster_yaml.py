from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster.prepare_aws import HEAD, WORKER, Arguments, prepare
from tests.environment import untouched_environment
from tuner.engine.autoscaler import largest_workers

REPOSITORY = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def _commands(cluster: dict[str, Any]) -> list[str]:
    return [command for key, commands in cluster.items() if key.endswith("_commands") for command in commands]


def test_the_installed_ray_accepts_the_file(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(cluster))


def test_a_key_that_ray_does_not_know_would_be_noticed(cluster: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="idle_timeout_hours"):
        validate_config(prepare_config({**cluster, "idle_timeout_hours": 1}))


def test_every_node_has_the_projects_own_ray(cluster: dict[str, Any], project: dict[str, Any]) -> None:
    pins = [pin for pin in project["dependency-groups"]["cluster"] if pin.startswith("ray[")]
    assert len(pins) == 1
    version = re.fullmatch(r"ray\[default\]==(\d+\.\d+\.\d+)", pins[0])
    assert version, f"{pins[0]} is not an exact version"
    assert f"~/tuner/.venv/bin/ray --version | grep -F {version[1]}" in cluster["setup_commands"]
    install = next(command for command in cluster["setup_commands"] if "uv sync" in command)
    assert "--group cluster" in install


def test_every_node_has_one_exact_python_that_the_project_supports(
    cluster: dict[str, Any], project: dict[str, Any]
) -> None:
    install = next(command for command in cluster["setup_commands"] if "uv sync" in command)
    python = re.search(r"--python (\d+)\.(\d+)\.(\d+)$", install)
    assert python, install
    least, below = re.findall(r"3\.(\d+)", project["project"]["requires-python"])
    assert python[1] == "3"
    assert int(least) <= int(python[2]) < int(below)


def test_every_node_has_the_locked_versions_and_no_tools_for_development(cluster: dict[str, Any]) -> None:
    install = next(command for command in cluster["setup_commands"] if "uv sync" in command)
    assert "--frozen" in install
    assert "--no-dev" in install
    assert "uv.lock" in cluster["file_mounts"].values()


def test_what_is_copied_is_the_package_and_the_token_alone(cluster: dict[str, Any], project: dict[str, Any]) -> None:
    copied = set(cluster["file_mounts"].values())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    packages = {*wheel["packages"], *wheel["force-include"]}
    needed_to_build = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert copied == packages | needed_to_build | {"uv.lock", "~/.ray/auth_token"}


def test_the_file_holds_no_secret() -> None:
    text = (REPOSITORY / "cluster.yaml").read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}", text), "an access key"
    assert not re.search(r"-----BEGIN", text), "a private key"
    assert not re.search(r"\b[0-9a-f]{32,}\b", text), "a token"
    assert not re.search(r"(?i)(password|secret\w*|auth_token|access_key)\s*[:=]\s*[A-Za-z0-9+/]{8,}", text)
    assert not re.search(r"\b\d{12}\b", text), "an account's number"


def test_ray_starts_with_token_authentication_everywhere(cluster: dict[str, Any]) -> None:
    starts = [command for command in _commands(cluster) if "ray start" in command]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_a_shell_on_the_head_asks_for_the_token_too(cluster: dict[str, Any]) -> None:
    assert any("RAY_AUTH_MODE=token" in command and ".bashrc" in command for command in cluster["setup_commands"])


def test_the_dashboard_listens_on_the_loopback_interface(cluster: dict[str, Any]) -> None:
    head = " ".join(cluster["head_start_ray_commands"])
    assert re.findall(r"--dashboard-host=(\S+)", head) == ["127.0.0.1"]


def test_idle_nodes_are_released_and_nothing_is_kept(cluster: dict[str, Any]) -> None:
    assert 0 < cluster["idle_timeout_minutes"] <= 10
    assert cluster["available_node_types"]["worker"]["min_workers"] == 0
    assert cluster["provider"]["cache_stopped_nodes"] is False


def test_the_head_is_on_demand_and_the_workers_are_spot(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert types["worker"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert types["head"]["resources"] == {"CPU": 0}


def test_ray_up_refuses_to_start_before_ssh_is_closed_to_strangers(
    aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = _ray(tmp_path, monkeypatch, "up", "-y")
    assert result.returncode != 0
    ec2 = boto3.client("ec2", region_name="us-west-2")
    assert ec2.describe_instances()["Reservations"] == []
    assert [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]


@pytest.mark.timeout(240)
def test_ray_up_and_down_ask_aws_for_what_the_file_says(
    aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Arguments("203.0.113.0/28", "some-bucket", REPOSITORY / "cluster.yaml"))
    up = _ray(tmp_path, monkeypatch, "up", "-y")
    assert up.returncode == 0, up.stdout + up.stderr

    ec2 = boto3.client("ec2", region_name="us-west-2")
    [key] = ec2.describe_key_pairs()["KeyPairs"]
    private = tmp_path / "home/.ssh" / f"{key['KeyName']}.pem"
    assert private.stat().st_mode & 0o777 == 0o600

    groups = {group["GroupId"]: group for group in ec2.describe_security_groups()["SecurityGroups"]}
    [head] = _instances(ec2)
    assert [groups[group["GroupId"]]["GroupName"] for group in head["SecurityGroups"]] == ["tuner"]
    assert {group["GroupName"] for group in groups.values()} == {"default", "tuner"}
    assert (head["InstanceType"], head["KeyName"]) == ("m7i.large", key["KeyName"])
    assert head["IamInstanceProfile"]["Arn"].endswith(f"/{HEAD}")
    assert "InstanceLifecycle" not in head

    _start_a_worker(tmp_path)
    [worker] = [instance for instance in _instances(ec2) if instance["InstanceId"] != head["InstanceId"]]
    assert (worker["InstanceType"], worker["InstanceLifecycle"]) == ("g6.xlarge", "spot")
    assert worker["IamInstanceProfile"]["Arn"].endswith(f"/{WORKER}")
    assert worker["SecurityGroups"] == head["SecurityGroups"]

    # What the head will count on before a worker is there.
    possible = largest_workers(tmp_path / "bootstrap.yaml")
    assert [(node["CPU"], node["GPU"]) for node in possible] == [(4, 1)] * 8

    started = (tmp_path / "ssh.log").read_text()
    assert "--dashboard-host=127.0.0.1" in started
    assert started.index("uv sync") < started.index("ray start --head")

    down = _ray(tmp_path, monkeypatch, "down", "-y")
    assert down.returncode == 0, down.stdout + down.stderr
    assert {instance["State"]["Name"] for instance in _instances(ec2)} == {"terminated"}


def _ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run `ray up` or `ray down` as a user would, with a home of its own; ssh and rsync write down what they are told.

    The nodes of moto are only entries in its books, so nobody could answer.
    """
    home, tools = tmp_path / "home", tmp_path / "tools"
    (home / ".ray").mkdir(parents=True, exist_ok=True)
    (home / ".ray/auth_token").write_text("0" * 64)
    tools.mkdir(exist_ok=True)
    (tools / "ssh").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/ssh.log\n')
    (tools / "rsync").write_text(
        '#!/bin/sh\nfor last; do before="$argument"; argument="$last"; done\n'
        f'case "$last" in *ray_bootstrap_config.yaml) cp "$before" {tmp_path}/bootstrap.yaml;; esac\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    lock = REPOSITORY / "uv.lock"
    if not lock.exists():
        pytest.skip("ray up copies uv.lock to the nodes; uv lock writes it")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where Ray caches what it has resolved
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    command = [str(RAY), verb, *flags, str(REPOSITORY / "cluster.yaml")]
    environment = untouched_environment()
    return subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=200, check=False
    )


def _instances(ec2: Any) -> list[dict[str, Any]]:
    reservations = ec2.describe_instances()["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def _start_a_worker(tmp_path: Path) -> None:
    """Start a worker node as the head's autoscaler would: with the configuration that `ray up` copied to the head."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    config = yaml.safe_load((tmp_path / "bootstrap.yaml").read_text())
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])  # type: ignore[no-untyped-call]
    tags = {"ray-node-type": "worker", "ray-user-node-type": "worker", "ray-launch-config": "test"}
    provider.create_node(config["available_node_types"]["worker"]["node_config"], tags, 1)
