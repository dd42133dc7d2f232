from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tuner.engine import autoscaler


def _file(tmp_path: Path, **config: Any) -> Path:
    path = tmp_path / "ray_bootstrap_config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_workers_count_up_to_the_limits_of_their_type_and_of_the_cluster(tmp_path: Path) -> None:
    types = {
        "head": {"resources": {"CPU": 64}, "max_workers": 9},
        "small": {"resources": {"CPU": 2}, "max_workers": 3},
        "large": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 2},
    }
    file = _file(tmp_path, head_node_type="head", max_workers=4, available_node_types=types)
    large, small = {"CPU": 8, "GPU": 1}, {"CPU": 2}
    assert autoscaler.largest_workers(file) == [large, large, small, small]


def test_a_type_without_a_limit_of_its_own_has_the_clusters(tmp_path: Path) -> None:
    types = {"head": {"resources": {}}, "worker": {"resources": {"CPU": 2}}}
    file = _file(tmp_path, head_node_type="head", max_workers=2, available_node_types=types)
    assert len(autoscaler.largest_workers(file)) == 2


def test_nodes_of_unknown_size_count_only_once_they_are_there(tmp_path: Path) -> None:
    types = {"local.cluster.node": {"resources": {}, "max_workers": 5}}
    file = _file(tmp_path, head_node_type="local.cluster.node", max_workers=5, available_node_types=types)
    assert autoscaler.largest_workers(file) == []


def test_without_an_autoscaler_nothing_may_come(tmp_path: Path) -> None:
    assert autoscaler.largest_workers(tmp_path / "absent.yaml") == []


def test_kubernetes_hides_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_USAGE_STATS_KUBERAY_IN_USE", raising=False)
    assert not autoscaler.grows_unseen()
    monkeypatch.setenv("RAY_USAGE_STATS_KUBERAY_IN_USE", "1")
    assert autoscaler.grows_unseen()
