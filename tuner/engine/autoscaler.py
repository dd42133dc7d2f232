"""What a cluster may grow to, from the file with which its autoscaler runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

BOOTSTRAP_FILE = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` leaves the cluster's file on the head; Ray itself does not tell a driver what may still come."""


def largest_workers(file: Path | None = None) -> list[dict[str, float]]:
    """Return the resources of each worker node that the autoscaler may have at the same time; [] if there is none.

    The types with the most GPUs, then CPUs, are counted first. A type whose resources the file does not say (every
    node of the local provider) is left out: such nodes count if they are there when a driver starts.
    """
    path = (file or BOOTSTRAP_FILE).expanduser()
    if not path.is_file():
        return []
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    head = config.get("head_node_type")
    nodes: list[dict[str, float]] = []
    for name, kind in config.get("available_node_types", {}).items():
        if name != head and kind.get("resources"):
            nodes += [kind["resources"]] * kind.get("max_workers", config.get("max_workers", 0))
    nodes.sort(key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), reverse=True)
    return nodes[: config.get("max_workers", len(nodes))]


def grows_unseen() -> bool:
    """Return whether an autoscaler is at work whose limits cannot be seen from here: KubeRay's, outside the pod."""
    return "RAY_USAGE_STATS_KUBERAY_IN_USE" in os.environ
