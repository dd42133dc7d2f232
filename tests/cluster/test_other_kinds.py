"""The files for machines of one's own and for Kubernetes say the same as cluster.yaml."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tuner.config import AUTO
from tuner.run import parse_arguments

REPOSITORY = Path(__file__).resolve().parents[2]


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / name).read_text())
    return loaded


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    spec: dict[str, Any] = _load("cluster/rayjob.yaml")["spec"]
    return spec


@pytest.fixture(scope="module")
def ray_version() -> str:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    [pin] = [pin for pin in project["dependency-groups"]["cluster"] if pin.startswith("ray[")]
    return str(pin).rpartition("==")[2]


def test_machines_of_ones_own_are_set_up_and_started_like_those_of_the_cloud() -> None:
    cloud, own = _load("cluster.yaml"), _load("cluster/on_premises.yaml")
    of_the_cloud = {"metadata", "max_workers", "upscaling_speed", "idle_timeout_minutes", "head_node_type"}
    same = cloud.keys() - of_the_cloud - {"provider", "auth", "available_node_types"}
    assert {key: own[key] for key in same} == {key: cloud[key] for key in same}
    assert own.keys() == same | {"provider", "auth"}


def test_the_installed_ray_accepts_the_file_for_machines_of_ones_own() -> None:
    validate_config(prepare_config(_load("cluster/on_premises.yaml")))


def test_kubernetes_runs_the_projects_own_ray(job: dict[str, Any], ray_version: str) -> None:
    assert job["rayClusterSpec"]["rayVersion"] == ray_version
    dockerfile = (REPOSITORY / "cluster/Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) == [f"rayproject/ray:{ray_version}-py312-gpu"]


def test_the_command_on_kubernetes_is_one_that_the_program_understands(job: dict[str, Any]) -> None:
    python, dash_m, module, *arguments = shlex.split(job["entrypoint"])
    assert (python, dash_m, module) == ("python", "-m", "tuner.run")
    study = parse_arguments(arguments).study
    [workers] = job["rayClusterSpec"]["workerGroupSpecs"]
    assert study.resources.workers == workers["maxReplicas"]
    limits = workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert study.resources.cpus_per_trial != AUTO
    assert study.resources.cpus_per_trial <= int(limits["cpu"])
    assert study.resources.gpus_per_trial == int(limits["nvidia.com/gpu"])


def test_kubernetes_scales_wants_the_token_and_ends_with_the_job(job: dict[str, Any]) -> None:
    cluster = job["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert job["shutdownAfterJobFinishes"] is True


@pytest.mark.parametrize("name", ["cluster/on_premises.yaml", "cluster/rayjob.yaml", "cluster/Dockerfile"])
def test_no_file_holds_a_secret(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[0-9a-f]{32,}\b", text)
