"""Before the first trial: every node of the cluster must share the folder in which the run is kept."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.errors import StorageError

_SECONDS_TO_ANSWER = 60.0
"""A node that takes longer to start a process and write a few bytes would take no trial either."""


def check_storage(root: Path, location: str) -> None:
    """Let every living node write a probe into the run's folder, read it back and delete it.

    `location` is what the user gave as `--storage`, for the error.

    Raises:
        StorageError: naming the nodes that cannot, each with its reason.
    """
    name = f".probe-{uuid.uuid4().hex}"
    ours = root / name
    ours.write_text(name, encoding="utf-8")
    try:
        reasons = _ask_every_node(root, name)
    finally:
        ours.unlink(missing_ok=True)
    if reasons:
        raise StorageError(
            f"--storage is {location!r}, but {'; '.join(reasons)}: "
            "on a cluster it must be a folder that all nodes share, at the same path."
        )


def probe(root: Path, name: str, suffix: str) -> str | None:
    """Return why this machine cannot use the folder in which the driver wrote the file `name`; None if it can."""
    theirs, ours = root / name, root / f"{name}-{suffix}"
    try:
        if theirs.read_text(encoding="utf-8") != name:
            return "reads something else than the driver wrote there"
        with ours.open("w", encoding="utf-8") as handle:
            handle.write(suffix)
            handle.flush()
            os.fsync(handle.fileno())
        if ours.read_text(encoding="utf-8") != suffix:
            return "reads something else than it wrote there"
        ours.unlink()
    except FileNotFoundError:
        return "does not see what the driver wrote there"
    except OSError as error:
        return f"cannot use it ({error.strerror})"
    return None


def _ask_every_node(root: Path, name: str) -> list[str]:
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    answers = {}
    for node in known:
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ask = ray.remote(probe).options(num_cpus=0, scheduling_strategy=here)
            title = f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            answers[title] = ask.remote(root, name, node["NodeID"][:8])
    reasons = []
    for title, answer in answers.items():
        try:
            reason = ray.get(answer, timeout=_SECONDS_TO_ANSWER)
        except GetTimeoutError:
            reason = f"did not answer within {_SECONDS_TO_ANSWER:.0f}s"
        except RayError as error:
            reason = f"could not be asked ({' '.join(str(error).split())})"
        if reason:
            reasons.append(f"{title} {reason}")
    return reasons
